//! Sockets, demultiplexing by ufrag and address, batch system calls. Hands out opaque keys, never names a peer.
