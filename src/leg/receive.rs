//! Reads the two sockets of a process in batches and feeds its stream, in the shard that sends it on.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Sleep;

use crate::net::{ReceiveBatch, leg_receive_options};
use crate::rtp::Media;
use crate::runtime::guarded;
use crate::stats::Counters;
use crate::stream::{Expectation, Ingest};

use super::ports::Pair;

/// Datagrams read from one socket before the other one gets its turn.
const BATCH_LEN: usize = 64;

/// Longer than PKT_SIZE can be: a longer datagram is no FFmpeg's of ours.
const DATAGRAM_MAX: usize = 2048;

/// A timer that panics is not asked again before so long.
const AFTER_PANIC: Duration = Duration::from_millis(100);

/// What a receiver feeds: [`Ingest`], or a counter in tests.
pub trait Feed: Send + 'static {
    /// One datagram of the port of this medium; None: the port that carries both.
    fn datagram(&mut self, port: Option<Media>, datagram: &[u8], now: Instant);
    /// When [`Feed::handle_timeout`] wants to be called.
    fn next_timeout(&self) -> Option<Instant>;
    /// Does what is due.
    fn handle_timeout(&mut self, now: Instant);
    /// From now on FFmpeg sends with other arguments.
    fn expect(&mut self, expectation: Expectation);
}

impl Feed for Ingest {
    fn datagram(&mut self, port: Option<Media>, datagram: &[u8], now: Instant) {
        Ingest::datagram(self, port, datagram, now);
    }

    fn next_timeout(&self) -> Option<Instant> {
        Ingest::next_timeout(self)
    }

    fn handle_timeout(&mut self, now: Instant) {
        Ingest::handle_timeout(self, now);
    }

    fn expect(&mut self, expectation: Expectation) {
        Ingest::expect(self, expectation);
    }
}

enum Command {
    Expect(Expectation, bool),
    Stop,
}

/// The handle of one receiver. Dropping it ends the receiver too.
#[derive(Debug)]
pub struct Receiver<F> {
    commands: UnboundedSender<Command>,
    done: mpsc::Receiver<F>,
}

impl<F: Feed> Receiver<F> {
    /// A receiver, and the task that must be spawned to run it. `single_port`: the video port carries both media.
    #[must_use]
    pub fn new(pair: Pair, feed: F, single_port: bool, counters: Arc<Counters>) -> (Self, Task<F>) {
        let (commands, inbox) = unbounded_channel();
        let (finished, done) = mpsc::sync_channel(1);
        let task = Task {
            pair,
            feed,
            single_port,
            counters,
            inbox,
            finished,
        };
        (Self { commands, done }, task)
    }

    /// FFmpeg will be started with other arguments on the same ports. Doesn't wait.
    pub fn expect(&self, expectation: Expectation, single_port: bool) {
        // A receiver that ended already has nothing to expect.
        let _ = self
            .commands
            .send(Command::Expect(expectation, single_port));
    }

    /// Ends the receiver; its sockets are closed on return. The feed comes back unless the shard was shut down or
    /// `deadline` passed.
    #[must_use]
    pub fn stop(self, deadline: Instant) -> Option<F> {
        let _ = self.commands.send(Command::Stop);
        let left = deadline.saturating_duration_since(Instant::now());
        self.done.recv_timeout(left).ok()
    }
}

/// The receiver itself. Field order matters: where it is dropped unspawned, its sockets close before `finished`
/// tells so.
#[derive(Debug)]
pub struct Task<F> {
    pair: Pair,
    feed: F,
    single_port: bool,
    counters: Arc<Counters>,
    inbox: UnboundedReceiver<Command>,
    finished: mpsc::SyncSender<F>,
}

