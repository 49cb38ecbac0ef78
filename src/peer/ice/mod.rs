//! ICE-lite (RFC 8445 §2.5): binding requests checked and answered; credentials drawn; datagrams told apart.

mod attributes;
pub mod credentials;
pub mod generations;
pub mod stun;

#[cfg(test)]
mod stun_tests;

/// What a datagram on the one 5-tuple of a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Kind {
    Stun,
    Dtls,
    Rtp,
    Rtcp,
    Unknown,
}

/// Tells a datagram's protocol by its first bytes (RFC 7983 §7, RFC 5761 §4).
#[must_use]
pub fn classify(datagram: &[u8]) -> Kind {
    match datagram {
        [0..=3, ..] if stun::is_stun(datagram) => Kind::Stun,
        [20..=63, ..] => Kind::Dtls,
        // RTCP's packet types 192–223 are payload types 64–95 with the marker bit, which no RTP here has.
        [128..=191, 192..=223, ..] => Kind::Rtcp,
        [128..=191, _, ..] => Kind::Rtp,
        _ => Kind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocol_is_told_by_its_first_bytes() {
        let mut stun = [0; 20];
        stun[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
        assert_eq!(classify(&stun), Kind::Stun);
        assert_eq!(classify(&[22, 254, 253]), Kind::Dtls);
        assert_eq!(classify(&[0x80, 96]), Kind::Rtp);
        assert_eq!(classify(&[0x80, 96 | 0x80]), Kind::Rtp);
        assert_eq!(classify(&[0x81, 200]), Kind::Rtcp);
        assert_eq!(classify(&[0x81, 206]), Kind::Rtcp);
    }

    #[test]
    fn what_is_none_of_them_is_unknown() {
        for datagram in [
            &[][..],
            &[0; 20],
            &[0],
            &[4, 0],
            &[19, 0],
            &[64, 0],
            &[127, 0],
            &[128],
            &[192, 0],
        ] {
            assert_eq!(classify(datagram), Kind::Unknown, "{datagram:?}");
        }
    }
}
