//! The RTP header (RFC 3550 §5.1): parse and write.
