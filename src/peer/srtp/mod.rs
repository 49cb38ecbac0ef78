//! SRTP and SRTCP (RFC 3711, RFC 7714): keys, profiles, sealing what goes out, opening what comes in.

mod cm;
mod derive;
mod gcm;
mod inbound;
mod outbound;
mod replay;
mod transform;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

use zeroize::Zeroize;

pub use inbound::Inbound;
pub use outbound::Outbound;

/// An SRTP protection profile (RFC 5764 §4.1.2, RFC 7714 §14.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Profile {
    AeadAes128Gcm,
    AeadAes256Gcm,
    Aes128CmHmacSha1_80,
}

impl Profile {
    /// Master key bytes.
    #[must_use]
    pub fn key_len(self) -> usize {
        match self {
            Self::AeadAes256Gcm => 32,
            _ => 16,
        }
    }

    /// Master salt bytes.
    #[must_use]
    pub fn salt_len(self) -> usize {
        match self {
            Self::Aes128CmHmacSha1_80 => 14,
            _ => 12,
        }
    }

    /// Bytes added to an RTP packet.
    #[must_use]
    pub fn rtp_overhead(self) -> usize {
        match self {
            Self::Aes128CmHmacSha1_80 => 10,
            _ => 16,
        }
    }

    /// Bytes added to an RTCP packet: the tag and the word with the E bit and the index (RFC 3711 §3.4).
    #[must_use]
    pub fn rtcp_overhead(self) -> usize {
        self.rtp_overhead() + 4
    }
}

/// Why a packet is not accepted, or keys can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SrtpError {
    /// Master key or salt of a length that is not the profile's, or refused by the crypto library.
    #[error("keys unfit for the SRTP profile")]
    Keys,
    /// Too short, or a header that says more than there is.
    #[error("not an SRTP packet")]
    Malformed,
    /// The tag is wrong.
    #[error("SRTP authentication failed")]
    Authentication,
    /// Seen before, or older than the window (RFC 3711 §3.3.2).
    #[error("SRTP packet replayed or too old")]
    Replay,
    /// More synchronization sources than a peer may have.
    #[error("too many SRTP sources")]
    Sources,
}

/// Master keys of one association, from the DTLS exporter (RFC 5764 §4.2). Zeroed when dropped.
pub struct Keys {
    /// The negotiated profile.
    pub profile: Profile,
    /// Master key of what we send.
    pub local_key: Vec<u8>,
    /// Master salt of what we send.
    pub local_salt: Vec<u8>,
    /// Master key of what we receive.
    pub remote_key: Vec<u8>,
    /// Master salt of what we receive.
    pub remote_salt: Vec<u8>,
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.local_key.zeroize();
        self.local_salt.zeroize();
        self.remote_key.zeroize();
        self.remote_salt.zeroize();
    }
}
