//! The end of a stream, in two steps: first it has ended for whoever looks, then whoever waits for that is woken.

use std::sync::atomic::Ordering;

use serde_json::json;

use super::Stream;
use crate::events::EventKind;

impl Stream {
    /// No packet will come any more; who looks sees `ended`. Who waits for it is woken by [`Stream::announce_end`].
    pub fn end(&self) {
        if self.ended.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut was_live = false;
        // Silently: every viewer's session waits for this, and most are ended together before they need to wake up.
        self.info.send_if_modified(|info| {
            was_live = info.turn_live(None);
            info.ended = true;
            false
        });
        if was_live {
            self.events
                .push(EventKind::StreamInactive, &self.id, json!({}));
        }
        self.warnings.clear_all();
    }

    /// After [`Stream::end`]: wakes whoever watches.
    pub fn announce_end(&self) {
        self.info.send_if_modified(|info| info.ended);
    }
}
