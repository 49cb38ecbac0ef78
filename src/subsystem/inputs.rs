//! The inputs by id: a point that publishers send to, and the leg FFmpeg reads it from. Started, changed, stopped.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::config::{InputTransport, ProcessSettings};
use crate::error::Error;
use crate::events::Events;
use crate::fanout::Fanout;
use crate::leg::Leg;
use crate::leg::four::Four;
use crate::leg::input::{self, Promise};
use crate::leg::ports::Ports;
use crate::leg::rtsp::{Home, RtspInput, RtspServer};
use crate::leg::send::udp::UdpSender;
use crate::leg::send::{InputNumbers, keep};
use crate::session::Sessions;
use crate::stats::Counters;
use crate::stream::{IngestPoint, Ingests, Stream, StreamKey, history};

use super::Hooks;
use super::claims::{Claims, Refused};
use super::deadline::Deadline;
use super::errors::{check_id, check_media, refusal};

/// How long one stop waits for the publisher's goodbye to leave.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// What surrounds the inputs.
pub(super) struct Around {
    pub(super) runtime: Handle,
    pub(super) fanout: Fanout,
    pub(super) sessions: Sessions,
    pub(super) ingests: Ingests,
    pub(super) hooks: Hooks,
    pub(super) counters: Arc<Counters>,
    pub(super) events: Events,
    pub(super) keys: Arc<AtomicU64>,
    /// What an ingest may keep for an FFmpeg or a viewer that joins.
    pub(super) kept: history::Limits,
    pub(super) ports: Ports,
    /// Whether frames leave as segmented messages.
    pub(super) gso: bool,
    /// The processes' own: a wait across both sides that could never end is refused, too.
    pub(super) claims: Arc<Claims>,
}

/// Every input of a subsystem.
pub(super) struct Inputs {
    around: Around,
    /// Where the transport is RTSP.
    rtsp: Mutex<Option<RtspServer>>,
    transport: InputTransport,
    closing: AtomicBool,
    entries: Mutex<HashMap<String, Input>>,
}

struct Input {
    promise: Promise,
    leg: Leg,
    place: Place,
    point: Arc<IngestPoint>,
    numbers: Arc<InputNumbers>,
    sender: Sender,
}

/// Where FFmpeg finds an input; it stays for the input's life.
#[derive(Clone)]
enum Place {
    Udp(Arc<Four>),
    Rtsp { port: u16, secret: String },
}

enum Sender {
    Udp(UdpSender),
    Rtsp(RtspInput),
}

/// What a report tells of one input.
pub(super) struct InputReport {
    pub(super) point: Arc<IngestPoint>,
    pub(super) leg: Leg,
    pub(super) numbers: Arc<InputNumbers>,
}

impl Inputs {
    /// Starts the RTSP server where the transport needs it.
    pub(super) fn new(around: Around, transport: InputTransport) -> Result<Self, Error> {
        let rtsp = match transport {
            InputTransport::Udp => None,
            InputTransport::Rtsp => Some(RtspServer::start(&around.runtime).map_err(|error| {
                Error::Io(format!("can't listen on 127.0.0.1 for inputs: {error}"))
            })?),
        };
        Ok(Self {
            around,
            rtsp: Mutex::new(rtsp),
            transport,
            closing: AtomicBool::new(false),
            entries: Mutex::default(),
        })
    }

    /// The leg of `id`, which it has from now on.
    pub(super) fn start(&self, id: &str, settings: &ProcessSettings) -> Result<Vec<Leg>, Error> {
        check_id(id)?;
        check_media(settings)?;
        let claimed = claimed(id);
        let _claim = self
            .around
            .claims
            .claim(&claimed, None)
            .map_err(|refused| refusal(id, refused))?;
        if self.closing.load(Ordering::SeqCst) {
            return Err(Error::State("the subsystem is closed".to_owned()));
        }
        let promise = Promise::of(settings);
        let before = match self.lock().get(id) {
            Some(input) if input.promise == promise => return Ok(vec![input.leg.clone()]),
            Some(input) => Some(input.place.clone()),
            None => None,
        };
        let place = match before {
            Some(place) => place,
            None => self.place()?,
        };
        let input = self.open(id, promise, place)?;
        let leg = input.leg.clone();
        let before = self.lock().insert(id.to_owned(), input);
        if let Some(before) = before {
            // Another promise: what published for the old one can't serve the new one. A start doesn't wait for it.
            self.part(&before.point, "codec", Duration::ZERO);
        }
        Ok(vec![leg])
    }

