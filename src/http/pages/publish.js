// Publishes a camera, a screen or a microphone over WHIP: preview, offer, answer, numbers, and what went wrong in words.
"use strict";

const CONNECT_MOST_MS = 10000;
const LOST_MOST_MS = 5000;
const GATHER_MOST_MS = 500;
const SCREEN = "screen";
const NONE = "none";

const element = (id) => document.getElementById(id);
const preview = element("preview");
const camera = element("camera");
const microphone = element("microphone");
const size = element("size");
const bitrate = element("bitrate");
const start = element("start");
const state = element("state");
const numbers = element("numbers");
// The token of this page's own address goes to the endpoint as a header: it stands in no further URL.
const token = new URLSearchParams(location.search).get("token");
const endpoint = new URL(document.body.dataset.endpoint, location.href);

let media = null;
let current = null;
let opening = 0;

function say(text) {
  if (state.textContent !== text) state.textContent = text;
}

function headers(more) {
  return token ? { ...more, Authorization: "Bearer " + token } : more;
}

// What getUserMedia's errors mean for the person in front of the page.
function inWords(error) {
  switch (error.name) {
    case "NotAllowedError":
      return "no permission: allow camera and microphone for this page in the browser's address bar";
    case "NotFoundError":
      return "no such device: none is connected";
    case "NotReadableError":
      return "the device is in use by another program";
    case "OverconstrainedError":
      return "the device can't do that size";
    default:
      return error.message || String(error);
  }
}

function wanted() {
  const [width, height] = size.value.split("x").map(Number);
  const exact = (select) => (select.value ? { deviceId: { exact: select.value } } : {});
  return {
    video: camera.value === NONE ? false
      : { ...exact(camera), width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: 30 } },
    audio: microphone.value === NONE ? false : { ...exact(microphone) },
  };
}

async function capture() {
  if (!navigator.mediaDevices) {
    throw new Error("browsers give cameras to pages over HTTPS or on localhost only");
  }
  const { video, audio } = wanted();
  if (camera.value !== SCREEN) return navigator.mediaDevices.getUserMedia({ video, audio });
  delete video.deviceId;
  const screen = await navigator.mediaDevices.getDisplayMedia({ video, audio: false });
  if (audio) {
    const sound = await navigator.mediaDevices.getUserMedia({ audio });
    sound.getAudioTracks().forEach((track) => screen.addTrack(track));
  }
  return screen;
}

function release() {
  if (media) media.getTracks().forEach((track) => track.stop());
  media = null;
  preview.srcObject = null;
}

// Opens what is chosen; a later choice wins over one that is still being opened.
async function open() {
  const turn = ++opening;
  const next = await capture();
  if (turn !== opening) {
    next.getTracks().forEach((track) => track.stop());
    throw new Error("another device was chosen");
  }
  release();
  media = next;
  preview.srcObject = next;
  for (const track of next.getTracks()) {
    track.addEventListener("ended", () => finish(current, "the " + track.kind + " source ended"));
  }
  await list();
}

function fill(select, devices, fixed) {
  const chosen = select.value;
  select.replaceChildren(...[...devices.map((device) => [device.deviceId, device.label]), ...fixed]
    .map(([value, text]) => new Option(text, value)));
  if ([...select.options].some((option) => option.value === chosen)) select.value = chosen;
}

// Names and ids are told once there is a permission.
async function list() {
  if (!navigator.mediaDevices) return;
  const devices = await navigator.mediaDevices.enumerateDevices();
  const of = (kind) => devices.filter((device) => device.kind === kind && device.deviceId);
  const or = (list, name) => (list.length ? [] : [["", name]]);
  const screen = navigator.mediaDevices.getDisplayMedia ? [[SCREEN, "Screen or window"]] : [];
  const cameras = of("videoinput");
  const microphones = of("audioinput");
  fill(camera, cameras, [...or(cameras, "Camera"), ...screen, [NONE, "No picture"]]);
  fill(microphone, microphones, [...or(microphones, "Microphone"), [NONE, "No sound"]]);
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
    const username = text("username");
    servers.push(username === undefined ? { urls: url[1] }
      : { urls: url[1], username, credential: text("credential") || "" });
  }
  return servers;
}

// A publisher can still change its addresses before it offers: relays are asked for first.
async function iceServers() {
  const response = await fetch(endpoint, { method: "OPTIONS", headers: headers({}) });
  return readLinks(response.headers.get("Link"));
}

function gathered(pc) {
  return new Promise((resolve) => {
    const done = () => pc.iceGatheringState === "complete" && resolve();
    pc.addEventListener("icegatheringstatechange", done);
    setTimeout(resolve, GATHER_MOST_MS);
    done();
  });
}

function refusal(status, text, retryAfter) {
  let why = "the server answered " + status;
  try {
    why = JSON.parse(text).detail || why;
  } catch {
    // Not a problem description: some proxy's page.
  }
  switch (status) {
    case 401:
    case 403:
      return "not authorised: " + why + " (add ?token=… to the address)";
    case 404:
      return "there is no ingest of this name: " + why;
    case 409:
      return "busy: somebody else is publishing here" + (retryAfter ? "; try again in " + retryAfter + " s" : "");
    default:
      return why;
  }
}

