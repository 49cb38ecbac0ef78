//! The two ways HTTP comes in: the library's own listener, and requests a host passes in.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::error::Error;
use crate::http::{HttpError, Listener, MetricsText, answer};
use crate::signal::Signal;

/// The listener of one subsystem, if it has one, and what every request needs.
pub(super) struct Serve {
    signal: Signal,
    metrics: MetricsText,
    runtime: Handle,
    state: Mutex<Listening>,
}

#[derive(Default)]
struct Listening {
    listener: Option<Listener>,
    closed: bool,
}

/// How long running requests may take to end when the listener is told to.
const UNLISTEN_TIMEOUT: Duration = Duration::from_secs(1);

impl Serve {
    pub(super) fn new(signal: Signal, metrics: MetricsText, runtime: Handle) -> Self {
        Self {
            signal,
            metrics,
            runtime,
            state: Mutex::default(),
        }
    }

    /// Binds and serves; the port.
    pub(super) fn listen(&self, addr: SocketAddr) -> Result<u16, Error> {
        let mut state = self.lock();
        if state.closed {
            return Err(Error::State("the subsystem is closed".to_owned()));
        }
        if let Some(listener) = &state.listener {
            let text = format!("already listening on {}", listener.local_addr());
            return Err(Error::State(text));
        }
        // P017.
        let settings = &self.signal.settings;
        if settings.https_only && settings.tls.is_none() && !addr.ip().is_loopback() {
            let text = format!("addr: {addr} would speak plain HTTP, and HTTPS_ONLY is set");
            return Err(Error::Invalid(text));
        }
        let (signal, metrics) = (self.signal.clone(), self.metrics.clone());
        let listener =
            Listener::bind(signal, metrics, addr, &self.runtime).map_err(|error| match error {
                HttpError::Io(text) => Error::Io(text),
                HttpError::Tls(text) => Error::Invalid(text),
            })?;
        let port = listener.local_addr().port();
        state.listener = Some(listener);
        Ok(port)
    }

    /// Ends it; its port is free on return. Where there is none, nothing happens.
    pub(super) fn unlisten(&self) {
        let listener = self.lock().listener.take();
        if let Some(listener) = listener {
            listener.close(UNLISTEN_TIMEOUT);
        }
    }

    /// Ends it for good.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.unlisten();
    }

    /// The bound address.
    pub(super) fn addr(&self) -> Option<SocketAddr> {
        self.lock().listener.as_ref().map(Listener::local_addr)
    }

    /// Answers one request on the control runtime and waits for it, at most `timeout`; then the request is dropped, a
    /// half-made session with it.
    pub(super) fn handle(
        &self,
        request: Request<Bytes>,
        remote_addr: &str,
        timeout: Duration,
    ) -> Result<Response<Bytes>, Error> {
        let hand_over = Arc::new(HandOver::default());
        let giver = Giver(hand_over.clone());
        let (signal, metrics) = (self.signal.clone(), self.metrics.clone());
        let remote_addr = remote_addr.to_owned();
        self.runtime.spawn(async move {
            let response = tokio::select! {
                response = answer(&signal, &metrics, request, remote_addr) => response,
                () = giver.0.gone.notified() => return,
            };
            if let Some(refused) = giver.give(response) {
                discard(&signal, &refused).await;
            }
        });
        match hand_over.take(timeout) {
            Taken::Response(response) => Ok(response),
            Taken::Dropped => Ok(not_found()),
            Taken::TimedOut => Err(Error::Timeout(format!(
                "no answer within {} ms",
                timeout.as_millis()
            ))),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Listening> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An `IP:port`; names are refused.
pub(super) fn parse(addr: &str) -> Result<SocketAddr, Error> {
    addr.parse()
        .map_err(|_| Error::Invalid(format!("addr {addr:?} is not IP:port")))
}

/// What a disabled or closed subsystem answers.
pub(super) fn not_found() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

/// Nobody will ever hear of the session this response made: it ends.
async fn discard(signal: &Signal, response: &Response<Bytes>) {
    let location = response.headers().get(header::LOCATION);
    let secret = location
        .and_then(|it| it.to_str().ok())
        .and_then(|it| it.rsplit('/').next());
    if let (StatusCode::CREATED, Some(secret)) = (response.status(), secret) {
        signal.sessions.delete(secret).await;
    }
}

/// A response on its way from a task to a waiting thread. Not a channel: whether it arrived in time must be one
/// answer for both sides.
#[derive(Default)]
struct HandOver {
    place: Mutex<Place>,
    ready: Condvar,
    gone: Notify,
}

#[derive(Default)]
enum Place {
    #[default]
    Empty,
    Given(Response<Bytes>),
    Dropped,
    GivenUp,
}

enum Taken {
    Response(Response<Bytes>),
    Dropped,
    TimedOut,
}

impl HandOver {
    fn take(&self, timeout: Duration) -> Taken {
        let waits = |place: &mut Place| matches!(place, Place::Empty);
        let start = Instant::now();
        let (mut place, _) = self
            .ready
            .wait_timeout_while(self.lock(), timeout, waits)
            .unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *place, Place::GivenUp) {
            Place::Given(response) => Taken::Response(response),
            Place::Dropped => Taken::Dropped,
            Place::Empty | Place::GivenUp => {
                tracing::debug!(
                    waited_ms = start.elapsed().as_millis(),
                    "a request timed out"
                );
                self.gone.notify_one();
                Taken::TimedOut
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task's end; a task that is dropped (the runtime shuts down) wakes the waiting thread, too.
struct Giver(Arc<HandOver>);

impl Giver {
    /// The response comes back where nobody waits any more.
    fn give(&self, response: Response<Bytes>) -> Option<Response<Bytes>> {
        let mut place = self.0.lock();
        if matches!(*place, Place::GivenUp) {
            return Some(response);
        }
        *place = Place::Given(response);
        self.0.ready.notify_one();
        None
    }
}

impl Drop for Giver {
    fn drop(&mut self) {
        let mut place = self.0.lock();
        if matches!(*place, Place::Empty) {
            *place = Place::Dropped;
            self.0.ready.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Arc<HandOver>, Giver) {
        let hand_over = Arc::new(HandOver::default());
        (hand_over.clone(), Giver(hand_over))
    }

    #[test]
    fn an_answer_reaches_the_one_who_waits() {
        let (hand_over, giver) = pair();
        let task = std::thread::spawn(move || giver.give(not_found()).is_none());
        assert!(matches!(
            hand_over.take(Duration::from_secs(10)),
            Taken::Response(response) if response.status() == 404
        ));
        assert!(task.join().unwrap());
    }

    #[test]
    fn an_answer_that_is_late_comes_back_to_be_discarded() {
        let (hand_over, giver) = pair();
        assert!(matches!(hand_over.take(Duration::ZERO), Taken::TimedOut));
        assert!(giver.give(not_found()).is_some());
    }

    #[test]
    fn a_task_that_is_dropped_wakes_the_one_who_waits() {
        let (hand_over, giver) = pair();
        drop(giver);
        assert!(matches!(
            hand_over.take(Duration::from_secs(10)),
            Taken::Dropped
        ));
    }

    #[test]
    fn only_ip_addresses_with_a_port_are_listened_on() {
        assert!(parse("127.0.0.1:0").is_ok() && parse("[::]:8080").is_ok());
        for bad in ["localhost:80", "127.0.0.1", "", ":80", "1.2.3.4:99999"] {
            assert!(
                matches!(parse(bad), Err(Error::Invalid(text)) if text.contains(bad)),
                "{bad}"
            );
        }
    }
}
