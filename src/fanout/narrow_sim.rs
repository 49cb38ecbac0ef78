//! A stream, a server, a link and a player on virtual time: what decides on a narrow link is the real thing
//! ([`Thinning`], [`Start`], [`Joining`], [`History`], [`Repair`]), the rest is made here. Nothing in it is left to luck.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::joining::{Joining, pace_bps};
use super::looks::Look;
use super::narrow_player::{Player, Report};
use super::start::{Start, Step, Turn};
use super::thinning::{Thinning, Verdict};
use crate::peer::repair::limit_bps;
use crate::peer::{Repair, wire_len};
use crate::rtp::Media;
use crate::rtp::codec::Codec;
use crate::stream::history::{History, Limits};
use crate::stream::{FrameBatch, PacketSpan};

const PACKET: usize = 1200;
const FRAME_MS: u64 = 40;
const AUDIO_MS: u64 = 20;
const AUDIO_PACKET: usize = 160;
/// A key frame is as large as so many others.
const KEY_TIMES: u64 = 8;
/// One way, without a queue.
const DELAY: Duration = Duration::from_millis(15);
const VIEWER: u64 = 1;

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene {
    pub(super) stream_bps: u64,
    pub(super) link_bps: u64,
    /// The link's queue.
    pub(super) queue_ms: u64,
    /// What is too much is lost, and nothing ever waits: no round trip tells.
    pub(super) policed: bool,
    /// Lost whatever is sent, of 1000.
    pub(super) loss: u64,
    pub(super) gop_frames: u64,
    /// Asks for lost packets.
    pub(super) nacks: bool,
    pub(super) seed: u64,
}

/// A packet on its way down.
#[derive(Debug, Clone, Copy)]
pub(super) enum Packet {
    /// The viewer's number of it; and whether it is sent again.
    Video(usize, bool),
    /// Its number.
    Audio(u64),
    /// A sender report, when it left.
    Report(Instant),
}

/// What the viewer was sent under one number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) seq: u64,
    pub(super) len: usize,
    pub(super) key: bool,
    pub(super) first: bool,
    pub(super) last: bool,
}

struct Link {
    free_at: Instant,
    random: u64,
    on_its_way: VecDeque<(Instant, Packet)>,
}

/// All of it.
pub(super) struct Sim {
    pub(super) scene: Scene,
    pub(super) began: Instant,
    pub(super) now: Instant,
    pub(super) thinning: Thinning,
    /// When it turned out to be narrow.
    pub(super) turned: Vec<Duration>,
    pub(super) player: Player,
    pub(super) audio_sent: u64,
    pub(super) sent_bytes: u64,
    history: History,
    start: Start,
    joining: Joining,
    repair: Repair,
    link: Link,
    sent: Vec<Sent>,
    /// First number of the line that repairs may be asked of.
    line: usize,
    frames: u64,
    next_seq: u64,
    video_bytes: u32,
    audio_bytes: u32,
    asked: VecDeque<(Instant, usize)>,
    reports: VecDeque<(Instant, Report)>,
}