async function post(offer, signal) {
  const response = await fetch(endpoint, {
    method: "POST",
    headers: headers({ "Content-Type": "application/sdp" }),
    body: offer,
    signal,
  });
  const text = await response.text();
  if (response.status !== 201) {
    throw new Error(refusal(response.status, text, response.headers.get("Retry-After")));
  }
  return { answer: text, session: new URL(response.headers.get("Location"), response.url) };
}

function remove(session) {
  // keepalive: it must leave even while the page is closing.
  fetch(session, { method: "DELETE", headers: headers({}), keepalive: true }).catch(() => {});
}

async function limit(sender) {
  const parameters = sender.getParameters();
  if (!parameters.encodings?.length) return;
  parameters.encodings[0].maxBitrate = Number(bitrate.value) * 1000;
  await sender.setParameters(parameters);
}

async function publish() {
  const attempt = { pc: null, abort: new AbortController(), session: null, over: false, timer: 0, numbers: 0 };
  current = attempt;
  show();
  try {
    say("opening the devices");
    if (!media) await open();
    if (attempt.over) return;
    say("connecting");
    const pc = new RTCPeerConnection({ iceServers: await iceServers() });
    if (attempt.over) return pc.close();
    attempt.pc = pc;
    watch(attempt);
    for (const track of media.getTracks()) {
      const { sender } = pc.addTransceiver(track, { direction: "sendonly", streams: [media] });
      if (track.kind === "video") {
        track.contentHint = camera.value === SCREEN ? "detail" : "motion";
        await limit(sender);
      }
    }
    await pc.setLocalDescription();
    if (pc.getConfiguration().iceServers.length) await gathered(pc);
    const { answer, session } = await post(pc.localDescription.sdp, attempt.abort.signal);
    attempt.session = session;
    if (attempt.over) return remove(session);
    await pc.setRemoteDescription({ type: "answer", sdp: answer });
  } catch (error) {
    finish(attempt, inWords(error));
  }
}

function watch(attempt) {
  const { pc } = attempt;
  pc.addEventListener("connectionstatechange", () => {
    clearTimeout(attempt.timer);
    switch (pc.connectionState) {
      case "connected":
        say("live");
        attempt.numbers = setInterval(() => count(attempt).catch(() => {}), 1000);
        break;
      case "disconnected":
        say("connection lost, waiting");
        attempt.timer = setTimeout(() => finish(attempt, "connection lost"), LOST_MOST_MS);
        break;
      case "failed":
      case "closed":
        finish(attempt, "the server ended the connection");
        break;
    }
  });
  attempt.timer = setTimeout(() => finish(attempt, "no connection came up"), CONNECT_MOST_MS);
}

async function count(attempt) {
  const rows = new Map();
  let bytes = 0;
  for (const entry of (await attempt.pc.getStats()).values()) {
    if (entry.type === "outbound-rtp") bytes += entry.bytesSent || 0;
    if (entry.type === "outbound-rtp" && entry.kind === "video") {
      rows.set("Picture", (entry.frameWidth || 0) + " × " + (entry.frameHeight || 0) + ", "
        + Math.round(entry.framesPerSecond || 0) + " frames/s");
      const why = entry.qualityLimitationReason;
      if (why && why !== "none") rows.set("Limited by", why);
    } else if (entry.type === "remote-inbound-rtp" && entry.kind === "video") {
      rows.set("Lost", ((entry.fractionLost || 0) * 100).toFixed(1) + " %");
      if (entry.roundTripTime !== undefined) rows.set("Round trip", Math.round(entry.roundTripTime * 1000) + " ms");
    }
  }
  const now = performance.now();
  if (attempt.last) {
    const kilobits = (bytes - attempt.last.bytes) * 8 / (now - attempt.last.now);
    rows.set("Rate", Math.round(kilobits) + " kbit/s");
  }
  attempt.last = { bytes, now };
  if (attempt.over) return;
  numbers.replaceChildren(...[...rows].flatMap(([name, value]) => {
    const [term, text] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    text.textContent = value;
    return [term, text];
  }));
  numbers.hidden = false;
}

function finish(attempt, why) {
  if (!attempt || attempt.over) return;
  attempt.over = true;
  clearTimeout(attempt.timer);
  clearInterval(attempt.numbers);
  attempt.abort.abort();
  if (attempt.pc) attempt.pc.close();
  if (attempt.session) remove(attempt.session);
  if (attempt !== current) return;
  current = null;
  numbers.hidden = true;
  release();
  say(why);
  show();
}

function show() {
  start.textContent = current ? "Stop" : "Publish";
  for (const select of [camera, microphone, size, bitrate]) select.disabled = Boolean(current);
}

start.addEventListener("click", () => {
  if (current) finish(current, "not publishing");
  else publish();
});
for (const select of [camera, microphone, size]) {
  // The screen is asked for when publishing begins: its dialogue would come twice.
  select.addEventListener("change", () => {
    release();
    if (camera.value !== SCREEN) open().catch((error) => say(inWords(error)));
  });
}
// C080: a closed tab says nothing otherwise.
addEventListener("pagehide", () => finish(current, "not publishing"));
if (navigator.mediaDevices) navigator.mediaDevices.addEventListener("devicechange", () => list().catch(() => {}));

show();
list().catch(() => {});
