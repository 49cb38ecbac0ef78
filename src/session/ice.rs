//! The ICE side of a session as PATCH sees it: its entity tag, the client's credentials, trickle and restart
//! (RFC 9725 §4.3).

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::Instant;

use super::allowance::Allowance;
use super::state::Session;
use crate::peer::ice::credentials::Credentials;
use crate::sdp::{Fragment, restart_fragment};

/// Earlier client ufrags remembered: PATCHes come late and out of order (P067).
const EARLIER_MAX: usize = 8;
/// PATCHes of one session at once, and per second: a browser sends one per candidate, at most some dozens.
const PATCHES_BURST: u32 = 100;
const PATCHES_PER_S: u32 = 10;

/// A request's `If-Match` (RFC 9110 §13.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// There is none.
    Missing,
    /// `*`.
    Any,
    /// Strong tags, without their quotes; weak ones never match and are left out.
    Tags(Vec<String>),
}

/// What a PATCH did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patched {
    /// Candidates were read: 204.
    Trickled,
    /// ICE restarts: 200.
    Restarted {
        /// The fragment to answer.
        fragment: String,
        /// The new entity tag, without quotes.
        etag: String,
    },
}

/// Why a PATCH is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// 404.
    #[error("this session has ended")]
    Gone,
    /// 428.
    #[error("If-Match is needed: the session's ETag, or * to restart ICE")]
    Required,
    /// 412.
    #[error("If-Match: not the entity tag of the current ICE session")]
    Stale,
    /// 429.
    #[error("too many PATCHes of one session")]
    Flood,
    /// 503.
    #[error("{0}")]
    Internal(String),
}

/// What follows from a fragment that may pass.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Trickle,
    Restart,
}

/// The current ICE session.
#[derive(Debug)]
pub(super) struct Ice {
    etag: String,
    remote_ufrag: String,
    remote_pwd: String,
    earlier: VecDeque<String>,
    /// The SDP answer: what of it is ICE's is said again in a restart.
    answer: String,
    allowance: Allowance,
}

impl Ice {
    pub(super) fn new(etag: &str, remote: (&str, &str), answer: &str, now: Instant) -> Self {
        Self {
            etag: etag.to_owned(),
            remote_ufrag: remote.0.to_owned(),
            remote_pwd: remote.1.to_owned(),
            earlier: VecDeque::new(),
            answer: restart_fragment(answer, "", ""),
            allowance: Allowance::new(PATCHES_BURST, now),
        }
    }

    /// What a PATCH means here (P051–P053, P069, P070), nothing changed yet but its share of the allowance.
    pub(super) fn step(
        &mut self,
        fragment: &Fragment,
        if_match: &IfMatch,
        strict: bool,
        now: Instant,
    ) -> Result<Step, PatchError> {
        if !self.allowance.take(PATCHES_BURST, PATCHES_PER_S, 1.0, now) {
            return Err(PatchError::Flood);
        }
        let ufrag = fragment.ufrag.as_deref();
        let late = ufrag.is_some_and(|ufrag| self.earlier.iter().any(|known| known == ufrag));
        let current = ufrag.is_none_or(|ufrag| ufrag == self.remote_ufrag);
        let step = match (ufrag, fragment.pwd.as_deref()) {
            // P070: both are new. A PATCH that was overtaken by a restart is no restart.
            (Some(_), Some(pwd)) if !(late || current && pwd == self.remote_pwd) => Step::Restart,
            _ => Step::Trickle,
        };
        match if_match {
            IfMatch::Any => {}
            IfMatch::Tags(tags) if tags.contains(&self.etag) => {}
            IfMatch::Tags(_) => return Err(PatchError::Stale),
            // P052: lenient for pages that can't read the ETag, and for clients that never send it.
            IfMatch::Missing if !strict && (current || step == Step::Restart) => {}
            IfMatch::Missing => return Err(PatchError::Required),
        }
        if step == Step::Trickle && !current {
            tracing::debug!("candidates of another ICE session are left aside");
        }
        Ok(step)
    }

    /// The restart happens: from now on these are the session's credentials and tag. Gives what to answer.
    pub(super) fn restart(&mut self, fragment: &Fragment, ours: &Credentials) -> Patched {
        let remote = fragment.ufrag.clone().unwrap_or_default();
        let old = std::mem::replace(&mut self.remote_ufrag, remote);
        if self.earlier.len() >= EARLIER_MAX {
            self.earlier.pop_front();
        }
        self.earlier.push_back(old);
        self.remote_pwd = fragment.pwd.clone().unwrap_or_default();
        self.etag.clone_from(&ours.ufrag);
        Patched::Restarted {
            fragment: restart_fragment(&self.answer, &ours.ufrag, &ours.pwd),
            etag: self.etag.clone(),
        }
    }
}

