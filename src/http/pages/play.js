// The play page: what a viewer sees and presses. It keeps a session up, and comes back by itself when the stream does.
import { Session } from "./whep.js";
import { Meter, bits, draw } from "./stats.js";

const RETRY_FIRST_MS = 500;
const RETRY_MOST_MS = 5000;
const SAMPLE_MS = 1000;
// No new frame for so many samples: interrupted.
const SILENT_SAMPLES = 3;

const $ = (id) => document.getElementById(id);
const video = $("video");
const player = $("player");
const endpoint = new URL(document.body.dataset.endpoint, location.href);

// The token of this page's own address goes to the endpoint as a header: it stands in no further URL.
let token = new URLSearchParams(location.search).get("token");
let session = null;
let iceServers = [];
let meter = new Meter();
let retryTimer = 0;
let pauseMs = RETRY_FIRST_MS;
let wanted = true;
let startedAt = 0;
let firstFrameMs = null;
let silent = 0;
let seenFrames = 0;
let idleTimer = 0;

const BADGES = {
  connecting: "Connecting", live: "Live", missing: "Offline", refused: "Refused",
  interrupted: "Interrupted", lost: "Reconnecting", stopped: "Stopped",
};

function show(state, message = "", hint = "") {
  document.body.dataset.state = state;
  $("badge").textContent = BADGES[state];
  $("message").textContent = message;
  $("hint").textContent = hint;
  $("notice").hidden = state === "live";
  $("spinner").hidden = !["connecting", "lost", "interrupted", "missing"].includes(state);
  $("ask").hidden = true;
  $("again").hidden = !["stopped", "refused"].includes(state);
  $("toggle").setAttribute("aria-label", wanted ? "Stop" : "Start");
  $("toggle").title = wanted ? "Stop" : "Start";
  player.dataset.running = String(wanted);
}

function start() {
  clearTimeout(retryTimer);
  wanted = true;
  startedAt = performance.now();
  firstFrameMs = null;
  silent = 0;
  seenFrames = 0;
  meter = new Meter();
  if (!["missing", "lost"].includes(document.body.dataset.state)) show("connecting", "Connecting…");
  session = new Session(endpoint, token, iceServers, { connected, lost, ended });
  const mine = session;
  video.requestVideoFrameCallback?.(() => {
    if (mine === session) firstFrameMs = performance.now() - startedAt;
  });
  session.start().then(() => {
    iceServers = mine.iceServers;
  });
}

function stop() {
  clearTimeout(retryTimer);
  wanted = false;
  session?.close();
  session = null;
  video.srcObject = null;
  forget();
  show("stopped", "Stopped");
}

function connected() {
  pauseMs = RETRY_FIRST_MS;
  silent = 0;
  show("live");
  // Not before: an element that waits for media holds up the load event of the page.
  if (video.srcObject !== session.stream) video.srcObject = session.stream;
  video.play().catch(() => {});
}

function lost() {
  show("lost", "The connection is interrupted", "Waiting for it to come back…");
}

function ended(why, refused) {
  session = null;
  video.srcObject = null;
  forget();
  if (!wanted) return;
  const status = refused?.status;
  if (status === 401 || status === 403) return ask(why, status);
  const forGood = status >= 400 && status < 500 && ![404, 408, 409, 429].includes(status);
  if (forGood) {
    wanted = false;
    return show("refused", "This stream can't be played here", why);
  }
  if (status === 404 || status === 409) {
    show("missing", "This stream isn't running", "It starts here by itself once it does.");
  } else if (status === 429 || status === 503) {
    show("missing", "The server is busy", why + " Trying again…");
  } else {
    show("lost", why || "The connection is interrupted", "Trying again…");
  }
  const wait = Math.max(pauseMs, refused?.waitMs || 0) * (0.75 + Math.random() / 2);
  pauseMs = Math.min(pauseMs * 2, RETRY_MOST_MS);
  retryTimer = setTimeout(start, wait);
}

// Refused for want of the right token: a field for it.
function ask(why, status) {
  wanted = false;
  show("refused", status === 401 ? "This stream needs a token" : "You may not watch this stream", token ? why : "");
  $("again").hidden = status === 401;
  $("ask").hidden = status !== 401;
}

