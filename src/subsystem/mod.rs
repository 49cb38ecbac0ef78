//! Owns everything below: streams, legs, sessions, shards, listener; the order of creation and of closing.

mod claims;
mod close;
mod deadline;
#[cfg(test)]
mod ending_tests;
mod errors;
#[cfg(test)]
mod fake_world;
mod gate;
mod inputs;
mod processes;
mod report;
mod serve;
#[cfg(test)]
mod tests;
mod world;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;

use crate::config::{self, ProcessSettings, Settings};
use crate::error::Error;
use crate::events::Events;
use crate::fanout::Fanout;
use crate::leg::Leg;
use crate::leg::args;
use crate::leg::ports::Ports;
use crate::peer::dtls::Identity;
use crate::runtime::Control;
use crate::session::Sessions;
use crate::signal::Signal;
use crate::signal::auth::AuthHook;
use crate::stats::Counters;
use crate::stream::{Ingests, Streams, history};

use close::Tail;
use errors::check_id;
use gate::Gate;
use inputs::{Around, Inputs};
use processes::Processes;
use report::{Living, metrics_text};
use serve::Serve;
use world::Live;

/// Threads of the control runtime: signalling is light, blocking work has threads of its own.
const CONTROL_THREADS: usize = 2;

/// What the host plugs in. The functions are called with no lock of the subsystem's held.
#[derive(Clone)]
pub struct Hooks {
    /// Once per egress stream: viewers were told to leave, its sockets are still open.
    pub teardown: Arc<dyn Fn(&str) + Send + Sync>,
    /// The same for an ingest.
    pub whip_teardown: Arc<dyn Fn(&str) + Send + Sync>,
    /// Asked on a POST.
    pub auth: AuthHook,
}

/// One WebRTC side; what `corertc_subsystem` points to.
pub struct Subsystem {
    settings: Arc<Settings>,
    events: Events,
    counters: Arc<Counters>,
    gate: Gate,
    /// None where disabled.
    running: Option<Running>,
}

/// What an enabled subsystem runs.
struct Running {
    living: Living,
    /// The bound UDP addresses; they are told after close, too.
    udp: Vec<SocketAddr>,
    serve: Arc<Serve>,
    tail: Tail,
}

impl Subsystem {
    /// Does all slow things: certificate, sockets, threads. A disabled one starts nothing and is inert.
    pub fn new(settings: Settings, hooks: Hooks) -> Result<Self, Error> {
        let settings = Arc::new(settings);
        let (events, counters) = (Events::default(), Arc::new(Counters::default()));
        let running = if settings.enable {
            let running = Running::start(&settings, &events, &counters, hooks)?;
            tracing::info!(udp = ?running.udp, "subsystem started");
            Some(running)
        } else {
            None
        };
        Ok(Self {
            settings,
            events,
            counters,
            gate: Gate::default(),
            running,
        })
    }

