//! What a stream has kept since its last key frame, for an FFmpeg that comes later: it need not wait for the next one.

use std::sync::Arc;
use std::time::Instant;

use crate::rtp::Media;
use crate::stream::history::Next;
use crate::stream::{FrameBatch, Stream};

/// The batches since the last video key frame in the order they came; empty where none is kept.
pub(crate) fn since_keyframe(stream: &Stream, now: Instant) -> Vec<Arc<FrameBatch>> {
    let history = stream.history();
    let Some(begin) = history.gop_start(now) else {
        return Vec::new();
    };
    let follow = |media, mut seq: u64| {
        std::iter::from_fn(move || match history.next(media, seq) {
            Next::Batch(batch) => {
                seq = batch.first_seq + batch.packets.len() as u64;
                Some(batch)
            }
            Next::End | Next::Gone => None,
        })
    };
    let mut all: Vec<_> = follow(Media::Video, begin).collect();
    let Some(first) = all.first().cloned().filter(|it| it.keyframe) else {
        return Vec::new();
    };
    // Audio has no key frames, and its history no beginning that is known: it is found by steps back from the end.
    let end = history.end(Media::Audio).unwrap_or(0);
    let oldest = (0..end)
        .rev()
        .take_while(|seq| matches!(history.next(Media::Audio, *seq), Next::Batch(_)))
        .last();
    if let Some(oldest) = oldest {
        all.extend(follow(Media::Audio, oldest).filter(|it| it.closed_at >= first.closed_at));
    }
    all.sort_by_key(|batch| batch.closed_at);
    all
}
