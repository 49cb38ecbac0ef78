//! Viewers that leave: goodbye (RTCP BYE), the last words of their DTLS, and every table forgets them. One, or many at
//! once when a stream stops; then their datagrams share system calls as frames do.

use std::sync::Arc;

use super::shard::Shard;
use super::{Command, Fanout, ViewerHandle};
use crate::net::Route;
use crate::runtime::guarded;
use crate::stream::{Sink, StreamKey};

/// A viewer's key, and the last words of its DTLS.
pub(super) type Leaving = (u64, Vec<Vec<u8>>);

/// Called when viewers were told and forgotten, on their shard's thread.
pub(super) type Told = Box<dyn FnOnce() + Send>;

impl Fanout {
    /// Like [`ViewerHandle::remove`] for several of one shard; `told` is called when that is done, or dropped where the
    /// shard has ended. Few enough at once hold up no frame of another stream.
    pub fn remove_some(
        &self,
        leaving: Vec<(ViewerHandle, Vec<Vec<u8>>)>,
        told: impl FnOnce() + Send + 'static,
    ) {
        let Some(shard) = leaving.first().map(|(viewer, _)| viewer.route.shard) else {
            return;
        };
        let keys = leaving
            .into_iter()
            .map(|(viewer, words)| (viewer.route.key, words));
        let command = Command::RemoveSome(keys.collect(), Box::new(told));
        let _ = self.inner.shards[shard].commands.send(command);
    }
}

impl ViewerHandle {
    /// Which shard has it.
    #[must_use]
    pub fn shard(&self) -> usize {
        self.route.shard
    }
}

impl Shard {
    /// Says goodbye to viewers, then their DTLS' last words, and forgets them.
    pub(super) fn remove(&mut self, leaving: Vec<Leaving>) {
        let first = self.gone.len();
        for (key, last_words) in leaving {
            let Some(index) = self.by_key.remove(&key) else {
                continue;
            };
            self.say_goodbye(index, last_words);
            self.publish(index);
            self.joining.remove(key);
            self.viewers[index].gone = true;
            self.gone.push(index);
        }
        self.outlet.flush_datagrams(&self.sockets);
        self.unroute(first);
        let mut left = None;
        for position in first..self.gone.len() {
            // Nearly always one for all.
            let stream = self.viewers[self.gone[position]].stream;
            if left != Some(stream) {
                self.leave_stream(stream);
                left = Some(stream);
            }
        }
    }

    /// Queues what is still to be said to it.
    fn say_goodbye(&mut self, index: usize, last_words: Vec<Vec<u8>>) {
        let entry = &mut self.viewers[index];
        let outbox = &mut self.outbox;
        self.serving = Some(entry.key);
        let said = guarded(|| {
            entry.viewer.goodbye(outbox);
            for datagram in last_words {
                entry.viewer.transmit(None, datagram, outbox);
            }
        });
        if said.is_none() {
            self.counters.panics.inc();
        }
        self.outlet
            .queue_datagrams(&self.sockets, &outbox.send, entry.viewer.segments);
        outbox.send.clear();
    }

    /// Nothing that comes in is theirs any more: those that have left since `first`.
    fn unroute(&self, first: usize) {
        let gone = || self.gone[first..].iter().map(|index| &self.viewers[*index]);
        self.demux
            .remove_ufrags(gone().flat_map(|entry| entry.viewer.ufrags()));
        let shard = self.index;
        self.demux.remove_addresses(gone().flat_map(|entry| {
            let key = entry.key;
            let paths = entry.viewer.paths();
            paths.map(move |path| (path.socket, path.remote, Route { shard, key }))
        }));
    }

    /// Takes all that have left out of a stream.
    fn leave_stream(&mut self, stream: StreamKey) {
        let Some(playing) = self.streams.get_mut(&stream) else {
            return;
        };
        playing.viewers.retain(|index| !self.viewers[*index].gone);
        if playing.viewers.is_empty() {
            let inbox: Arc<dyn Sink> = self.inbox.clone();
            playing.stream.detach(&inbox);
            self.streams.remove(&stream);
            self.lanes.forget(stream);
        }
    }
}

#[cfg(test)]
#[path = "leaving_tests.rs"]
mod tests;
