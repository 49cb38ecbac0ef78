// A WHEP client for tests, on a page of another origin than the server's. Used through `window.whep`.
'use strict';

window.whep = (() => {
  const viewers = new Map();
  let change = '';

  // Offers are those of a player that can do less from now on: 'no rtx'.
  function changeOffer(what) {
    change = what;
  }

  function changed(sdp) {
    if (change !== 'no rtx') {
      return sdp;
    }
    return sdp.split('\n').filter((line) => !/ rtx\/|apt=/.test(line)).join('\n');
  }

  // A peer connection and the element that shows what it receives.
  function prepare(name) {
    const pc = new RTCPeerConnection();
    const video = document.createElement('video');
    const viewer = { pc, video, posted: performance.now(), connected: null, firstFrame: null, session: null };
    viewers.set(name, viewer);
    video.autoplay = true;
    video.playsInline = true;
    video.volume = 0.1;
    video.width = 160;
    document.body.append(video);
    video.srcObject = new MediaStream();
    pc.ontrack = (event) => {
      video.srcObject.addTrack(event.track);
      video.play().catch(() => {});
    };
    pc.onconnectionstatechange = () => {
      if (pc.connectionState === 'connected' && viewer.connected === null) {
        viewer.connected = performance.now() - viewer.posted;
      }
    };
    video.requestVideoFrameCallback(() => {
      viewer.firstFrame = performance.now() - viewer.posted;
    });
    return viewer;
  }

  // Starts to watch; the HTTP status and what else the test wants to know of the answer.
  async function watch(name, url, kinds) {
    const viewer = prepare(name);
    const { pc } = viewer;
    for (const kind of kinds) {
      pc.addTransceiver(kind, { direction: 'recvonly' });
    }
    const began = performance.now();
    await pc.setLocalDescription();
    viewer.posted = performance.now();
    viewer.offer = viewer.posted - began;
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/sdp' },
      body: changed(pc.localDescription.sdp),
    });
    const body = await response.text();
    if (response.status === 201) {
      viewer.session = new URL(response.headers.get('Location'), url).href;
      await pc.setRemoteDescription({ type: 'answer', sdp: body });
    }
    return { status: response.status, body, session: viewer.session, etag: response.headers.get('ETag') };
  }

  // A number that another picture would not give.
  function checksum(video) {
    const canvas = document.createElement('canvas');
    canvas.width = 64;
    canvas.height = 36;
    const context = canvas.getContext('2d');
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
    let sum = 0;
    for (let i = 0; i < pixels.length; i += 1) {
      sum = (sum * 31 + pixels[i]) % 4294967291;
    }
    return sum;
  }

  // What a viewer sees and hears now.
  async function report(name) {
    const { pc, video, connected, firstFrame } = viewers.get(name);
    const seen = {
      state: pc.connectionState,
      offerMs: viewers.get(name).offer ?? 0,
      connectedMs: connected,
      firstFrameMs: firstFrame,
      framesDecoded: 0,
      keyFramesDecoded: 0,
      videoCodec: null,
      videoLost: 0,
      freezes: 0,
      freezeSeconds: 0,
      nacks: 0,
      plis: 0,
      repaired: 0,
      codedDelayMs: null,
      audioPackets: 0,
      audioLost: 0,
      audioEnergy: 0,
      width: video.videoWidth,
      picture: video.videoWidth > 0 ? checksum(video) : null,
    };
    const stats = await pc.getStats();
    for (const entry of stats.values()) {
      if (entry.type !== 'inbound-rtp') {
        continue;
      }
      if (entry.kind === 'video') {
        seen.framesDecoded = entry.framesDecoded ?? 0;
        seen.keyFramesDecoded = entry.keyFramesDecoded ?? 0;
        seen.videoLost = entry.packetsLost ?? 0;
        seen.freezes = entry.freezeCount ?? 0;
        seen.freezeSeconds = entry.totalFreezesDuration ?? 0;
        seen.nacks = entry.nackCount ?? 0;
        seen.plis = entry.pliCount ?? 0;
        seen.repaired = entry.retransmittedPacketsReceived ?? 0;
        seen.codedDelayMs = (entry.jitterBufferDelay / entry.jitterBufferEmittedCount) * 1000;
        seen.videoCodec = stats.get(entry.codecId)?.mimeType ?? null;
      } else {
        seen.audioPackets = entry.packetsReceived ?? 0;
        seen.audioLost = entry.packetsLost ?? 0;
        seen.audioEnergy = entry.totalAudioEnergy ?? 0;
      }
    }
    return seen;
  }

  // Without any server: a peer in this page sends a moving canvas and a tone. Shows that the browser itself can.
  async function loop(name) {
    const canvas = document.createElement('canvas');
    const context = canvas.getContext('2d');
    setInterval(() => {
      context.fillStyle = `hsl(${performance.now() / 10} 100% 50%)`;
      context.fillRect(0, 0, canvas.width, canvas.height);
    }, 30);
    const audio = new AudioContext();
    const tone = audio.createOscillator();
    const sink = audio.createMediaStreamDestination();
    tone.connect(sink);
    tone.start();
    const sender = new RTCPeerConnection();
    const viewer = prepare(name);
    sender.onicecandidate = (event) => viewer.pc.addIceCandidate(event.candidate);
    viewer.pc.onicecandidate = (event) => sender.addIceCandidate(event.candidate);
    sender.addTrack(canvas.captureStream(30).getVideoTracks()[0]);
    sender.addTrack(sink.stream.getAudioTracks()[0]);
    await sender.setLocalDescription();
    await viewer.pc.setRemoteDescription(sender.localDescription);
    await viewer.pc.setLocalDescription();
    await sender.setRemoteDescription(viewer.pc.localDescription);
    return {};
  }

  // Ends a session as a client should.
  async function leave(name) {
    const { pc, session } = viewers.get(name);
    const response = await fetch(session, { method: 'DELETE' });
    pc.close();
    return { status: response.status };
  }

  return { changeOffer, watch, report, loop, leave };
})();