    /// The publisher leaves, the hook runs, FFmpeg is told that its input ends.
    pub(super) fn stop(&self, id: &str) -> Result<(), Error> {
        let claimed = claimed(id);
        let _claim = match self.around.claims.claim(&claimed, None) {
            // The teardown hook of this very id: it is being stopped already.
            Err(Refused::OwnId) => return Err(unknown(id)),
            other => other.map_err(|refused| refusal(id, refused))?,
        };
        let input = self.lock().remove(id).ok_or_else(|| unknown(id))?;
        self.end(id, input, &mut Deadline::after(STOP_TIMEOUT), 1);
        Ok(())
    }

    /// Asks the publisher for a key frame; where there is none nothing happens.
    pub(super) fn request_keyframe(&self, id: &str) -> Result<(), Error> {
        let point = self.lock().get(id).map(|input| input.point.clone());
        point
            .ok_or_else(|| unknown(id))?
            .request_keyframe(Instant::now());
        Ok(())
    }

    /// Ends what FFmpeg reads now.
    pub(super) fn interrupt(&self, id: &str) -> Result<(), Error> {
        let entries = self.lock();
        match &entries.get(id).ok_or_else(|| unknown(id))?.sender {
            Sender::Udp(sender) => sender.interrupt(),
            Sender::Rtsp(sender) => sender.interrupt(),
        }
        Ok(())
    }

