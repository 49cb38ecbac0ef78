//! One RTSP connection: FFmpeg's requests in, responses and interleaved packets out, as fast as FFmpeg takes them.
//!
//! DESCRIBE is answered when the first key frame is there (the first sound of a publisher without picture): its parameter sets stand in the answer, and it is the first
//! thing FFmpeg gets after PLAY. Frames are taken from the queue only while nothing waits to be written, so that an FFmpeg
//! that stalls loses whole frames there, never a part of one here.

mod serving;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use crate::stream::{FrameBatch, Sink};

use super::super::input;
use super::super::send::kept::since_keyframe;
use super::super::send::line::{Line, parameters, starts};
use super::super::send::queue::{Outlet, queue};
use super::interleaved::{Interleaved, frame};
use super::message::{self, Request, Taken};
use super::{Entry, Inputs, Told, secret_of};

/// A connection that does not come to its point within so long is closed.
const SETUP_MAX: Duration = Duration::from_secs(10);
/// A publisher is reminded of the key frame that FFmpeg waits for.
const KEYFRAME_EVERY: Duration = Duration::from_secs(1);
/// How long the last words may take.
const GOODBYE_MAX: Duration = Duration::from_millis(300);
/// Bytes of requests that may wait for the answer to a DESCRIBE.
const WAITING_MAX: usize = 16 << 10;
/// Bytes put together for one write at most, but for the frame that goes over it.
const WRITE_MAX: usize = 64 << 10;

pub(super) struct Connection {
    inputs: Inputs,
    input: Vec<u8>,
    out: Vec<u8>,
    written: usize,
    reader: Option<Reader>,
    outlet: Option<Outlet>,
    told: Option<watch::Receiver<Told>>,
    /// CSeq and URI of a DESCRIBE that waits for a key frame.
    describe: Option<(String, String)>,
    keyframe_due: Option<Instant>,
    setup_until: Instant,
    /// The host wants an end: FFmpeg gets one as soon as it plays.
    leaving: bool,
    session: String,
    playing: bool,
    finished: bool,
}

/// A connection that knows a secret.
struct Reader {
    entry: Arc<Entry>,
    sink: Arc<dyn Sink>,
    line: Line,
    channels: [Option<u8>; 2],
    /// What goes out before the queue: DESCRIBE was answered from its first batch, a key frame.
    backlog: VecDeque<Arc<FrameBatch>>,
    played: bool,
}

impl Connection {
    pub(super) fn new(inputs: Inputs) -> Self {
        let mut random = [0_u8; 4];
        let _ = aws_lc_rs::rand::fill(&mut random);
        Self {
            inputs,
            input: Vec::new(),
            out: Vec::new(),
            written: 0,
            reader: None,
            outlet: None,
            told: None,
            describe: None,
            keyframe_due: None,
            setup_until: Instant::now() + SETUP_MAX,
            leaving: false,
            session: format!("{:08x}", u32::from_be_bytes(random)),
            playing: false,
            finished: false,
        }
    }

