//! One viewer's session: how it is made, and its task (DTLS, deadlines, the stream's fate).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::sync::{mpsc, watch};

use super::candidates::candidates;
use super::draw::Drawn;
use super::ending::End;
use super::ice::Ice;
use super::publisher::Publishing;
use super::state::{CHECKING, CONNECTED, NEW, Session};
use super::whole::whole;
use super::{Client, Created, SessionError, Shared};
use crate::config::MissingMedia;
use crate::events::EventKind;
use crate::fanout::{NewViewer, ViewerEvent, ViewerHandle};
use crate::net::Path;
use crate::peer::ViewerSetup;
use crate::peer::dtls::{Connection, Event, Role};
use crate::peer::ice::credentials::Credentials;
use crate::rtp::Media;
use crate::rtp::codec::Codec;
use crate::sdp::answer::choose_playback;
use crate::sdp::{AnswerParams, Offer, Setup, write_answer};
use crate::stream::{Stream, StreamInfo};

/// Datagrams and news that may wait for a session's task.
pub(super) const EVENTS_MAX: usize = 16;

/// Answers an offer and starts the session's task.
pub(super) fn start(
    shared: &Arc<Shared>,
    stream: &Arc<Stream>,
    offer: &Offer,
    client: Client,
) -> Result<Created, SessionError> {
    let watch = stream.watch();
    let info = *watch.borrow();
    if info.ended {
        return Err(SessionError::Closing);
    }
    let chosen = choose_playback(offer, info.video, info.audio)?;
    if shared.settings.missing_media == MissingMedia::Refused {
        whole(offer, &chosen)?;
    }
    // RFC 8842 §5.3: an offer that is `passive` makes us the client.
    let role = if offer.setup == Setup::Passive {
        Role::Client
    } else {
        Role::Server
    };
    let internal = |error: &dyn std::fmt::Display| SessionError::Internal(error.to_string());
    let now = Instant::now();
    let dtls = Connection::new(&shared.identity, role, &offer.fingerprints, now)
        .map_err(|error| internal(&error))?;
    let credentials = Credentials::draw().map_err(|error| internal(&error))?;
    let drawn =
        Drawn::draw().ok_or_else(|| internal(&"the system's random number generator failed"))?;
    let answer = write_answer(
        offer,
        &chosen,
        &AnswerParams {
            ufrag: &credentials.ufrag,
            pwd: &credentials.pwd,
            fingerprint: shared.identity.fingerprint_sha256(),
            candidates: &candidates(&shared.fanout.local_addrs(), &shared.settings.announce),
            session_id: drawn.session_id,
            msid: &drawn.public,
            cname: &drawn.cname,
            ssrc: (drawn.video.ssrc, drawn.audio.ssrc),
            rtx_ssrc: drawn.rtx_ssrc,
            inactive: shared.settings.missing_media == MissingMedia::Inactive,
        },
    );
    let ice = Ice::new(&credentials.ufrag, (&offer.ufrag, &offer.pwd), &answer, now);
    let session = Session::new(&drawn, stream, false, ice, dtls, client, now);
    let inserted = shared.registry.insert(session.clone());
    inserted.inspect_err(|_| shared.counters.sessions_refused.inc())?;
    shared.counters.sessions_total.inc();
    let (events, from_shard) = mpsc::channel(EVENTS_MAX);
    let etag = credentials.ufrag.clone();
    let playing =
        [Media::Video, Media::Audio].map(|media| chosen.iter().any(|track| track.media == media));
    let codecs = codecs(&info, playing);
    let viewer = shared.fanout.add(NewViewer {
        setup: ViewerSetup {
            credentials,
            tracks: [
                drawn.track(Media::Video, codecs[0], &chosen),
                drawn.track(Media::Audio, codecs[1], &chosen),
            ],
            cname: drawn.cname.as_str().into(),
            transport_cc: chosen.first().and_then(|media| media.transport_cc),
        },
        stream: stream.clone(),
        events,
        numbers: session.numbers.clone(),
    });
    let _ = session.viewer.set(viewer.clone());
    let task = Task {
        shared: shared.clone(),
        session: session.clone(),
        viewer,
        role,
        from_shard,
        watch,
        codecs,
        path: None,
        begun: role == Role::Server,
        publishing: None,
    };
    shared.runtime.spawn(task.run());
    Ok(Created {
        secret: drawn.secret,
        answer,
        etag,
    })
}

/// The codecs a session plays; None where it doesn't play that medium.
fn codecs(info: &StreamInfo, playing: [bool; 2]) -> [Option<Codec>; 2] {
    let of = |track: Option<crate::rtp::codec::TrackFacts>, plays: bool| {
        track.filter(|_| plays).map(|track| track.codec)
    };
    [of(info.video, playing[0]), of(info.audio, playing[1])]
}

