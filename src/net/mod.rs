//! Sockets, demultiplexing by ufrag and address, batch system calls. Hands out opaque keys, never names a peer.
//!
//! A datagram comes in through [`ReceiveBatch`], [`Demux`] says whose it is; [`SendBatch`] takes what leaves.

mod bind;
mod cmsg;
mod demux;
mod interfaces;
mod patient;
mod receive;
mod send;
mod socket;

use std::net::{IpAddr, SocketAddr};

pub use bind::{bind_group, leg_receive_options};
pub use demux::{Demux, Route};
pub use interfaces::interface_addresses;
pub use patient::PatientSocket;
pub use receive::{Datagram, ReceiveBatch};
pub use send::{MAX_MESSAGES, Outcome, SendBatch};
pub use socket::Socket;

/// One way to a remote address: over which of our sockets, and from which of its local addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path {
    /// Index of the listen address; every shard has a socket of that index.
    pub socket: u8,
    /// The address the remote asked at, where the socket is bound to a wildcard: answers leave from it.
    pub local: Option<IpAddr>,
    /// The remote address as the kernel gave it (an IPv4 peer of a dual-stack socket is IPv4-mapped).
    pub remote: SocketAddr,
}

impl Path {
    /// The remote address as its owner knows it: IPv4 where it is IPv4-mapped.
    #[must_use]
    pub fn remote_canonical(&self) -> SocketAddr {
        SocketAddr::new(self.remote.ip().to_canonical(), self.remote.port())
    }
}
