//! Form 1: RTP to the UDP ports FFmpeg opens. Whether it reads is told by the kernel alone: a closed port refuses.
//!
//! A connected socket gets the refusal (ECONNREFUSED) of a datagram before. While FFmpeg is away an empty receiver report
//! is sent every 50 ms, which FFmpeg ignores; the first that is not refused means that it listens. Its absence never
//! reaches the publisher.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc as blocking;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::rtp::Media;
use crate::stats::Counters;
use crate::stream::{IngestPoint, Sink};

use super::super::four::Four;
use super::super::input::Promise;
use super::InputNumbers;
use super::line::{Line, Packet, Wire};
use super::ports::Ports;
use super::queue::{Inlet, Outlet, queue};

/// Between two probes while nothing else is sent.
const PROBE_EVERY: Duration = Duration::from_millis(50);
/// The refusal of a probe is there by then; on loopback it comes within the send.
const PROBE_PROVEN: Duration = Duration::from_millis(3);
/// A publisher is reminded of the key frame that FFmpeg waits for.
const KEYFRAME_EVERY: Duration = Duration::from_secs(1);
/// A goodbye is repeated: FFmpeg may have been started again meanwhile, and then ignores its signal.
const GOODBYE_EVERY: Duration = Duration::from_millis(200);
const GOODBYE_MAX: Duration = Duration::from_secs(5);
/// Between two looks whether FFmpeg is gone.
const GONE_EVERY: Duration = Duration::from_millis(5);
/// How long a stop waits for FFmpeg to be gone; it ends within milliseconds unless it still encodes. Then the goodbyes go
/// on behind it.
const STOP_WAITS: Duration = Duration::from_millis(250);
/// Packets sent before FFmpeg gets time to read: its socket holds about 90 where the kernel has its defaults, and a key
/// frame has hundreds.
const RUN: usize = 48;
const RUN_PAUSE: Duration = Duration::from_millis(1);

enum Command {
    Interrupt,
    Stop(blocking::SyncSender<()>),
}

/// The handle of one input's sender. Dropping it ends the sender without a goodbye.
pub struct UdpSender {
    commands: UnboundedSender<Command>,
    sink: Arc<dyn Sink>,
    point: Arc<IngestPoint>,
}

impl UdpSender {
    /// A sender, attached to the point's stream, and the task that must be spawned to run it.
    pub fn new(
        four: Arc<Four>,
        promise: &Promise,
        point: Arc<IngestPoint>,
        numbers: Arc<InputNumbers>,
        counters: Arc<Counters>,
        gso: bool,
    ) -> io::Result<(Self, UdpTask)> {
        let port_of = |media| match media {
            Media::Audio if promise.video.is_some() => four.port() + 2,
            _ => four.port(),
        };
        let mut sockets = [None, None];
        for (media, _, _) in promise.media() {
            let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port_of(media)));
            let socket = four.bind_beside()?;
            socket.connect(to)?;
            sockets[media as usize] = Some((socket, to));
        }
        let (inlet, outlet): (Arc<Inlet>, Outlet) = queue(numbers.clone(), counters.clone());
        let sink: Arc<dyn Sink> = inlet;
        point.stream().attach(sink.clone());
        let (commands, inbox) = unbounded_channel();
        let task = UdpTask {
            line: Line::new(point.stream().clone(), promise),
            ports: Ports::new(sockets, gso, numbers, counters),
            point: point.clone(),
            outlet,
            inbox,
            phase: Phase::Away,
            keyframe_due: None,
            goodbye: None,
            _four: four,
        };
        let sender = Self {
            commands,
            sink,
            point,
        };
        Ok((sender, task))
    }

    /// Says goodbye to FFmpeg's present run.
    pub fn interrupt(&self) {
        let _ = self.commands.send(Command::Interrupt);
    }

    /// Says goodbye and waits until FFmpeg is gone, at most until `deadline` and not long.
    pub fn stop(self, deadline: Instant) {
        let (done, finished) = blocking::sync_channel(1);
        if self.commands.send(Command::Stop(done)).is_ok() {
            let left = deadline.saturating_duration_since(Instant::now());
            let _ = finished.recv_timeout(left.min(STOP_WAITS));
        }
    }
}

