//! Paths: which resource a raw request path names. Ids are percent-encoded and may hold `:` and `/`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but the unreserved characters (RFC 3986 §2.3) is encoded, `/` and `:` too.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A resource of WHEP or WHIP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target<'a> {
    /// `/whep/<id>`.
    Whep {
        /// The id, decoded.
        id: String,
    },
    /// `/whip/<id>`.
    Whip {
        /// The id, decoded.
        id: String,
    },
    /// `/whep/<id>/<secret>`, `/whip/<id>/<secret>`.
    Session {
        /// What names the session.
        secret: &'a str,
    },
}

/// What `path` names below `prefix`; None where nothing. `exists` tells live ids: proxies decode `%2F`, so that
/// `/whep/a/b` may be the stream `a/b` or the session `b` of `a`. A secret is never guessed, so the id wins.
pub fn target<'a>(
    prefix: &str,
    path: &'a str,
    exists: impl Fn(&str) -> bool,
) -> Option<Target<'a>> {
    let path = path.strip_prefix(prefix)?;
    let (whip, rest) = match path.strip_prefix("/whip/") {
        Some(rest) => (true, rest),
        None => (false, path.strip_prefix("/whep/")?),
    };
    let whole = id(rest)?;
    Some(match rest.rsplit_once('/') {
        Some((stream, secret)) if !stream.is_empty() && !secret.is_empty() && !exists(&whole) => {
            Target::Session { secret }
        }
        _ if whip => Target::Whip { id: whole },
        _ => Target::Whep { id: whole },
    })
}

/// An id from its percent-encoded form; None where it is no id: 1 to 512 bytes of UTF-8 without NUL.
#[must_use]
pub fn id(encoded: &str) -> Option<String> {
    let id = percent_decode_str(encoded).decode_utf8().ok()?;
    (1..=512).contains(&id.len()).then_some(())?;
    (!id.contains('\0')).then(|| id.into_owned())
}

/// An id as one path segment.
#[must_use]
pub fn encode(id: &str) -> String {
    // A segment of dots alone would be taken for `.` or `..` by every client (RFC 3986 §5.2.4).
    if id == "." || id == ".." {
        return id.replace('.', "%2E");
    }
    utf8_percent_encode(id, SEGMENT).to_string()
}

/// The percent-decoded value of the first query parameter of one of these names.
#[must_use]
pub fn query_value(query: &str, names: &[&str]) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let decoded = percent_decode_str(value).decode_utf8_lossy().into_owned();
        names.contains(&name).then_some(decoded)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str) -> Option<Target<'_>> {
        target("/rtc", path, |id| id == "a/b")
    }

    fn whep(id: &str) -> Option<Target<'static>> {
        Some(Target::Whep { id: id.to_owned() })
    }

    #[test]
    fn ids_are_decoded_below_the_prefix_only() {
        assert_eq!(at("/rtc/whep/cam"), whep("cam"));
        assert_eq!(
            at("/rtc/whep/restreamer-ui%3Aingest%3A1"),
            whep("restreamer-ui:ingest:1")
        );
        assert_eq!(at("/rtc/whep/%C3%A9"), whep("é"));
        assert_eq!(at("/whep/cam"), None);
        assert_eq!(at("/rtc/whepcam"), None);
        assert_eq!(
            at("/rtc/whip/cam"),
            Some(Target::Whip {
                id: "cam".to_owned()
            })
        );
    }

    #[test]
    fn what_is_no_id_names_nothing() {
        let long = format!("/rtc/whep/{}", "x".repeat(513));
        for path in [
            "/rtc/whep/",
            "/rtc/whep",
            "/rtc/whep/%00",
            "/rtc/whep/%FF",
            &long,
        ] {
            assert_eq!(at(path), None, "{path}");
        }
    }

    #[test]
    fn a_session_is_a_segment_below_its_stream_unless_the_whole_is_a_live_id() {
        assert_eq!(
            at("/rtc/whep/cam/s3cret"),
            Some(Target::Session { secret: "s3cret" })
        );
        assert_eq!(
            at("/rtc/whep/a%2Fb/s3cret"),
            Some(Target::Session { secret: "s3cret" })
        );
        assert_eq!(
            at("/rtc/whip/cam/s3cret"),
            Some(Target::Session { secret: "s3cret" })
        );
        assert_eq!(at("/rtc/whep/a/b"), whep("a/b"));
        assert_eq!(at("/rtc/whep/a%2Fb"), whep("a/b"));
        assert_eq!(
            at("/rtc/whep/a/b/s3cret"),
            Some(Target::Session { secret: "s3cret" })
        );
    }

    #[test]
    fn encoding_and_decoding_agree_and_leave_one_segment() {
        for text in ["cam", "a/b", "a:b", "..", "é%20 ?#&\"'<>", "\u{1}"] {
            let encoded = encode(text);
            assert!(
                encoded
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)),
                "{encoded}"
            );
            assert!(encoded != ".." && encoded != ".");
            assert_eq!(id(&encoded).as_deref(), Some(text));
        }
    }

    #[test]
    fn query_values_are_decoded_but_a_plus_stays() {
        assert_eq!(
            query_value("x=1&token=a%2Bb+c", &["token"]).as_deref(),
            Some("a+b+c")
        );
        assert_eq!(
            query_value("jwt=j&token=t", &["token", "jwt"]).as_deref(),
            Some("j")
        );
        assert_eq!(query_value("token&x", &["token"]), None);
    }

    proptest::proptest! {
        #[test]
        fn any_path_and_query_is_taken_calmly(path in "(/rtc)?/(whep|whip)?/?\\PC{0,40}", query in "\\PC{0,40}") {
            let _ = target("/rtc", &path, |id| id.len() % 2 == 0);
            let _ = query_value(&query, &["token"]);
            if let Some(id) = id(&path) {
                proptest::prop_assert_eq!(super::id(&encode(&id)), Some(id));
            }
        }
    }
}
