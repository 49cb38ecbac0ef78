//! Lost packets sent again: which of those asked for, how often, and under which header.

use std::time::{Duration, Instant};

use super::track::{Again, HEADER_LEN};
use super::viewer::{StreamPacket, Viewer};
use crate::rtp::Media;

/// A packet is sent again this often at most, from the second time on with a copy; whoever needs more has another problem
/// than loss.
const TIMES_MAX: u8 = 4;
/// Packets whose repairs are remembered per viewer.
const SLOTS: usize = 256;
/// A round trip where none was reported yet, and the shortest one believed.
const RTT_DEFAULT: Duration = Duration::from_millis(40);
const RTT_MIN: Duration = Duration::from_millis(8);
/// A viewer may be sent twice as much again as the stream has bits, and this much where that is little.
const RATE_TIMES: u64 = 2;
const RATE_MIN_BPS: u64 = 4_000_000;
/// Bytes that may leave at once after a quiet time.
const CREDIT_MAX: u64 = 128 << 10;

/// What a viewer of a stream of this rate may be sent again.
#[must_use]
pub fn limit_bps(stream_bps: u64) -> u64 {
    (stream_bps * RATE_TIMES).max(RATE_MIN_BPS)
}

/// What one viewer was sent again. A flood of requests costs it its credit and nobody anything else.
#[derive(Debug, Default)]
pub struct Repair {
    /// Made by the first loss: most viewers never have one.
    slots: Vec<Option<Slot>>,
    spent: u64,
    refilled: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    packet: (Media, u64),
    at: Instant,
    times: u8,
    /// It may be sent a second time at once.
    copy: bool,
}

impl Repair {
    /// Whether the stream's packet `seq` of `bytes` shall be sent again now, within `limit_bps`; if so, that is booked.
    pub fn allow(
        &mut self,
        packet: (Media, u64),
        bytes: usize,
        rtt: Option<Duration>,
        limit_bps: u64,
        now: Instant,
    ) -> bool {
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, None);
        }
        self.refill(limit_bps, now);
        let bytes = bytes as u64;
        // At most what the limit allows in a quarter of a second leaves at once.
        if self.spent + bytes > CREDIT_MAX.min(limit_bps / 32) {
            return false;
        }
        let slot = &mut self.slots[place(packet)];
        let before = slot.filter(|slot| slot.packet == packet);
        // What was sent less than most of a round trip ago is still under way.
        let under_way = rtt.unwrap_or(RTT_DEFAULT).max(RTT_MIN) * 3 / 4;
        let soon = |slot: &Slot| now.saturating_duration_since(slot.at) < under_way;
        let copy = before.is_some_and(|slot| slot.copy && soon(&slot));
        if !copy && before.is_some_and(|slot| slot.times >= TIMES_MAX || soon(&slot)) {
            return false;
        }
        let times = before.map_or(0, |slot| slot.times);
        *slot = Some(Slot {
            packet,
            at: now,
            times: if copy { times } else { times + 1 },
            copy: !copy && times > 0,
        });
        self.spent += bytes;
        true
    }

    /// The repair just sent is not the first: the one before was lost as well, and a player asks again only after 100 ms.
    /// One more copy makes it unlikely that it has to.
    fn owes_copy(&self, packet: (Media, u64)) -> bool {
        let slot = self.slots.get(place(packet)).copied().flatten();
        slot.is_some_and(|slot| slot.packet == packet && slot.copy)
    }

    fn refill(&mut self, bps: u64, now: Instant) {
        let since = self.refilled.replace(now).unwrap_or(now);
        let elapsed = now.saturating_duration_since(since).as_micros();
        let earned = u128::from(bps) * elapsed / 8_000_000;
        self.spent = self
            .spent
            .saturating_sub(u64::try_from(earned).unwrap_or(u64::MAX));
        if earned == 0 {
            // Less than a byte: the time counts on.
            self.refilled = Some(since);
        }
    }
}

fn place((media, seq): (Media, u64)) -> usize {
    (seq as usize * 2 + media as usize) % SLOTS
}

impl Viewer {
    /// Whether what this viewer asked for by this sequence number, and was sent, shall be sent once more at once.
    #[must_use]
    pub fn owes_copy(&self, media: Media, seq: u16) -> bool {
        let seq = self.stream_seq(media, seq);
        seq.is_some_and(|seq| self.repair.owes_copy((media, seq)))
    }

    /// The stream's packet that this viewer asks for by the sequence number it knows.
    #[must_use]
    pub fn stream_seq(&self, media: Media, seq: u16) -> Option<u64> {
        self.tracks[media as usize].as_ref()?.stream_seq(seq)
    }

