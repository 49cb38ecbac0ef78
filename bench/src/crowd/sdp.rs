//! The offer a browser would make for one H.264 and one Opus receiver, and the few lines of an answer that matter.

use std::net::{IpAddr, SocketAddr};

/// Our half of the ICE and DTLS parameters.
pub struct Local<'a> {
    /// The viewer's socket, announced as its only candidate.
    pub address: SocketAddr,
    /// ICE user name fragment.
    pub ufrag: &'a str,
    /// ICE password.
    pub password: &'a str,
    /// SHA-256 of our certificate, colon-separated.
    pub fingerprint: &'a str,
    /// `actpass`, or `active`: then the server has to be the DTLS server.
    pub setup: &'a str,
}

/// The server's half.
#[derive(Debug)]
pub struct Remote {
    /// Where to send.
    pub address: SocketAddr,
    /// ICE user name fragment.
    pub ufrag: String,
    /// ICE password.
    pub password: String,
    /// Whether we are the DTLS client (the answer says `passive`).
    pub dtls_client: bool,
}

/// A viewer's offer.
#[must_use]
pub fn offer(local: &Local<'_>) -> String {
    let transport = transport(local);
    format!(
        "{HEAD}m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\n{transport}\
         a=mid:0\r\na=recvonly\r\na=rtcp-mux\r\na=rtcp-rsize\r\n{VIDEO}\
         m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n{transport}\
         a=mid:1\r\na=recvonly\r\na=rtcp-mux\r\n{AUDIO}"
    )
}

/// A publisher's offer with the header extensions that browsers send: mid ([`MID`]) and transport-wide numbers
/// ([`TRANSPORT_CC`]).
#[must_use]
pub fn publish(local: &Local<'_>, video: u32, audio: u32) -> String {
    let transport = transport(local);
    let source = |ssrc: u32, track: &str| {
        format!(
            "a=extmap:{TRANSPORT_CC} http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
             a=extmap:{MID} urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
             a=msid:bench {track}\r\na=ssrc:{ssrc} cname:bench\r\na=ssrc:{ssrc} msid:bench {track}\r\n"
        )
    };
    let (video, audio) = (source(video, "video"), source(audio, "audio"));
    format!(
        "{HEAD}m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\n{transport}\
         a=mid:0\r\na=sendonly\r\na=rtcp-mux\r\na=rtcp-rsize\r\n{VIDEO}a=rtcp-fb:96 transport-cc\r\n{video}\
         m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n{transport}\
         a=mid:1\r\na=sendonly\r\na=rtcp-mux\r\n{AUDIO}a=rtcp-fb:111 transport-cc\r\n{audio}"
    )
}

/// Id of the header extension for transport-wide numbers.
pub const TRANSPORT_CC: u8 = 3;
/// Id of the header extension for mid.
pub const MID: u8 = 4;

const HEAD: &str = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
     a=group:BUNDLE 0 1\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n";
const VIDEO: &str = "a=rtpmap:96 H264/90000\r\na=rtcp-fb:96 ccm fir\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\n\
     a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n\
     a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n";
const AUDIO: &str = "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n";

fn transport(local: &Local<'_>) -> String {
    let Local {
        address,
        ufrag,
        password,
        fingerprint,
        setup,
    } = local;
    let (ip, port) = (address.ip(), address.port());
    format!(
        "c=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
         a=candidate:1 1 udp 2130706431 {ip} {port} typ host\r\na=end-of-candidates\r\n\
         a=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\na=fingerprint:sha-256 {fingerprint}\r\na=setup:{setup}\r\n"
    )
}

/// Reads an answer; `preferred` is the address the HTTP server has, taken where it is among the candidates.
#[must_use]
pub fn answer(text: &str, preferred: IpAddr) -> Option<Remote> {
    let value = |name: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| line.trim_end().strip_prefix(name).map(str::to_owned))
    };
    let candidates: Vec<SocketAddr> = text.lines().filter_map(candidate).collect();
    let same = candidates.iter().find(|address| address.ip() == preferred);
    let address = same.or_else(|| {
        candidates
            .iter()
            .find(|address| address.is_ipv4() == preferred.is_ipv4())
    });
    Some(Remote {
        address: *address?,
        ufrag: value("a=ice-ufrag:")?,
        password: value("a=ice-pwd:")?,
        dtls_client: value("a=setup:")? != "active",
    })
}

/// A UDP host candidate of component 1 (RFC 8839 §5.1).
fn candidate(line: &str) -> Option<SocketAddr> {
    let fields: Vec<&str> = line
        .strip_prefix("a=candidate:")?
        .split_whitespace()
        .collect();
    let [_, "1", transport, _, ip, port, "typ", ..] = fields[..] else {
        return None;
    };
    let ip: IpAddr = ip.parse().ok()?;
    transport
        .eq_ignore_ascii_case("udp")
        .then_some(SocketAddr::new(ip, port.parse().ok()?))
}
