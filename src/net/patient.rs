//! A UDP socket whose reader may look away: what comes meanwhile wakes nobody, and is there at once afterwards.
//!
//! A wake-up costs many times what a packet does. The runtime's timers count milliseconds and its sockets always wake, so
//! the socket and a timer of its own stand in an epoll of their own, and that is what the runtime watches.

use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::ReceiveBatch;

/// The socket. One task reads it.
#[derive(Debug)]
pub struct PatientSocket {
    either: AsyncFd<OwnedFd>,
    timer: OwnedFd,
    socket: UdpSocket,
    away: AtomicBool,
}

impl PatientSocket {
    /// Of a non-blocking socket, within a runtime.
    #[allow(
        deprecated,
        reason = "its successor is unsafe, for descriptors that are not kept; this one is"
    )]
    pub fn new(socket: UdpSocket) -> io::Result<Self> {
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
        )?;
        let either = epoll::create(CreateFlags::CLOEXEC)?;
        // Nobody asks the inner epoll which of the two it was: the socket is read in either case.
        let nothing = EventData::new_u64(0);
        epoll::add(&either, &socket, nothing, EventFlags::IN)?;
        epoll::add(&either, &timer, nothing, EventFlags::IN)?;
        Ok(Self {
            either: AsyncFd::with_interest(either, Interest::READABLE)?,
            timer,
            socket,
            away: AtomicBool::new(false),
        })
    }

    /// Waits until there may be something to receive, or the reader has looked away for as long as it wanted. Then everything
    /// is to be received: what was there already tells no more.
    pub async fn readable(&self) -> io::Result<()> {
        self.either.readable().await?.clear_ready();
        Ok(())
    }

    /// Receives a batch without waiting; how many came. Fewer than it holds: that was all.
    pub fn receive(&self, batch: &mut ReceiveBatch) -> io::Result<usize> {
        batch.receive(self.socket.as_fd())
    }

    /// For so long nothing that comes in makes it readable.
    pub fn look_away(&self, time: Duration) -> io::Result<()> {
        // Zero would stop the timer.
        self.set_timer(time.max(Duration::from_nanos(1)))?;
        if !self.away.swap(true, Ordering::Relaxed) {
            self.watch(EventFlags::empty())?;
        }
        Ok(())
    }

    /// Whatever comes in makes it readable again.
    pub fn look_back(&self) -> io::Result<()> {
        if self.away.swap(false, Ordering::Relaxed) {
            self.set_timer(Duration::ZERO)?;
            self.watch(EventFlags::IN)?;
        }
        Ok(())
    }

    fn watch(&self, events: EventFlags) -> io::Result<()> {
        let either = self.either.get_ref();
        Ok(epoll::modify(
            either,
            &self.socket,
            EventData::new_u64(0),
            events,
        )?)
    }

    /// Zero stops it.
    fn set_timer(&self, time: Duration) -> io::Result<()> {
        const NEVER: Timespec = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let once = Itimerspec {
            it_interval: NEVER,
            it_value: Timespec::try_from(time).unwrap_or(NEVER),
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}

impl AsFd for PatientSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Instant;

    use super::*;

    const SOON: Duration = Duration::from_millis(20);
    const PATIENCE: Duration = Duration::from_secs(5);

    fn run(test: impl AsyncFnOnce(PatientSocket, UdpSocket)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_nonblocking(true).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(receiver.local_addr().unwrap()).unwrap();
        runtime.block_on(async { test(PatientSocket::new(receiver).unwrap(), sender).await });
    }

    async fn readable(socket: &PatientSocket) {
        let wait = tokio::time::timeout(PATIENCE, socket.readable());
        wait.await.unwrap().unwrap();
    }

    #[test]
    fn everything_sent_is_received_however_batches_fall() {
        run(async |socket, sender| {
            let mut batch = ReceiveBatch::new(4, 100);
            for burst in [1, 3, 4, 5, 8, 9] {
                for _ in 0..burst {
                    sender.send(b"x").unwrap();
                }
                let mut came = 0;
                while came < burst {
                    readable(&socket).await;
                    while let Ok(count @ 1..) = socket.receive(&mut batch) {
                        came += count;
                    }
                }
                assert_eq!(came, burst);
            }
        });
    }

    #[test]
    fn who_looks_away_is_woken_by_the_time_alone_and_finds_what_came() {
        run(async |socket, sender| {
            let mut batch = ReceiveBatch::new(4, 100);
            for _ in 0..3 {
                let begun = Instant::now();
                socket.look_away(SOON).unwrap();
                sender.send(b"x").unwrap();
                sender.send(b"x").unwrap();
                readable(&socket).await;
                assert!(begun.elapsed() >= SOON);
                assert_eq!(socket.receive(&mut batch).unwrap(), 2);
            }
            // Nothing came: the time wakes all the same.
            socket.look_away(SOON).unwrap();
            readable(&socket).await;
            assert!(socket.receive(&mut batch).is_err());
        });
    }

    #[test]
    fn who_looks_back_is_woken_by_what_came_meanwhile_and_by_what_comes() {
        run(async |socket, sender| {
            let mut batch = ReceiveBatch::new(4, 100);
            let begun = Instant::now();
            socket.look_away(PATIENCE * 10).unwrap();
            sender.send(b"x").unwrap();
            socket.look_back().unwrap();
            for _ in 0..3 {
                readable(&socket).await;
                assert_eq!(socket.receive(&mut batch).unwrap(), 1);
                sender.send(b"x").unwrap();
            }
            assert!(begun.elapsed() < PATIENCE);
        });
    }
}
