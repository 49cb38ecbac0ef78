//! Viewers that leave: goodbye (RTCP BYE), the last words of their DTLS, and every table forgets them. One, or many at
//! once when a stream stops; then their datagrams share system calls as frames do.

use std::convert::Infallible;
use std::sync::{Arc, mpsc};

use super::shard::Shard;
use super::{Command, Fanout, ViewerHandle};
use crate::net::Route;
use crate::runtime::guarded;
use crate::stream::Sink;

/// Viewers a shard parts with before it does anything else again: what other streams wait for it is well under a frame.
const AT_ONCE: usize = 64;

/// A viewer's key, and the last words of its DTLS.
pub(super) type Leaving = (u64, Vec<Vec<u8>>);

impl Fanout {
    /// Like [`ViewerHandle::remove`] for many. What is returned disconnects when all were told and forgotten; shards begin
    /// while the iterator still makes last words.
    pub fn remove_all(
        &self,
        leaving: impl Iterator<Item = (ViewerHandle, Vec<Vec<u8>>)>,
    ) -> mpsc::Receiver<Infallible> {
        let (held, all_done) = mpsc::channel();
        let shards = &self.inner.shards;
        let tell = |shard: usize, leaving: Vec<Leaving>| {
            let command = Command::RemoveAll(leaving, held.clone());
            let _ = shards[shard].commands.send(command);
        };
        let mut waiting: Vec<Vec<Leaving>> = shards.iter().map(|_| Vec::new()).collect();
        for (viewer, last_words) in leaving {
            let shard = viewer.route.shard;
            waiting[shard].push((viewer.route.key, last_words));
            if waiting[shard].len() >= AT_ONCE {
                tell(shard, std::mem::take(&mut waiting[shard]));
            }
        }
        for (shard, leaving) in waiting.into_iter().enumerate() {
            if !leaving.is_empty() {
                tell(shard, leaving);
            }
        }
        all_done
    }
}

impl Shard {
    /// Says goodbye to viewers, then their DTLS' last words, and forgets them.
    pub(super) fn remove(&mut self, leaving: Vec<Leaving>) {
        let mut streams = Vec::new();
        for (key, last_words) in leaving {
            let Some(index) = self.by_key.remove(&key) else {
                continue;
            };
            self.say_goodbye(index, last_words);
            self.publish(index);
            let stream = self.forget(index);
            if !streams.contains(&stream) {
                streams.push(stream);
            }
        }
        self.outlet.flush_datagrams(&self.sockets);
        for stream in streams {
            let Some(playing) = self.streams.get_mut(&stream) else {
                continue;
            };
            playing
                .viewers
                .retain(|index| self.viewers.contains(*index));
            if playing.viewers.is_empty() {
                let inbox: Arc<dyn Sink> = self.inbox.clone();
                playing.stream.detach(&inbox);
                self.streams.remove(&stream);
                self.lanes.forget(stream);
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

    /// Takes it out of every table but its stream's, whose key is returned.
    fn forget(&mut self, index: usize) -> crate::stream::StreamKey {
        let entry = self.viewers.remove(index);
        self.joining.remove(entry.key);
        for ufrag in entry.viewer.ufrags() {
            self.demux.remove_ufrag(ufrag);
        }
        let route = Route {
            shard: self.index,
            key: entry.key,
        };
        for path in entry.viewer.paths() {
            self.demux.remove_address(path.socket, path.remote, route);
        }
        let stream = entry.stream;
        self.gone.push(entry);
        stream
    }
}
