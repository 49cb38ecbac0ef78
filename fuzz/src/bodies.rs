//! What each fuzz target does with its bytes. `tests/fuzz_seeds.rs` of the library runs the seeds through the same.
//!
//! A target fails by a panic: its own assertions, the library's, or what the sanitizer finds.

mod connection;
mod media;
mod signalling;

pub use connection::{dtls, srtp, stun};
pub use media::{rtcp, rtp};
pub use signalling::{http, sdp_offer, trickle_fragment};

/// Cuts `input` into pieces, each behind a byte that says how long it is.
fn pieces(mut input: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (len, rest) = input.split_first()?;
        let (piece, rest) = rest.split_at(usize::from(*len).min(rest.len()));
        input = rest;
        Some(piece)
    })
}
