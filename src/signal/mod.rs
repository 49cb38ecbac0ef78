//! WHEP and WHIP as transport-free request → response (`http` types, no sockets), and who may do what.

pub mod auth;
pub mod whep;

use std::sync::Arc;

use bytes::Bytes;

use crate::config::Settings;
use crate::session::Sessions;
use crate::stats::Counters;
use crate::stream::Streams;

/// Everything a request needs. Cheap to clone.
#[derive(Clone)]
pub struct Signal {
    /// The validated configuration.
    pub settings: Arc<Settings>,
    /// Live streams by id.
    pub streams: Streams,
    /// Sessions: create, find, end.
    pub sessions: Sessions,
    /// The host's auth callback.
    pub auth: auth::AuthHook,
    /// The subsystem's counters.
    pub counters: Arc<Counters>,
}

/// One request with its body already read (and limited).
pub struct Request {
    /// Method, URI (raw path and query, prefix included), headers, body.
    pub http: ::http::Request<Bytes>,
    /// The client's address as text, empty where unknown.
    pub remote_addr: String,
}
