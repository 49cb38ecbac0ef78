//! What a publisher gives its ingest: plain RTP and RTCP in one buffer that is reused.

use std::ops::Range;

/// Packets for the ingest, in order.
#[derive(Debug, Default)]
pub struct Published {
    /// Bytes of the packets, and between them what is left of others.
    pub(super) bytes: Vec<u8>,
    spans: Vec<Range<usize>>,
}

impl Published {
    /// The packets, in order.
    pub fn packets(&self) -> impl Iterator<Item = &[u8]> {
        self.spans.iter().map(|span| &self.bytes[span.clone()])
    }

    /// Nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Forgets everything, but not the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }

    /// What stands at `span` of the bytes is the next packet.
    pub(super) fn push(&mut self, span: Range<usize>) {
        self.spans.push(span);
    }

    /// `write` appends the next packet.
    pub(super) fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.spans.push(start..self.bytes.len());
    }
}
