//! Counters of one subsystem, shared by every part of it and read by `stats`, `stats_json` and `metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter that only goes up.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// The current value.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($name:ident: $help:literal,)*) => {
        /// All counters of a subsystem, since its start.
        #[derive(Debug, Default)]
        pub struct Counters {
            $(#[doc = $help] pub $name: Counter,)*
        }

        impl Counters {
            /// Every counter with its name, its help text and its value, for `stats_json` and metrics.
            #[must_use]
            pub fn all(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), $help, self.$name.value())),*]
            }
        }
    };
}

counters! {
    sessions_total: "Sessions created, of viewers and publishers.",
    sessions_failed: "Sessions that ended before they connected.",
    sessions_refused: "Sessions refused because of a limit.",
    ice_restarts: "ICE restarts.",
    leg_packets_in: "RTP packets FFmpeg sent to the legs.",
    leg_bytes_in: "Bytes of RTP FFmpeg sent to the legs.",
    leg_wrong_kind: "Leg packets with a payload type that is not the leg's own (wrong kind, or a foreign sender).",
    leg_drops: "Leg packets dropped for any other reason: malformed, second SSRC, codec mismatch, receive queue overflow.",
    leg_second_ssrc: "Leg packets of a second SSRC while the first was still sending.",
    leg_malformed: "Leg packets that are not RTP or RTCP.",
    leg_overflow: "Leg packets the kernel dropped because the receive buffer was full.",
    leg_codec_mismatch: "Leg packets that do not parse as the leg's codec.",
    input_packets_out: "RTP packets sent to FFmpegs that read a publisher.",
    input_bytes_out: "Bytes of RTP sent to FFmpegs that read a publisher.",
    input_frames_dropped: "Frames dropped for an FFmpeg that reads a publisher and did not take them in time.",
    packets_out: "RTP packets sent to viewers.",
    bytes_out: "Bytes of SRTP sent to viewers.",
    frames_dropped: "Frames dropped for a viewer: socket or queue full.",
    frames_thinned: "Frames left out for viewers whose links are narrower than the stream.",
    nack_in: "Packets viewers asked for again (NACK).",
    repaired: "Packets sent again after a NACK.",
    nack_unrepaired: "Packets asked for again that were not sent: too old, under way already, or more than a viewer may have.",
    pli_in: "Key-frame requests of viewers (PLI and FIR).",
    publish_packets_in: "RTP packets of publishers, repair and padding included.",
    publish_bytes_in: "Bytes of RTP of publishers.",
    publish_dropped: "Packets of publishers with a payload type or stream that was not negotiated, or malformed.",
    publish_lost: "Packets of publishers that never came.",
    publish_jumps: "Jumps of a publisher's timestamps, beyond the time that passed or back.",
    publish_repaired: "Packets of publishers that came after they were asked for again.",
    nack_out: "Packets publishers were asked for again (NACK).",
    pli_out: "Key frames publishers were asked for (PLI and FIR).",
    stun_rejected: "Datagrams refused by ICE: malformed, unknown ufrag, wrong integrity, or an address without a check.",
    dtls_failed: "DTLS hand-shakes that failed (alert, fingerprint mismatch).",
    dtls_dropped: "DTLS datagrams dropped: queue full or amplification limit.",
    srtp_rejected: "SRTP and SRTCP packets refused: authentication, replay or malformed.",
    rtcp_malformed: "RTCP packets that authenticated but did not parse.",
    datagrams_unknown: "Datagrams of no known protocol or from an unknown address.",
    panics: "Panics caught in a shard: a bug in this library; the one viewer or packet it was about is dropped, the rest goes on.",
    http_2xx: "HTTP answers with a 2xx status.",
    http_4xx: "HTTP answers with a 4xx status.",
    http_5xx: "HTTP answers with a 5xx status.",
    http_rate_limited: "Requests refused because of a rate limit.",
    http_displaced: "Connections that asked for nothing and gave way to others.",
    tls_reloads: "Times a changed certificate was taken into use.",
    tls_reloads_failed: "Times a changed certificate could not be used; the old one stayed.",
}
