//! The library's own HTTP/1.1 listener: bounded in connections, header time, body size and whole-request time, so that a
//! slow or greedy client costs its own connection only. Its port is free once [`Listener::close`] returns.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use ::http::header::{EXPECT, ORIGIN};
use ::http::{HeaderMap, Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::seats::{Seat, Seats};
use super::tls::Tls;
use super::{HttpError, MetricsText, answer, count};
use crate::signal::problem::problem;
use crate::signal::{Signal, cors, exchange};

/// Connections at once. A further one takes the place of whoever has asked for nothing longest, or waits in the kernel's
/// backlog while all are being answered.
const CONNECTIONS_MAX: usize = 1024;
/// Bytes of request line and headers together.
const HEAD_MAX: usize = 32 * 1024;
/// A peer that takes nothing of an answer for so long is cut off.
const STUCK_MAX: Duration = Duration::from_secs(30);

/// A listener that serves until it is closed. Dropping it ends it too, without waiting.
pub struct Listener {
    local_addr: SocketAddr,
    stop: watch::Sender<bool>,
    /// Hangs up once the port and every connection are closed.
    ended: mpsc::Receiver<Infallible>,
    task: tokio::task::JoinHandle<()>,
}

impl Listener {
    /// Binds and serves on `runtime`. `metrics` makes the text of `/metrics`.
    pub fn bind(
        signal: Signal,
        metrics: MetricsText,
        addr: SocketAddr,
        runtime: &Handle,
    ) -> Result<Self, HttpError> {
        let tls = match &signal.settings.tls {
            Some(files) => {
                let counters = signal.counters.clone();
                Some(Arc::new(Tls::load(files, counters, Instant::now())?))
            }
            None => None,
        };
        let named = |error: io::Error| HttpError::Io(format!("{addr}: {error}"));
        let socket = bind_socket(addr).map_err(named)?;
        let local_addr = socket.local_addr().map_err(named)?;
        let entered = runtime.enter();
        let listener = TcpListener::from_std(socket).map_err(named)?;
        drop(entered);
        let (stop, stopped) = watch::channel(false);
        let (held, ended) = mpsc::channel();
        let server = Server {
            signal,
            metrics,
            tls,
            stopped,
        };
        let task = runtime.spawn(async move {
            server.run(listener).await;
            drop(held);
        });
        Ok(Self {
            local_addr,
            stop,
            ended,
            task,
        })
    }

    /// The bound address.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Takes no further connection, lets running requests end for at most `timeout`, then cuts them off. Blocks: not for
    /// tasks of the runtime it serves on.
    pub fn close(self, timeout: Duration) {
        self.stop.send_replace(true);
        if self.ended.recv_timeout(timeout) == Err(mpsc::RecvTimeoutError::Timeout) {
            self.task.abort();
            // Aborting drops socket and connections as soon as the task's thread comes by.
            let _ = self.ended.recv_timeout(Duration::from_secs(1));
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

fn bind_socket(addr: SocketAddr) -> io::Result<StdListener> {
    // socket2 sets CLOEXEC: the host forks FFmpeg all day.
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if addr.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(1024)?;
    Ok(socket.into())
}

/// Returns once the listener is being closed, or was dropped.
async fn stop(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// What a connection needs.
#[derive(Clone)]
struct Server {
    signal: Signal,
    metrics: MetricsText,
    tls: Option<Arc<Tls>>,
    stopped: watch::Receiver<bool>,
}

impl Server {
    async fn run(self, listener: TcpListener) {
        let seats = Seats::new(CONNECTIONS_MAX);
        let mut connections = JoinSet::new();
        let mut stopped = self.stopped.clone();
        loop {
            let accepted = async {
                seats.free().await;
                listener.accept().await
            };
            tokio::select! {
                _ = stop(&mut stopped) => break,
                // Ended connections give back what they held.
                Some(_) = connections.join_next() => {}
                accepted = accepted => match accepted {
                    Ok((stream, peer)) => {
                        let (seat, displaced) = seats.take();
                        if displaced {
                            self.signal.counters.http_displaced.inc();
                        }
                        let server = self.clone();
                        connections.spawn(async move {
                            tokio::select! {
                                () = seat.displaced() => {}
                                () = server.connection(stream, peer, &seat) => {}
                            }
                        });
                    }
                    // Out of descriptors, or a peer gone again: others may fare better in a moment.
                    Err(error) => {
                        tracing::debug!(%error, "accept failed");
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                },
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    async fn connection(self, stream: TcpStream, peer: SocketAddr, seat: &Seat) {
        let _ = stream.set_nodelay(true);
        // RFC 5482: bounds how long an answer may lie unread, a closed window included.
        let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(STUCK_MAX));
        let mut stopped = self.stopped.clone();
        let Some(tls) = self.tls.clone() else {
            return self.serve(stream, peer, seat).await;
        };
        let tls = tls.acceptor(Instant::now());
        let limit = self.signal.settings.http_timeout;
        tokio::select! {
            _ = stop(&mut stopped) => {}
            shaken = tokio::time::timeout(limit, tls.accept(stream)) => {
                if let Ok(Ok(stream)) = shaken {
                    self.serve(stream, peer, seat).await;
                }
            }
        }
    }

    async fn serve<S>(self, stream: S, peer: SocketAddr, seat: &Seat)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut stopped = self.stopped.clone();
        // An IPv4 client of a dual-stack socket is named as the IPv4 client it is.
        let remote_addr = SocketAddr::new(peer.ip().to_canonical(), peer.port()).to_string();
        let server = &self;
        let service = service_fn(move |request: Request<Incoming>| {
            let remote_addr = remote_addr.clone();
            async move {
                let response = server.request(request, remote_addr, seat).await;
                Ok::<_, Infallible>(response.map(Full::new))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.signal.settings.http_timeout)
            .max_buf_size(HEAD_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = stop(&mut stopped) => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }

    /// Reads the body within its limits, then answers.
    async fn request(
        &self,
        request: Request<Incoming>,
        remote_addr: String,
        seat: &Seat,
    ) -> Response<Bytes> {
        let signal = &self.signal;
        let (head, body) = request.into_parts();
        let body_max = signal.settings.http_body_max;
        // RFC 9110 §10.1.1: who asks before sending too much is told at once; reading would say 100 (Continue).
        let too_much = body.size_hint().lower() > body_max as u64;
        if too_much && head.headers.contains_key(EXPECT) {
            return self.refused(&head.headers, exchange::too_large(signal));
        }
        let limited = Limited::new(body, body_max).collect();
        let refusal = match tokio::time::timeout(signal.settings.http_timeout, limited).await {
            Ok(Ok(body)) => {
                let _answering = seat.answering();
                let request = Request::from_parts(head, body.to_bytes());
                return answer(signal, &self.metrics, request, remote_addr).await;
            }
            Ok(Err(error)) if error.is::<LengthLimitError>() => exchange::too_large(signal),
            Ok(Err(_)) => problem(StatusCode::BAD_REQUEST, "the body ended too early"),
            Err(_) => problem(
                StatusCode::REQUEST_TIMEOUT,
                "the body took longer than HTTP_TIMEOUT_MS",
            ),
        };
        self.refused(&head.headers, refusal)
    }

    /// What was answered before the request was whole: readable for pages, and counted, as any answer.
    fn refused(&self, headers: &HeaderMap, mut refusal: Response<Bytes>) -> Response<Bytes> {
        let signal = &self.signal;
        let origin = headers.get(ORIGIN);
        cors::expose(&signal.settings.cors_origins, origin, &mut refusal);
        count(&signal.counters, refusal.status());
        refusal
    }
}
