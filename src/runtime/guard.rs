//! Keeps a bug in the handling of one packet from ending a thread that serves many.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Does a piece of work; None where it panicked. The caller counts it (`panics`) and mends what was half done; the
/// panic hook has told the log where it was.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}
