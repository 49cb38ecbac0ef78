//! Is a stream as viewers need it: both legs alive, key frames near enough? Looked at with every packet, no timer needed.

use std::time::{Duration, Instant};

use serde_json::json;

use super::warnings::Warning;
use super::{Stream, StreamInfo};
use crate::rtp::Media;

/// A medium silent for this long, while the other is not, has stopped.
const STOPPED: Duration = Duration::from_secs(3);

/// Key frames further apart than this make viewers wait. 10 s are usual for files and cameras; the default of GOP_CACHE_MS
/// holds as much as this.
const LONG_GOP: Duration = Duration::from_secs(12);

/// A medium that stops and goes on all the time is not told of more often.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// What one ingest remembers to judge by.
#[derive(Debug, Default)]
pub(super) struct Health {
    legs: [LegHealth; 2],
    keyframe: Option<Instant>,
    told: Option<Instant>,
}

/// A leg's packets: the last, and since when they came without a pause.
#[derive(Debug, Default)]
struct LegHealth {
    last: Option<Instant>,
    since: Option<Instant>,
}

impl Health {
    /// A packet of a medium came. `both`: the stream should have the other medium too.
    pub(super) fn packet(&mut self, media: Media, both: bool, stream: &Stream, now: Instant) {
        let leg = &mut self.legs[media as usize];
        let paused = leg
            .last
            .is_none_or(|last| now.saturating_duration_since(last) >= STOPPED);
        if paused {
            leg.since = Some(now);
        }
        leg.last = Some(now);
        stream.clear_warning(Warning::LegStopped, media);
        if both {
            self.other(media, stream, now);
        }
    }

    /// A video frame went out.
    pub(super) fn video(&mut self, keyframe: bool, stream: &Stream, now: Instant) {
        let long = self
            .keyframe
            .is_some_and(|before| now.saturating_duration_since(before) > LONG_GOP);
        if long {
            let detail = json!({ "media": "video", "longer_than_ms": LONG_GOP.as_millis() });
            stream.raise(Warning::LongGop, Media::Video, detail);
        }
        if keyframe {
            if !long {
                stream.clear_warning(Warning::LongGop, Media::Video);
            }
            self.keyframe = Some(now);
        }
        // A run that begins in the middle of a group counts from there.
        self.keyframe.get_or_insert(now);
    }

    /// The whole stream fell silent, or other legs are announced: nothing can be said of it.
    pub(super) fn silent(&mut self, stream: &Stream) {
        *self = Self {
            told: self.told,
            ..Self::default()
        };
        for media in [Media::Video, Media::Audio] {
            stream.clear_warning(Warning::LegStopped, media);
        }
        stream.clear_warning(Warning::LongGop, Media::Video);
    }

    /// The other medium, while this one goes on.
    fn other(&mut self, media: Media, stream: &Stream, now: Instant) {
        let other = match media {
            Media::Video => Media::Audio,
            Media::Audio => Media::Video,
        };
        let long_ago = |at: Instant| now.saturating_duration_since(at) >= STOPPED;
        let goes_on = self.legs[media as usize].since.is_some_and(long_ago);
        let last = self.legs[other as usize].last;
        if !goes_on || last.is_some_and(|last| !long_ago(last)) {
            return;
        }
        if self
            .told
            .is_some_and(|told| now.saturating_duration_since(told) < TELL_AGAIN)
        {
            stream.hold_warning(Warning::LegStopped, other);
            return;
        }
        let detail = json!({ "media": other.name(), "ever_came": last.is_some() });
        if stream.raise(Warning::LegStopped, other, detail) {
            self.told = Some(now);
        }
    }
}

impl StreamInfo {
    /// Packets come since then, or no more; whether that is something new.
    pub(super) fn turn_live(&mut self, since: Option<Instant>) -> bool {
        let new = !self.ended && self.live != since.is_some();
        if new {
            self.live = since.is_some();
            self.live_since = since;
        }
        new
    }
}

impl Stream {
    /// Another publisher takes the stream on and brings these media (video, audio). Nothing of it came yet; what it does not
    /// bring is waited for by nobody.
    pub(super) fn is_taken_on(&self, [video, audio]: [bool; 2]) {
        let expectation = self.expectation();
        self.info.send_if_modified(|info| {
            let before = *info;
            info.expected = (
                video && expectation.video.is_some(),
                audio && expectation.audio.is_some(),
            );
            info.video = info.video.filter(|_| video);
            info.audio = info.audio.filter(|_| audio);
            let differs = *info != before;
            info.live_since = None;
            differs
        });
    }

    /// The first packet of that publisher has come.
    pub(super) fn begins(&self, now: Instant) {
        self.info.send_if_modified(|info| {
            info.live_since = Some(now);
            false
        });
    }
}
