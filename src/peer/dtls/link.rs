//! What a connection and libssl's callbacks share: the datagram being read, those to send, the fingerprints.
//!
//! Interior mutability, because the callbacks run inside libssl's calls; no method can panic.

use std::cell::Cell;
use std::collections::VecDeque;

use super::fingerprint::Fingerprints;
use super::policy::MAX_QUEUED;

/// Shared by one connection and its callbacks, on one thread at a time.
pub(super) struct Link {
    incoming: Cell<Option<Vec<u8>>>,
    outgoing: Cell<VecDeque<Vec<u8>>>,
    fingerprints: Fingerprints,
    refused: Cell<bool>,
}

impl Link {
    pub(super) fn new(fingerprints: Fingerprints) -> Self {
        Self {
            incoming: Cell::new(None),
            outgoing: Cell::new(VecDeque::new()),
            fingerprints,
            refused: Cell::new(false),
        }
    }

    /// The datagram that the library reads next.
    pub(super) fn put_incoming(&self, datagram: &[u8]) {
        self.incoming.set(Some(datagram.to_vec()));
    }

    pub(super) fn take_incoming(&self) -> Option<Vec<u8>> {
        self.incoming.take()
    }

    /// Keeps a datagram for the caller, or drops it when too many wait.
    pub(super) fn put_outgoing(&self, datagram: &[u8]) {
        let mut queue = self.outgoing.take();
        if queue.len() < MAX_QUEUED {
            queue.push_back(datagram.to_vec());
        }
        self.outgoing.set(queue);
    }

    /// Gives the queue's memory back with the last datagram.
    pub(super) fn take_outgoing(&self) -> Option<Vec<u8>> {
        let mut queue = self.outgoing.take();
        let datagram = queue.pop_front();
        if !queue.is_empty() {
            self.outgoing.set(queue);
        }
        datagram
    }

    /// RFC 8122 §5: the certificate the peer proves to own must be the one of its SDP.
    pub(super) fn accepts(&self, certificate: &[u8]) -> bool {
        let accepted = self.fingerprints.matches(certificate);
        self.refused.set(!accepted);
        accepted
    }

    /// A certificate was turned away.
    pub(super) fn refused(&self) -> bool {
        self.refused.get()
    }
}
