// The measuring page: joins a WHEP server and says when what came; publishes a clock over WHIP and reads it from what is played.
'use strict';

window.bench = (() => {
  const peers = new Map();
  // The clock: two rows of blocks, 24 bits of time in tenths of a millisecond and 8 of their sum.
  const BLOCK = 40;
  const COLUMNS = 16;
  const WIDTH = BLOCK * COLUMNS;
  const HEIGHT = 360;

  async function post(pc, url) {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/sdp' },
      body: pc.localDescription.sdp,
    });
    const body = await response.text();
    if (response.status !== 200 && response.status !== 201) {
      return { status: response.status, session: null };
    }
    const location = response.headers.get('Location');
    await pc.setRemoteDescription({ type: 'answer', sdp: body });
    return { status: response.status, session: location && new URL(location, url).href };
  }

  // Starts to watch; times count from createOffer. The HTTP status.
  async function join(name, url, kinds) {
    const pc = new RTCPeerConnection();
    const video = document.createElement('video');
    const viewer = { pc, video, connected: null, firstFrame: null, session: null, latencies: [], unreadable: 0 };
    video.autoplay = true;
    video.muted = true;
    video.playsInline = true;
    document.body.append(video);
    video.srcObject = new MediaStream();
    pc.ontrack = (event) => {
      video.srcObject.addTrack(event.track);
      video.play().catch(() => {});
    };
    for (const kind of kinds) {
      pc.addTransceiver(kind, { direction: 'recvonly' });
    }
    const began = performance.now();
    pc.onconnectionstatechange = () => {
      if (pc.connectionState === 'connected' && viewer.connected === null) {
        viewer.connected = performance.now() - began;
      }
    };
    video.requestVideoFrameCallback(() => {
      viewer.firstFrame = performance.now() - began;
    });
    await pc.setLocalDescription(await pc.createOffer());
    const { status, session } = await post(pc, url);
    viewer.session = session;
    peers.get(name)?.pc.close();
    peers.set(name, viewer);
    if (session === null) {
      close(viewer);
    }
    return status;
  }

  // What a viewer has seen so far.
  async function seen(name) {
    const { pc, connected, firstFrame } = peers.get(name);
    const all = { connected, firstFrame, freezes: 0, freezeSeconds: 0, frames: 0, bufferMs: null, lost: 0 };
    for (const entry of (await pc.getStats()).values()) {
      if (entry.type === 'inbound-rtp' && entry.kind === 'video') {
        all.freezes = entry.freezeCount ?? 0;
        all.freezeSeconds = entry.totalFreezesDuration ?? 0;
        all.frames = entry.framesDecoded ?? 0;
        all.lost = entry.packetsLost ?? 0;
        all.bufferMs = (1000 * entry.jitterBufferDelay) / entry.jitterBufferEmittedCount;
        all.decodeMs = (1000 * entry.totalDecodeTime) / entry.framesDecoded;
        all.keyFrames = entry.keyFramesDecoded ?? 0;
      }
    }
    const publisher = peers.get('publisher');
    for (const entry of (await publisher?.pc.getStats())?.values() ?? []) {
      if (entry.type === 'outbound-rtp') {
        all.published = entry.framesSent ?? 0;
      }
    }
    return all;
  }

  function close(peer) {
    peer.pc.close();
    peer.video?.remove();
    peer.stop?.();
  }

  // Ends a session as a client should.
  async function leave(name) {
    const peer = peers.get(name);
    peers.delete(name);
    if (peer?.session) {
      await fetch(peer.session, { method: 'DELETE' }).catch(() => {});
    }
    if (peer) {
      close(peer);
    }
    return true;
  }

  // Publishes a canvas with the clock. The HTTP status.
  async function publish(name, url, codec, fps) {
    const canvas = document.createElement('canvas');
    canvas.width = WIDTH;
    canvas.height = HEIGHT;
    document.body.append(canvas);
    const context = canvas.getContext('2d');
    let running = true;
    const draw = () => {
      const time = Math.floor(performance.now() * 10) & 0xffffff;
      const bits = (BigInt(time) << 8n) | BigInt(sum(time));
      context.fillStyle = `hsl(${(time / 500) % 360} 60% 50%)`;
      context.fillRect(0, 2 * BLOCK, WIDTH, HEIGHT - 2 * BLOCK);
      context.fillStyle = '#fff';
      context.fillRect((time / 40) % WIDTH, 3 * BLOCK, BLOCK, BLOCK);
      for (let bit = 0; bit < 32; bit += 1) {
        context.fillStyle = (bits >> BigInt(31 - bit)) & 1n ? '#fff' : '#000';
        context.fillRect((bit % COLUMNS) * BLOCK, Math.floor(bit / COLUMNS) * BLOCK, BLOCK, BLOCK);
      }
      if (running) {
        // At moments that have nothing to do with the screen's: latencies would be whole frames of it.
        setTimeout(draw, (1000 / fps) * (0.8 + 0.4 * Math.random()));
      }
    };
    draw();
    const pc = new RTCPeerConnection();
    const [track] = canvas.captureStream().getVideoTracks();
    const transceiver = pc.addTransceiver(track, { direction: 'sendonly' });
    const { codecs } = RTCRtpSender.getCapabilities('video');
    const wanted = codecs.filter((it) => it.mimeType === codec || it.mimeType === 'video/rtx');
    transceiver.setCodecPreferences(wanted);
    await pc.setLocalDescription(await pc.createOffer());
    const { status, session } = await post(pc, url);
    const stop = () => {
      running = false;
      track.stop();
      canvas.remove();
    };
    peers.set(name, { pc, session, stop });
    return status;
  }

  function sum(time) {
    return (time + (time >> 8) * 3 + (time >> 16) * 7) & 0xff;
  }

  // From now on every frame that the viewer shows is read; `latencies` gives what it was behind the clock, in ms.
  async function watchClock(name) {
    const viewer = peers.get(name);
    const canvas = document.createElement('canvas');
    canvas.width = WIDTH;
    canvas.height = 2 * BLOCK;
    const context = canvas.getContext('2d', { willReadFrequently: true });
    viewer.latencies = [];
    viewer.unreadable = 0;
    const read = () => {
      const now = Math.floor(performance.now() * 10);
      const { video } = viewer;
      const scale = video.videoWidth / WIDTH;
      context.drawImage(video, 0, 0, video.videoWidth, 2 * BLOCK * scale, 0, 0, WIDTH, 2 * BLOCK);
      const pixels = context.getImageData(0, 0, WIDTH, 2 * BLOCK).data;
      let bits = 0n;
      for (let bit = 0; bit < 32; bit += 1) {
        const x = (bit % COLUMNS) * BLOCK + BLOCK / 2;
        const y = Math.floor(bit / COLUMNS) * BLOCK + BLOCK / 2;
        bits = (bits << 1n) | (pixels[4 * (y * WIDTH + x)] > 127 ? 1n : 0n);
      }
      const time = Number(bits >> 8n);
      if (Number(bits & 0xffn) === sum(time)) {
        viewer.latencies.push(((now - time) & 0xffffff) / 10);
      } else {
        viewer.unreadable += 1;
      }
      video.requestVideoFrameCallback(read);
    };
    viewer.video.requestVideoFrameCallback(read);
    return true;
  }

  async function latencies(name) {
    const { latencies: all, unreadable } = peers.get(name);
    return { latencies: all, unreadable };
  }

  return { join, seen, leave, publish, watchClock, latencies };
})();