impl Drop for UdpSender {
    fn drop(&mut self) {
        self.point.stream().detach(&self.sink);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The ports are closed.
    Away,
    /// A probe was sent and not refused yet.
    Perhaps,
    /// FFmpeg listens.
    Here,
    /// It was told to stop reading.
    Leaving,
}

struct Goodbye {
    until: Instant,
    next: Instant,
    /// Ends the task, not only FFmpeg's run.
    stop: Option<blocking::SyncSender<()>>,
}

/// The sender itself. Its ports are given back when it ends.
pub struct UdpTask {
    line: Line,
    ports: Ports,
    point: Arc<IngestPoint>,
    outlet: Outlet,
    inbox: UnboundedReceiver<Command>,
    phase: Phase,
    keyframe_due: Option<Instant>,
    _four: Arc<Four>,
    /// Dropped last: whoever waits for the stop is told by it.
    goodbye: Option<Goodbye>,
}

impl UdpTask {
    /// Sends until told to stop.
    pub async fn run(mut self) {
        let mut due = Instant::now();
        loop {
            tokio::select! {
                biased;
                command = self.inbox.recv() => match command {
                    Some(Command::Interrupt) => due = self.leave(None),
                    Some(Command::Stop(done)) => due = self.leave(Some(done)),
                    // The handle of a stop is gone, too: its goodbyes go on.
                    None if self.is_stopping() => self.rest(due).await,
                    None => break,
                },
                Some(batch) = self.outlet.next() => {
                    self.batch(&batch);
                    let mut run = batch.packets.len();
                    while let Some(batch) = self.outlet.try_next() {
                        if run + batch.packets.len() > RUN {
                            tokio::time::sleep(RUN_PAUSE).await;
                            run = 0;
                        }
                        run += batch.packets.len();
                        self.batch(&batch);
                        if self.ports.refused {
                            break;
                        }
                    }
                }
                () = tokio::time::sleep_until(due.into()) => {}
            }
            let now = Instant::now();
            if self.ports.refused || due <= now {
                due = now + self.tick(now);
            } else {
                due = due.min(now + self.line.tick_after(now));
            }
            if self.phase == Phase::Away && self.is_stopping() {
                break;
            }
        }
        self.ports.numbers.left();
    }

    /// Without a handle there are no commands to wait for.
    async fn rest(&mut self, due: Instant) {
        tokio::time::sleep_until(due.into()).await;
    }

    fn is_stopping(&self) -> bool {
        self.goodbye.as_ref().is_some_and(|it| it.stop.is_some())
    }

    fn batch(&mut self, batch: &crate::stream::FrameBatch) {
        if self.phase != Phase::Here {
            return;
        }
        let started = self.line.has_started();
        let (now, wall) = (Instant::now(), SystemTime::now());
        self.line.batch(batch, now, wall, &mut self.ports);
        if !started {
            // Silence begins with the picture.
            self.line.tick(now, wall, &mut self.ports);
        }
        // A refusal of it is as good as that of a probe.
        self.ports.sent_at = Some(now);
        self.ports.flush();
    }

    /// Does what is due; how long until the next time.
    fn tick(&mut self, now: Instant) -> Duration {
        match self.phase {
            Phase::Away => {
                self.ports.probe(now);
                self.ports.look();
                if !std::mem::take(&mut self.ports.refused) {
                    self.phase = Phase::Perhaps;
                    return PROBE_PROVEN;
                }
                PROBE_EVERY
            }
            Phase::Perhaps => {
                self.ports.look();
                if std::mem::take(&mut self.ports.refused) {
                    self.phase = Phase::Away;
                    return PROBE_EVERY;
                }
                self.phase = Phase::Here;
                self.ports.numbers.came();
                self.line.restart();
                self.keyframe_due = Some(now);
                self.here(now)
            }
            Phase::Here => self.here(now),
            Phase::Leaving => self.leaving(now),
        }
    }

    fn here(&mut self, now: Instant) -> Duration {
        self.line.tick(now, SystemTime::now(), &mut self.ports);
        self.ports.flush();
        let silent = |at| now.saturating_duration_since(at) >= PROBE_EVERY;
        let idle = self.ports.sent_at.is_none_or(silent);
        if idle {
            self.ports.probe(now);
        }
        self.ports.look();
        if std::mem::take(&mut self.ports.refused) {
            return self.went_away();
        }
        let wanting = !self.line.has_started() || self.outlet.is_broken();
        if wanting && self.keyframe_due.is_none_or(|due| due <= now) {
            self.keyframe_due = Some(now + KEYFRAME_EVERY);
            self.point.request_keyframe(now);
        }
        match idle {
            true => PROBE_EVERY,
            false => self.line.tick_after(now),
        }
    }

    fn went_away(&mut self) -> Duration {
        self.phase = Phase::Away;
        self.ports.numbers.left();
        self.line.restart();
        // An interrupt has done its work; a stop ends the task.
        self.goodbye.take_if(|it| it.stop.is_none());
        PROBE_EVERY
    }

    /// Begins a goodbye; its first tick is due at once.
    fn leave(&mut self, stop: Option<blocking::SyncSender<()>>) -> Instant {
        let now = Instant::now();
        if stop.is_none() && (self.phase == Phase::Away || self.goodbye.is_some()) {
            return now;
        }
        self.phase = Phase::Leaving;
        self.goodbye = Some(Goodbye {
            until: now + GOODBYE_MAX,
            next: now,
            stop,
        });
        now
    }

    fn leaving(&mut self, now: Instant) -> Duration {
        let Some(goodbye) = &mut self.goodbye else {
            self.phase = Phase::Here;
            return Duration::ZERO;
        };
        if goodbye.next <= now {
            goodbye.next = now + GOODBYE_EVERY;
            for (media, bytes) in self.line.goodbyes() {
                self.ports.send(media, Packet::Rtcp, &bytes);
            }
            self.ports.flush();
        } else {
            self.ports.probe(now);
        }
        self.ports.look();
        if std::mem::take(&mut self.ports.refused) {
            return self.went_away();
        }
        if now >= goodbye.until {
            // It listens on, or others have the ports: no more can be done.
            return self.went_away();
        }
        GONE_EVERY
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "udp_tests.rs"]
mod tests;
