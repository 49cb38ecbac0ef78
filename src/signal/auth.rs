//! Who may play or publish: tokens (compared in constant time) and the host's auth callback.

use std::sync::Arc;

/// What a client wants to do; the numbers are those of `CORERTC_ACTION_…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs)]
pub enum Action {
    Play = 1,
    Publish = 2,
}

/// What the host's callback is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthQuery {
    /// Play or publish.
    pub action: Action,
    /// The stream's id, percent-decoded.
    pub stream_id: String,
    /// Bearer token or `?token=`, empty where none.
    pub token: String,
    /// The raw query string.
    pub query: String,
    /// Remote address as text, empty where unknown.
    pub remote_addr: String,
    /// `User-Agent`, empty where none.
    pub user_agent: String,
}

/// The host's answer: None where no callback is set; 0 or 200 lets in, else the HTTP status of the refusal.
/// Called on a blocking thread; may take its time.
pub type AuthHook = Arc<dyn Fn(&AuthQuery) -> Option<i32> + Send + Sync>;
