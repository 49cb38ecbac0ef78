//! A sink that keeps what the frames of a stream said, to see whether they are one line.

use std::sync::{Arc, Mutex};

use corertc::rtp::Media;
use corertc::stream::{FrameBatch, Sink, StreamKey};

use super::{PATIENCE, eventually};

/// What a frame said: medium, first number, packets, timestamp, key frame.
pub(crate) type Said = (Media, u64, u64, u32, bool);

#[derive(Default)]
pub(crate) struct Kept(Mutex<Vec<Said>>);

impl Sink for Kept {
    fn deliver(&self, _: StreamKey, batch: Arc<FrameBatch>) {
        let packets = batch.packets.len() as u64;
        let said = (
            batch.media,
            batch.first_seq,
            packets,
            batch.timestamp,
            batch.keyframe,
        );
        self.0.lock().unwrap().push(said);
    }
}

impl Kept {
    pub(crate) fn of(&self, media: Media) -> Vec<Said> {
        let all = self.0.lock().unwrap();
        all.iter().filter(|it| it.0 == media).copied().collect()
    }

    /// Waits for so many more frames of both media.
    pub(crate) fn grows(&self, by: usize) {
        let before = [Media::Video, Media::Audio].map(|media| self.of(media).len());
        eventually("frames of both media", PATIENCE, || {
            let now = [Media::Video, Media::Audio].map(|media| self.of(media).len());
            match now[0] >= before[0] + by && now[1] >= before[1] + by {
                true => Ok(()),
                false => Err(format!("{before:?} {now:?}")),
            }
        });
    }

    /// Numbers without a hole, time that never goes back, a key frame first.
    pub(crate) fn is_one_line(&self) {
        assert!(self.of(Media::Video)[0].4, "it starts with a key frame");
        for media in [Media::Video, Media::Audio] {
            for pair in self.of(media).windows(2) {
                assert_eq!(pair[0].1 + pair[0].2, pair[1].1, "{pair:?}");
                let step = pair[1].3.wrapping_sub(pair[0].3).cast_signed();
                assert!((0..90_000 * 20).contains(&step), "{pair:?}");
            }
        }
    }
}
