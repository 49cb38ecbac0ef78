//! One publisher's session: who may have the ingest, how the session is made, and what it leaves behind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::candidates::candidates;
use super::draw::Drawn;
use super::ice::Ice;
use super::state::Session;
use super::viewer::{EVENTS_MAX, Task};
use super::{Client, Created, SessionError, Shared};
use crate::fanout::NewPublisher;
use crate::peer::dtls::{Connection, Role};
use crate::peer::ice::credentials::Credentials;
use crate::peer::{ExtensionIds, IntakeSetup, PublisherSetup};
use crate::rtp::Media;
use crate::sdp::{AnswerParams, Offer, PublishAnswer, Setup, choose_publish, write_publish_answer};
use crate::stream::IngestPoint;

/// A publisher that was silent for so long does not hold its ingest: a client that crashed comes back to it.
const HOLDS: Duration = Duration::from_secs(3);

/// Answers an offer and starts the session's task.
pub(super) async fn start(
    shared: &Arc<Shared>,
    point: &Arc<IngestPoint>,
    offer: &Offer,
    client: Client,
) -> Result<Created, SessionError> {
    let stream = point.stream();
    let watch = stream.watch();
    let expected = *point.expectation();
    let chosen = choose_publish(
        offer,
        expected.video.map(|track| track.codec),
        expected.audio.map(|track| track.codec),
        &shared.settings.whip_codecs,
    )?;
    make_room(shared, point).await?;
    if watch.borrow().ended {
        return Err(SessionError::Closing);
    }
    // RFC 8842 §5.3: an offer that is `passive` makes us the client (C020: FFmpeg's is).
    let role = match offer.setup {
        Setup::Passive => Role::Client,
        Setup::Active | Setup::ActPass => Role::Server,
    };
    let internal = |error: &dyn std::fmt::Display| SessionError::Internal(error.to_string());
    let now = Instant::now();
    let dtls = Connection::new(&shared.identity, role, &offer.fingerprints, now)
        .map_err(|error| internal(&error))?;
    let credentials = Credentials::draw().map_err(|error| internal(&error))?;
    let drawn =
        Drawn::draw().ok_or_else(|| internal(&"the system's random number generator failed"))?;
    let answer = write_publish_answer(
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
            inactive: false,
        },
    );
    let etag = credentials.ufrag.clone();
    let ice = Ice::new(&etag, (&offer.ufrag, &offer.pwd), &answer, now);
    let session = Session::new(&drawn, stream, true, ice, dtls, client, now);
    let inserted = shared.registry.insert(session.clone());
    inserted.inspect_err(|_| shared.counters.sessions_refused.inc())?;
    shared.counters.sessions_total.inc();
    let (events, from_shard) = mpsc::channel(EVENTS_MAX);
    let brings = |media| chosen.iter().any(|answer| answer.media == media);
    point.new_publisher([Media::Video, Media::Audio].map(brings), rids(&chosen));
    let publisher = shared.fanout.add_publisher(NewPublisher {
        setup: setup(credentials, point, offer, &chosen, &drawn),
        point: point.clone(),
        events,
        numbers: session.numbers.clone(),
    });
    // Nobody else sets it, and once.
    let _ = session.viewer.set(publisher.clone());
    let asked = publisher.clone();
    let claim = point.claim_keyframes(Arc::new(move |rid| asked.want_keyframe(rid)));
    let task = Task {
        shared: shared.clone(),
        session,
        viewer: publisher,
        role,
        from_shard,
        watch,
        codecs: [None; 2],
        path: None,
        begun: role == Role::Server,
        publishing: Some(Publishing {
            point: point.clone(),
            claim,
        }),
    };
    shared.runtime.spawn(task.run());
    Ok(Created {
        secret: drawn.secret,
        answer,
        etag,
    })
}

/// The simulcast layers that were answered.
fn rids(chosen: &[PublishAnswer]) -> Vec<String> {
    let video = chosen.iter().find(|answer| answer.media == Media::Video);
    video.map(|answer| answer.rids.clone()).unwrap_or_default()
}

/// Ends the session that publishes already, if it may be ended.
async fn make_room(shared: &Shared, point: &IngestPoint) -> Result<(), SessionError> {
    let Some(before) = shared.registry.publisher_of(point.stream().key()) else {
        return Ok(());
    };
    // The time of setting up counts as sending: a half-open session holds its ingest no longer either.
    let last = before.created.max(point.heard().unwrap_or(before.created));
    let reason = if shared.settings.whip_takeover {
        "taken_over"
    } else if last.elapsed() >= HOLDS {
        "silent"
    } else {
        return Err(SessionError::Busy);
    };
    before.end(reason);
    before.ended().await;
    Ok(())
}

fn setup(
    credentials: Credentials,
    point: &IngestPoint,
    offer: &Offer,
    chosen: &[PublishAnswer],
    drawn: &Drawn,
) -> PublisherSetup {
    let expected = point.expectation();
    let media = |media: Media| {
        let answer = chosen.iter().find(|answer| answer.media == media)?;
        let expected = match media {
            Media::Video => expected.video,
            Media::Audio => expected.audio,
        }?;
        Some(IntakeSetup {
            codec: answer.codec,
            payload_type: answer.payload_type,
            rtx: answer.rtx,
            ingest_payload_type: expected.payload_type,
            rids: answer.rids.clone(),
            nack: answer.has("nack"),
            pli: answer.has("nack pli") || !answer.has("ccm fir"),
        })
    };
    // In a bundle an id means the same in every section (RFC 9143 §7.1.2).
    let id = |of: fn(&PublishAnswer) -> Option<u8>| chosen.iter().find_map(of);
    let transport_cc = id(|answer| answer.transport_cc);
    PublisherSetup {
        credentials,
        media: [media(Media::Video), media(Media::Audio)],
        extensions: ExtensionIds {
            rid: id(|answer| answer.rid),
            repaired_rid: id(|answer| answer.repaired_rid),
            transport_cc,
        },
        reduced_size: offer.media.iter().any(|section| section.reduced_size),
        remb: transport_cc.is_none() && chosen.iter().any(|answer| answer.has("goog-remb")),
        ssrc: drawn.video.ssrc,
        cname: drawn.cname.as_str().into(),
    }
}

/// A publisher's hold on its ingest.
pub(super) struct Publishing {
    point: Arc<IngestPoint>,
    claim: u64,
}

impl Publishing {
    /// The publisher left: nobody is asked for key frames, and the ingest's time goes on until it has fallen silent (a
    /// shard drives it only while it has a publisher).
    pub(super) fn end(self, runtime: &Handle) {
        self.point.release_keyframes(self.claim);
        let layers = self.point.open_layers().into_iter();
        for point in layers.map(|layer| layer.point).chain([self.point]) {
            runtime.spawn(async move {
                while let Some(due) = point.next_timeout() {
                    tokio::time::sleep_until(due.into()).await;
                    point.poll(Instant::now());
                }
            });
        }
    }
}
