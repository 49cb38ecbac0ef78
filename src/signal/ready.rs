//! Waits until a stream can be played: packets come, and the tracks the host promised are known.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::stream::{Stream, StreamInfo};

/// A stream that has come to life gets so long for its second track before it is played without: its first viewers wait,
/// later ones don't where there is none.
const SECOND_TRACK_WAIT: Duration = Duration::from_secs(1);

/// True as soon as `stream` can be played, waiting at most `hold` for its first packet and until it is live for a second for
/// the other track; false where it has nothing to play.
pub(super) async fn wait(stream: &Arc<Stream>, hold: Duration) -> bool {
    let mut watch = stream.watch();
    let held = until(&mut watch, Instant::now() + hold, |info| {
        info.ended || has_track(info)
    });
    // Packets are coming but no track is known yet: it will be in a moment, held or not.
    if !held.await && !watch.borrow().live {
        return false;
    }
    let whole = |info: &StreamInfo| info.ended || is_whole(info);
    let since = watch.borrow().live_since;
    let since = since.map_or_else(Instant::now, Instant::from_std);
    until(&mut watch, since + SECOND_TRACK_WAIT, whole).await;
    let info = *watch.borrow();
    has_track(&info)
}

fn has_track(info: &StreamInfo) -> bool {
    info.live && !info.ended && (info.video.is_some() || info.audio.is_some())
}

fn is_whole(info: &StreamInfo) -> bool {
    let (video, audio) = info.expected;
    has_track(info) && (!video || info.video.is_some()) && (!audio || info.audio.is_some())
}

/// Waits for `wanted` until `deadline`; whether it came true. At once where it holds already.
async fn until(
    watch: &mut watch::Receiver<StreamInfo>,
    deadline: Instant,
    wanted: impl Fn(&StreamInfo) -> bool,
) -> bool {
    let seen = timeout_at(deadline, watch.wait_for(|info| wanted(info))).await;
    matches!(seen, Ok(Ok(_)))
}
