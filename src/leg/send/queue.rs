//! Frames on their way to one FFmpeg, bounded: one that stalls loses whole frames up to the next key frame.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::mpsc;

use crate::rtp::Media;
use crate::stats::Counters;
use crate::stream::{FrameBatch, Sink, StreamKey};

use super::InputNumbers;

/// Batches that wait at most; a second of video and audio has about 80.
const BATCHES_MAX: usize = 2048;
/// Bytes that wait at most.
const BYTES_MAX: usize = 16 << 20;

/// The end that a stream delivers to.
pub(crate) struct Inlet {
    sender: mpsc::Sender<Arc<FrameBatch>>,
    state: Arc<State>,
    numbers: Arc<InputNumbers>,
    counters: Arc<Counters>,
}

/// The end that is read.
pub(crate) struct Outlet {
    receiver: mpsc::Receiver<Arc<FrameBatch>>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    bytes: AtomicUsize,
    /// Video was lost: no more of it before a key frame.
    broken: AtomicBool,
}

/// Both ends.
pub(crate) fn queue(numbers: Arc<InputNumbers>, counters: Arc<Counters>) -> (Arc<Inlet>, Outlet) {
    let (sender, receiver) = mpsc::channel(BATCHES_MAX);
    let state = Arc::new(State::default());
    let inlet = Inlet {
        sender,
        state: state.clone(),
        numbers,
        counters,
    };
    (Arc::new(inlet), Outlet { receiver, state })
}

impl Sink for Inlet {
    fn deliver(&self, _: StreamKey, batch: Arc<FrameBatch>) {
        let video = batch.media == Media::Video;
        // Deliveries of one stream come one after the other; the reader only lowers the count.
        let broken = video && self.state.broken.load(Ordering::Relaxed) && !batch.keyframe;
        let len = batch.payload.len();
        let fits = self.state.bytes.load(Ordering::Relaxed) + len <= BYTES_MAX;
        if broken || !fits {
            self.lose(video);
            return;
        }
        self.state.bytes.fetch_add(len, Ordering::Relaxed);
        match self.sender.try_send(batch) {
            Ok(()) if video => self.state.broken.store(false, Ordering::Relaxed),
            Ok(()) => {}
            Err(_) => {
                self.state.bytes.fetch_sub(len, Ordering::Relaxed);
                self.lose(video);
            }
        }
    }
}

impl Inlet {
    fn lose(&self, video: bool) {
        if video {
            self.state.broken.store(true, Ordering::Relaxed);
        }
        self.numbers.frames_dropped.fetch_add(1, Ordering::Relaxed);
        self.counters.input_frames_dropped.inc();
    }
}

impl Outlet {
    /// The next batch; None once the inlet is gone.
    pub(crate) async fn next(&mut self) -> Option<Arc<FrameBatch>> {
        let batch = self.receiver.recv().await;
        batch.map(|batch| self.taken(batch))
    }

    /// The next batch if one waits.
    pub(crate) fn try_next(&mut self) -> Option<Arc<FrameBatch>> {
        let batch = self.receiver.try_recv().ok();
        batch.map(|batch| self.taken(batch))
    }

    /// Whether video waits for a key frame.
    pub(crate) fn is_broken(&self) -> bool {
        self.state.broken.load(Ordering::Relaxed)
    }

    fn taken(&self, batch: Arc<FrameBatch>) -> Arc<FrameBatch> {
        self.state
            .bytes
            .fetch_sub(batch.payload.len(), Ordering::Relaxed);
        batch
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::rtp::codec::Codec;
    use crate::stream::PacketSpan;

    fn batch(media: Media, keyframe: bool, len: usize) -> Arc<FrameBatch> {
        Arc::new(FrameBatch {
            media,
            codec: Codec::H264,
            first_seq: 0,
            timestamp: 0,
            keyframe,
            closed_at: Instant::now(),
            payload: vec![0; len].into(),
            packets: [PacketSpan {
                offset: 0,
                len: 1,
                marker: true,
            }]
            .into(),
        })
    }

    #[test]
    fn an_ffmpeg_that_stalls_loses_whole_frames_up_to_the_next_key_frame() {
        let (numbers, counters) = (Arc::new(InputNumbers::default()), Arc::default());
        let (inlet, mut outlet) = queue(numbers.clone(), Arc::clone(&counters));
        let deliver = |media, keyframe, len| {
            inlet.deliver(StreamKey(1), batch(media, keyframe, len));
        };
        deliver(Media::Video, true, BYTES_MAX);
        deliver(Media::Video, false, 1);
        assert!(outlet.is_broken());
        assert!(outlet.try_next().unwrap().keyframe);
        deliver(Media::Video, false, 1);
        deliver(Media::Audio, false, 1);
        deliver(Media::Video, true, 1);
        deliver(Media::Video, false, 1);
        assert!(!outlet.is_broken());
        let rest: Vec<_> = std::iter::from_fn(|| outlet.try_next())
            .map(|it| (it.media, it.keyframe))
            .collect();
        assert_eq!(
            rest,
            [
                (Media::Audio, false),
                (Media::Video, true),
                (Media::Video, false)
            ]
        );
        assert_eq!(numbers.frames_dropped.load(Ordering::Relaxed), 2);
        assert_eq!(counters.input_frames_dropped.value(), 2);
    }

    #[test]
    fn a_queue_nobody_reads_is_bounded_in_batches_too() {
        let (inlet, mut outlet) = queue(Arc::default(), Arc::default());
        for _ in 0..BATCHES_MAX + 10 {
            inlet.deliver(StreamKey(1), batch(Media::Audio, false, 1));
        }
        let count = std::iter::from_fn(|| outlet.try_next()).count();
        assert_eq!(count, BATCHES_MAX);
    }
}