/// The task of one session, a viewer's or a publisher's.
pub(super) struct Task {
    pub(super) shared: Arc<Shared>,
    pub(super) session: Arc<Session>,
    pub(super) viewer: ViewerHandle,
    pub(super) role: Role,
    pub(super) from_shard: mpsc::Receiver<ViewerEvent>,
    pub(super) watch: watch::Receiver<StreamInfo>,
    /// What it plays; a publisher plays nothing.
    pub(super) codecs: [Option<Codec>; 2],
    /// Where the last DTLS datagram came from: answers go there. None for what a timer sends, the first flight of a
    /// client among it: that goes to every checked address, for one alone may lead nowhere.
    pub(super) path: Option<Path>,
    /// A client waits for the first connectivity check before its first flight.
    pub(super) begun: bool,
    /// Of a publisher: its hold on the ingest.
    pub(super) publishing: Option<Publishing>,
}

impl Task {
    pub(super) async fn run(mut self) {
        let mut end = End::new(
            &self.shared,
            &self.session,
            &self.viewer,
            self.publishing.take(),
        );
        let reason = self.drive().await;
        if end.claim() {
            self.viewer.remove(self.session.last_words()).await;
            end.finish(reason);
        }
    }

    /// Runs until the session shall end; the reason.
    async fn drive(&mut self) -> &'static str {
        let setup_deadline = tokio::time::Instant::from_std(
            self.session.created + self.shared.settings.setup_timeout,
        );
        loop {
            if let Some(reason) = self.pump() {
                return reason;
            }
            let connected = self.session.state.load(Ordering::Relaxed) == CONNECTED;
            let timer = self.session.dtls().next_timeout().filter(|_| self.begun);
            tokio::select! {
                biased;
                () = self.session.end_wanted.notified() => return self.session.end_reason.get().copied().unwrap_or("closed"),
                () = tokio::time::sleep_until(timer.unwrap_or_else(Instant::now).into()), if timer.is_some() => {
                    self.path = None;
                    self.session.dtls().handle_timeout(Instant::now());
                }
                () = tokio::time::sleep_until(setup_deadline), if !connected => return "setup_timeout",
                changed = self.watch.changed() => {
                    let info = *self.watch.borrow_and_update();
                    if changed.is_err() || info.ended {
                        return "stopped";
                    }
                    if self.codec_changed(&info) {
                        return "codec";
                    }
                }
                // Last: a flood of datagrams holds up none of the above.
                event = self.from_shard.recv() => match event {
                    Some(event) => if let Some(reason) = self.heard(event) { return reason },
                    None => return "closed",
                },
            }
        }
    }

    /// Sends what DTLS wants sent, takes what it has to say; the reason, where that ends the session.
    fn pump(&mut self) -> Option<&'static str> {
        loop {
            // Held to the end: whoever ends the session takes the last words under it, so a JOINED comes before its LEFT.
            let mut dtls = self.session.dtls();
            while let Some(datagram) = dtls.poll_transmit() {
                self.viewer.transmit(self.path, datagram);
            }
            match dtls.poll_event()? {
                Event::Connected(_) if self.session.is_ending() => return Some("closed"),
                Event::Connected(keys) => {
                    // A hand-shake can't end but with a datagram from somewhere.
                    let Some(path) = self.path else {
                        return Some("error");
                    };
                    self.viewer.connect(keys, path);
                    self.session.state.store(CONNECTED, Ordering::Relaxed);
                    self.shared.events.push(
                        match self.session.publishes {
                            true => EventKind::PublisherJoined,
                            false => EventKind::ViewerJoined,
                        },
                        &self.session.stream_id,
                        self.session.detail(),
                    );
                }
                Event::Closed(why) => {
                    if self.session.state.load(Ordering::Relaxed) == CONNECTED {
                        return Some("closed");
                    }
                    tracing::info!(session = self.session.public, why, "hand-shake failed");
                    self.shared.counters.dtls_failed.inc();
                    return Some("dtls");
                }
            }
        }
    }

    fn heard(&mut self, event: ViewerEvent) -> Option<&'static str> {
        match event {
            ViewerEvent::Checked(_) => {
                let first = self.session.state.compare_exchange(
                    NEW,
                    CHECKING,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
                if first.is_ok() {
                    self.shared.registry.checked(&self.session);
                }
                if self.role == Role::Client && !self.begun {
                    self.begun = true;
                    self.session.dtls().handle_timeout(Instant::now());
                }
            }
            ViewerEvent::Dtls(path, datagram) => {
                self.path = Some(path);
                self.session.dtls().feed(&datagram, Instant::now());
            }
            ViewerEvent::Left => return Some("bye"),
            ViewerEvent::Silent(_) => return Some("idle"),
            ViewerEvent::Refused(why) => {
                tracing::error!(session = self.session.public, why, "session ended");
                return Some("error");
            }
        }
        None
    }

    /// The stream carries something else now than what was answered.
    fn codec_changed(&self, info: &StreamInfo) -> bool {
        let now = codecs(info, [true, true]);
        self.codecs
            .iter()
            .zip(now)
            .any(|(answered, now)| answered.is_some() && now.is_some() && *answered != now)
    }
}
