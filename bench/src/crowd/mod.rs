//! Many WHEP viewers in one process, for the price of few: a socket each, one or two threads for all, media dropped in
//! the kernel. Works against any WHEP server that speaks H.264, bundles and answers with its candidates.

pub(crate) mod dtls;
mod filter;
pub mod http;
mod io;
pub(crate) mod peer;
pub(crate) mod sdp;
pub mod stamp;
pub mod stun;
mod viewer;

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

use self::http::Url;
use self::io::{Driver, Progress, lock};
use self::peer::Setup;
pub use self::peer::random;
use self::viewer::Viewer;

/// Why a viewer or the crowd didn't come to be.
#[derive(Debug, Error)]
pub enum Error {
    /// A call of the system's.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Certificate or library.
    #[error("setup: {0}")]
    Setup(String),
    /// The server refused the POST.
    #[error("the server answered {0}: {1}")]
    Refused(u16, String),
    /// The answer lacks something, or isn't one.
    #[error("unusable answer: {0}")]
    Answer(String),
}

/// How to join.
#[derive(Debug, Clone)]
pub struct Join {
    /// The WHEP endpoint, `http://…`.
    pub url: String,
    /// Bearer token.
    pub token: Option<String>,
    /// How many.
    pub viewers: usize,
    /// POSTs under way at once.
    pub at_once: usize,
    /// One RTP packet in so many is read and authenticated, the others only counted.
    pub sample: u32,
    /// `a=setup` of the offer: `actpass` as browsers say, or `active` to be the DTLS client in any case.
    pub setup: String,
    /// When to give up on those not connected.
    pub deadline: Duration,
}

/// What became of a [`Join`].
#[derive(Debug)]
pub struct Joined {
    /// Viewers with keys.
    pub connected: usize,
    /// First POST to last connected (or the deadline), in seconds.
    pub seconds: f64,
    /// One of the errors, where there were any.
    pub error: Option<String>,
}

/// What arrived at the present viewers since they connected.
#[derive(Debug, Default, Clone, Copy)]
pub struct Totals {
    /// RTP packets that reached the sockets.
    pub received: u64,
    /// Of these, read by the sample.
    pub read: u64,
    /// Of these, with good authentication.
    pub authentic: u64,
    /// Viewers with AEAD_AES_128_GCM.
    pub gcm: u64,
    /// Viewers that were the DTLS client.
    pub dtls_clients: u64,
    /// Viewers connected now.
    pub connected: u64,
}

/// The viewers of one process.
pub struct Crowd {
    context: Arc<dtls::Context>,
    drivers: Vec<Driver>,
    progress: Arc<Progress>,
    resources: Mutex<Vec<Url>>,
}

impl Crowd {
    /// An empty one, driven by `threads` threads.
    pub fn new(threads: usize) -> Result<Self, Error> {
        crate::host::raise_fd_limit();
        let progress = Arc::new(Progress::default());
        let drivers = (0..threads.max(1)).map(|_| Driver::start(Arc::clone(&progress)));
        Ok(Self {
            context: Arc::new(dtls::Context::new()?),
            drivers: drivers.collect::<Result<_, _>>()?,
            progress,
            resources: Mutex::new(Vec::new()),
        })
    }

