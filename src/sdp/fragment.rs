//! Trickle ICE fragments (RFC 8840 §9): a client's read leniently (P065), the answer to a restart written (RFC 9725 §4.3.3).

use super::offer::SdpError;

/// Candidates of one fragment that are looked at (P068).
const CANDIDATES_MAX: usize = 64;
/// Longest user fragment and password (RFC 8839 §5.4).
const CREDENTIAL_MAX: usize = 256;

/// What a client says in a PATCH.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fragment {
    /// Its ICE ufrag, of session level or the first m-section that has one.
    pub ufrag: Option<String>,
    /// Its ICE password.
    pub pwd: Option<String>,
    /// Candidates that could be checked: over UDP and with an IP address. An ICE-lite server never does: it waits for
    /// the checks of the other side (RFC 8445 §2.5).
    pub usable: usize,
    /// Candidates left aside: other transports, names (mDNS), what is no candidate at all (P063).
    pub discarded: usize,
    /// `a=end-of-candidates`.
    pub end_of_candidates: bool,
}

impl Fragment {
    /// Reads a fragment. Malformed names the line at fault and never repeats it (P015).
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        let malformed = |line: usize, what: &str| {
            SdpError::Malformed(format!("line {} of the fragment {what}", line + 1))
        };
        let mut fragment = Self::default();
        let mut of_ice = false;
        // P065: LF-only endings are fine, and so are empty lines.
        for (number, line) in text.split('\n').enumerate() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            if line.chars().any(char::is_control) {
                return Err(malformed(number, "holds a control character"));
            }
            let Some((kind, value)) = line.split_once('=').filter(|(kind, _)| kind.len() == 1)
            else {
                return Err(malformed(number, "is not of the form <type>=<value>"));
            };
            if kind != "a" {
                of_ice |= kind == "m";
                continue;
            }
            let (name, value) = value.split_once(':').unwrap_or((value, ""));
            match name {
                "ice-ufrag" => credential(&mut fragment.ufrag, value, 4)
                    .ok_or_else(|| malformed(number, "is no ice-ufrag"))?,
                "ice-pwd" => credential(&mut fragment.pwd, value, 22)
                    .ok_or_else(|| malformed(number, "is no ice-pwd"))?,
                "candidate" => fragment.candidate(value),
                "end-of-candidates" => fragment.end_of_candidates = true,
                _ => continue,
            }
            of_ice = true;
        }
        if !of_ice {
            let text = "the fragment holds neither candidates nor credentials".to_owned();
            return Err(SdpError::Malformed(text));
        }
        Ok(fragment)
    }

    fn candidate(&mut self, value: &str) {
        let usable = self.usable + self.discarded < CANDIDATES_MAX && is_usable(value);
        if usable {
            self.usable += 1;
        } else {
            self.discarded += 1;
        }
    }
}

/// RFC 8839 §5.4; the first one counts, as a bundle has one transport. Only the length is looked at: clients' alphabets
/// differ, and it is compared but never written anywhere.
fn credential(place: &mut Option<String>, value: &str, least: usize) -> Option<()> {
    let value = value.trim();
    if !(least..=CREDENTIAL_MAX).contains(&value.len()) {
        return None;
    }
    place.get_or_insert_with(|| value.to_owned());
    Some(())
}

/// `<foundation> <component> <transport> <priority> <address> <port> typ …` (RFC 8839 §5.1). The component is not looked
/// at: Eyevinn's client sends 0 (C072).
fn is_usable(value: &str) -> bool {
    let mut parts = value.split_ascii_whitespace().skip(2);
    let udp = parts
        .next()
        .is_some_and(|transport| transport.eq_ignore_ascii_case("udp"));
    let address = parts
        .nth(1)
        .is_some_and(|text| text.parse::<std::net::IpAddr>().is_ok());
    let port = parts.next().is_some_and(|text| text.parse::<u16>().is_ok());
    udp && address && port && parts.next() == Some("typ")
}

/// The answer to a restart: of the session's SDP answer what is ICE's, under new credentials. The same ice-lite and
/// ice-options stand in it (P072), the same candidates are announced (P074), and CRLF ends each line (P016).
#[must_use]
pub fn restart_fragment(answer: &str, ufrag: &str, pwd: &str) -> String {
    let mut out = String::with_capacity(1024);
    let mut sections = 0;
    for line in answer.lines() {
        if let Some(media) = line.strip_prefix("m=") {
            // RFC 8840 §9: the section that carries the bundle's transport stands for all.
            let rejected = media.split(' ').nth(1) == Some("0");
            if sections == 1 || rejected {
                if sections == 1 {
                    break;
                }
                continue;
            }
            sections = 1;
        }
        let (name, _) = line.split_once(':').unwrap_or((line, ""));
        let kept = match name {
            "a=ice-lite" | "a=ice-options" | "a=ice-pacing" | "a=group" => sections == 0,
            "a=mid" | "a=candidate" | "a=end-of-candidates" => sections == 1,
            "a=ice-ufrag" if sections == 1 => {
                push(&mut out, &format!("a=ice-ufrag:{ufrag}"));
                push(&mut out, &format!("a=ice-pwd:{pwd}"));
                false
            }
            _ => line.starts_with("m="),
        };
        if kept {
            push(&mut out, line);
        }
    }
    out
}

fn push(out: &mut String, line: &str) {
    out.push_str(line);
    out.push_str("\r\n");
}

#[cfg(test)]
#[path = "fragment_tests.rs"]
mod tests;
