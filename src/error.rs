//! The subsystem's error: what a C call can answer, with the words that name the argument or address at fault.

use thiserror::Error;

/// Why a call failed. Each variant has one `CORERTC_E_…` status; the text goes into `corertc_error.message`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument, option or address is wrong; the text names it.
    #[error("{0}")]
    Invalid(String),
    /// The caller's buffer is too small; the lengths say what suffices.
    #[error("{0}")]
    TooSmall(String),
    /// No such process, input or session.
    #[error("{0}")]
    NotFound(String),
    /// Closing, closed, or a wait that would deadlock from a callback.
    #[error("{0}")]
    State(String),
    /// The deadline passed.
    #[error("{0}")]
    Timeout(String),
    /// A configured limit, or no free ports.
    #[error("{0}")]
    Limit(String),
    /// The operating system refused; the text has its words.
    #[error("{0}")]
    Io(String),
    /// Unknown option, codec or feature not in this build.
    #[error("{0}")]
    Unsupported(String),
}

impl Error {
    /// The C status code of `corertc.h`.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::Invalid(_) => -1,
            Self::TooSmall(_) => -2,
            Self::NotFound(_) => -3,
            Self::State(_) => -4,
            Self::Timeout(_) => -5,
            Self::Limit(_) => -6,
            Self::Io(_) => -7,
            Self::Unsupported(_) => -8,
        }
    }
}
