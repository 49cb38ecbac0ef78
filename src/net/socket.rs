//! A UDP socket on a runtime that wakes whoever reads it, and nobody for what was sent: a socket that also waits for
//! room wakes its thread once per frame, as soon as the device has the packets.

use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::ReceiveBatch;

/// The socket. Sends never wait ([`super::SendBatch`]).
#[derive(Debug)]
pub struct Socket(AsyncFd<UdpSocket>);

impl Socket {
    /// Of a non-blocking socket, within a runtime.
    #[allow(
        deprecated,
        reason = "its successor is unsafe, for sockets that don't keep their descriptor; std's do"
    )]
    pub fn new(socket: UdpSocket) -> io::Result<Self> {
        AsyncFd::with_interest(socket, Interest::READABLE).map(Self)
    }

    /// Waits until there may be something to receive.
    pub async fn readable(&self) -> io::Result<()> {
        let mut guard = self.0.readable().await?;
        guard.retain_ready();
        Ok(())
    }

    /// Receives a batch without waiting; how many came. Fewer than it holds: that was all.
    pub fn receive(&self, batch: &mut ReceiveBatch) -> io::Result<usize> {
        let mut count = 0;
        let outcome = self.0.try_io(Interest::READABLE, |socket| {
            count = batch.receive(socket.as_fd())?;
            // The socket is empty then, and needs no other call to say so; what comes next is another edge.
            match count < batch.capacity() {
                true => Err(io::ErrorKind::WouldBlock.into()),
                false => Ok(()),
            }
        });
        match outcome {
            Err(error) if count == 0 => Err(error),
            _ => Ok(count),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn everything_sent_is_received_however_batches_fall() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_nonblocking(true).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(receiver.local_addr().unwrap()).unwrap();
        runtime.block_on(async {
            let socket = Socket::new(receiver).unwrap();
            let mut batch = ReceiveBatch::new(4, 100);
            for burst in [1, 3, 4, 5, 8, 9] {
                for _ in 0..burst {
                    sender.send(b"x").unwrap();
                }
                let mut came = 0;
                while came < burst {
                    let wait = tokio::time::timeout(Duration::from_secs(5), socket.readable());
                    wait.await.unwrap().unwrap();
                    came += socket.receive(&mut batch).unwrap_or(0);
                }
                assert_eq!(came, burst);
            }
        });
    }
}