    /// From now on nothing starts; everything there is ends.
    pub(super) fn close(&self, deadline: &mut Deadline) -> Result<(), Error> {
        self.closing.store(true, Ordering::SeqCst);
        // A start that claimed its id before the line above is in `claims`; one that claims it later sees `closing`.
        let claims = self.around.claims.ids();
        let mut ids: Vec<String> = claims
            .iter()
            .filter_map(|id| id.strip_prefix('\0').map(str::to_owned))
            .collect();
        ids.extend(self.lock().keys().cloned());
        ids.sort();
        ids.dedup();
        let mut outcome = Ok(());
        for (index, id) in ids.iter().enumerate() {
            let claimed = claimed(id);
            match self.around.claims.claim(&claimed, Some(deadline.at())) {
                Ok(_claim) => {
                    let input = self.lock().remove(id);
                    if let Some(input) = input {
                        self.end(id, input, deadline, ids.len() - index);
                    }
                }
                Err(refused) => outcome = outcome.and(Err(refusal(id, refused))),
            }
        }
        self.lock_rtsp().take();
        outcome
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// All of them, sorted by id.
    pub(super) fn report(&self) -> Vec<InputReport> {
        let entries = self.lock();
        let mut all: Vec<_> = entries
            .values()
            .map(|input| InputReport {
                point: input.point.clone(),
                leg: input.leg.clone(),
                numbers: input.numbers.clone(),
            })
            .collect();
        all.sort_by(|a, b| a.point.id().cmp(b.point.id()));
        all
    }

    fn place(&self) -> Result<Place, Error> {
        Ok(match &*self.lock_rtsp() {
            Some(server) => Place::Rtsp {
                port: server.port(),
                secret: secret()?,
            },
            None if self.transport == InputTransport::Udp => {
                Place::Udp(Arc::new(self.around.ports.reserve_four()?))
            }
            None => return Err(Error::State("the subsystem is closed".to_owned())),
        })
    }

    fn open(&self, id: &str, promise: Promise, place: Place) -> Result<Input, Error> {
        let around = &self.around;
        let key = StreamKey(around.keys.fetch_add(1, Ordering::Relaxed));
        let point = IngestPoint::new(
            id,
            key,
            promise.expectation(),
            around.kept,
            around.counters.clone(),
            around.events.clone(),
        );
        let numbers = Arc::new(InputNumbers::default());
        let counters = around.counters.clone();
        let (leg, sender) = match &place {
            Place::Udp(four) => {
                let leg = input::sdp_leg(&promise, four.port());
                let made = UdpSender::new(
                    four.clone(),
                    &promise,
                    point.clone(),
                    numbers.clone(),
                    counters,
                    around.gso,
                );
                let (sender, task) =
                    made.map_err(|error| Error::Io(format!("can't open a UDP socket: {error}")))?;
                around.fanout.spawn_on(key.0, move || Box::pin(task.run()));
                (leg, Sender::Udp(sender))
            }
            Place::Rtsp { port, secret } => {
                let server = self.lock_rtsp();
                let server = server
                    .as_ref()
                    .ok_or_else(|| Error::State("the subsystem is closed".to_owned()))?;
                let leg = input::rtsp_leg(&promise, *port, secret, id);
                let fanout = around.fanout.clone();
                let home: Home = Arc::new(move |task| fanout.spawn_on(key.0, task));
                let (point, numbers) = (point.clone(), numbers.clone());
                let sender = server.serve(secret, promise, point, numbers, counters, home);
                (leg, Sender::Rtsp(sender))
            }
        };
        around.runtime.spawn(keep(Arc::downgrade(&point)));
        around.ingests.insert(point.clone());
        Ok(Input {
            promise,
            leg,
            place,
            point,
            numbers,
            sender,
        })
    }

    fn end(&self, id: &str, input: Input, deadline: &mut Deadline, still_to_end: usize) {
        self.around.ingests.remove(id);
        self.part(&input.point, "stopped", deadline.left());
        deadline.exempt(|| (self.around.hooks.whip_teardown)(id));
        // The goodbye is the last act: an FFmpeg that was started again meanwhile hears it, too.
        let share = deadline.left() / u32::try_from(still_to_end).unwrap_or(u32::MAX).max(1);
        let until = Instant::now() + share;
        match input.sender {
            Sender::Udp(sender) => sender.stop(until),
            Sender::Rtsp(sender) => sender.stop(until),
        }
    }

    /// The publisher is told to leave; nothing is published there any more.
    fn part(&self, point: &IngestPoint, reason: &'static str, timeout: Duration) {
        point.end();
        let layers = point.open_layers().into_iter();
        let streams: Vec<Arc<Stream>> = layers
            .map(|layer| layer.point.stream().clone())
            .chain([point.stream().clone()])
            .collect();
        self.around
            .sessions
            .close_streams(&streams, reason, timeout);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Input>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_rtsp(&self) -> MutexGuard<'_, Option<RtspServer>> {
        self.rtsp.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// (legs, argument bytes with their NULs) that always suffice for a start.
pub(super) fn bounds(id: &str, settings: &ProcessSettings) -> (usize, usize) {
    input::bounds(&Promise::of(settings), &"0".repeat(SECRET_DIGITS), id)
}

/// 128 bits.
const SECRET_DIGITS: usize = 32;

fn secret() -> Result<String, Error> {
    let mut random = [0_u8; SECRET_DIGITS / 2];
    aws_lc_rs::rand::fill(&mut random)
        .map_err(|_| Error::Io("the system gives no random numbers".to_owned()))?;
    let mut text = String::with_capacity(SECRET_DIGITS);
    for byte in random {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// An input's id among the claims of processes: no process's id has a NUL.
fn claimed(id: &str) -> String {
    format!("\0{id}")
}

fn unknown(id: &str) -> Error {
    Error::NotFound(format!("there is no input {id:?}"))
}