function withToken() {
  token = $("token").value.trim() || null;
  $("token").value = "";
  if (token) start();
}

function forget() {
  for (const cell of document.querySelectorAll("[data-stat]")) cell.textContent = "–";
}

function put(name, text) {
  document.querySelector(`[data-stat="${name}"]`).textContent = text;
}

async function sample() {
  const mine = session;
  if (!mine || mine.over || mine.pc.connectionState !== "connected") return;
  const seen = await meter.read(mine.pc);
  if (mine !== session || !seen) return;
  put("resolution", seen.width ? `${seen.width} × ${seen.height}` : "–");
  put("fps", seen.fps === null || !seen.codec ? "–" : `${Math.round(seen.fps)} fps`);
  put("bitrate", bits(seen.bitrate));
  put("latency", seen.latencyMs === null ? "–" : `${Math.round(seen.latencyMs)} ms`);
  put("loss", `${seen.loss.toFixed(1)} %`);
  put("first", firstFrameMs === null ? "–" : `${Math.round(firstFrameMs)} ms`);
  put("rtt", seen.rttMs === null ? "–" : `${seen.rttMs.toFixed(seen.rttMs < 10 ? 1 : 0)} ms`);
  put("codecs", [seen.codec, seen.audio].filter(Boolean).join(" + ") || "–");
  draw($("graph"), meter.history);
  // A stream without video is judged by its packets.
  const progress = seen.codec ? seen.frames : seen.packets;
  silent = progress === seenFrames ? silent + 1 : 0;
  seenFrames = progress;
  const state = document.body.dataset.state;
  if (silent >= SILENT_SAMPLES && state === "live") {
    show("interrupted", "The stream is interrupted", "It goes on here by itself once it does.");
  } else if (silent === 0 && state === "interrupted") {
    show("live");
  }
}

function showSound() {
  const quiet = video.muted || video.volume === 0;
  player.dataset.muted = String(quiet);
  $("sound").setAttribute("aria-label", quiet ? "Unmute" : "Mute");
  $("sound").title = quiet ? "Unmute" : "Mute";
  $("volume").value = String(quiet ? 0 : Math.round(video.volume * 100));
}

function toggleSound() {
  video.muted = !video.muted;
  if (!video.muted && video.volume === 0) video.volume = 0.5;
}

function toggleFull() {
  if (document.fullscreenElement) document.exitFullscreen();
  else if (player.requestFullscreen) player.requestFullscreen().catch(() => {});
  // iPhones know it for the element alone.
  else video.webkitEnterFullscreen?.();
}

function toggle() {
  if (wanted) stop();
  else start();
}

// The bar hides while nothing is pressed and the picture runs.
function awake() {
  player.classList.remove("idle");
  clearTimeout(idleTimer);
  idleTimer = setTimeout(() => player.classList.add("idle"), 3000);
}

$("toggle").addEventListener("click", toggle);
$("again").addEventListener("click", start);
$("sound").addEventListener("click", toggleSound);
$("full").addEventListener("click", toggleFull);
$("volume").addEventListener("input", () => {
  video.volume = Number($("volume").value) / 100;
  video.muted = video.volume === 0;
});
$("go").addEventListener("click", withToken);
$("token").addEventListener("keydown", (event) => {
  if (event.key === "Enter") withToken();
});
video.addEventListener("volumechange", showSound);
video.addEventListener("dblclick", toggleFull);
for (const kind of ["pointermove", "pointerdown", "keydown", "focusin"]) player.addEventListener(kind, awake);
addEventListener("keydown", (event) => {
  if (event.target.closest("input, button") || event.ctrlKey || event.metaKey || event.altKey) return;
  const action = { " ": toggle, k: toggle, m: toggleSound, f: toggleFull }[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});
// The network changed: the old path may be dead, the media need not be.
addEventListener("online", () => session?.restart());
// C080: a closed tab says nothing otherwise.
addEventListener("pagehide", () => {
  clearTimeout(retryTimer);
  session?.close();
  session = null;
});
// Back from the cache of the browser's history.
addEventListener("pageshow", (event) => {
  if (event.persisted && wanted) start();
});

setInterval(sample, SAMPLE_MS);
showSound();
awake();
start();