    /// Joins them all and waits until they are connected, or the deadline.
    pub fn join(&self, join: &Join) -> Result<Joined, Error> {
        let url = Url::parse(&join.url)
            .ok_or_else(|| Error::Setup(format!("not a URL: {}", join.url)))?;
        let start = Instant::now();
        let before = self.progress.connected.load(Ordering::Relaxed);
        let next = AtomicUsize::new(0);
        let posted = AtomicUsize::new(0);
        let error = Mutex::new(None);
        thread::scope(|scope| {
            for _ in 0..join.at_once.clamp(1, join.viewers.max(1)) {
                scope.spawn(|| {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        if index >= join.viewers || start.elapsed() > join.deadline {
                            return;
                        }
                        match self.join_one(&url, join, start) {
                            Ok(viewer) => {
                                posted.fetch_add(1, Ordering::Relaxed);
                                self.drivers[index % self.drivers.len()].add(viewer);
                            }
                            Err(reason) => *lock(&error) = Some(reason.to_string()),
                        }
                    }
                });
            }
        });
        let connected = || self.progress.connected.load(Ordering::Relaxed) - before;
        while connected() < posted.load(Ordering::Relaxed) && start.elapsed() < join.deadline {
            thread::sleep(Duration::from_millis(2));
        }
        Ok(Joined {
            connected: connected(),
            seconds: start.elapsed().as_secs_f64(),
            error: lock(&error).take(),
        })
    }

    /// The sums over all viewers.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.drivers.iter().fold(Totals::default(), |sum, driver| {
            let share = driver.count();
            Totals {
                received: sum.received + share.received,
                read: sum.read + share.read,
                authentic: sum.authentic + share.authentic,
                gcm: sum.gcm + share.gcm,
                dtls_clients: sum.dtls_clients + share.dtls_clients,
                connected: sum.connected + share.connected,
            }
        })
    }

    /// Of marked packets (`stamp`) that were read since the last call: from their sending to the viewer's socket.
    #[must_use]
    pub fn latencies_ns(&self) -> Vec<u64> {
        let drivers = self.drivers.iter();
        drivers.flat_map(Driver::latencies_ns).collect()
    }

    /// Every viewer says goodbye: close_notify, then DELETE.
    pub fn leave(&self) {
        self.drivers.iter().for_each(Driver::leave);
        for resource in std::mem::take(&mut *lock(&self.resources)) {
            if let Ok(stream) = http::connect(&resource) {
                let _ = http::exchange(stream, "DELETE", &resource, "", "");
            }
        }
    }

    fn join_one(&self, url: &Url, join: &Join, start: Instant) -> Result<Viewer, Error> {
        loop {
            let outcome = self.post(url, join);
            match outcome {
                // No packets yet, or too busy: what Retry-After is for.
                Err(Error::Refused(409 | 503, _)) if start.elapsed() < join.deadline => {
                    thread::sleep(Duration::from_millis(100));
                }
                outcome => return outcome,
            }
        }
    }

    fn post(&self, url: &Url, join: &Join) -> Result<Viewer, Error> {
        let offered = |local: &sdp::Local<'_>| sdp::offer(local);
        let token = join.token.as_deref();
        let (setup, resource) = open(url, token, &join.setup, &self.context, offered)?;
        lock(&self.resources).extend(resource);
        Viewer::new(setup, join.sample, &self.context, Instant::now())
    }
}

/// One POST of an offer: what a peer is made of, and the URL of its session.
pub(crate) fn open(
    url: &Url,
    token: Option<&str>,
    setup: &str,
    context: &dtls::Context,
    offer: impl FnOnce(&sdp::Local<'_>) -> String,
) -> Result<(Setup, Option<Url>), Error> {
    let stream = http::connect(url)?;
    let server = stream.peer_addr()?.ip();
    let socket = UdpSocket::bind(SocketAddr::new(stream.local_addr()?.ip(), 0))?;
    let ufrag = hex(&random::<4>());
    let password = hex(&random::<12>());
    let offer = offer(&sdp::Local {
        address: socket.local_addr()?,
        ufrag: &ufrag,
        password: &password,
        fingerprint: &context.fingerprint,
        setup,
    });
    let mut headers = "Content-Type: application/sdp\r\n".to_owned();
    if let Some(token) = token {
        headers += &format!("Authorization: Bearer {token}\r\n");
    }
    let response = http::exchange(stream, "POST", url, &headers, &offer)?;
    if !matches!(response.status, 200 | 201) {
        return Err(Error::Refused(response.status, response.body));
    }
    let resource = response.header("location").map(|it| url.join(it));
    let unusable = || Error::Answer(response.body.clone());
    let remote = sdp::answer(&response.body, server).ok_or_else(unusable)?;
    socket.connect(remote.address)?;
    socket.set_nonblocking(true)?;
    let setup = Setup {
        socket,
        ufrag,
        password,
        remote,
    };
    Ok((setup, resource))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
