// Plays one stream over WHEP: offer, answer, and again with a growing pause whenever it ends.
"use strict";

const RETRY_FIRST_MS = 500;
const RETRY_MOST_MS = 15000;
const GATHER_MOST_MS = 500;
const CONNECT_MOST_MS = 10000;
const LOST_MOST_MS = 5000;

const video = document.getElementById("video");
const sound = document.getElementById("sound");
const state = document.getElementById("state");
// The token of this page's own address goes to the endpoint as a header: it stands in no further URL.
const token = new URLSearchParams(location.search).get("token");
const endpoint = new URL(document.body.dataset.endpoint, location.href);

let current = null;
let retryTimer = 0;
let pauseMs = RETRY_FIRST_MS;
// ICE servers come with the answer (Link headers): they serve from the next connection on.
let iceServers = [];

function say(text) {
  if (state.textContent !== text) state.textContent = text;
}

function headers(more) {
  return token ? { ...more, Authorization: "Bearer " + token } : more;
}

// `<turn:host?transport=udp>; rel="ice-server"; username="u"; credential="c"`, one per line, joined by fetch.
function readLinks(header) {
  const servers = [];
  for (const line of (header || "").split(/,\s*(?=<)/)) {
    const url = /^\s*<([^>]+)>/.exec(line);
    if (!url || !/;\s*rel="?ice-server"?/.test(line)) continue;
    const text = (name) => {
      const found = new RegExp(";\\s*" + name + '="((?:[^"\\\\]|\\\\.)*)"').exec(line);
      return found ? found[1].replace(/\\(.)/g, "$1") : undefined;
    };
    const server = { urls: url[1] };
    if (text("username") !== undefined) {
      server.username = text("username");
      server.credential = text("credential") || "";
    }
    servers.push(server);
  }
  return servers;
}

function gathered(pc) {
  return new Promise((resolve) => {
    if (pc.iceGatheringState === "complete") return resolve();
    const timer = setTimeout(resolve, GATHER_MOST_MS);
    pc.addEventListener("icegatheringstatechange", () => {
      if (pc.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      resolve();
    });
  });
}

// Browsers decode Opus in mono unless the offer says otherwise (RFC 7587, section 6.1).
function withStereo(sdp) {
  const opus = /^a=rtpmap:(\d+) opus\/48000/im.exec(sdp);
  if (!opus) return sdp;
  return sdp.replace(new RegExp("^a=fmtp:" + opus[1] + " (?!.*stereo=1)[^\\r\\n]+", "m"), "$&;stereo=1");
}

class Refusal extends Error {
  constructor(message, waitMs) {
    super(message);
    this.waitMs = waitMs;
  }
}

async function post(offer, signal) {
  const response = await fetch(endpoint, {
    method: "POST",
    headers: headers({ "Content-Type": "application/sdp" }),
    body: offer,
    signal,
  });
  const servers = readLinks(response.headers.get("Link"));
  if (servers.length) iceServers = servers;
  const text = await response.text();
  if (response.status !== 201) {
    let why = "the server answered " + response.status;
    try {
      why = JSON.parse(text).detail || why;
    } catch {
      // Not a problem description: some proxy's page.
    }
    const seconds = Number(response.headers.get("Retry-After"));
    throw new Refusal(why, seconds > 0 ? seconds * 1000 : 0);
  }
  return { answer: text, session: new URL(response.headers.get("Location"), response.url) };
}

function remove(session) {
  // keepalive: it must leave even while the page is closing.
  fetch(session, { method: "DELETE", headers: headers({}), keepalive: true }).catch(() => {});
}

async function play() {
  const pc = new RTCPeerConnection({ iceServers });
  const abort = new AbortController();
  const attempt = { pc, abort, session: null, over: false, timer: 0 };
  current = attempt;
  const ended = (why) => finish(attempt, why, 0);

  pc.addTransceiver("video", { direction: "recvonly" });
  pc.addTransceiver("audio", { direction: "recvonly" });
  const stream = new MediaStream();
  pc.addEventListener("track", (event) => {
    stream.addTrack(event.track);
    if (video.srcObject !== stream) video.srcObject = stream;
  });
  pc.addEventListener("connectionstatechange", () => {
    if (attempt.over) return;
    switch (pc.connectionState) {
      case "connected":
        clearTimeout(attempt.timer);
        pauseMs = RETRY_FIRST_MS;
        say("live");
        break;
      case "disconnected":
        say("connection lost, waiting");
        clearTimeout(attempt.timer);
        attempt.timer = setTimeout(() => ended("connection lost"), LOST_MOST_MS);
        break;
      case "failed":
      case "closed":
        ended("connection ended");
        break;
    }
  });
  attempt.timer = setTimeout(() => ended("no connection came up"), CONNECT_MOST_MS);

  try {
    say("connecting");
    const offer = await pc.createOffer();
    await pc.setLocalDescription({ type: "offer", sdp: withStereo(offer.sdp) });
    // The server learns addresses from the checks; candidates are waited for only where a relay is to be announced.
    if (iceServers.length) await gathered(pc);
    const { answer, session } = await post(pc.localDescription.sdp, abort.signal);
    attempt.session = session;
    if (attempt.over) return remove(session);
    await pc.setRemoteDescription({ type: "answer", sdp: answer });
  } catch (error) {
    finish(attempt, error.message, error.waitMs || 0);
  }
}

function finish(attempt, why, waitMs) {
  if (attempt.over) return;
  attempt.over = true;
  clearTimeout(attempt.timer);
  attempt.abort.abort();
  attempt.pc.close();
  if (attempt.session) remove(attempt.session);
  if (attempt !== current) return;
  current = null;
  const wait = Math.max(pauseMs, waitMs) * (0.75 + Math.random() / 2);
  pauseMs = Math.min(pauseMs * 2, RETRY_MOST_MS);
  say(why + "; trying again");
  retryTimer = setTimeout(play, wait);
}

function stop() {
  clearTimeout(retryTimer);
  const attempt = current;
  current = null;
  if (attempt) finish(attempt, "", 0);
}

function showSound() {
  sound.textContent = video.muted ? "Unmute" : "Mute";
}

sound.addEventListener("click", () => {
  video.muted = !video.muted;
  if (video.paused) video.play().catch(() => {});
});
video.addEventListener("volumechange", showSound);
// C080: a closed tab says nothing otherwise.
addEventListener("pagehide", stop);
// Back from the cache of the browser's history.
addEventListener("pageshow", (event) => {
  if (event.persisted) play();
});

showSound();
play();
