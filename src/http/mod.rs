//! HTTP in front of `signal`: router, CORS, pages, the library's own listener, and requests a host passes in.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::runtime::Handle;

use crate::signal::Signal;

// SHIM of the leg helper: the signal helper's functions take this place.

/// Shim.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ListenError(pub String);

/// Shim.
pub struct Listener {}

impl Listener {
    /// Shim.
    pub fn bind(
        signal: Signal,
        addr: SocketAddr,
        handle: &Handle,
    ) -> Result<(Self, u16), ListenError> {
        let _ = (signal, addr, handle);
        todo!()
    }

    /// Shim.
    pub fn shutdown(self) {
        todo!()
    }
}

/// Shim.
pub async fn answer(
    signal: &Signal,
    request: ::http::Request<Bytes>,
    remote_addr: String,
) -> ::http::Response<Bytes> {
    let _ = (signal, request, remote_addr);
    todo!()
}
