//! A viewer's report reaches the judgement of its link ([`super::thinning`]), and what that decides is done.

use std::time::Instant;

use super::looks::Look;
use super::shard::Shard;
use super::thinning::Verdict;
use crate::rtp::Media;

impl Shard {
    /// The viewer at `index` has reported how its video arrives.
    pub(super) fn judge_link(&mut self, index: usize, now: Instant) {
        let entry = &mut self.viewers[index];
        let Some(playing) = self.streams.get(&entry.stream) else {
            return;
        };
        let Some(news) = entry.viewer.take_reception() else {
            return;
        };
        let look = Look {
            at: now,
            tracks: news.tracks,
            sent_seq: entry.viewer.next_seq(Media::Video),
            rtt: news.rtt,
            bytes: entry.wire_bytes(),
            video_bytes: entry.viewer.wire_bytes(Media::Video),
            audio_bytes: entry.viewer.wire_bytes(Media::Audio),
            remb_bps: news.remb_bps,
            stream_bps: playing.stream.stats().bitrate_bps,
        };
        let verdict = entry.thinning.look(look);
        if verdict == Verdict::Same {
            return;
        }
        // What waits on the way goes first.
        let from = now + entry.thinning.queue();
        entry.thinning.due = Some(entry.thinning.due.map_or(from, |due| due.max(from)));
        let key = entry.key;
        if verdict == Verdict::Less {
            self.joining.not_before(key, from);
            return;
        }
        // What it was sent so far is full of holes: on with the last key frame, else with the next one.
        entry.in_frame[Media::Video as usize] = false;
        entry.start.pause();
        entry.viewer.stop(Media::Video);
        self.joining.remove(key);
        self.again_from_keyframe(index, now);
    }
}
