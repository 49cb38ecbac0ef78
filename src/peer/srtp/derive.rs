//! Session keys from master keys (RFC 3711 §4.3; the 96-bit salts of RFC 7714 §11).

use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use zeroize::Zeroizing;

use super::{Keys, Profile, SrtpError};

/// Which of the two protocols the keys are for; they never share any (RFC 3711 §4.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usage {
    Rtp,
    Rtcp,
}

/// Master key and salt of one direction. Small, so that a direction not yet used costs no key schedule.
pub(super) struct Master {
    pub(super) profile: Profile,
    key: Zeroizing<[u8; 32]>,
    /// A 96-bit salt stands left, zeros behind it (RFC 7714 §11).
    salt: Zeroizing<[u8; 14]>,
}

/// What a transform is made from.
pub(super) struct SessionKeys {
    pub(super) key: Zeroizing<[u8; 32]>,
    pub(super) auth: Zeroizing<[u8; 20]>,
    pub(super) salt: Zeroizing<[u8; 14]>,
}

impl Master {
    pub(super) fn local(keys: &Keys) -> Result<Self, SrtpError> {
        Self::new(keys.profile, &keys.local_key, &keys.local_salt)
    }

    pub(super) fn remote(keys: &Keys) -> Result<Self, SrtpError> {
        Self::new(keys.profile, &keys.remote_key, &keys.remote_salt)
    }

    pub(super) fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Result<Self, SrtpError> {
        if key.len() != profile.key_len() || salt.len() != profile.salt_len() {
            return Err(SrtpError::Keys);
        }
        let mut master = Self {
            profile,
            key: Zeroizing::new([0; 32]),
            salt: Zeroizing::new([0; 14]),
        };
        master.key[..key.len()].copy_from_slice(key);
        master.salt[..salt.len()].copy_from_slice(salt);
        Ok(master)
    }

    /// The three keys of a usage; labels 0–2 for SRTP, 3–5 for SRTCP (RFC 3711 §4.3.1, §4.3.2).
    pub(super) fn session(&self, usage: Usage) -> Result<SessionKeys, SrtpError> {
        let first = match usage {
            Usage::Rtp => 0,
            Usage::Rtcp => 3,
        };
        let mut session = SessionKeys {
            key: Zeroizing::new([0; 32]),
            auth: Zeroizing::new([0; 20]),
            salt: Zeroizing::new([0; 14]),
        };
        self.derive(first, &mut session.key[..self.profile.key_len()])?;
        if self.profile == Profile::Aes128CmHmacSha1_80 {
            self.derive(first + 1, session.auth.as_mut())?;
        }
        self.derive(first + 2, &mut session.salt[..self.profile.salt_len()])?;
        Ok(session)
    }

    /// AES-CM as pseudo-random function, key derivation rate 0 (RFC 3711 §4.3.3; AES-256 by RFC 6188 §2).
    pub(super) fn derive(&self, label: u8, out: &mut [u8]) -> Result<(), SrtpError> {
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(self.salt.as_ref());
        iv[7] ^= label;
        out.fill(0);
        let key = counter_mode(&self.key[..self.profile.key_len()])?;
        key.less_safe_encrypt(out, EncryptionContext::Iv128(iv.into()))
            .map_err(|_| SrtpError::Keys)?;
        Ok(())
    }
}

/// An AES key in counter mode, of 16 or 32 bytes.
pub(super) fn counter_mode(key: &[u8]) -> Result<EncryptingKey, SrtpError> {
    let algorithm = if key.len() == 32 { &AES_256 } else { &AES_128 };
    UnboundCipherKey::new(algorithm, key)
        .and_then(EncryptingKey::ctr)
        .map_err(|_| SrtpError::Keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6188 §7.2: the derivation of AES-256 keys, which AEAD_AES_256_GCM shares (RFC 7714 §11).
    #[test]
    fn rfc_6188_7_2_aes_256_key_derivation() {
        let bytes = |hex: u128| hex.to_be_bytes();
        let mut key = [0; 32];
        key[..16].copy_from_slice(&bytes(0xf0f0_4914_b513_f276_3a1b_1fa1_30f1_0e29));
        key[16..].copy_from_slice(&bytes(0x98f6_f6e4_3e43_09d1_e622_a0e3_32b9_f1b6));
        let mut salt = [0; 14];
        salt.copy_from_slice(&bytes(0x3b04_803d_e51e_e7c9_6423_ab5b_78d2)[2..]);
        let master = Master {
            profile: Profile::AeadAes256Gcm,
            key: Zeroizing::new(key),
            salt: Zeroizing::new(salt),
        };
        let mut session_key = [0; 32];
        master.derive(0, &mut session_key).unwrap();
        assert_eq!(
            session_key[..16],
            bytes(0x5ba1_064e_30ec_5161_3cad_926c_5a28_ef73)
        );
        assert_eq!(
            session_key[16..],
            bytes(0x1ec7_fb39_7f70_a960_653c_af06_554c_d8c4)
        );
        let mut session_salt = [0; 14];
        master.derive(2, &mut session_salt).unwrap();
        assert_eq!(
            session_salt,
            bytes(0xfa31_7916_85ca_444a_9e07_c6c6_4e93)[2..]
        );
    }
}
