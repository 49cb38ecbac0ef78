//! What a viewer is made of, and what it wants done after a call: plain values between it and its shard.

use std::sync::Arc;

use super::ice::credentials::Credentials;
use super::intake::{ExtensionIds, IntakeSetup};
use super::published::Published;
use super::track::TrackSetup;
use crate::net::Path;
use crate::rtp::Media;

/// What a new viewer is made of.
pub struct ViewerSetup {
    /// Our ICE credentials for this session: what its checks are signed with.
    pub credentials: Credentials,
    /// The tracks of the answer, video first.
    pub tracks: [Option<TrackSetup>; 2],
    /// The CNAME common to both tracks, so that they are played in sync (RFC 3550 §6.5.1).
    pub cname: Arc<str>,
    /// Id of the transport-wide sequence number's header extension, where the answer has it.
    pub transport_cc: Option<u8>,
}

/// What a new publisher is made of.
pub struct PublisherSetup {
    /// Our ICE credentials for this session: what its checks are signed with.
    pub credentials: Credentials,
    /// The media of the answer, video first.
    pub media: [Option<IntakeSetup>; 2],
    /// The header extensions of the answer.
    pub extensions: ExtensionIds,
    /// It takes RTCP packets that are no compound (RFC 5506).
    pub reduced_size: bool,
    /// It wants an estimate (REMB) for want of transport-wide feedback.
    pub remb: bool,
    /// Our SSRC as receiver.
    pub ssrc: u32,
    /// Our CNAME.
    pub cname: Arc<str>,
}

/// What a viewer wants done after a call; reused, so cleared by the caller.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Datagrams to send.
    pub send: Vec<(Path, Vec<u8>)>,
    /// For the session and the stream.
    pub notices: Vec<Notice>,
    /// Paths from which this viewer must be found from now on (again, where it is found there already).
    pub learnt: Vec<Path>,
    /// Paths at which it has authenticated: what comes from there is most likely its own.
    pub proven: Vec<Path>,
    /// Paths it has left.
    pub forgotten: Vec<Path>,
    /// Ufrags it is not found by any more.
    pub retired: Vec<String>,
    /// A publisher's packets for its ingest.
    pub published: Published,
    /// The same for those who watch one layer, in the order of [`Publisher::watch`](super::Publisher::watch).
    pub layers: Vec<Published>,
}

impl Outbox {
    /// There are as many buffers for layers as are watched, or more.
    pub(super) fn room_for_layers(&mut self, count: usize) {
        if self.layers.len() < count {
            self.layers.resize_with(count, Published::default);
        }
    }
}

/// News of a viewer.
#[derive(Debug, PartialEq, Eq)]
pub enum Notice {
    /// A connectivity check passed; a DTLS client may begin there.
    Checked(Path),
    /// A DTLS datagram from a checked address.
    Dtls(Path, Vec<u8>),
    /// It can't decode without a key frame (PLI, FIR).
    KeyframeWanted,
    /// It has reported how its video arrives.
    Reported,
    /// It asks for these packets of a track again: RTP sequence numbers as it saw them.
    Missing(Media, Vec<u16>),
    /// It said BYE.
    Left,
}
