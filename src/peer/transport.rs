//! Transport-wide numbers of all packets that one viewer is sent, and what its feedback says of them
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01): the header extension on the way out, arrivals on the way back.

use std::time::{Duration, Instant};

use super::track::HEADER_LEN;
use crate::rtp::Media;
use crate::rtp::rtcp::transport_cc::{TICKS_PER_SECOND, read_transport_cc};

/// What the extension takes: RFC 8285's four octets, one element of three, one of padding.
pub const EXTENSION_LEN: usize = 8;
/// Packets remembered: half a second of 10 Mbit/s. Feedback comes many times in that, and what is sent again on its own
/// SSRC after that long can't be: it would not be the same to the last bit.
const SENT: usize = 512;
/// The bitrate is taken over at least so much of arrival time.
const RATE_TICKS: i64 = TICKS_PER_SECOND as i64 / 2;
/// The reference time has 24 bits of 64 ms.
const REFERENCE_BITS: u32 = 24;
const REFERENCE_TICKS: i64 = 256;
/// The clocks differ by an unknown time: the first packet took so long.
const FIRST_DELAY_TICKS: i64 = 60 * TICKS_PER_SECOND as i64;

/// The numbering of one viewer.
#[derive(Debug)]
pub struct Transport {
    id: u8,
    next: u16,
    begun: Instant,
    now: Instant,
    sent: Box<[Sent]>,
    /// What is added to (arrival − departure).
    offset: Option<i64>,
    reference: Option<i64>,
    least: Option<i64>,
    /// The shortest delay since it was taken.
    delay: Option<i64>,
    window: Option<(i64, u64)>,
    numbers: TransportNumbers,
}

/// What the feedback said so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransportNumbers {
    /// Packets that arrived, repairs too.
    pub received: u64,
    /// Packets that did not.
    pub lost: u64,
    /// What arrived of late, bits per second, headers of RTP and SRTP included.
    pub bitrate_bps: Option<u64>,
    /// What the last packets took more than the fastest.
    pub queue: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    at: u32,
    len: u16,
    number: u16,
    seq: u16,
    /// Of whose packets `seq` is; None for what is never sent again under the same number.
    media: Option<Media>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Empty,
    UnderWay,
    Received,
    Lost,
}

impl Transport {
    /// Nothing sent yet; `id` is the extension's of the answer.
    #[must_use]
    pub fn new(id: u8, now: Instant) -> Self {
        let empty = Sent {
            at: 0,
            len: 0,
            number: 0,
            seq: 0,
            media: None,
            state: State::Empty,
        };
        Self {
            id,
            next: 1,
            begun: now,
            now,
            sent: vec![empty; SENT].into(),
            offset: None,
            reference: None,
            least: None,
            delay: None,
            window: None,
            numbers: TransportNumbers::default(),
        }
    }

    /// What is numbered from here on leaves now.
    pub fn leaves(&mut self, now: Instant) {
        self.now = now;
    }

    /// The next number, for a packet of `len` bytes; `original` where the same packet may have to be sent again.
    pub fn number(&mut self, original: Option<(Media, u16)>, len: usize) -> u16 {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let elapsed = self.now.saturating_duration_since(self.begun);
        self.sent[usize::from(number) % SENT] = Sent {
            at: ticks(elapsed) as u32,
            len: u16::try_from(len).unwrap_or(u16::MAX),
            number,
            seq: original.map_or(0, |(_, seq)| seq),
            media: original.map(|(media, _)| media),
            state: State::UnderWay,
        };
        number
    }

    /// The number that a packet had when it was first sent.
    #[must_use]
    pub fn number_of(&self, media: Media, seq: u16) -> Option<u16> {
        let sent = self.sent.iter();
        let mut newest = sent.filter(|sent| sent.media == Some(media) && sent.seq == seq);
        newest.next().map(|sent| sent.number)
    }