    /// Writes a packet of the stream once more to the beginning of `out`, as RTX where that was agreed, else the very
    /// same bytes; its length, 0 where this viewer was never sent it, or has had enough. `plain` is scratch.
    pub fn seal_again(
        &mut self,
        packet: &StreamPacket<'_>,
        limit_bps: u64,
        now: Instant,
        plain: &mut Vec<u8>,
        out: &mut [u8],
    ) -> usize {
        let StreamPacket { media, seq, .. } = *packet;
        let (Some(security), Some(track)) = (&self.link.security, &mut self.tracks[media as usize])
        else {
            return 0;
        };
        let bytes = packet.payload.len();
        let rtt = self.feedback.rtt();
        if track.index(seq).is_none()
            || !self.repair.allow((media, seq), bytes, rtt, limit_bps, now)
        {
            return 0;
        }
        let Some(Again { header, index, osn }) = track.again(seq, packet.timestamp, packet.marker)
        else {
            return 0;
        };
        let extended;
        let header: &[u8] = match &mut self.transport {
            None => &header,
            Some(transport) => {
                transport.leaves(now);
                let number = match osn {
                    Some(_) => Some(transport.number(None, bytes + HEADER_LEN + 2)),
                    // The same to the last bit: a nonce must never see another header.
                    None => transport.number_of(media, index as u16),
                };
                let Some(number) = number else {
                    return 0;
                };
                extended = transport.extended(&header, number);
                &extended
            }
        };
        plain.clear();
        plain.extend(osn.into_iter().flatten());
        let front = plain.len();
        plain.extend_from_slice(packet.payload);
        if let Some(pictures) = track.pictures() {
            pictures.apply(track.codec(), &mut plain[front..]);
        }
        security.outbound.seal_rtp_into(header, plain, index, out)
    }

    /// The track is to be started anew, elsewhere in the stream.
    pub fn stop(&mut self, media: Media) {
        if let Some(track) = self.tracks[media as usize].as_mut() {
            track.stop();
        }
    }

    /// The picture of payload `again` will be sent once more, behind that of `last`.
    pub fn repeat(&mut self, media: Media, again: &[u8], last: &[u8]) {
        if let Some(track) = self.tracks[media as usize].as_mut() {
            track.repeat(again, last);
        }
    }

    /// Whether the answer has this medium.
    #[must_use]
    pub fn plays(&self, media: Media) -> bool {
        self.tracks[media as usize].is_some()
    }
}

#[cfg(test)]
mod tests {
    use crate::peer::ice::credentials::Credentials;
    use std::sync::Arc;

    use super::*;
    use crate::peer::link::Security;
    use crate::peer::srtp::{Inbound, Keys, Outbound, Profile};
    use crate::peer::transport::Transport;
    use crate::peer::{RtxSetup, TrackSetup, ViewerSetup};
    use crate::rtp::codec::Codec;

    fn viewer(rtx: Option<RtxSetup>) -> (Viewer, Inbound) {
        let keys = |ours: u8, theirs: u8| Keys {
            profile: Profile::AeadAes128Gcm,
            local_key: vec![ours; 16],
            local_salt: vec![ours; 12],
            remote_key: vec![theirs; 16],
            remote_salt: vec![theirs; 12],
        };
        let track = TrackSetup {
            ssrc: 1,
            codec: Codec::H264,
            payload_type: 96,
            first_seq: 10,
            timestamp_offset: 0,
            rtx,
        };
        let setup = ViewerSetup {
            credentials: Credentials {
                ufrag: String::new(),
                pwd: String::new(),
            },
            tracks: [Some(track), None],
            cname: "".into(),
            transport_cc: None,
        };
        let mut viewer = Viewer::new(setup, false, Arc::default(), Instant::now());
        viewer.link.security = Some(Security {
            outbound: Outbound::new(&keys(1, 2)).unwrap(),
            inbound: Inbound::new(&keys(1, 2)).unwrap(),
        });
        let track = viewer.tracks[0].as_mut().unwrap();
        track.start(500);
        track.reach(501);
        (viewer, Inbound::new(&keys(2, 1)).unwrap())
    }

