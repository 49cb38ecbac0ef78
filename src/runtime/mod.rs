//! Threads: named `corertc-*`, signal-masked; the control runtime; shutdown with a deadline.