    /// The ENABLE option.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.running.is_some()
    }

    /// The settings it was made with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The queue the callback thread drains.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// The counters.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Upper bounds of what [`Subsystem::process_start`] gives for these settings: (legs, argument bytes with NULs).
    /// The same for every id and at every time; (0, 0) where disabled.
    #[must_use]
    pub fn start_bounds(&self, id: &str, settings: &ProcessSettings) -> (usize, usize) {
        let _ = id;
        if self.enabled() {
            args::bounds(settings)
        } else {
            (0, 0)
        }
    }

    /// Reserves legs (idempotent per id). Errors: Invalid (id), Limit (no ports), State (closed), Unsupported.
    pub fn process_start(&self, id: &str, settings: &ProcessSettings) -> Result<Vec<Leg>, Error> {
        check_id(id)?;
        if self.gate.shut() {
            return Err(closed());
        }
        match &self.running {
            Some(running) => {
                let legs = running.living.processes.start(id, settings)?;
                log_start("process started", id, &legs);
                Ok(legs)
            }
            None => Ok(Vec::new()),
        }
    }

    /// Viewers leave, teardown runs, sockets close. NotFound for an unknown id.
    pub fn process_stop(&self, id: &str) -> Result<(), Error> {
        match &self.running {
            Some(running) => running.living.processes.stop(id)?,
            None => return Err(errors::unknown(id)),
        }
        tracing::info!(stream = id, "process stopped");
        Ok(())
    }

    /// Processes with egress legs.
    #[must_use]
    pub fn stream_count(&self) -> u32 {
        let count = self
            .running
            .as_ref()
            .map_or(0, |it| it.living.processes.count());
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Upper bounds of what [`Subsystem::input_start`] gives: (legs, argument bytes with NULs), as for processes.
    #[must_use]
    pub fn input_bounds(&self, id: &str, settings: &ProcessSettings) -> (usize, usize) {
        if self.enabled() {
            inputs::bounds(id, settings)
        } else {
            (0, 0)
        }
    }

    /// Reserves the leg FFmpeg reads a publisher from (idempotent per id). Errors as of [`Subsystem::process_start`].
    pub fn input_start(&self, id: &str, settings: &ProcessSettings) -> Result<Vec<Leg>, Error> {
        check_id(id)?;
        if self.gate.shut() {
            return Err(closed());
        }
        match &self.running {
            Some(running) => {
                let legs = running.living.inputs.start(id, settings)?;
                log_start("input started", id, &legs);
                Ok(legs)
            }
            None => Ok(Vec::new()),
        }
    }

    /// The publisher leaves, whip_teardown runs, FFmpeg's input ends. NotFound for an unknown id.
    pub fn input_stop(&self, id: &str) -> Result<(), Error> {
        self.inputs(id)?.stop(id)?;
        tracing::info!(stream = id, "input stopped");
        Ok(())
    }

    /// Asks the publisher for a key frame. NotFound for an unknown id.
    pub fn input_request_keyframe(&self, id: &str) -> Result<(), Error> {
        self.inputs(id)?.request_keyframe(id)
    }

    /// Ends FFmpeg's current reading; ingest, ports and publisher stay. NotFound for an unknown id.
    pub fn input_interrupt(&self, id: &str) -> Result<(), Error> {
        self.inputs(id)?.interrupt(id)
    }

    /// Where publishers are taken in.
    #[must_use]
    pub fn ingests(&self) -> Option<&Ingests> {
        self.running.as_ref().map(|it| &it.living.ingests)
    }

    fn inputs(&self, id: &str) -> Result<&Inputs, Error> {
        let running = self.running.as_ref();
        let inputs = running.map(|it| &*it.living.inputs);
        inputs.ok_or_else(|| errors::unknown(id))
    }

    /// Starts the listener; the bound port. Invalid (address), Io (busy, names it), State (closed, or listening already).
    pub fn http_listen(&self, addr: &str) -> Result<u16, Error> {
        let parsed = serve::parse(addr)?;
        if self.gate.shut() {
            return Err(closed());
        }
        match &self.running {
            Some(running) => {
                let port = running.serve.listen(parsed)?;
                tracing::info!(ip = %parsed.ip(), port, "listening");
                Ok(port)
            }
            None => Ok(0),
        }
    }

    /// Ends the listener; its port is free on return.
    pub fn http_unlisten(&self) -> Result<(), Error> {
        if let Some(running) = &self.running {
            running.serve.unlisten();
        }
        Ok(())
    }

    /// One request of a host's own server; blocks at most `timeout` (zero: the option's).
    pub fn http_handle(
        &self,
        request: ::http::Request<Bytes>,
        remote_addr: &str,
        timeout: Duration,
    ) -> Result<::http::Response<Bytes>, Error> {
        let timeout = if timeout.is_zero() {
            self.settings.http_timeout
        } else {
            timeout
        };
        match &self.running {
            Some(it) if !self.gate.shut() => it.serve.handle(request, remote_addr, timeout),
            _ => Ok(serve::not_found()),
        }
    }

    /// Ends one session by its public id.
    pub fn session_close(&self, session: &str) -> Result<(), Error> {
        let running = self.running.as_ref();
        if running.is_some_and(|it| it.living.sessions.close_public(session, "closed")) {
            Ok(())
        } else {
            let text = format!("there is no session {session:?}");
            Err(Error::NotFound(text))
        }
    }
}