    /// The header with the extension behind it (RFC 8285 §4.2).
    #[must_use]
    pub fn extended(
        &self,
        header: &[u8; HEADER_LEN],
        number: u16,
    ) -> [u8; HEADER_LEN + EXTENSION_LEN] {
        let mut extended = [0; HEADER_LEN + EXTENSION_LEN];
        extended[..HEADER_LEN].copy_from_slice(header);
        extended[0] |= 0x10;
        let [high, low] = number.to_be_bytes();
        extended[HEADER_LEN..].copy_from_slice(&[0xbe, 0xde, 0, 1, self.id << 4 | 1, high, low, 0]);
        extended
    }

    /// Reads one feedback packet; false where it is malformed. What was read before that counts.
    pub fn feedback(&mut self, raw: &[u8]) -> bool {
        let mut reference = None;
        let read = read_transport_cc(raw, |number, arrival| {
            let Some((base, ticks)) = arrival else {
                return self.missing(number);
            };
            let reference = *reference.get_or_insert_with(|| self.unwrap(base));
            self.arrived(number, reference * REFERENCE_TICKS + ticks);
        });
        read.is_ok()
    }

    /// What was said so far.
    #[must_use]
    pub fn numbers(&self) -> TransportNumbers {
        self.numbers
    }

    /// The shortest delay of the packets reported since this was asked last, on a clock of its own: differences count.
    pub fn take_delay(&mut self) -> Option<Duration> {
        let delay = u64::try_from(self.delay.take()?).ok()?;
        Some(duration(delay))
    }

    /// The reference time without its wraps: the one nearest to the last.
    fn unwrap(&mut self, reference: u32) -> i64 {
        let turn = 1_i64 << REFERENCE_BITS;
        let last = self.reference.unwrap_or(i64::from(reference));
        let ahead = (i64::from(reference) - last).rem_euclid(turn);
        let ahead = if ahead >= turn / 2 {
            ahead - turn
        } else {
            ahead
        };
        let unwrapped = last + ahead;
        self.reference = Some(unwrapped);
        unwrapped
    }

    fn missing(&mut self, number: u16) {
        if let Some(sent) = self.find(number)
            && sent.state == State::UnderWay
        {
            sent.state = State::Lost;
            self.numbers.lost += 1;
        }
    }

    fn arrived(&mut self, number: u16, at: i64) {
        let Some(sent) = self.find(number) else {
            return;
        };
        let before = std::mem::replace(&mut sent.state, State::Received);
        let (left, len) = (i64::from(sent.at), u64::from(sent.len));
        match before {
            State::Received | State::Empty => return,
            State::Lost => self.numbers.lost = self.numbers.lost.saturating_sub(1),
            State::UnderWay => {}
        }
        self.numbers.received += 1;
        let took = at - left;
        let delay = took + *self.offset.get_or_insert(FIRST_DELAY_TICKS - took);
        self.delay = Some(self.delay.map_or(delay, |least| least.min(delay)));
        let least = self.least.map_or(delay, |least| least.min(delay));
        self.least = Some(least);
        let queue = u64::try_from(delay - least).unwrap_or(0);
        self.numbers.queue = Some(duration(queue));
        let (from, bytes) = self.window.unwrap_or((at, 0));
        let elapsed = at - from;
        if elapsed >= RATE_TICKS {
            let bits = bytes * 8 * TICKS_PER_SECOND;
            self.numbers.bitrate_bps = Some(bits / elapsed.unsigned_abs());
            self.window = Some((at, len));
        } else {
            self.window = Some((from, bytes + len));
        }
    }

    fn find(&mut self, number: u16) -> Option<&mut Sent> {
        let sent = &mut self.sent[usize::from(number) % SENT];
        (sent.number == number && sent.state != State::Empty).then_some(sent)
    }
}

fn ticks(time: Duration) -> u64 {
    time.as_micros() as u64 * TICKS_PER_SECOND / 1_000_000
}

