// What a connection's statistics mean, second by second, and a small graph of them.

const KEPT = 60;

// Turns getStats() into numbers per second; null where the browser doesn't say.
export class Meter {
  constructor() {
    this.before = null;
    this.history = [];
  }

  async read(pc) {
    const stats = await pc.getStats();
    const now = { at: performance.now(), bytes: 0, packets: 0, lost: 0, frames: null, delay: null, decoded: null };
    const seen = { width: 0, height: 0, codec: "", audio: "", rttMs: null };
    for (const entry of stats.values()) {
      if (entry.type === "candidate-pair" && entry.nominated && entry.currentRoundTripTime !== undefined) {
        seen.rttMs = entry.currentRoundTripTime * 1000;
      }
      if (entry.type !== "inbound-rtp") continue;
      now.bytes += entry.bytesReceived || 0;
      now.packets += entry.packetsReceived || 0;
      now.lost += entry.packetsLost || 0;
      const codec = stats.get(entry.codecId)?.mimeType?.split("/")[1] || "";
      if (entry.kind !== "video") {
        seen.audio = codec;
        continue;
      }
      seen.codec = codec;
      seen.width = entry.frameWidth || 0;
      seen.height = entry.frameHeight || 0;
      now.frames = entry.framesDecoded ?? null;
      now.decoded = entry.framesDecoded ?? null;
      now.delay = entry.totalProcessingDelay ?? entry.jitterBufferDelay ?? null;
    }
    const before = this.before;
    this.before = now;
    if (!before) return null;
    const seconds = (now.at - before.at) / 1000;
    const change = (name) => (now[name] === null || before[name] === null ? null : now[name] - before[name]);
    const lost = Math.max(0, change("lost"));
    const due = change("packets") + lost;
    const frames = change("decoded");
    // From the first packet's arrival to the picture, and half the way there and back.
    const player = frames > 0 && change("delay") !== null ? (change("delay") / frames) * 1000 : null;
    const sample = {
      ...seen,
      bitrate: Math.max(0, (change("bytes") * 8) / seconds),
      fps: frames === null ? null : Math.max(0, frames / seconds),
      loss: due > 0 ? (100 * lost) / due : 0,
      latencyMs: player === null ? null : player + (seen.rttMs || 0) / 2,
      frames: now.frames,
      packets: now.packets,
    };
    this.history.push(sample);
    if (this.history.length > KEPT) this.history.shift();
    return sample;
  }
}

export function bits(perSecond) {
  if (perSecond >= 1e6) return (perSecond / 1e6).toFixed(perSecond >= 1e7 ? 0 : 1) + " Mbit/s";
  return Math.round(perSecond / 1e3) + " kbit/s";
}

// Bitrate as an area, frame rate as a line, the newest on the right.
export function draw(canvas, history) {
  const scale = devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  const color = getComputedStyle(canvas);
  const path = (value, most) => {
    context.beginPath();
    history.forEach((sample, index) => {
      const x = width - ((history.length - 1 - index) * width) / (KEPT - 1);
      const y = height - 3 - (Math.min(value(sample) || 0, most) / most) * (height - 10);
      if (index === 0) context.moveTo(x, y);
      else context.lineTo(x, y);
    });
  };
  context.strokeStyle = color.getPropertyValue("--line");
  context.lineWidth = 1;
  for (let row = 1; row < 4; row += 1) {
    context.beginPath();
    context.moveTo(0, Math.round((row * height) / 4) + 0.5);
    context.lineTo(width, Math.round((row * height) / 4) + 0.5);
    context.stroke();
  }
  if (history.length < 2) return;
  const highest = Math.max(...history.map((sample) => sample.bitrate)) * 1.2;
  context.lineWidth = 2;
  context.lineJoin = "round";
  path((sample) => sample.bitrate, highest || 1);
  context.strokeStyle = color.getPropertyValue("--mark");
  context.stroke();
  context.lineTo(width, height);
  context.lineTo(width - ((history.length - 1) * width) / (KEPT - 1), height);
  context.closePath();
  context.globalAlpha = 0.15;
  context.fillStyle = color.getPropertyValue("--mark");
  context.fill();
  context.globalAlpha = 1;
  path((sample) => sample.fps, Math.max(...history.map((sample) => sample.fps || 0)) * 1.6 || 1);
  context.strokeStyle = color.getPropertyValue("--live");
  context.stroke();
}
