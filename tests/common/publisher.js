// A WHIP client for tests, on a page of another origin than the server's. Used through `window.whip`.
'use strict';

window.whip = (() => {
  const publishers = new Map();

  // Publishes the fake camera and microphone; the HTTP status and what else the test wants to know of the answer.
  // `options`: codec (MIME type), kinds, rids (simulcast), width, height, flashes (instead of the devices).
  async function publish(name, url, options) {
    const kinds = options.kinds ?? ['video', 'audio'];
    const media = options.flashes ? await flashes(320, 180) : await navigator.mediaDevices.getUserMedia({
      video: kinds.includes('video') && { width: options.width ?? 640, height: options.height ?? 360 },
      audio: kinds.includes('audio'),
    });
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

  // A black picture and silence; in the first tenth of each second a white one and a tone.
  async function flashes(width, height) {
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const pen = canvas.getContext('2d');
    const audio = new AudioContext();
    await audio.resume();
    const [tone, gain] = [audio.createOscillator(), audio.createGain()];
    const out = audio.createMediaStreamDestination();
    tone.frequency.value = 1000;
    gain.gain.value = 0;
    tone.connect(gain).connect(out);
    tone.start();
    for (let second = Math.ceil(audio.currentTime) + 1; second < 120; second++) {
      gain.gain.setValueAtTime(0.5, second);
      gain.gain.setValueAtTime(0, second + 0.1);
    }
    setInterval(() => {
      pen.fillStyle = audio.currentTime % 1 < 0.1 ? 'white' : 'black';
      pen.fillRect(0, 0, width, height);
    }, 10);
    return new MediaStream([...canvas.captureStream(30).getTracks(), ...out.stream.getTracks()]);
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
