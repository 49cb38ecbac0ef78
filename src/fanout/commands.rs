//! What sessions and other shards tell a shard to do.

use std::time::{Instant, SystemTime};

use super::Command;
use super::shard::Shard;

impl Shard {
    /// Does it; `index` is this shard's own.
    pub(super) fn command(&mut self, command: Command, index: usize, now: Instant) {
        let Some(command) = self.pass_on(command) else {
            return;
        };
        match command {
            Command::Add(key, viewer) => self.add(key, *viewer, now),
            Command::AddPublisher(key, publisher) => self.add_publisher(key, *publisher, now),
            Command::Keyframe(key, rid) => {
                self.with_publisher(key, |publisher, _| {
                    publisher.want_keyframe(rid.as_deref(), now);
                });
            }
            Command::Transmit(key, path, bytes) if self.publishers.has(key) => {
                self.with_publisher(key, |publisher, out| publisher.transmit(path, bytes, out));
            }
            Command::Transmit(key, path, bytes) => {
                self.with_viewer(key, |viewer, out| viewer.transmit(path, bytes, out));
            }
            Command::Connect(key, keys, path) if self.publishers.has(key) => {
                let mut refused = None;
                self.with_publisher(key, |publisher, out| {
                    refused = publisher.connect(&keys, path, now, out).err();
                });
                match refused {
                    Some(error) => self.refuse_publisher(key, &error.to_string()),
                    None => self.go_home(key),
                }
            }
            Command::Connect(key, keys, path) => {
                let mut refused = None;
                self.with_viewer(key, |viewer, out| {
                    refused = viewer.connect(&keys, path, now, out).err()
                });
                if let Some(error) = refused {
                    self.refuse(key, error.to_string());
                } else {
                    self.connected(key, now);
                    self.begins(key, now);
                }
            }
            Command::RestartIce(key, credentials, done) => {
                self.restart_ice(key, credentials);
                let _ = done.send(());
            }
            Command::Remove(key, mut last_words, done) => {
                if !self.remove_publisher(key, &mut last_words) {
                    self.remove(vec![(key, last_words)]);
                }
                // Nobody waits any more: fine.
                let _ = done.send(());
            }
            Command::RemoveSome(leaving, told) => {
                self.remove(leaving);
                told();
            }
            Command::Datagram(key, path, bytes, credit, from) => {
                self.peers[index].taken();
                let wall = SystemTime::now();
                if self.publishers.has(key) {
                    self.publishers.arrived_at(key, from);
                    self.with_publisher(key, |publisher, out| {
                        publisher.datagram(path, &bytes, credit, now, out);
                    });
                } else {
                    self.with_viewer(key, |viewer, out| {
                        viewer.datagram(path, &bytes, credit, now, wall, out)
                    });
                }
            }
            Command::Adopt(key, publisher, before) => self.adopt(key, *publisher, before),
            Command::Spawn(make) => {
                tokio::task::spawn_local(make());
            }
            #[cfg(test)]
            Command::Test(work) => work(self),
            Command::Stop => {}
        }
    }
}
