// A WHEP player's side of the protocol: offer and answer, ICE restart by PATCH, DELETE. It knows nothing of the page.

const CONNECT_MOST_MS = 10000;
// Disconnected so long, ICE is restarted; and so much later it is given up.
const RESTART_AFTER_MS = 1500;
const LOST_MOST_MS = 8000;

// Why a server said no: its status, its words, and when to ask again.
export class Refusal extends Error {
  constructor(status, message, waitMs) {
    super(message);
    this.status = status;
    this.waitMs = waitMs;
  }
}

// `<turn:host?transport=udp>; rel="ice-server"; username="u"; credential="c"`, one per line, joined by fetch.
export function readLinks(header) {
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

// Browsers decode Opus in mono unless the offer says otherwise (RFC 7587, section 6.1).
function withStereo(sdp) {
  const opus = /^a=rtpmap:(\d+) opus\/48000/im.exec(sdp);
  if (!opus) return sdp;
  return sdp.replace(new RegExp("^a=fmtp:" + opus[1] + " (?!.*stereo=1)[^\\r\\n]+", "m"), "$&;stereo=1");
}

async function refusal(response) {
  let why = "The server answered " + response.status + ".";
  try {
    why = JSON.parse(await response.text()).detail || why;
  } catch {
    // Not a problem description: some proxy's page.
  }
  const seconds = Number(response.headers.get("Retry-After"));
  return new Refusal(response.status, why, seconds > 0 ? seconds * 1000 : 0);
}

// One session: made by start(), over once `ended` was called with the reason, or after close().
export class Session {
  constructor(endpoint, token, iceServers, { connected, lost, ended }) {
    this.endpoint = endpoint;
    this.token = token;
    this.on = { connected, lost, ended };
    this.abort = new AbortController();
    this.pc = new RTCPeerConnection({ iceServers });
    this.stream = new MediaStream();
    this.url = null;
    this.answer = "";
    this.iceServers = iceServers;
    this.over = false;
    this.pc.addTransceiver("video", { direction: "recvonly" });
    this.pc.addTransceiver("audio", { direction: "recvonly" });
    this.pc.addEventListener("track", (event) => this.stream.addTrack(event.track));
    this.pc.addEventListener("connectionstatechange", () => this.changed());
    this.timer = setTimeout(() => this.end("No connection came up: UDP may be blocked on the way."), CONNECT_MOST_MS);
  }

  headers(more) {
    return this.token ? { ...more, Authorization: "Bearer " + this.token } : more;
  }

  async start() {
    try {
      const offer = await this.pc.createOffer();
      await this.pc.setLocalDescription({ type: "offer", sdp: withStereo(offer.sdp) });
      // No candidates are waited for: the server learns addresses from the checks.
      const response = await fetch(this.endpoint, {
        method: "POST",
        headers: this.headers({ "Content-Type": "application/sdp" }),
        body: this.pc.localDescription.sdp,
        signal: this.abort.signal,
      });
      if (response.status !== 201) throw await refusal(response);
      const servers = readLinks(response.headers.get("Link"));
      // They serve from the next connection on.
      if (servers.length) this.iceServers = servers;
      this.url = new URL(response.headers.get("Location"), response.url);
      this.answer = await response.text();
      if (this.over) return this.remove();
      await this.pc.setRemoteDescription({ type: "answer", sdp: this.answer });
    } catch (error) {
      this.end(error.message, error instanceof Refusal ? error : null);
    }
  }

  // New credentials on both sides; media goes on (RFC 9725, section 4.3.3).
  async restart() {
    if (this.over || !this.url) return;
    try {
      const offer = await this.pc.createOffer({ iceRestart: true });
      await this.pc.setLocalDescription(offer);
      const lines = offer.sdp.split("\r\n");
      const first = (start) => lines.find((line) => line.startsWith(start));
      const parts = [first("a=ice-ufrag:"), first("a=ice-pwd:"), first("m="), first("a=mid:")];
      const response = await fetch(this.url, {
        method: "PATCH",
        headers: this.headers({ "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "*" }),
        body: parts.join("\r\n") + "\r\n",
        signal: this.abort.signal,
      });
      if (response.status !== 200) throw await refusal(response);
      const fragment = await response.text();
      const value = (name) => new RegExp("^a=" + name + ":(.*)\\r$", "m").exec(fragment)[1];
      this.answer = this.answer
        .replace(/^a=ice-ufrag:.*\r$/gm, "a=ice-ufrag:" + value("ice-ufrag") + "\r")
        .replace(/^a=ice-pwd:.*\r$/gm, "a=ice-pwd:" + value("ice-pwd") + "\r");
      if (!this.over) await this.pc.setRemoteDescription({ type: "answer", sdp: this.answer });
    } catch (error) {
      // The server forgot the session, or can't be reached: the timer of the loss decides the latter.
      if (error instanceof Refusal) this.end("The connection was lost.");
    }
  }

  changed() {
    if (this.over) return;
    switch (this.pc.connectionState) {
      case "connected":
        clearTimeout(this.timer);
        this.on.connected();
        break;
      case "disconnected":
        this.on.lost();
        clearTimeout(this.timer);
        this.timer = setTimeout(() => {
          this.timer = setTimeout(() => this.end("The connection was lost."), LOST_MOST_MS);
          this.restart();
        }, RESTART_AFTER_MS);
        break;
      case "failed":
      case "closed":
        this.end("The connection ended.");
        break;
    }
  }

  end(why, refused = null) {
    if (this.over) return;
    this.close();
    this.on.ended(why, refused);
  }

  // Says goodbye and is silent from then on.
  close() {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.timer);
    // A POST that is on its way makes no session once it is given up.
    this.abort.abort();
    this.pc.close();
    this.remove();
  }

  remove() {
    // keepalive: it must leave even while the page is closing.
    if (this.url) fetch(this.url, { method: "DELETE", headers: this.headers({}), keepalive: true }).catch(() => {});
  }
}