impl Session {
    /// What a PATCH does; a restart is done once the future resolves. One after the other (P067).
    pub(super) fn patch(
        &self,
        fragment: &Fragment,
        if_match: &IfMatch,
        strict: bool,
        now: Instant,
    ) -> Result<(Patched, Option<impl Future<Output = ()> + use<>>), PatchError> {
        let mut ice = self.ice.lock().unwrap_or_else(PoisonError::into_inner);
        if ice.step(fragment, if_match, strict, now)? == Step::Trickle {
            return Ok((Patched::Trickled, None));
        }
        let credentials =
            Credentials::draw().map_err(|error| PatchError::Internal(error.to_string()))?;
        let viewer = self.viewer.get().ok_or(PatchError::Gone)?;
        let patched = ice.restart(fragment, &credentials);
        Ok((patched, Some(viewer.restart_ice(credentials))))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ice(now: Instant) -> Ice {
        Ice::new("tag1", ("aaaa", "pwd-a"), "", now)
    }

    fn fragment(ufrag: &str, pwd: &str) -> Fragment {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Fragment {
            ufrag: given(ufrag),
            pwd: given(pwd),
            ..Fragment::default()
        }
    }

    fn tags(list: &[&str]) -> IfMatch {
        IfMatch::Tags(list.iter().map(|&tag| tag.to_owned()).collect())
    }

    /// P051, P052, P053, P069.
    #[test]
    fn the_precondition_is_held_by_its_policy() {
        let now = Instant::now();
        let step = |ufrag: &str, pwd: &str, if_match: &IfMatch, strict| {
            ice(now).step(&fragment(ufrag, pwd), if_match, strict, now)
        };
        for strict in [false, true] {
            for good in [IfMatch::Any, tags(&["other", "tag1"])] {
                assert_eq!(step("aaaa", "pwd-a", &good, strict), Ok(Step::Trickle));
                assert_eq!(step("", "", &good, strict), Ok(Step::Trickle));
                assert_eq!(step("bbbb", "pwd-b", &good, strict), Ok(Step::Restart));
                // No pwd: not a restart; discarded.
                assert_eq!(step("bbbb", "", &good, strict), Ok(Step::Trickle));
            }
            for stale in [tags(&["tag0"]), tags(&[])] {
                assert_eq!(
                    step("aaaa", "pwd-a", &stale, strict),
                    Err(PatchError::Stale)
                );
                assert_eq!(
                    step("bbbb", "pwd-b", &stale, strict),
                    Err(PatchError::Stale)
                );
            }
        }
        let missing = IfMatch::Missing;
        assert_eq!(step("aaaa", "pwd-a", &missing, false), Ok(Step::Trickle));
        assert_eq!(step("", "", &missing, false), Ok(Step::Trickle));
        assert_eq!(step("bbbb", "pwd-b", &missing, false), Ok(Step::Restart));
        assert_eq!(step("bbbb", "", &missing, false), Err(PatchError::Required));
        assert_eq!(
            step("aaaa", "pwd-a", &missing, true),
            Err(PatchError::Required)
        );
        assert_eq!(
            step("bbbb", "pwd-b", &missing, true),
            Err(PatchError::Required)
        );
    }

    /// P067: a PATCH that was overtaken by a restart changes nothing.
    #[test]
    fn a_late_patch_of_an_earlier_ice_session_is_no_restart() {
        let now = Instant::now();
        let mut ice = ice(now);
        let ours = Credentials {
            ufrag: "tag2".to_owned(),
            pwd: "pwd".to_owned(),
        };
        let new = fragment("bbbb", "pwd-b");
        assert_eq!(ice.step(&new, &IfMatch::Any, true, now), Ok(Step::Restart));
        let Patched::Restarted { etag, .. } = ice.restart(&new, &ours) else {
            panic!("no restart");
        };
        assert_eq!(etag, "tag2");
        let old = fragment("aaaa", "pwd-a");
        assert_eq!(ice.step(&old, &IfMatch::Any, true, now), Ok(Step::Trickle));
        assert_eq!(
            ice.step(&old, &tags(&["tag1"]), true, now),
            Err(PatchError::Stale)
        );
        // The same restart again is none (P067: idempotent).
        assert_eq!(ice.step(&new, &IfMatch::Any, true, now), Ok(Step::Trickle));
    }

    #[test]
    fn a_flood_of_patches_is_stopped_and_may_go_on_later() {
        let now = Instant::now();
        let mut ice = ice(now);
        let end = fragment("", "");
        let passed = (0..1000)
            .filter(|_| ice.step(&end, &IfMatch::Any, true, now).is_ok())
            .count();
        assert_eq!(passed, PATCHES_BURST as usize);
        assert_eq!(
            ice.step(&end, &IfMatch::Any, true, now),
            Err(PatchError::Flood)
        );
        let later = now + Duration::from_secs(1);
        assert_eq!(
            ice.step(&end, &IfMatch::Any, true, later),
            Ok(Step::Trickle)
        );
    }
}
