//! AES128_CM_HMAC_SHA1_80: counter mode and a truncated HMAC-SHA1 (RFC 3711 §4.1.1, §4.2.1; RFC 5764 §4.1.2).

use aws_lc_rs::cipher::{EncryptingKey, EncryptionContext};
use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;

use super::SrtpError;
use super::derive::{SessionKeys, counter_mode};

const TAG_LEN: usize = 10;
/// Header and SSRC of the first RTCP packet, never encrypted.
const RTCP_HEADER_LEN: usize = 8;
const E_BIT: u32 = 1 << 31;

/// Session keys of one usage in one direction.
pub(super) struct Cm {
    key: EncryptingKey,
    auth: hmac::Key,
    /// The salt shifted left by 16 bits, so that an initial counter is one XOR.
    salt: u128,
}

impl Cm {
    pub(super) fn new(session: &SessionKeys) -> Result<Self, SrtpError> {
        let mut salt = [0; 16];
        salt[..14].copy_from_slice(session.salt.as_ref());
        Ok(Self {
            key: counter_mode(&session.key[..16])?,
            auth: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, session.auth.as_ref()),
            salt: u128::from_be_bytes(salt),
        })
    }

    /// Encrypts or decrypts, which is the same: IV = salt·2^16 XOR SSRC·2^64 XOR index·2^16 (RFC 3711 §4.1.1).
    fn apply(&self, ssrc: u32, index: u64, body: &mut [u8]) -> Option<()> {
        let iv = self.salt ^ (u128::from(ssrc) << 64) ^ (u128::from(index) << 16);
        let context = EncryptionContext::Iv128(iv.to_be_bytes().into());
        self.key.less_safe_encrypt(body, context).ok().map(|_| ())
    }

    /// Writes header ‖ ciphertext ‖ tag; `out` is exactly that long.
    pub(super) fn seal_rtp(
        &self,
        ssrc: u32,
        header: &[u8],
        payload: &[u8],
        index: u64,
        out: &mut [u8],
    ) -> Option<()> {
        let sealed_len = header.len() + payload.len();
        let (clear, rest) = out.split_at_mut_checked(header.len())?;
        let (body, tag) = rest.split_at_mut_checked(payload.len())?;
        clear.copy_from_slice(header);
        body.copy_from_slice(payload);
        self.apply(ssrc, index, body)?;
        // RFC 3711 §4.2: the ROC is authenticated behind the packet; it stands where the tag will, so that one
        // slice is hashed.
        tag.get_mut(..4)?.copy_from_slice(&roc(index));
        let mac = self.mac(out.get(..sealed_len + 4)?)?;
        out.get_mut(sealed_len..)?.copy_from_slice(&mac);
        Some(())
    }

    /// Opens in place; the length without the tag comes back.
    pub(super) fn open_rtp(
        &self,
        ssrc: u32,
        packet: &mut [u8],
        header_len: usize,
        index: u64,
    ) -> Result<usize, SrtpError> {
        let plain_len = packet
            .len()
            .checked_sub(TAG_LEN)
            .filter(|plain_len| *plain_len >= header_len)
            .ok_or(SrtpError::Malformed)?;
        let (plain, tag) = packet.split_at_mut(plain_len);
        let mut context = hmac::Context::with_key(&self.auth);
        context.update(plain);
        context.update(&roc(index));
        check(context.sign().as_ref(), tag)?;
        self.apply(ssrc, index, &mut plain[header_len..])
            .ok_or(SrtpError::Malformed)?;
        Ok(plain_len)
    }

    /// Writes header ‖ ciphertext ‖ E and index ‖ tag (RFC 3711 §3.4); `out` is exactly that long.
    pub(super) fn seal_rtcp(
        &self,
        ssrc: u32,
        packet: &[u8],
        index: u32,
        out: &mut [u8],
    ) -> Option<()> {
        let (plain, rest) = out.split_at_mut_checked(packet.len())?;
        plain.copy_from_slice(packet);
        self.apply(ssrc, u64::from(index), plain.get_mut(RTCP_HEADER_LEN..)?)?;
        rest.get_mut(..4)?
            .copy_from_slice(&(E_BIT | index).to_be_bytes());
        let (signed, tag) = out.split_at_mut_checked(packet.len() + 4)?;
        tag.copy_from_slice(&self.mac(signed)?);
        Some(())
    }

    /// The ESRTCP word: it stands before the tag.
    pub(super) fn rtcp_word(packet: &[u8]) -> Option<u32> {
        let signed_len = packet.len().checked_sub(TAG_LEN)?;
        let word = packet[..signed_len].last_chunk()?;
        Some(u32::from_be_bytes(*word))
    }

    /// Opens in place; the length of the plain packet comes back.
    pub(super) fn open_rtcp(
        &self,
        ssrc: u32,
        packet: &mut [u8],
        word: u32,
    ) -> Result<usize, SrtpError> {
        let plain_len = packet
            .len()
            .checked_sub(TAG_LEN + 4)
            .filter(|plain_len| *plain_len >= RTCP_HEADER_LEN)
            .ok_or(SrtpError::Malformed)?;
        let (signed, tag) = packet.split_at_mut(plain_len + 4);
        check(hmac::sign(&self.auth, signed).as_ref(), tag)?;
        if word & E_BIT != 0 {
            let body = &mut signed[RTCP_HEADER_LEN..plain_len];
            self.apply(ssrc, u64::from(word & !E_BIT), body)
                .ok_or(SrtpError::Malformed)?;
        }
        Ok(plain_len)
    }

    fn mac(&self, signed: &[u8]) -> Option<[u8; TAG_LEN]> {
        let mut mac = [0; 20];
        hmac::sign_to_buffer(&self.auth, signed, &mut mac).ok()?;
        mac.first_chunk().copied()
    }
}

/// Constant time, on the truncated tag.
fn check(mac: &[u8], tag: &[u8]) -> Result<(), SrtpError> {
    if bool::from(mac[..TAG_LEN].ct_eq(tag)) {
        Ok(())
    } else {
        Err(SrtpError::Authentication)
    }
}

/// The roll-over counter of a 48-bit index.
fn roc(index: u64) -> [u8; 4] {
    let bytes = (index >> 16).to_be_bytes();
    [bytes[4], bytes[5], bytes[6], bytes[7]]
}