    fn wrote(&mut self, len: usize) {
        self.written += len;
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        }
    }

    /// Answers every request that is there whole, in their order (RFC 2326 §9.1): those behind a DESCRIBE wait with it.
    fn requests(&mut self) {
        let mut at = 0;
        while !self.finished && self.describe.is_none() {
            match message::take(&self.input[at..]) {
                Taken::Request(request, len) => {
                    at += len;
                    self.request(&request);
                }
                Taken::Passed(len) => at += len,
                Taken::More => break,
                Taken::Broken => {
                    self.out
                        .extend_from_slice(b"RTSP/1.0 400 Bad Request\r\n\r\n");
                    self.finished = true;
                }
            }
        }
        self.input.drain(..at);
        self.finished |= self.describe.is_some() && self.input.len() > WAITING_MAX;
    }

    fn request(&mut self, request: &Request) {
        let path = message::path(&request.uri);
        match request.method.as_str() {
            "OPTIONS" if path == "*" => self.options(request),
            _ if !self.may(path) => {
                self.respond("404 Not Found", request, "");
                self.finished = true;
            }
            _ if !request.session.is_empty() && request.session != self.session => {
                self.respond("454 Session Not Found", request, "");
            }
            "OPTIONS" => self.options(request),
            "DESCRIBE" => self.describe(request),
            "SETUP" => self.setup(request),
            "PLAY" => self.play(request),
            "GET_PARAMETER" | "SET_PARAMETER" => self.respond("200 OK", request, ""),
            "TEARDOWN" => {
                self.respond("200 OK", request, "");
                self.finished = true;
            }
            _ => self.respond("501 Not Implemented", request, ""),
        }
    }

    /// Whether the path is that of an input, and of the one this connection has begun with.
    fn may(&self, path: &str) -> bool {
        match &self.reader {
            Some(reader) => reader.entry.secret == secret_of(path),
            None => self.inputs.at(path).is_some(),
        }
    }

    fn options(&mut self, request: &Request) {
        let methods = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN\r\n";
        self.respond("200 OK", request, methods);
    }

    fn describe(&mut self, request: &Request) {
        if self.reader.is_none() {
            let Some(entry) = self.inputs.at(message::path(&request.uri)) else {
                return;
            };
            let (inlet, outlet) = queue(entry.numbers.clone(), entry.counters.clone());
            let sink: Arc<dyn Sink> = inlet;
            let stream = entry.point.stream();
            stream.attach(sink.clone());
            entry.opened();
            // After attaching: what comes in between stands in both and is sent once.
            let backlog = since_keyframe(stream, Instant::now());
            self.told = Some(entry.told.subscribe());
            self.outlet = Some(outlet);
            self.reader = Some(Reader {
                line: Line::new(stream.clone(), &entry.promise),
                sink,
                entry,
                channels: [None, None],
                backlog: backlog.into(),
                played: false,
            });
        }
        self.describe = Some((request.cseq.clone(), request.uri.clone()));
        let first = self.reader.as_ref().and_then(|it| it.backlog.front());
        if let Some(first) = first.cloned() {
            self.answer_describe(&first);
        }
    }

    fn answer_describe(&mut self, first: &FrameBatch) {
        let Some((cseq, uri)) = self.describe.take() else {
            return;
        };
        self.setup_until = Instant::now() + SETUP_MAX;
        self.describe_as(&parameters(first), &cseq, &uri);
    }

    fn describe_as(&mut self, parameters: &str, cseq: &str, uri: &str) {
        let Some(reader) = &self.reader else { return };
        let sdp = input::rtsp_sdp(&reader.entry.promise, parameters);
        let headers = format!("Content-Base: {uri}/\r\nContent-Type: application/sdp\r\n");
        message::respond(&mut self.out, "200 OK", cseq, &headers, &sdp);
    }

    fn setup(&mut self, request: &Request) {
        let named = request.uri.rsplit_once("streamid=");
        let number = named.and_then(|(_, number)| number.parse::<usize>().ok());
        let Some(reader) = self.reader.as_mut().filter(|_| !self.playing) else {
            return self.respond("455 Method Not Valid in This State", request, "");
        };
        let media = number.and_then(|number| reader.entry.promise.media().nth(number));
        let Some((media, _, _)) = media else {
            return self.respond("404 Not Found", request, "");
        };
        let Some(channel) = message::interleaved(&request.transport, 2 * media as u8) else {
            return self.respond("461 Unsupported Transport", request, "");
        };
        reader.channels[media as usize] = Some(channel);
        let channels = format!("{channel}-{}", channel + 1);
        let headers = format!("Transport: RTP/AVP/TCP;unicast;interleaved={channels}\r\n");
        self.respond("200 OK", request, &headers);
    }

    fn play(&mut self, request: &Request) {
        let ready = |it: &&mut Reader| it.channels.iter().any(Option::is_some);
        let Some(reader) = self.reader.as_mut().filter(ready) else {
            return self.respond("455 Method Not Valid in This State", request, "");
        };
        if !std::mem::replace(&mut reader.played, true) {
            reader.entry.numbers.came();
        }
        self.playing = true;
        self.respond("200 OK", request, "");
        if self.leaving {
            self.leave();
        }
    }

    fn respond(&mut self, status: &str, request: &Request, headers: &str) {
        let headers = format!("Session: {};timeout=60\r\n{headers}", self.session);
        message::respond(&mut self.out, status, &request.cseq, &headers, "");
    }

    /// A batch from the queue: the first that FFmpeg can start with answers its DESCRIBE.
    fn batch(&mut self, batch: Arc<FrameBatch>) {
        let Some(reader) = &mut self.reader else {
            return;
        };
        let video = reader.entry.promise.video.is_some();
        let starts = starts(&batch, video, reader.entry.point.stream());
        if self.playing || starts {
            reader.backlog.push_back(batch.clone());
        }
        if starts {
            self.answer_describe(&batch);
        }
    }

    /// Sends what waits, as far as one write takes it.
    fn pump(&mut self) {
        while self.out.len() < WRITE_MAX {
            let kept = self.reader.as_mut().and_then(|it| it.backlog.pop_front());
            let queued = || self.outlet.as_mut().and_then(Outlet::try_next);
            let Some(batch) = kept.or_else(queued) else {
                return;
            };
            self.send(&batch);
        }
    }

    fn send(&mut self, batch: &FrameBatch) {
        let Some(reader) = &mut self.reader else {
            return;
        };
        let mut wire = Interleaved::new(&mut self.out, reader.channels, &reader.entry);
        let started = reader.line.has_started();
        let (now, wall) = (Instant::now(), SystemTime::now());
        reader.line.batch(batch, now, wall, &mut wire);
        if !started {
            // Silence begins with the picture.
            reader.line.tick(now, wall, &mut wire);
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        if !self.playing && self.describe.is_none() && now >= self.setup_until {
            self.finished = true;
        }
        let Some(reader) = &mut self.reader else {
            return;
        };
        let broken = self.outlet.as_ref().is_some_and(Outlet::is_broken);
        let waits = self.playing && !reader.line.has_started();
        let wanting = self.describe.is_some() || waits || broken;
        if wanting && self.keyframe_due.is_none_or(|due| due <= now) {
            self.keyframe_due = Some(now + KEYFRAME_EVERY);
            reader.entry.point.request_keyframe(now);
        }
        // Silence for an FFmpeg that takes nothing would fill the memory.
        if self.playing && self.out.len() < WRITE_MAX {
            let mut wire = Interleaved::new(&mut self.out, reader.channels, &reader.entry);
            reader.line.tick(now, SystemTime::now(), &mut wire);
        }
    }

    fn tick_after(&self) -> Duration {
        let reader = self.reader.as_ref().filter(|_| self.playing);
        reader.map_or(Duration::from_millis(200), |reader| {
            reader.line.tick_after(Instant::now())
        })
    }

    /// FFmpeg ends at a closed connection; the goodbyes make it an end of the file and no error. One that has still to
    /// play is let through to there, with a description that nothing stands behind.
    fn leave(&mut self) {
        self.leaving = true;
        let Some(reader) = self.reader.as_ref().filter(|_| self.playing) else {
            if let Some((cseq, uri)) = self.describe.take() {
                self.describe_as("", &cseq, &uri);
            }
            self.setup_until = Instant::now() + GOODBYE_MAX;
            return;
        };
        self.finished = true;
        for (media, bytes) in reader.line.goodbyes() {
            if let Some(channel) = reader.channels[media as usize] {
                frame(&mut self.out, channel + 1, &bytes);
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.entry.point.stream().detach(&self.sink);
        if self.played {
            self.entry.numbers.left();
        }
        self.entry.was_closed();
    }
}
