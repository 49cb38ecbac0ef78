//! SRTP and SRTCP (RFC 3711, RFC 7714): keys, profiles, sealing what goes out, opening what comes in.

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
