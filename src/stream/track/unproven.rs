//! What is held back of a run that has still to prove its codec, and is dropped where it does not.

use crate::stream::Stream;

use super::Track;

impl Track {
    /// Drops what an unproven run has gathered.
    pub(super) fn drop_unproven(&mut self, stream: &Stream) {
        if self.verifier.is_verified() {
            return;
        }
        let open = self.gather.clear();
        self.prepend_params = false;
        self.count_dropped(open, stream);
        self.drop_held(stream);
    }

    pub(super) fn drop_held(&mut self, stream: &Stream) {
        for closed in std::mem::take(&mut self.held) {
            self.count_dropped(closed.packets.len() as u64 - closed.prepended, stream);
        }
    }

    fn count_dropped(&self, packets: u64, stream: &Stream) {
        stream.counters().leg_drops.add(packets);
        if self.verifier.mismatch {
            stream.counters().leg_codec_mismatch.add(packets);
        }
    }
}
