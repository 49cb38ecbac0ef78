//! A publisher moves to the shard whose socket its packets come to, once, when it connects: the kernel spreads senders over
//! the sockets of a port by their addresses, and a thread woken for each packet to hand it to another is work done twice.
//!
//! What it feeds stays where it is: a frame's packets cross over together. Its session speaks to the shard it began on, which
//! passes on what is for it.

use super::Command;
use super::publishers::Entry;
use super::shard::Shard;
use crate::net::Route;

impl Shard {
    /// The publisher is connected: it moves where its packets come to.
    pub(super) fn go_home(&mut self, key: u64) {
        let here = self.index;
        let Some(home) = self.publishers.arrives_at(key).filter(|it| *it != here) else {
            return;
        };
        if let Some(entry) = self.publishers.leave_for(key, home) {
            let _ = self.peers[home]
                .commands
                .send(Command::Adopt(key, Box::new(entry), here));
        }
    }

    /// A publisher comes from shard `before`.
    pub(super) fn adopt(&mut self, key: u64, entry: Entry, before: usize) {
        let old = Route { shard: before, key };
        let new = Route {
            shard: self.index,
            key,
        };
        let paths = entry.publisher.paths();
        let addresses = paths.map(|path| (path.socket, path.remote));
        self.demux
            .reroute(old, new, entry.publisher.ufrags(), addresses);
        self.publishers.settle(key, entry);
    }

    /// What is for a publisher that has moved is passed on, and comes back where it has not.
    pub(super) fn pass_on(&mut self, command: Command) -> Option<Command> {
        let moved = command
            .key()
            .and_then(|key| Some((key, self.publishers.moved_to(key)?)));
        let Some((key, home)) = moved else {
            return Some(command);
        };
        if matches!(command, Command::Remove(..)) {
            self.publishers.forget_move(key);
        }
        match command {
            command @ Command::Datagram(..) => {
                self.peers[self.index].taken();
                if !self.peers[home].forward(command) {
                    self.counters.datagrams_unknown.inc();
                }
            }
            command => {
                let _ = self.peers[home].commands.send(command);
            }
        }
        None
    }
}
