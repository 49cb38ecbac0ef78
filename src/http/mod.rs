//! HTTP in front of `signal`: router, CORS, pages, the library's own listener, and requests a host passes in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;

use crate::signal::Signal;

// Placeholders with the real signatures: the listener and the router take their place.

/// Shim.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// Shim.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum HttpError {
    #[error("{0}")]
    Io(String),
    #[error("{0}")]
    Tls(String),
}

/// Shim.
pub struct Listener {}

impl Listener {
    /// Shim.
    pub fn bind(
        signal: Signal,
        metrics: MetricsText,
        addr: SocketAddr,
        runtime: &Handle,
    ) -> Result<Self, HttpError> {
        let _ = (signal, metrics, addr, runtime);
        todo!()
    }

    /// Shim.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        todo!()
    }

    /// Shim.
    pub fn close(self, timeout: Duration) {
        let _ = timeout;
        todo!()
    }
}

/// Shim.
pub async fn answer(
    signal: &Signal,
    metrics: &MetricsText,
    request: ::http::Request<Bytes>,
    remote_addr: String,
) -> ::http::Response<Bytes> {
    let _ = (signal, metrics, request, remote_addr);
    todo!()
}