fn duration(ticks: u64) -> Duration {
    Duration::from_micros(ticks.saturating_mul(1_000_000 / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::rtcp::write_transport_cc;

    struct Rig {
        transport: Transport,
        now: Instant,
        /// Arrivals by number, from 1 on.
        arrivals: Vec<Option<u64>>,
    }

    impl Rig {
        fn new() -> Self {
            let now = Instant::now();
            Self {
                transport: Transport::new(5, now),
                now,
                arrivals: Vec::new(),
            }
        }

        /// One packet every 10 ms; its way takes so long, or it is lost.
        fn send(&mut self, took_ms: Option<u64>) {
            let number = self.transport.number(None, 1000);
            assert_eq!(usize::from(number), self.arrivals.len() + 1);
            let left_ms = self.arrivals.len() as u64 * 10;
            let at = took_ms.map(|took| (1_000_000 + left_ms + took) * TICKS_PER_SECOND / 1000);
            self.arrivals.push(at);
            self.now += Duration::from_millis(10);
            self.transport.leaves(self.now);
        }

        fn report(&mut self, from: usize) {
            let mut packet = Vec::new();
            let base = from as u16 + 1;
            let written = write_transport_cc(&mut packet, 1, 2, base, 0, &self.arrivals[from..]);
            assert_eq!(written, self.arrivals.len() - from);
            assert!(self.transport.feedback(&packet[12..]));
        }
    }

    #[test]
    fn arrivals_losses_rate_and_queue_are_told_by_feedback() {
        let mut rig = Rig::new();
        for number in 0..100 {
            rig.send((number % 10 != 3).then_some(20));
        }
        rig.report(0);
        let numbers = rig.transport.numbers();
        assert_eq!((numbers.received, numbers.lost), (90, 10));
        let bps = numbers.bitrate_bps.unwrap();
        assert!((690_000..750_000).contains(&bps), "{bps}");
        assert_eq!(numbers.queue, Some(Duration::ZERO));
        let before = rig.transport.take_delay().unwrap();
        assert_eq!(rig.transport.take_delay(), None);
        for number in 0..50 {
            rig.send(Some(20 + number * 4));
        }
        // What is reported twice counts once, and what was only late has not been lost.
        rig.arrivals[3] = Some(rig.arrivals[4].unwrap());
        rig.report(0);
        let numbers = rig.transport.numbers();
        assert_eq!((numbers.received, numbers.lost), (141, 9));
        assert_eq!(numbers.queue, Some(Duration::from_millis(196)));
        assert_eq!(rig.transport.take_delay(), Some(before));
    }

    #[test]
    fn the_reference_time_wraps_and_clocks_may_differ() {
        let mut transport = Transport::new(1, Instant::now());
        assert_eq!(transport.unwrap(0xff_fffe), 0xff_fffe);
        assert_eq!(transport.unwrap(1), 0x100_0001);
        assert_eq!(transport.unwrap(0xff_ffff), 0xff_ffff);
    }

    #[test]
    fn a_number_is_found_again_as_long_as_it_is_remembered() {
        let mut transport = Transport::new(1, Instant::now());
        let number = transport.number(Some((Media::Video, 7)), 100);
        transport.number(Some((Media::Audio, 7)), 100);
        assert_eq!(transport.number_of(Media::Video, 7), Some(number));
        for seq in 0..SENT as u16 {
            transport.number(Some((Media::Audio, 1000 + seq)), 100);
        }
        assert_eq!(transport.number_of(Media::Video, 7), None);
    }

    #[test]
    fn the_extension_has_one_element_behind_the_header() {
        let transport = Transport::new(5, Instant::now());
        let header = [0x80, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        let extended = transport.extended(&header, 0x0102);
        assert_eq!(extended[0], 0x90);
        let elements: Vec<_> = crate::rtp::extension::elements(&extended).collect();
        assert_eq!(elements, [(5, &[1, 2][..])]);
    }

    #[test]
    fn nonsense_is_borne() {
        let mut rig = Rig::new();
        rig.send(Some(20));
        assert!(!rig.transport.feedback(&[]));
        assert!(!rig.transport.feedback(&[0, 1, 0xff, 0xff, 0, 0, 0, 0]));
        assert!(
            rig.transport
                .feedback(&[0, 9, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0])
        );
        assert_eq!(rig.transport.numbers(), TransportNumbers::default());
    }
}