impl Sim {
    pub(super) fn new(scene: Scene) -> Self {
        let now = Instant::now();
        let limits = Limits {
            bytes: 16 << 20,
            time: Duration::from_secs(12),
        };
        let mut thinning = Thinning::default();
        thinning.begin(now, [0; 2]);
        Self {
            scene,
            began: now,
            now,
            thinning,
            turned: Vec::new(),
            player: Player::new(now, scene.seed),
            audio_sent: 0,
            sent_bytes: 0,
            history: History::new(limits),
            start: Start::default(),
            joining: Joining::default(),
            repair: Repair::default(),
            link: Link {
                free_at: now,
                random: scene.seed,
                on_its_way: VecDeque::new(),
            },
            sent: Vec::new(),
            line: 0,
            frames: 0,
            next_seq: 5000,
            video_bytes: 0,
            audio_bytes: 0,
            asked: VecDeque::new(),
            reports: VecDeque::new(),
        }
    }

    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let ms = (self.now - self.began).as_millis() as u64;
            self.server(ms);
            self.arrivals();
            self.now += Duration::from_millis(1);
        }
    }

    fn server(&mut self, ms: u64) {
        if ms.is_multiple_of(AUDIO_MS) {
            self.audio_sent += 1;
            self.audio_bytes += wire_len(AUDIO_PACKET) as u32;
            self.transmit(Packet::Audio(self.audio_sent - 1), AUDIO_PACKET);
        }
        if ms.is_multiple_of(500) {
            self.transmit(Packet::Report(self.now), 40);
        }
        if ms.is_multiple_of(FRAME_MS) {
            let batch = self.frame();
            self.history.keep(&batch);
            self.live(&batch);
        }
        let now = self.now;
        while let Some((_, number)) = self.asked.pop_front_if(|(at, _)| *at <= now) {
            self.again(number);
        }
        while let Some((_, report)) = self.reports.pop_front_if(|(at, _)| *at <= now) {
            self.judge(&report);
        }
        while self.joining.next(now).is_some() {
            if !self.chunk() {
                self.joining.remove(VIEWER);
            }
        }
    }

    /// The next frame of the stream.
    fn frame(&mut self) -> Arc<FrameBatch> {
        let Scene {
            stream_bps,
            gop_frames,
            ..
        } = self.scene;
        let audio_bps = AUDIO_PACKET as u64 * 8 * 1000 / AUDIO_MS;
        let gop_bytes = (stream_bps - audio_bps) / 8 * FRAME_MS * gop_frames / 1000;
        let part = gop_bytes / (gop_frames - 1 + KEY_TIMES);
        let keyframe = self.frames.is_multiple_of(gop_frames);
        let bytes = if keyframe { part * KEY_TIMES } else { part } as usize;
        let count = bytes.div_ceil(PACKET);
        let span = |number: usize| PacketSpan {
            offset: (number * PACKET) as u32,
            len: PACKET.min(bytes - number * PACKET) as u16,
            marker: number + 1 == count,
        };
        let first_seq = self.next_seq;
        self.next_seq += count as u64;
        self.frames += 1;
        Arc::new(FrameBatch {
            media: Media::Video,
            codec: Codec::H264,
            first_seq,
            timestamp: (self.frames * FRAME_MS * 90) as u32,
            keyframe,
            closed_at: self.now,
            payload: vec![0; bytes].into(),
            packets: (0..count).map(span).collect(),
        })
    }

    /// As `Shard::send_round` does.
    fn live(&mut self, batch: &FrameBatch) {
        let turn = match self.thinning.pace_bps() {
            Some(_) => self.start.turn_narrow(batch),
            None => self.start.turn(batch),
        };
        match turn {
            Turn::Paced => {
                let due = self.thinning.due.unwrap_or(self.now);
                self.joining.add(VIEWER, due.max(self.now));
            }
            Turn::Live | Turn::Anew => {
                if turn == Turn::Anew {
                    self.line = self.sent.len();
                    self.joining.remove(VIEWER);
                }
                if !self.sent.is_empty() || batch.keyframe {
                    self.video(batch, 0, batch.packets.len());
                }
            }
            Turn::No => {}
        }
    }

    /// As `Shard::chunk` does; false where it catches up no more.
    fn chunk(&mut self) -> bool {
        let narrow_bps = self.thinning.pace_bps();
        let most = narrow_bps.map(|_| self.thinning.chunk_packets());
        let stepped = self.start.step(&self.history, self.now, most);
        if stepped.anew {
            self.line = self.sent.len();
        }
        let (batch, packets) = match stepped.step {
            Step::Send(batch, packets) => (batch, packets),
            Step::Again => return true,
            Step::Done => return false,
        };
        let bytes = self.video(&batch, packets.start, packets.end);
        let pace = narrow_bps.unwrap_or_else(|| pace_bps(self.scene.stream_bps));
        let due = self.joining.spent(VIEWER, bytes, pace, self.now);
        self.thinning.due = due.filter(|_| narrow_bps.is_some());
        !self.start.sent(&self.history, &batch, packets.end)
    }

    fn video(&mut self, batch: &FrameBatch, first: usize, end: usize) -> u64 {
        let before = self.sent_bytes;
        for number in first..end {
            let len = usize::from(batch.packets[number].len);
            self.sent.push(Sent {
                seq: batch.first_seq + number as u64,
                len,
                key: batch.keyframe,
                first: number == 0,
                last: batch.packets[number].marker,
            });
            self.video_bytes = self.video_bytes.wrapping_add(wire_len(len) as u32);
            self.transmit(Packet::Video(self.sent.len() - 1, false), len);
        }
        self.sent_bytes - before
    }

    /// As `Shard::repair` does.
    fn again(&mut self, number: usize) {
        if number < self.line {
            return;
        }
        let Sent { seq, len, .. } = self.sent[number];
        if self.history.holding(Media::Video, seq).is_none() {
            return;
        }
        let limit = self.thinning.repair_bps(self.scene.stream_bps);
        let limit = limit.unwrap_or_else(|| limit_bps(self.scene.stream_bps));
        let rtt = Some(DELAY * 2);
        if self
            .repair
            .allow((Media::Video, seq), len, rtt, limit, self.now)
        {
            self.transmit(Packet::Video(number, true), len + 2);
            if let Some(due) = self.thinning.charge(wire_len(len), self.now) {
                self.joining.not_before(VIEWER, due);
            }
        }
    }

    /// As `Shard::judge_link` does.
    fn judge(&mut self, report: &Report) {
        if report.wants_keyframe {
            if !self.start.catches_up() && self.start.answers(self.now) {
                self.begin_anew();
            }
            return;
        }
        let look = Look {
            at: self.now,
            tracks: report.tracks,
            rtt: report
                .rtt
                .map(|at| (self.now - at).saturating_sub(report.held)),
            sent_seq: self.sent.len() as u16,
            bytes: self.sent_bytes,
            video_bytes: self.video_bytes,
            audio_bytes: self.audio_bytes,
            remb_bps: None,
            stream_bps: self.scene.stream_bps,
        };
        let verdict = self.thinning.look(look);
        if verdict == Verdict::Same {
            return;
        }
        let from = self.now + self.thinning.queue();
        self.thinning.due = Some(self.thinning.due.map_or(from, |due| due.max(from)));
        if verdict == Verdict::Less {
            return self.joining.not_before(VIEWER, from);
        }
        self.turned.push(self.now - self.began);
        self.start.pause();
        self.joining.remove(VIEWER);
        self.begin_anew();
    }

    fn begin_anew(&mut self) {
        if let Some(next) = self.history.gop_start(self.now) {
            self.line = self.sent.len();
            self.start.begin(next);
            let due = self.thinning.due.unwrap_or(self.now);
            self.joining.add(VIEWER, due.max(self.now));
        }
    }

    /// Onto the link, if there is room.
    fn transmit(&mut self, packet: Packet, payload_len: usize) {
        let bytes = wire_len(payload_len);
        self.sent_bytes += bytes;
        let link = &mut self.link;
        link.random = link
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let takes = Duration::from_nanos(bytes * 8_000_000_000 / self.scene.link_bps);
        let from = link.free_at.max(self.now);
        let waits = from + takes - self.now;
        // A queue has room for some packets however short it is.
        let few = Duration::from_nanos(3 * 10_000_000_000_000_u64 / self.scene.link_bps);
        let most = Duration::from_millis(self.scene.queue_ms).max(few);
        if (link.random >> 33) % 1000 < self.scene.loss || waits > most {
            return;
        }
        link.free_at = from + takes;
        let leaves = match self.scene.policed {
            true => self.now,
            false => link.free_at,
        };
        link.on_its_way.push_back((leaves + DELAY, packet));
    }

    fn arrivals(&mut self) {
        let now = self.now;
        while let Some((_, packet)) = self.link.on_its_way.pop_front_if(|(at, _)| *at <= now) {
            self.player.take(packet, &self.sent, now);
        }
        let back = now + DELAY;
        let before = self.asked.len();
        if self.scene.nacks {
            let wanted = self.player.wanted(now);
            self.asked.extend(wanted.map(|number| (back, number)));
        }
        if let Some(report) = self.player.report(self.asked.len() > before, now) {
            self.reports.push_back((back, report));
        }
    }
}
