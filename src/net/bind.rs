//! Binds the UDP sockets: one per shard and listen address, all shards of an address on one port.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, Socket, Type};

use super::cmsg;

/// Wanted socket buffers; the kernel gives what `net.core.[rw]mem_max` allows.
const BUFFER_BYTES: usize = 4 << 20;

/// Binds `count` non-blocking sockets to one address (SO_REUSEPORT). The first is bound without it, so that a port
/// somebody else holds is an error and not shared with a stranger.
pub fn bind_group(address: SocketAddr, count: usize) -> io::Result<Vec<UdpSocket>> {
    let first = open(address)?;
    first.bind(&address.into())?;
    first.set_reuse_port(true)?;
    let bound = first.local_addr()?.as_socket().unwrap_or(address);
    let mut sockets = vec![first.into()];
    for _ in 1..count {
        let next = open(address)?;
        next.set_reuse_port(true)?;
        next.bind(&bound.into())?;
        sockets.push(next.into());
    }
    Ok(sockets)
}

/// What a leg's receiving socket needs: a buffer that holds a key frame, and the count of what it lost.
pub fn leg_receive_options(socket: &UdpSocket) -> io::Result<()> {
    let socket = socket2::SockRef::from(socket);
    socket.set_recv_buffer_size(BUFFER_BYTES)?;
    // A sandbox's kernel may not know it: what its full buffer lost is not counted then.
    let _ = cmsg::report_overflow(socket.as_fd());
    Ok(())
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    // socket2 sets CLOEXEC: the host forks FFmpeg all day.
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        // `[::]` is dual-stack; any other IPv6 address is IPv6 alone.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_recv_buffer_size(BUFFER_BYTES)?;
    socket.set_send_buffer_size(BUFFER_BYTES)?;
    if address.ip().is_unspecified() {
        cmsg::report_destination(socket.as_fd(), address.is_ipv6())?;
    }
    cmsg::never_fragment(socket.as_fd(), address.is_ipv6())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_share_a_port_that_nobody_else_can_take() {
        let sockets = bind_group("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        let address = sockets[0].local_addr().unwrap();
        assert!(
            sockets
                .iter()
                .all(|socket| socket.local_addr().unwrap() == address)
        );
        let refused = bind_group(address, 1).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_dual_stack_socket_takes_ipv4_too() {
        let Ok(sockets) = bind_group("[::]:0".parse().unwrap(), 1) else {
            return;
        };
        let port = sockets[0].local_addr().unwrap().port();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.send_to(b"x", ("127.0.0.1", port)).unwrap();
        sockets[0].set_nonblocking(false).unwrap();
        let (_, from) = sockets[0].recv_from(&mut [0; 4]).unwrap();
        assert_eq!(from.ip().to_canonical(), peer.local_addr().unwrap().ip());
    }
}
