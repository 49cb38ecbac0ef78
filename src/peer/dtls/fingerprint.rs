//! The fingerprints of an offer, and whether a certificate has them all (RFC 8122 §5).

use aws_lc_rs::digest::{self, Algorithm};
use subtle::ConstantTimeEq;

use super::DtlsError;

/// The fingerprints of the algorithms we know; at least one.
pub(super) struct Fingerprints(Vec<(&'static Algorithm, Vec<u8>)>);

impl Fingerprints {
    /// Keeps those of a known algorithm; the others are no reason to refuse (C034), having none is.
    pub(super) fn new(offered: &[(String, Vec<u8>)]) -> Result<Self, DtlsError> {
        let known: Vec<_> = offered
            .iter()
            .filter_map(|(name, digest)| Some((algorithm(name)?, digest.clone())))
            .collect();
        if known.is_empty() {
            return Err(DtlsError(
                "no fingerprint of a known hash algorithm".to_owned(),
            ));
        }
        Ok(Self(known))
    }

    /// True when `certificate` (DER) has every one of them.
    pub(super) fn matches(&self, certificate: &[u8]) -> bool {
        self.0.iter().all(|(algorithm, expected)| {
            let digest = digest::digest(algorithm, certificate);
            digest.as_ref().ct_eq(expected).into()
        })
    }
}

/// Hash names of RFC 8122 §5. SHA-1 is left out: nobody offers it alone any more.
fn algorithm(name: &str) -> Option<&'static Algorithm> {
    const KNOWN: [(&str, &Algorithm); 3] = [
        ("sha-256", &digest::SHA256),
        ("sha-384", &digest::SHA384),
        ("sha-512", &digest::SHA512),
    ];
    KNOWN
        .into_iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, algorithm)| algorithm)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(name: &str, algorithm: &'static Algorithm, certificate: &[u8]) -> (String, Vec<u8>) {
        let digest = digest::digest(algorithm, certificate).as_ref().to_vec();
        (name.to_owned(), digest)
    }

    #[test]
    fn every_known_fingerprint_must_match() {
        let good = [
            of("sha-256", &digest::SHA256, b"cert"),
            of("SHA-384", &digest::SHA384, b"cert"),
            of("sha-512", &digest::SHA512, b"cert"),
        ];
        assert!(Fingerprints::new(&good).unwrap().matches(b"cert"));
        for broken in 0..good.len() {
            let mut offered = good.clone();
            offered[broken].1[3] ^= 1;
            assert!(!Fingerprints::new(&offered).unwrap().matches(b"cert"));
        }
    }

    #[test]
    fn a_digest_of_the_wrong_length_does_not_match() {
        for length in [0, 31, 33] {
            let offered = [("sha-256".to_owned(), vec![0; length])];
            assert!(!Fingerprints::new(&offered).unwrap().matches(b"cert"));
        }
    }

    #[test]
    fn unknown_algorithms_are_passed_over_but_not_enough() {
        let unknown = ("md5".to_owned(), vec![0; 16]);
        let known = of("sha-256", &digest::SHA256, b"cert");
        let both = Fingerprints::new(&[unknown.clone(), known]).unwrap();
        assert!(both.matches(b"cert"));
        assert!(Fingerprints::new(&[unknown]).is_err());
        assert!(Fingerprints::new(&[]).is_err());
    }
}
