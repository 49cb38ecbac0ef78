#!/usr/bin/python3
"""GStreamer's webrtcbin as a WHIP publisher or a WHEP viewer.

peer.py publish URL SECONDS     a test picture (H264) and a tone (Opus), then DELETE
peer.py play URL BUFFERS        until so many decoded buffers of each medium came, then DELETE

Its last line of output is JSON: what it saw. webrtcbin does no HTTP: offer and answer are carried here.
"""
import json
import sys
import urllib.parse
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

# Longer than this is a failure.
DEADLINE_S = 20

PUBLISH = """
webrtcbin name=peer bundle-policy=max-bundle
videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=30/1
  ! x264enc tune=zerolatency threads=1 speed-preset=ultrafast key-int-max=30 bitrate=500
  ! video/x-h264,profile=constrained-baseline
  ! rtph264pay config-interval=-1 mtu=1200
  ! application/x-rtp,media=video,encoding-name=H264,payload=96 ! queue ! peer.
audiotestsrc is-live=true ! audioconvert ! audioresample ! audio/x-raw,rate=48000,channels=2 ! opusenc ! rtpopuspay
  ! application/x-rtp,media=audio,encoding-name=OPUS,payload=111 ! queue ! peer.
"""
OFFERED = [
    "application/x-rtp,media=audio,encoding-name=OPUS,payload=111,clock-rate=48000,encoding-params=(string)2",
    "application/x-rtp,media=video,encoding-name=H264,payload=96,clock-rate=90000,packetization-mode=(string)1,"
    "profile-level-id=(string)42e01f",
]


class Peer:
    def __init__(self, role, url, amount):
        self.role, self.url, self.amount = role, url, amount
        self.loop = GLib.MainLoop()
        self.session = None
        self.offered = False
        self.counts = {"audio": 0, "video": 0}
        self.states = []
        self.error = None
        if role == "publish":
            self.pipeline = Gst.parse_launch(PUBLISH)
            self.peer = self.pipeline.get_by_name("peer")
        else:
            self.pipeline = Gst.Pipeline()
            self.peer = Gst.ElementFactory.make("webrtcbin")
            self.peer.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
            self.pipeline.add(self.peer)
        self.peer.connect("notify::ice-gathering-state", self.gathering)
        self.peer.connect("notify::connection-state", self.connection)
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", lambda _, message: self.end(str(message.parse_error())))

    def run(self):
        # Asked once the caps of all that is sent are known.
        self.peer.connect("on-negotiation-needed", self.offer)
        if self.role == "publish":
            for transceiver in (self.peer.emit("get-transceiver", index) for index in (0, 1)):
                transceiver.set_property("direction", GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY)
        else:
            self.peer.connect("pad-added", self.pad_added)
            for caps in OFFERED:
                direction = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
                self.peer.emit("add-transceiver", direction, Gst.Caps.from_string(caps))
        self.pipeline.set_state(Gst.State.PLAYING)
        GLib.timeout_add_seconds(DEADLINE_S, lambda: self.end("too late"))
        self.loop.run()
        if self.session:
            urllib.request.urlopen(urllib.request.Request(self.session, method="DELETE"), timeout=5)
        self.pipeline.set_state(Gst.State.NULL)
        print(json.dumps({"error": self.error, "counts": self.counts, "states": self.states}))
        return 1 if self.error else 0

    def offer(self, *_):
        if self.offered:
            return
        self.offered = True

        def offered(promise):
            reply = promise.get_reply()
            offer = reply.get_value("offer")
            if offer is None:
                # Some caps are not known yet.
                self.offered = False
                return GLib.timeout_add(50, lambda: self.offer() or False)
            self.peer.emit("set-local-description", offer, Gst.Promise.new())

        self.peer.emit("create-offer", None, Gst.Promise.new_with_change_func(offered))

    def gathering(self, *_):
        complete = GstWebRTC.WebRTCICEGatheringState.COMPLETE
        if self.peer.get_property("ice-gathering-state") == complete and not self.session:
            GLib.idle_add(self.post)

    def post(self):
        sdp = self.peer.get_property("local-description").sdp.as_text()
        request = urllib.request.Request(self.url, sdp.encode(), {"Content-Type": "application/sdp"})
        try:
            response = urllib.request.urlopen(request, timeout=8)
        except urllib.error.HTTPError as refusal:
            return self.end(f"{refusal.code}: {refusal.read()!r} to {sdp!r}")
        self.session = urllib.parse.urljoin(self.url, response.headers["Location"])
        _, answer = GstSdp.SDPMessage.new_from_text(response.read().decode())
        answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, answer)
        self.peer.emit("set-remote-description", answer, Gst.Promise.new())
        return False

    def connection(self, *_):
        state = self.peer.get_property("connection-state").value_nick
        self.states.append(state)
        if state == "failed":
            self.end("the connection failed")
        elif state == "connected" and self.role == "publish":
            GLib.timeout_add(int(self.amount * 1000), self.end)

    def pad_added(self, _, pad):
        if pad.get_direction() != Gst.PadDirection.SRC:
            return
        decoder = Gst.ElementFactory.make("decodebin")
        decoder.connect("pad-added", self.decoded)
        self.pipeline.add(decoder)
        decoder.sync_state_with_parent()
        pad.link(decoder.get_static_pad("sink"))

    def decoded(self, _, pad):
        kind = pad.get_current_caps().get_structure(0).get_name().split("/")[0]
        sink = Gst.ElementFactory.make("fakesink")
        sink.set_property("signal-handoffs", True)
        sink.connect("handoff", lambda *_: self.count(kind))
        self.pipeline.add(sink)
        sink.sync_state_with_parent()
        pad.link(sink.get_static_pad("sink"))

    def count(self, kind):
        self.counts[kind] += 1
        if min(self.counts.values()) >= self.amount:
            GLib.idle_add(self.end)

    def end(self, error=None):
        self.error = self.error or error
        self.loop.quit()
        return False


Gst.init(None)
sys.exit(Peer(sys.argv[1], sys.argv[2], float(sys.argv[3])).run())
