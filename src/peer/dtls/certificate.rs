//! The process's self-signed certificate: ECDSA P-256, trusted through the fingerprint in the SDP alone (RFC 8827 §6.5).

use aws_lc_rs::digest;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};

use super::DtlsError;

/// A certificate and its key, both DER.
pub(super) struct Certificate {
    pub(super) der: Vec<u8>,
    /// PKCS #8. The owner wipes it after use.
    pub(super) key: Vec<u8>,
}

impl Certificate {
    /// A fresh key each time: nothing ties two runs of the process together.
    pub(super) fn generate() -> Result<Self, DtlsError> {
        let failed = |error: rcgen::Error| DtlsError(format!("certificate: {error}"));
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "WebRTC");
        // Fixed dates that every parser takes: a peer must look at the fingerprint only.
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2049, 12, 31);
        let certificate = params.self_signed(&key).map_err(failed)?;
        Ok(Self {
            der: certificate.der().to_vec(),
            key: key.serialize_der(),
        })
    }

    /// SHA-256 of the DER.
    pub(super) fn fingerprint_sha256(&self) -> [u8; 32] {
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest::digest(&digest::SHA256, &self.der).as_ref());
        fingerprint
    }
}