    fn packet(media: Media, seq: u64) -> StreamPacket<'static> {
        StreamPacket {
            media,
            seq,
            timestamp: 7,
            marker: true,
            payload: b"payload",
        }
    }

    fn again(viewer: &mut Viewer, packet: &StreamPacket<'_>, now: Instant) -> Vec<u8> {
        let mut out = vec![0; 100];
        let len = viewer.seal_again(packet, limit_bps(0), now, &mut vec![9; 3], &mut out);
        out.truncate(len);
        out
    }

    #[test]
    fn without_rtx_the_ciphertext_is_the_same_to_the_last_bit() {
        let (mut viewer, _) = viewer(None);
        let packet = packet(Media::Video, 500);
        let mut first = vec![0; 100];
        let len = viewer.seal(&packet, &mut first);
        assert_eq!(len, 12 + 7 + 16);
        assert_eq!(again(&mut viewer, &packet, Instant::now()), first[..len]);
    }

    #[test]
    fn with_transport_wide_numbers_the_ciphertext_is_the_same_or_nothing_and_rtx_has_a_number_of_its_own()
     {
        let now = Instant::now();
        let (mut viewer, mut receiver) = viewer(None);
        viewer.transport = Some(Box::new(Transport::new(3, now)));
        let packet = packet(Media::Video, 500);
        let mut first = vec![0; 100];
        let len = viewer.seal(&packet, &mut first);
        assert_eq!(len, 12 + 8 + 7 + 16);
        assert_eq!(again(&mut viewer, &packet, now), first[..len]);
        let len = receiver.open_rtp(&mut first[..len]).unwrap();
        assert_eq!(first[12..len], *b"\xbe\xde\0\x01\x31\0\x01\0payload");
        let transport = viewer.transport.as_mut().unwrap();
        for seq in 0..1000 {
            transport.number(Some((Media::Audio, seq)), 100);
        }
        let later = now + Duration::from_secs(1);
        assert!(again(&mut viewer, &packet, later).is_empty(), "forgotten");
        let rtx = RtxSetup {
            ssrc: 2,
            payload_type: 97,
            first_seq: 100,
        };
        let (mut viewer, mut receiver) = self::viewer(Some(rtx));
        viewer.transport = Some(Box::new(Transport::new(3, now)));
        let mut first = vec![0; 100];
        viewer.seal(&packet, &mut first);
        let mut rtx = again(&mut viewer, &packet, now);
        let len = receiver.open_rtp(&mut rtx).unwrap();
        assert_eq!(rtx[12..len], *b"\xbe\xde\0\x01\x31\0\x02\0\0\x0apayload");
    }

    #[test]
    fn with_rtx_the_payload_follows_the_original_number_under_a_new_nonce_each_time() {
        let rtx = RtxSetup {
            ssrc: 2,
            payload_type: 97,
            first_seq: 100,
        };
        let (mut viewer, mut receiver) = viewer(Some(rtx));
        let now = Instant::now();
        for number in 0..2_u8 {
            let mut packet = again(
                &mut viewer,
                &self::packet(Media::Video, 500),
                now + Duration::from_secs(number.into()),
            );
            let len = receiver.open_rtp(&mut packet).unwrap();
            assert_eq!(
                packet[..12],
                [0x80, 0x80 | 97, 0, 100 + number, 0, 0, 0, 7, 0, 0, 0, 2]
            );
            assert_eq!(packet[12..len], *b"\0\x0apayload");
        }
        let mut other = |media, seq| again(&mut viewer, &packet(media, seq), now);
        assert!(other(Media::Video, 501).is_empty(), "never sent");
        assert!(other(Media::Video, 499).is_empty(), "from before the start");
        assert!(other(Media::Audio, 500).is_empty(), "no such track");
    }

    const RTT: Option<Duration> = Some(Duration::from_millis(40));

    #[test]
    fn a_packet_is_sent_again_once_per_round_trip_and_a_few_times_in_all() {
        let start = Instant::now();
        let mut repair = Repair::default();
        let mut sent = 0;
        for ms in 0..1000 {
            let now = start + Duration::from_millis(ms);
            sent += u32::from(repair.allow((Media::Video, 7), 1200, RTT, limit_bps(0), now));
            if ms < 30 {
                assert_eq!(sent, 1, "the first one is still under way");
            }
        }
        // From the second time on with a copy at once.
        assert_eq!(sent, 2 * u32::from(TIMES_MAX) - 1);
        // Another packet, and the same number of the other medium, have their own count.
        let now = start + Duration::from_secs(1);
        assert!(repair.allow((Media::Video, 8), 1200, RTT, limit_bps(0), now));
        assert!(repair.allow((Media::Audio, 7), 1200, RTT, limit_bps(0), now));
    }

    #[test]
    fn what_was_lost_twice_is_sent_twice() {
        let start = Instant::now();
        let mut repair = Repair::default();
        let packet = (Media::Video, 7);
        let mut allow = |ms| {
            let now = start + Duration::from_millis(ms);
            let allowed = repair.allow(packet, 1200, RTT, limit_bps(0), now);
            (allowed, repair.owes_copy(packet))
        };
        assert_eq!(allow(0), (true, false));
        assert_eq!(allow(100), (true, true));
        assert_eq!(allow(100), (true, false));
        assert_eq!(allow(100), (false, false));
    }

    #[test]
    fn a_flood_gets_no_more_than_a_measure_of_the_streams_rate() {
        let start = Instant::now();
        let mut repair = Repair::default();
        let rate_bps = 4_000_000;
        let mut bytes = 0;
        let mut seq = 0;
        // 2 s in steps of 0.1 ms, a new packet in each: ten times as much as may be.
        for step in 0..20_000 {
            let now = start + Duration::from_micros(step * 100);
            seq += 1;
            if repair.allow((Media::Video, seq), 1200, RTT, limit_bps(rate_bps), now) {
                bytes += 1200;
            }
        }
        let fair = RATE_TIMES * rate_bps / 8 * 2 + CREDIT_MAX;
        assert!(bytes <= fair, "{bytes} of {fair}");
        assert!(bytes > fair * 9 / 10, "{bytes} of {fair}");
    }
}
