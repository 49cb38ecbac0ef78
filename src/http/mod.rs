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
        let listener = std::net::TcpListener::bind(addr).map_err(|e| ListenError(e.to_string()))?;
        listener.set_nonblocking(true).map_err(|e| ListenError(e.to_string()))?;
        let port = listener.local_addr().map_err(|e| ListenError(e.to_string()))?.port();
        handle.spawn(async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
            let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
                let signal = signal.clone();
                async move {
                    let (parts, body) = request.into_parts();
                    let body = axum::body::to_bytes(body, 100_000).await.unwrap_or_default();
                    answer(&signal, ::http::Request::from_parts(parts, body), String::new()).await.map(axum::body::Body::from)
                }
            });
            let _ = axum::serve(listener, app).await;
        });
        Ok((Self {}, port))
    }

    /// Shim.
    pub fn shutdown(self) {
    }
}

/// Shim.
pub async fn answer(
    signal: &Signal,
    request: ::http::Request<Bytes>,
    remote_addr: String,
) -> ::http::Response<Bytes> {
    signal.handle(crate::signal::Request { http: request, remote_addr }).await
}
