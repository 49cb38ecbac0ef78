//! The credentials a peer's checks may be signed with: the current ones, and after a restart the older ones for a while.
//!
//! An ICE restart (RFC 8445 §9) makes before it breaks: checks under older credentials are answered until the new ones
//! have nominated a pair, and a few seconds more for what is still on its way.

use std::time::{Duration, Instant};

use super::credentials::Credentials;

/// How long older credentials live on once newer ones nominated a pair.
const GRACE: Duration = Duration::from_secs(5);
/// Generations kept: a client that restarts again and again holds no more.
const GENERATIONS_MAX: usize = 3;

#[derive(Debug)]
struct Generation {
    credentials: Credentials,
    nominated: bool,
    expires: Option<Instant>,
}

/// Our side's credentials of one session, over its restarts.
#[derive(Debug)]
pub struct Generations {
    /// Oldest first; never empty.
    all: Vec<Generation>,
}

impl Generations {
    /// A session's first credentials.
    #[must_use]
    pub fn new(credentials: Credentials) -> Self {
        Self {
            all: vec![Generation::of(credentials)],
        }
    }

    /// A restart: checks may be signed with these as well. Gives the ufrag that had to make room.
    pub fn restart(&mut self, credentials: Credentials) -> Option<String> {
        let mut dropped = None;
        if self.all.len() >= GENERATIONS_MAX {
            // The last nominated one carries the media: what was never used goes first.
            let newest_nominated = self.all.iter().rposition(|known| known.nominated);
            let victim = (0..self.all.len())
                .find(|index| Some(*index) != newest_nominated)
                .unwrap_or(0);
            dropped = Some(self.all.remove(victim).credentials.ufrag);
        }
        self.all.push(Generation::of(credentials));
        dropped
    }

    /// The password of checks for `ufrag`; None where it is not one of ours, or not any more.
    #[must_use]
    pub fn pwd(&self, ufrag: &str, now: Instant) -> Option<&str> {
        let known = self.find(ufrag)?;
        let alive = known.expires.is_none_or(|at| now < at);
        alive.then_some(known.credentials.pwd.as_str())
    }

    /// A pair was nominated under `ufrag`: older credentials have had their time.
    pub fn nominated(&mut self, ufrag: &str, now: Instant) {
        let Some(index) = self
            .all
            .iter()
            .position(|known| known.credentials.ufrag == ufrag)
        else {
            return;
        };
        self.all[index].nominated = true;
        for older in &mut self.all[..index] {
            older.expires.get_or_insert(now + GRACE);
        }
    }

    /// Drops the generations whose time is over; their ufrags.
    pub fn expire(&mut self, now: Instant) -> Vec<String> {
        let over = |known: &Generation| known.expires.is_some_and(|at| at <= now);
        if !self.all.iter().any(over) {
            return Vec::new();
        }
        let (gone, kept) = std::mem::take(&mut self.all).into_iter().partition(over);
        self.all = kept;
        let gone: Vec<Generation> = gone;
        gone.into_iter()
            .map(|known| known.credentials.ufrag)
            .collect()
    }

    /// Every ufrag this session may be found by.
    pub fn ufrags(&self) -> impl Iterator<Item = &str> {
        self.all
            .iter()
            .map(|known| known.credentials.ufrag.as_str())
    }

    fn find(&self, ufrag: &str) -> Option<&Generation> {
        self.all
            .iter()
            .find(|known| known.credentials.ufrag == ufrag)
    }
}

impl Generation {
    fn of(credentials: Credentials) -> Self {
        Self {
            credentials,
            nominated: false,
            expires: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(name: &str) -> Credentials {
        Credentials {
            ufrag: name.to_owned(),
            pwd: format!("pwd of {name}"),
        }
    }

    fn ufrags(generations: &Generations) -> Vec<&str> {
        generations.ufrags().collect()
    }

    /// P075.
    #[test]
    fn old_credentials_hold_until_the_new_ones_nominated_and_a_moment_longer() {
        let start = Instant::now();
        let mut generations = Generations::new(credentials("one"));
        generations.nominated("one", start);
        assert_eq!(generations.restart(credentials("two")), None);
        let later = start + Duration::from_secs(3600);
        assert_eq!(generations.pwd("one", later), Some("pwd of one"));
        assert_eq!(generations.pwd("two", later), Some("pwd of two"));
        generations.nominated("two", later);
        assert_eq!(generations.pwd("one", later), Some("pwd of one"));
        generations.nominated("two", later + GRACE / 2);
        assert_eq!(generations.pwd("one", later + GRACE), None);
        assert_eq!(generations.expire(later + GRACE), ["one"]);
        assert_eq!(ufrags(&generations), ["two"]);
        assert!(generations.expire(later + GRACE * 2).is_empty());
        assert_eq!(
            generations.pwd("two", later + GRACE * 9),
            Some("pwd of two")
        );
    }

    #[test]
    fn a_flood_of_restarts_keeps_the_one_that_carries_the_media() {
        let now = Instant::now();
        let mut generations = Generations::new(credentials("first"));
        generations.nominated("first", now);
        let mut dropped = 0;
        for number in 0..100 {
            dropped += usize::from(
                generations
                    .restart(credentials(&number.to_string()))
                    .is_some(),
            );
        }
        assert_eq!(ufrags(&generations), ["first", "98", "99"]);
        assert_eq!(dropped, 101 - GENERATIONS_MAX);
    }
}
