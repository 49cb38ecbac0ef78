//! ICE user name fragment and password, fresh per session (RFC 8839 §5.4).

use std::fmt;

use aws_lc_rs::rand;

/// `ice-char` of RFC 8839 §5.4; 64 of them, so that six random bits are one without bias.
const ICE_CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// 48 bits: RFC 8839 asks for 24, but ours also finds the session of an unknown address.
const UFRAG_CHARS: usize = 8;
/// 144 bits, of the 128 that RFC 8839 asks for.
const PWD_CHARS: usize = 24;

/// Our side's credentials of one session.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `a=ice-ufrag`.
    pub ufrag: String,
    /// `a=ice-pwd`: a secret.
    pub pwd: String,
}

/// The system's random number generator failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system's random number generator failed")]
pub struct RandomError;

impl Credentials {
    /// Draws fresh credentials.
    pub fn draw() -> Result<Self, RandomError> {
        let mut bytes = [0; UFRAG_CHARS + PWD_CHARS];
        rand::fill(&mut bytes).map_err(|_| RandomError)?;
        let (ufrag, pwd) = bytes.split_at(UFRAG_CHARS);
        Ok(Self {
            ufrag: spell(ufrag),
            pwd: spell(pwd),
        })
    }
}

fn spell(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| char::from(ICE_CHARS[usize::from(byte & 63)]))
        .collect()
}

/// Without the password.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("ufrag", &self.ufrag)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_long_enough_fresh_and_of_the_alphabet() {
        let (one, other) = (Credentials::draw().unwrap(), Credentials::draw().unwrap());
        assert_ne!(one.ufrag, other.ufrag);
        assert_ne!(one.pwd, other.pwd);
        assert_eq!((one.ufrag.len(), one.pwd.len()), (8, 24));
        let all = format!("{}{}", one.ufrag, one.pwd);
        assert!(all.bytes().all(|byte| ICE_CHARS.contains(&byte)), "{all}");
    }

    #[test]
    fn the_password_is_not_in_the_debug_text() {
        let credentials = Credentials::draw().unwrap();
        assert!(!format!("{credentials:?}").contains(&credentials.pwd));
    }
}
