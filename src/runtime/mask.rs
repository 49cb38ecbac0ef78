//! Signal masks of our threads: a host's handlers never run on them, SIGPIPE never kills the host from them.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

/// Signals our threads keep: the synchronous ones, and those profilers and the Go runtime need (SIGPROF, SIGURG).
const KEPT: [libc::c_int; 8] = [
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGSEGV,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGPROF,
    libc::SIGURG,
];

/// While it lives, the calling thread has our mask; threads it starts inherit it. Dropping restores the old mask.
pub(super) struct Masked {
    before: libc::sigset_t,
}

impl Masked {
    /// Sets our mask on the calling thread.
    pub(super) fn enter() -> Self {
        let ours = ours();
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: both sets are valid for the call; pthread_sigmask fills `before` and fails only on a bad `how`.
        let before = unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const ours, before.as_mut_ptr());
            before.assume_init()
        };
        Self { before }
    }
}

impl Drop for Masked {
    fn drop(&mut self) {
        // SAFETY: `before` was filled by pthread_sigmask in `enter`.
        unsafe {
            libc::pthread_sigmask(
                libc::SIG_SETMASK,
                &raw const self.before,
                std::ptr::null_mut(),
            );
        }
    }
}

/// Sets our mask on the calling thread for good (threads tokio starts later, from a thread of the host's).
pub(super) fn block_for_thread() {
    let ours = ours();
    // SAFETY: the set is valid; a null old set is allowed.
    unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const ours, std::ptr::null_mut());
    }
}

fn ours() -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set; sigdelset only clears members of it.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        for signal in KEPT {
            libc::sigdelset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}