impl<F: Feed> Task<F> {
    /// Receives until told to stop.
    pub async fn run(self) {
        // Locals are dropped last to first: where the runtime drops this future, too, the sockets close first.
        let finished = self.finished;
        let mut inbox = self.inbox;
        let mut reader = Reader {
            feed: self.feed,
            counters: self.counters,
            asleep_until: None,
        };
        let (mut video, mut audio) = match (register(self.pair.video), register(self.pair.audio)) {
            (Ok(video), Ok(audio)) => (video, audio),
            (Err(error), _) | (_, Err(error)) => {
                tracing::error!(%error, "a leg's socket can't be polled");
                return;
            }
        };
        let mut video_port = (!self.single_port).then_some(Media::Video);
        let sleep = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(sleep);
        let mut armed = None;
        loop {
            arm(sleep.as_mut(), &mut armed, reader.next_timeout());
            tokio::select! {
                biased;
                command = inbox.recv() => match command {
                    Some(Command::Expect(expectation, single_port)) => {
                        video_port = (!single_port).then_some(Media::Video);
                        reader.guard(|feed| feed.expect(expectation));
                        continue;
                    }
                    Some(Command::Stop) | None => break,
                },
                _ = video.socket.readable() => {}
                _ = audio.socket.readable() => {}
                () = sleep.as_mut(), if armed.is_some() => armed = None,
            }
            let more_video = reader.drain(&mut video, video_port);
            let more_audio = reader.drain(&mut audio, Some(Media::Audio));
            let now = Instant::now();
            if reader.next_timeout().is_some_and(|at| at <= now) {
                let done = reader.guard(|feed| feed.handle_timeout(now));
                reader.asleep_until = done.is_none().then(|| now + AFTER_PANIC);
            }
            if more_video || more_audio {
                // The shard's other tasks get their turn.
                tokio::task::yield_now().await;
            }
        }
        drop((video, audio));
        // The one who waits may have given up.
        let _ = finished.try_send(reader.feed);
    }
}

struct Reader<F> {
    feed: F,
    counters: Arc<Counters>,
    /// After a panic of its timer.
    asleep_until: Option<Instant>,
}

/// One of the two sockets.
struct Port {
    socket: UdpSocket,
    /// Packets the kernel lost on it so far.
    lost: u32,
}

thread_local! {
    /// Buffers for a batch, common to the legs of a shard.
    static BATCH: RefCell<ReceiveBatch> = RefCell::new(ReceiveBatch::new(BATCH_LEN, DATAGRAM_MAX));
}

impl<F: Feed> Reader<F> {
    /// Calls the feed; None where it panicked. One bad packet must not end the leg.
    fn guard<T>(&mut self, call: impl FnOnce(&mut F) -> T) -> Option<T> {
        let done = guarded(|| call(&mut self.feed));
        if done.is_none() {
            self.counters.panics.inc();
        }
        done
    }

    fn next_timeout(&mut self) -> Option<Instant> {
        let asleep_until = self.asleep_until;
        let at = self.guard(|feed| feed.next_timeout()).flatten()?;
        Some(asleep_until.map_or(at, |until| at.max(until)))
    }

    /// Reads what is there, at most a batch; whether there may be more.
    fn drain(&mut self, port: &mut Port, media: Option<Media>) -> bool {
        BATCH.with_borrow_mut(|batch| {
            let read = || batch.receive(port.socket.as_fd());
            match port.socket.try_io(Interest::READABLE, read) {
                Ok(count) => {
                    self.take(batch, count, port, media);
                    count == BATCH_LEN
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
                Err(error) => {
                    tracing::trace!(%error, "a leg's socket failed to read");
                    true
                }
            }
        })
    }

    fn take(&mut self, batch: &ReceiveBatch, count: usize, port: &mut Port, media: Option<Media>) {
        let now = Instant::now();
        for index in 0..count {
            let Some(datagram) = batch.datagram(index) else {
                self.counters.leg_malformed.inc();
                self.counters.leg_drops.inc();
                continue;
            };
            if let Some(lost) = datagram.lost {
                // The kernel's count wraps at 32 bits.
                let more = u64::from(lost.wrapping_sub(port.lost));
                port.lost = lost;
                self.counters.leg_overflow.add(more);
                self.counters.leg_drops.add(more);
            }
            if datagram.remote.ip() == IpAddr::V4(Ipv4Addr::LOCALHOST) {
                self.guard(|feed| feed.datagram(media, datagram.bytes, now));
            } else {
                // Nobody but this machine's FFmpeg writes here; what is routed in from elsewhere is foreign.
                self.counters.leg_drops.inc();
            }
        }
    }
}

fn register(socket: std::net::UdpSocket) -> io::Result<Port> {
    leg_receive_options(&socket)?;
    Ok(Port {
        socket: UdpSocket::from_std(socket)?,
        lost: 0,
    })
}

/// Moves the timer only where the wish changed.
fn arm(mut sleep: std::pin::Pin<&mut Sleep>, armed: &mut Option<Instant>, wanted: Option<Instant>) {
    if *armed == wanted {
        return;
    }
    if let Some(at) = wanted {
        sleep.as_mut().reset(at.into());
    }
    *armed = wanted;
}

#[cfg(test)]
#[path = "receive_tests.rs"]
mod tests;
