//! AEAD_AES_128_GCM and AEAD_AES_256_GCM (RFC 7714).

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::derive::SessionKeys;
use super::{Profile, SrtpError};

const TAG_LEN: usize = 16;
/// Header and SSRC of the first RTCP packet, never encrypted.
const RTCP_HEADER_LEN: usize = 8;
const E_BIT: u32 = 1 << 31;

/// Session key and salt of one usage in one direction.
pub(super) struct Gcm {
    key: LessSafeKey,
    /// The salt, right-aligned, so that a nonce is one XOR.
    salt: u128,
}

impl Gcm {
    pub(super) fn new(profile: Profile, session: &SessionKeys) -> Result<Self, SrtpError> {
        let algorithm = match profile {
            Profile::AeadAes256Gcm => &AES_256_GCM,
            _ => &AES_128_GCM,
        };
        let key = UnboundKey::new(algorithm, &session.key[..profile.key_len()])
            .map_err(|_| SrtpError::Keys)?;
        let mut salt = [0; 16];
        salt[4..].copy_from_slice(&session.salt[..12]);
        Ok(Self {
            key: LessSafeKey::new(key),
            salt: u128::from_be_bytes(salt),
        })
    }

    /// 2 zero bytes, SSRC, 6 bytes of index, XOR salt: ROC ‖ SEQ for SRTP (RFC 7714 §8.1), 2 zero bytes and the
    /// 31-bit index for SRTCP (§9.1).
    fn nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let plain = (u128::from(ssrc) << 48) | u128::from(index & 0xffff_ffff_ffff);
        let bytes = (plain ^ self.salt).to_be_bytes();
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&bytes[4..]);
        Nonce::assume_unique_for_key(nonce)
    }

    /// Writes header ‖ ciphertext ‖ tag; `out` is exactly that long.
    #[inline]
    pub(super) fn seal_rtp(
        &self,
        ssrc: u32,
        header: &[u8],
        payload: &[u8],
        index: u64,
        out: &mut [u8],
    ) -> Option<()> {
        let (clear, sealed) = out.split_at_mut_checked(header.len())?;
        let (body, tag) = sealed.split_at_mut_checked(payload.len())?;
        clear.copy_from_slice(header);
        self.key
            .seal_out_of_place_scatter(
                self.nonce(ssrc, index),
                Aad::from(header),
                payload,
                body,
                &[],
                tag,
            )
            .ok()
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
        let (header, body) = plain.split_at_mut(header_len);
        self.key
            .open_in_place_separate_tag(self.nonce(ssrc, index), Aad::from(&*header), tag, body)
            .map_err(|_| SrtpError::Authentication)?;
        Ok(plain_len)
    }

    /// Writes header ‖ ciphertext ‖ tag ‖ E and index (RFC 7714 §9.2); `out` is exactly that long.
    pub(super) fn seal_rtcp(
        &self,
        ssrc: u32,
        packet: &[u8],
        index: u32,
        out: &mut [u8],
    ) -> Option<()> {
        let (header, body) = packet.split_at_checked(RTCP_HEADER_LEN)?;
        let (out_header, rest) = out.split_at_mut_checked(RTCP_HEADER_LEN)?;
        let (out_body, rest) = rest.split_at_mut_checked(body.len())?;
        let (tag, word) = rest.split_at_mut_checked(TAG_LEN)?;
        out_header.copy_from_slice(header);
        word.copy_from_slice(&(E_BIT | index).to_be_bytes());
        // RFC 7714 §9.2: the header and the ESRTCP word are the associated data.
        let mut aad = [0; RTCP_HEADER_LEN + 4];
        aad[..RTCP_HEADER_LEN].copy_from_slice(header);
        aad[RTCP_HEADER_LEN..].copy_from_slice(word);
        self.key
            .seal_out_of_place_scatter(
                self.nonce(ssrc, u64::from(index)),
                Aad::from(aad),
                body,
                out_body,
                &[],
                tag,
            )
            .ok()
    }

    /// The ESRTCP word: it closes the packet.
    pub(super) fn rtcp_word(packet: &[u8]) -> Option<u32> {
        packet.last_chunk().map(|word| u32::from_be_bytes(*word))
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
        let nonce = self.nonce(ssrc, u64::from(word & !E_BIT));
        let (plain, rest) = packet.split_at_mut(plain_len);
        let tag = &rest[..TAG_LEN];
        let opened = if word & E_BIT == 0 {
            // RFC 7714 §9.3: tagged only, all of it associated data. Rare, so it may allocate.
            let aad = [&*plain, &word.to_be_bytes()].concat();
            self.key
                .open_in_place_separate_tag(nonce, Aad::from(aad), tag, &mut [])
                .map(|_| ())
        } else {
            let (header, body) = plain.split_at_mut(RTCP_HEADER_LEN);
            let mut aad = [0; RTCP_HEADER_LEN + 4];
            aad[..RTCP_HEADER_LEN].copy_from_slice(header);
            aad[RTCP_HEADER_LEN..].copy_from_slice(&word.to_be_bytes());
            self.key
                .open_in_place_separate_tag(nonce, Aad::from(aad), tag, body)
                .map(|_| ())
        };
        opened.map_err(|_| SrtpError::Authentication)?;
        Ok(plain_len)
    }
}
