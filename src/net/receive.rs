//! Batched receive: `recvmmsg` into buffers made once.
#![allow(unsafe_code)]

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use libc::{iovec, mmsghdr, sockaddr_storage};

use super::cmsg::{self, CONTROL_BYTES, Control};

/// One received datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Its payload; empty is possible.
    pub bytes: &'a [u8],
    /// The sender.
    pub remote: SocketAddr,
    /// The local address it was sent to, where the socket reports it.
    pub local: Option<IpAddr>,
    /// Packets the socket lost so far for want of room, where it reports that; wraps at 32 bits.
    pub lost: Option<u32>,
}

/// Datagrams one system call takes.
const CALL_MAX: usize = 64;

/// Buffers for a number of datagrams, used again by every call.
pub struct ReceiveBatch {
    bytes: Box<[u8]>,
    datagram_max: usize,
    addresses: Box<[sockaddr_storage]>,
    controls: Box<[Control]>,
    lengths: Box<[Option<usize>]>,
    received: Box<[cmsg::Received]>,
}

impl ReceiveBatch {
    /// Room for `count` datagrams of at most `datagram_max` bytes; a longer one is dropped.
    #[must_use]
    pub fn new(count: usize, datagram_max: usize) -> Self {
        // SAFETY: sockaddr_storage is plain data; all zeros is its AF_UNSPEC value.
        let address: sockaddr_storage = unsafe { zeroed() };
        Self {
            bytes: vec![0; count * datagram_max].into_boxed_slice(),
            datagram_max,
            addresses: vec![address; count].into_boxed_slice(),
            controls: vec![Control::EMPTY; count].into_boxed_slice(),
            lengths: vec![None; count].into_boxed_slice(),
            received: vec![cmsg::Received::default(); count].into_boxed_slice(),
        }
    }

    /// Datagrams of one call at most.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.addresses.len().min(CALL_MAX)
    }

    /// Takes what waits in the socket; the number of datagrams. `WouldBlock` where none waits.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let count = self.capacity();
        let mut parts: [iovec; CALL_MAX] = [iovec {
            iov_base: ptr::null_mut(),
            iov_len: 0,
        }; CALL_MAX];
        // SAFETY: mmsghdr is plain data; null pointers with zero lengths are valid.
        let mut headers: [mmsghdr; CALL_MAX] = unsafe { zeroed() };
        for (index, buffer) in self
            .bytes
            .chunks_exact_mut(self.datagram_max)
            .take(count)
            .enumerate()
        {
            parts[index] = iovec {
                iov_base: buffer.as_mut_ptr().cast(),
                iov_len: buffer.len(),
            };
            let header = &mut headers[index].msg_hdr;
            header.msg_name = (&raw mut self.addresses[index]).cast();
            header.msg_namelen = size_of::<sockaddr_storage>() as libc::socklen_t;
            header.msg_iov = &raw mut parts[index];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[index].0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL_BYTES as _;
        }
        // SAFETY: every pointer in the first `count` headers leads to memory of `self` or of this frame that outlives
        // the call, with its true length; the kernel writes nothing beyond.
        let got = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                count as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        let Ok(got) = usize::try_from(got) else {
            return Err(io::Error::last_os_error());
        };
        for (index, header) in headers.iter().take(got).enumerate() {
            let whole = header.msg_hdr.msg_flags & libc::MSG_TRUNC == 0;
            self.lengths[index] = whole.then_some(header.msg_len as usize);
            self.received[index] = cmsg::read(&header.msg_hdr);
        }
        Ok(got)
    }

    /// The datagram `index` of the last [`ReceiveBatch::receive`]; None where it was too long or no IP datagram.
    #[must_use]
    pub fn datagram(&self, index: usize) -> Option<Datagram<'_>> {
        let len = (*self.lengths.get(index)?)?;
        let start = index * self.datagram_max;
        let received = self.received[index];
        Some(Datagram {
            bytes: self.bytes.get(start..start + len)?,
            remote: socket_address(&self.addresses[index])?,
            local: received.local,
            lost: received.lost,
        })
    }
}

fn socket_address(storage: &sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says it is a sockaddr_in, which sockaddr_storage is large and aligned enough for.
            let v4 = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above, for sockaddr_in6.
            let v6 = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            Some(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use super::*;
    use crate::net::bind_group;

    fn receive_some(batch: &mut ReceiveBatch, socket: &UdpSocket) -> usize {
        loop {
            match batch.receive(socket.as_fd()) {
                Ok(count) => return count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn datagrams_arrive_with_sender_and_the_address_asked_at() {
        let socket = bind_group("0.0.0.0:0".parse().unwrap(), 1)
            .unwrap()
            .remove(0);
        let port = socket.local_addr().unwrap().port();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.send_to(b"hello", ("127.0.0.2", port)).unwrap();
        let mut batch = ReceiveBatch::new(8, 1500);
        assert_eq!(receive_some(&mut batch, &socket), 1);
        let datagram = batch.datagram(0).unwrap();
        assert_eq!(datagram.bytes, b"hello");
        assert_eq!(datagram.remote, peer.local_addr().unwrap());
        assert_eq!(datagram.local, Some("127.0.0.2".parse().unwrap()));
    }

    #[test]
    fn too_long_a_datagram_is_dropped_and_its_neighbours_are_not() {
        let socket = bind_group("127.0.0.1:0".parse().unwrap(), 1)
            .unwrap()
            .remove(0);
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        for len in [10, 3000, 0, 20] {
            peer.send_to(&vec![1; len], socket.local_addr().unwrap())
                .unwrap();
        }
        let mut batch = ReceiveBatch::new(8, 1500);
        assert_eq!(receive_some(&mut batch, &socket), 4);
        let lengths: Vec<_> = (0..4)
            .map(|i| batch.datagram(i).map(|d| d.bytes.len()))
            .collect();
        assert_eq!(lengths, [Some(10), None, Some(0), Some(20)]);
    }

    #[test]
    fn a_full_receive_buffer_is_counted() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        crate::net::leg_receive_options(&socket).unwrap();
        socket2::SockRef::from(&socket)
            .set_recv_buffer_size(4096)
            .unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..64 {
            peer.send_to(&[0; 1000], socket.local_addr().unwrap())
                .unwrap();
        }
        let mut batch = ReceiveBatch::new(64, 1500);
        let got = receive_some(&mut batch, &socket);
        peer.send_to(&[0; 1000], socket.local_addr().unwrap())
            .unwrap();
        receive_some(&mut batch, &socket);
        assert_eq!(batch.datagram(0).unwrap().lost, Some(64 - got as u32));
    }
}