impl Running {
    /// Certificate first, then what can be busy (the UDP addresses): a failure leaves nothing behind.
    fn start(
        settings: &Arc<Settings>,
        events: &Events,
        counters: &Arc<Counters>,
        hooks: Hooks,
    ) -> Result<Self, Error> {
        let identity = Identity::generate().map_err(|error| Error::Io(error.to_string()))?;
        let control = Control::start(CONTROL_THREADS)
            .map_err(|error| Error::Io(format!("can't start the control threads: {error}")))?;
        let runtime = control.handle().clone();
        let fanout = Fanout::start(
            &settings.udp_listen,
            settings.workers,
            settings.gso,
            settings.idle_timeout,
            counters.clone(),
        )
        .map_err(|error| Error::Io(error.to_string()))?;
        for ip in &settings.announce {
            let carried = |socket: &SocketAddr| config::carries(socket, *ip);
            if !settings.udp_listen.iter().any(carried) {
                tracing::warn!(%ip, "no socket of UDP_LISTEN carries this address: viewers are not told it");
            }
        }
        let udp = fanout.local_addrs();
        let sessions = Sessions::new(
            runtime.clone(),
            fanout.clone(),
            identity,
            settings.clone(),
            counters.clone(),
            events.clone(),
        );
        let streams = Streams::default();
        let ingests = Ingests::default();
        let signal = Signal {
            settings: settings.clone(),
            streams: streams.clone(),
            ingests: ingests.clone(),
            sessions: sessions.clone(),
            auth: hooks.auth.clone(),
            counters: counters.clone(),
            rates: Arc::default(),
        };
        let keys = Arc::new(AtomicU64::new(1));
        let kept = history::Limits {
            bytes: settings.gop_cache_bytes,
            time: settings.gop_cache,
        };
        let world = Live {
            runtime: runtime.clone(),
            fanout: fanout.clone(),
            streams: streams.clone(),
            sessions: sessions.clone(),
            hooks: hooks.clone(),
            counters: counters.clone(),
            events: events.clone(),
            keys: keys.clone(),
            kept,
        };
        let ports = Ports::new(settings.leg_ports.clone());
        let processes =
            Processes::new(world, ports.clone(), counters.clone(), settings.stop_linger);
        let around = Around {
            runtime: runtime.clone(),
            fanout: fanout.clone(),
            sessions: sessions.clone(),
            ingests: ingests.clone(),
            hooks,
            counters: counters.clone(),
            events: events.clone(),
            keys,
            kept,
            ports,
            gso: settings.gso,
            claims: processes.claims(),
        };
        let inputs = Inputs::new(around, settings.input_transport)?;
        let living = Living {
            processes: Arc::new(processes),
            inputs: Arc::new(inputs),
            ingests,
            sessions,
            streams,
        };
        let metrics = {
            let (counters, events, living) = (counters.clone(), events.clone(), living.clone());
            Arc::new(move || metrics_text(&counters, &events, Some(&living)))
        };
        let serve = Arc::new(Serve::new(signal, metrics, runtime));
        Ok(Self {
            living,
            udp,
            serve: serve.clone(),
            tail: Tail::new(serve, fanout, control),
        })
    }
}

fn closed() -> Error {
    Error::State("the subsystem is closed".to_owned())
}

fn log_start(what: &str, stream: &str, legs: &[Leg]) {
    let port = legs.first().map(|leg| leg.rtp_port);
    tracing::info!(stream, port, "{what}");
}
