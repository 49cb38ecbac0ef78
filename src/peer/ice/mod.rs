//! ICE-lite (RFC 8445 §2.5): binding requests checked and answered; credentials drawn.

pub mod stun;
