//! RTCP (RFC 3550 §6, RFC 4585, RFC 5104): what viewers send, what we send.
