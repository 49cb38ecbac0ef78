//! RTSP requests (RFC 2326 §4–6) and interleaved frames (§10.12) out of a byte stream, and responses; all of bounded size.

/// Longest request taken, head and body each: FFmpeg's have a few hundred bytes.
const HEAD_MAX: usize = 8 << 10;
const BODY_MAX: usize = 8 << 10;

/// What is read of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) uri: String,
    pub(super) cseq: String,
    pub(super) transport: String,
    /// Empty where it names none.
    pub(super) session: String,
}

/// What stands at the beginning of the input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// A request, and how many bytes it took.
    Request(Request, usize),
    /// An interleaved frame (FFmpeg's RTCP) or an empty line, to be passed over.
    Passed(usize),
    /// More has to come.
    More,
    /// Not RTSP, or too long.
    Broken,
}

/// Reads what is first in `input`.
pub(super) fn take(input: &[u8]) -> Taken {
    if let [b'$', rest @ ..] = input {
        return match rest {
            [_, high, low, ..] => {
                let len = 4 + usize::from(u16::from_be_bytes([*high, *low]));
                if input.len() >= len {
                    Taken::Passed(len)
                } else {
                    Taken::More
                }
            }
            _ => Taken::More,
        };
    }
    // RFC 2068 §4.1, which RFC 2326 §4 builds on: empty lines before a request are ignored.
    if input.starts_with(b"\r\n") {
        return Taken::Passed(2);
    }
    let window = &input[..input.len().min(HEAD_MAX)];
    let Some(head) = window.windows(4).position(|it| it == b"\r\n\r\n") else {
        return if input.len() >= HEAD_MAX {
            Taken::Broken
        } else {
            Taken::More
        };
    };
    let Some((request, body)) = std::str::from_utf8(&input[..head]).ok().and_then(parse) else {
        return Taken::Broken;
    };
    if body > BODY_MAX {
        return Taken::Broken;
    }
    let len = head + 4 + body;
    if input.len() < len {
        return Taken::More;
    }
    Taken::Request(request, len)
}

/// The request and the length of its body.
fn parse(head: &str) -> Option<(Request, usize)> {
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, uri, version) = (first.next()?, first.next()?, first.next()?);
    let token = !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    if !token || !version.starts_with("RTSP/1.") || first.next().is_some() {
        return None;
    }
    let mut request = Request {
        method: method.to_owned(),
        uri: uri.to_owned(),
        ..Request::default()
    };
    let mut body = 0;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            // It goes back as it is: nothing that could break a header gets in.
            "cseq" => request.cseq = value.parse::<u32>().ok()?.to_string(),
            "transport" => request.transport = value.to_owned(),
            "session" => request.session = value.split(';').next()?.trim().to_owned(),
            "content-length" => body = value.parse().ok()?,
            _ => {}
        }
    }
    // RFC 2326 §12.17: "must be present in all".
    (!request.cseq.is_empty()).then_some((request, body))
}

/// The path of a request URI, absolute (`rtsp://host:port/path`) or not.
pub(super) fn path(uri: &str) -> &str {
    match uri.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => uri,
    }
}

/// The first interleaved channel that a Transport header asks for, `ours` where it leaves the choice to us (RFC 2326
/// §12.39); None where it wants no TCP.
pub(super) fn interleaved(transport: &str, ours: u8) -> Option<u8> {
    let wanted = transport
        .split(',')
        .find(|it| it.trim_start().starts_with("RTP/AVP/TCP"))?;
    let channels = wanted
        .split(';')
        .find_map(|it| it.trim().strip_prefix("interleaved="));
    let Some(channels) = channels else {
        return Some(ours);
    };
    let first: u8 = channels.split('-').next()?.parse().ok()?;
    (first < u8::MAX).then_some(first)
}

/// Appends a response; `headers` are whole lines with their ends.
pub(super) fn respond(out: &mut Vec<u8>, status: &str, cseq: &str, headers: &str, body: &str) {
    let length = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let text = format!("RTSP/1.0 {status}\r\nCSeq: {cseq}\r\n{headers}{length}\r\n{body}");
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DESCRIBE: &str = "DESCRIBE rtsp://127.0.0.1:5540/s/cam RTSP/1.0\r\nAccept: application/sdp\r\nCSeq: 2\r\n\
                            User-Agent: Lavf59\r\n\r\n";

    #[test]
    fn a_request_of_ffmpeg_is_read_whole_and_what_follows_left() {
        let input = format!("{DESCRIBE}$\0\0\x02ab");
        let Taken::Request(request, len) = take(input.as_bytes()) else {
            panic!("a request");
        };
        assert_eq!(
            (request.method.as_str(), request.cseq.as_str()),
            ("DESCRIBE", "2")
        );
        assert_eq!(path(&request.uri), "/s/cam");
        assert_eq!(take(&input.as_bytes()[len..]), Taken::Passed(6));
        for cut in 0..DESCRIBE.len() {
            assert_eq!(take(&DESCRIBE.as_bytes()[..cut]), Taken::More);
        }
    }

    #[test]
    fn empty_lines_before_a_request_are_passed_over() {
        let input = format!("\r\n{DESCRIBE}");
        assert_eq!(take(b"\r"), Taken::More);
        assert_eq!(take(input.as_bytes()), Taken::Passed(2));
        assert!(matches!(take(&input.as_bytes()[2..]), Taken::Request(..)));
    }

    #[test]
    fn a_body_is_part_of_its_request() {
        let input = b"GET_PARAMETER * RTSP/1.0\r\nCSeq: 9\r\ncontent-length: 3\r\n\r\nabcX";
        assert_eq!(take(&input[..input.len() - 2]), Taken::More);
        assert!(matches!(take(input), Taken::Request(_, len) if len == input.len() - 1));
    }

    #[test]
    fn what_is_no_rtsp_or_has_no_end_is_refused() {
        let endless = vec![b'A'; HEAD_MAX];
        let long = format!(
            "PLAY x RTSP/1.0\r\nContent-Length: {}\r\n\r\n",
            BODY_MAX + 1
        );
        for bad in [
            endless.as_slice(),
            long.as_bytes(),
            b"GET / HTTP/1.1\r\n\r\n",
            b"PLAY x y RTSP/1.0\r\n\r\n",
            b"play x RTSP/1.0\r\n\r\n",
            b"PLAY x RTSP/1.0\r\nnonsense\r\n\r\n",
            b"PLAY x RTSP/1.0\r\nCSeq: 1 2\r\n\r\n",
            b"\xff\xff\r\n\r\n",
        ] {
            assert_eq!(take(bad), Taken::Broken);
        }
    }

    #[test]
    fn a_transport_names_its_channels() {
        assert_eq!(
            interleaved("RTP/AVP/TCP;unicast;interleaved=2-3", 0),
            Some(2)
        );
        let listed = "RTP/AVP;unicast;client_port=1-2,RTP/AVP/TCP;unicast";
        assert_eq!(interleaved(listed, 6), Some(6), "our choice");
        for none in [
            "RTP/AVP/UDP;unicast;client_port=1-2",
            "",
            "RTP/AVP/TCP;interleaved=255-256",
        ] {
            assert_eq!(interleaved(none, 0), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn no_input_panics(input in proptest::collection::vec(any::<u8>(), 0..400), text in "[A-Z]{0,8} [ -~\r\n:]{0,80}") {
            let _ = (take(&input), take(text.as_bytes()));
            let _ = (path(&text), interleaved(&text, 0));
        }
    }
}
