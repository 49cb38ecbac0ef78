// A WHIP client for tests, on a page of another origin than the server's. Used through `window.whip`.
'use strict';

window.whip = (() => {
  const publishers = new Map();

  // A picture that flashes and a tone that beeps for a tenth of each second of one clock, so that their skew can be read.
  function flashing(width, height) {
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const context = canvas.getContext('2d');
    const audio = new AudioContext({ latencyHint: 0, sampleRate: 48000 });
    const gain = audio.createGain();
    gain.gain.value = 0;
    const oscillator = audio.createOscillator();
    oscillator.frequency.value = 1000;
    const out = audio.createMediaStreamDestination();
    oscillator.connect(gain).connect(out);
    oscillator.start();
    for (let second = 1; second < 300; second++) {
      gain.gain.setValueAtTime(0.5, second);
      gain.gain.setValueAtTime(0, second + 0.1);
    }
    const draw = () => {
      const at = audio.currentTime;
      context.fillStyle = at % 1 < 0.1 && at >= 1 ? 'white' : 'black';
      context.fillRect(0, 0, width, height);
      // No two frames are the same.
      context.fillStyle = 'gray';
      context.fillRect((at * 50) % (width / 4), 0, 8, 8);
    };
    setInterval(draw, 1000 / 60);
    draw();
    return new MediaStream([...canvas.captureStream(30).getTracks(), ...out.stream.getTracks()]);
  }

  function camera(options, kinds) {
    return navigator.mediaDevices.getUserMedia({
      video: kinds.includes('video') && { width: options.width ?? 640, height: options.height ?? 360 },
      audio: kinds.includes('audio'),
    });
  }

  // Publishes the fake camera and microphone; the HTTP status and what else the test wants to know of the answer.
  // `options`: codec (MIME type), kinds, rids (simulcast), width, height, flashing (instead of the camera).
  async function publish(name, url, options) {
    const kinds = options.kinds ?? ['video', 'audio'];
    const media = options.flashing ? flashing(640, 360) : await camera(options, kinds);
    const pc = new RTCPeerConnection();
    const publisher = { pc, media, session: null };
    publishers.set(name, publisher);
    for (const track of media.getTracks()) {
      const init = { direction: 'sendonly', streams: [media] };
      if (track.kind === 'video' && options.rids) {
        init.sendEncodings = options.rids.map((rid, index) => ({
          rid, scaleResolutionDownBy: 2 ** (options.rids.length - 1 - index),
        }));
      }
      const transceiver = pc.addTransceiver(track, init);
      if (track.kind === 'video' && options.codec) {
        const { codecs } = RTCRtpSender.getCapabilities('video');
        const wanted = codecs.filter((codec) => codec.mimeType === options.codec);
        transceiver.setCodecPreferences([...wanted, ...codecs.filter((codec) => codec.mimeType === 'video/rtx')]);
      }
    }
    await pc.setLocalDescription();
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/sdp' },
      body: pc.localDescription.sdp,
    });
    const body = await response.text();
    if (response.status === 201) {
      publisher.session = new URL(response.headers.get('Location'), url).href;
      await pc.setRemoteDescription({ type: 'answer', sdp: body });
    }
    return {
      status: response.status, body, offer: pc.localDescription.sdp, session: publisher.session,
      etag: response.headers.get('ETag'), retryAfter: response.headers.get('Retry-After'),
    };
  }

  // Sends these layers and no others.
  async function send(name, rids) {
    for (const sender of publishers.get(name).pc.getSenders()) {
      const parameters = sender.getParameters();
      if (sender.track.kind !== 'video') continue;
      for (const encoding of parameters.encodings) encoding.active = rids.includes(encoding.rid);
      await sender.setParameters(parameters);
    }
  }

  // What the browser says of its sending.
  async function report(name) {
    const { pc } = publishers.get(name);
    const seen = { state: pc.connectionState, framesEncoded: 0, keyFramesEncoded: 0, pliCount: 0, nackCount: 0,
      retransmitted: 0, available: null, rtt: null, layers: [] };
    for (const entry of (await pc.getStats()).values()) {
      if (entry.type === 'outbound-rtp' && entry.kind === 'video') {
        seen.framesEncoded += entry.framesEncoded ?? 0;
        seen.keyFramesEncoded += entry.keyFramesEncoded ?? 0;
        seen.pliCount += entry.pliCount ?? 0;
        seen.nackCount += entry.nackCount ?? 0;
        seen.retransmitted += entry.retransmittedPacketsSent ?? 0;
        seen.layers.push([entry.rid ?? '', entry.framesEncoded ?? 0, entry.frameWidth ?? 0]);
      } else if (entry.type === 'candidate-pair' && entry.nominated) {
        seen.available = entry.availableOutgoingBitrate ?? null;
      } else if (entry.type === 'remote-inbound-rtp') {
        seen.rtt = entry.roundTripTime ?? seen.rtt;
      }
    }
    return seen;
  }

  // Ends a session as a client should, or by closing alone.
  async function leave(name, silently) {
    const { pc, media, session } = publishers.get(name);
    const status = silently ? null : (await fetch(session, { method: 'DELETE' })).status;
    pc.close();
    media.getTracks().forEach((track) => track.stop());
    return { status };
  }

  // An HTTP request from this page.
  async function call(method, url, headers, body) {
    const response = await fetch(url, { method, headers, body });
    return { status: response.status, body: await response.text() };
  }

  return { publish, send, report, leave, call };
})();
