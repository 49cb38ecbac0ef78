//! What a panic leaves of a shard: everything, but for what it was about.

use super::outlet::Outlet;
use super::shard::Shard;
use crate::peer::Outbox;
use crate::runtime::guarded;

/// Panics at a viewer's turn after which it ends: one may be the fault of what was sent, not of the viewer.
const PANICS_MAX: u8 = 3;

impl Shard {
    /// Does a piece of the shard's work; None where it panicked. That is counted, what was half done is forgotten, and
    /// the shard goes on.
    pub(super) fn guard<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.serving = None;
        let done = guarded(|| work(self));
        if done.is_none() {
            self.counters.panics.inc();
            self.mend();
        }
        done
    }

    fn mend(&mut self) {
        self.outlet = Outlet::default();
        self.outbox = Outbox::default();
        // Whose frame was begun may have missed a part: on with the next one.
        for (_, entry) in &mut self.viewers {
            entry.in_frame = [false; 2];
        }
        self.publishers.mend(self.serving);
        let Some(key) = self.serving.take() else {
            return;
        };
        self.joining.remove(key);
        let Some(index) = self.by_key.get(&key).copied() else {
            return;
        };
        let entry = &mut self.viewers[index];
        entry.panics += 1;
        if entry.panics < PANICS_MAX {
            return;
        }
        entry.broken = true;
        if let Some(playing) = self.streams.get_mut(&entry.stream) {
            playing.viewers.retain(|viewer| *viewer != index);
        }
    }
}
