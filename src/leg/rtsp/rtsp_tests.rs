//! The RTSP server against plain sockets: what it answers, whom it lets in, what it does to one who does not read.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;

use tokio::runtime::Runtime;

use super::*;
use crate::rtp::codec::Codec;
use crate::stream::StreamKey;

/// Pictures are kept for who joins.
const KEPT: crate::stream::history::Limits = crate::stream::history::Limits {
    bytes: 1 << 20,
    time: Duration::from_secs(12),
};
const PATIENCE: Duration = Duration::from_secs(20);
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const AUDIO: Promise = Promise {
    video: None,
    audio: true,
};

struct Rig {
    input: Option<RtspInput>,
    point: Arc<IngestPoint>,
    numbers: Arc<InputNumbers>,
    counters: Arc<Counters>,
    server: RtspServer,
    seq: u16,
    _runtime: Runtime,
}

/// A thread of its own for each connection that plays.
fn home() -> Home {
    Arc::new(|task| {
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(task());
        });
    })
}

fn rig() -> Rig {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let server = RtspServer::start(runtime.handle()).unwrap();
    let point = IngestPoint::new(
        "cam",
        StreamKey(1),
        AUDIO.expectation(),
        KEPT,
        Arc::default(),
        crate::events::Events::default(),
    );
    let (numbers, counters) = (
        Arc::new(InputNumbers::default()),
        Arc::new(Counters::default()),
    );
    let input = server.serve(
        SECRET,
        AUDIO,
        point.clone(),
        numbers.clone(),
        counters.clone(),
        home(),
    );
    let _ = Codec::Opus;
    Rig {
        input: Some(input),
        point,
        numbers,
        counters,
        server,
        seq: 0,
        _runtime: runtime,
    }
}

impl Rig {
    fn connect(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.server.port())).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { stream, cseq: 0 }
    }

    /// Audio of 20 ms.
    fn publish(&mut self, payload: usize) {
        let mut packet = vec![0_u8; 12 + payload];
        let mut head = [0; 12];
        crate::rtp::header::write(
            &mut head,
            111,
            false,
            self.seq,
            u32::from(self.seq) * 960,
            7,
        );
        packet[..12].copy_from_slice(&head);
        packet[12] = 0xf8;
        self.seq += 1;
        self.point.datagram(&packet, Instant::now());
    }
}

struct Client {
    stream: TcpStream,
    cseq: u32,
}

impl Client {
    fn send(&mut self, method: &str, path: &str, headers: &str) {
        self.cseq += 1;
        let cseq = self.cseq;
        let request =
            format!("{method} rtsp://127.0.0.1{path} RTSP/1.0\r\nCSeq: {cseq}\r\n{headers}\r\n");
        self.stream.write_all(request.as_bytes()).unwrap();
    }

    /// Head and body of a response.
    fn response(&mut self) -> String {
        let mut text = String::new();
        let mut byte = [0];
        while !text.ends_with("\r\n\r\n") {
            assert_eq!(
                self.stream.read(&mut byte).unwrap(),
                1,
                "closed after {text:?}"
            );
            text.push(char::from(byte[0]));
        }
        let length = text.split("Content-Length: ").nth(1);
        let length = length.map_or(0, |it| it.split('\r').next().unwrap().parse().unwrap());
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        text + &String::from_utf8(body).unwrap()
    }

    fn ask(&mut self, method: &str, path: &str, headers: &str) -> String {
        self.send(method, path, headers);
        let response = self.response();
        assert!(
            response.contains(&format!("CSeq: {}\r\n", self.cseq)),
            "{response}"
        );
        response
    }

    /// Channel and packet.
    fn frame(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head).unwrap();
        assert_eq!(head[0], b'$');
        let mut packet = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]]))];
        self.stream.read_exact(&mut packet).unwrap();
        (head[1], packet)
    }

    fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).is_ok()
    }

    fn play(&mut self, rig: &mut Rig) {
        let path = format!("/{SECRET}/cam");
        assert!(self.ask("OPTIONS", &path, "").contains("DESCRIBE"));
        self.send("DESCRIBE", &path, "Accept: application/sdp\r\n");
        for _ in 0..20 {
            rig.publish(3);
            std::thread::sleep(Duration::from_millis(2));
        }
        let sdp = self.response();
        assert!(
            sdp.contains("m=audio 0 RTP/AVP 111") && sdp.contains("a=control:streamid=0"),
            "{sdp}"
        );
        let control = format!("{path}/streamid=0");
        let transport = "Transport: RTP/AVP/TCP;unicast;interleaved=4-5\r\n";
        assert!(
            self.ask("SETUP", &control, transport)
                .contains("interleaved=4-5")
        );
        assert!(self.ask("PLAY", &path, "").starts_with("RTSP/1.0 200"));
    }
}

#[test]
fn a_description_waits_for_the_publisher_and_play_begins_with_what_it_was_made_from() {
    let mut rig = rig();
    let mut client = rig.connect();
    client.play(&mut rig);
    let (channel, report) = client.frame();
    assert_eq!((channel, report[1]), (5, 200), "a sender report first");
    let (channel, packet) = client.frame();
    assert_eq!((channel, packet[1] & 0x7f), (4, 111));
    assert!(rig.numbers.reading.load(Ordering::Relaxed));
    // Keep-alive while packets flow, and FFmpeg's own RTCP is passed over.
    client
        .stream
        .write_all(b"$\x05\0\x08\x80\xc9\0\x01\0\0\0\0")
        .unwrap();
    client.send("GET_PARAMETER", &format!("/{SECRET}/cam"), "");
    drop(client);
    let deadline = Instant::now() + PATIENCE;
    while rig.numbers.reading.load(Ordering::Relaxed) {
        assert!(Instant::now() < deadline, "its leaving is never noticed");
        std::thread::sleep(Duration::from_millis(1));
    }
    let packets = rig.counters.input_packets_out.value();
    assert!(packets > 0);
    assert!(rig.counters.input_bytes_out.value() > 12 * packets);
}

#[test]
fn who_does_not_know_the_secret_hears_nothing() {
    let rig = rig();
    for path in ["/", "/cam", "/0123456789abcdef0123456789abcdee/cam", ""] {
        for method in ["OPTIONS", "DESCRIBE", "SETUP", "PLAY", "TEARDOWN"] {
            let mut client = rig.connect();
            assert!(client.ask(method, path, "").starts_with("RTSP/1.0 404"));
            assert!(client.is_closed());
        }
    }
    let mut client = rig.connect();
    client.stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(client.is_closed());
}

#[test]
fn requests_out_of_order_are_refused_and_the_connection_goes_on() {
    let mut rig = rig();
    let mut client = rig.connect();
    let path = format!("/{SECRET}/cam");
    assert!(client.ask("PLAY", &path, "").starts_with("RTSP/1.0 455"));
    assert!(client.ask("SETUP", &path, "").starts_with("RTSP/1.0 455"));
    assert!(client.ask("RECORD", &path, "").starts_with("RTSP/1.0 501"));
    client.send("DESCRIBE", &path, "");
    rig.publish(3);
    std::thread::sleep(Duration::from_millis(100));
    rig.publish(3);
    rig.publish(3);
    assert!(client.response().starts_with("RTSP/1.0 200"));
    let udp = "Transport: RTP/AVP;unicast;client_port=5000-5001\r\n";
    let control = format!("{path}/streamid=0");
    assert!(
        client
            .ask("SETUP", &control, udp)
            .starts_with("RTSP/1.0 461")
    );
    let other = format!("{path}/streamid=1");
    assert!(client.ask("SETUP", &other, udp).starts_with("RTSP/1.0 404"));
    assert!(
        client
            .ask("TEARDOWN", &path, "")
            .starts_with("RTSP/1.0 200")
    );
    assert!(client.is_closed());
}

#[test]
fn what_is_asked_behind_a_description_is_answered_behind_it() {
    let mut rig = rig();
    let mut client = rig.connect();
    let path = format!("/{SECRET}/cam");
    let control = format!("{path}/streamid=0");
    client.send("DESCRIBE", &path, "");
    client.send("SETUP", &control, "Transport: RTP/AVP/TCP;unicast\r\n");
    client.send("PLAY", &path, "Session: 1\r\n");
    client.send("PLAY", &path, "");
    // Long enough for an answer that comes too soon; nobody waits for it where it doesn't.
    client
        .stream
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    assert!(
        client.stream.read(&mut [0]).is_err(),
        "an answer before its time"
    );
    client.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for _ in 0..20 {
        rig.publish(3);
        std::thread::sleep(Duration::from_millis(2));
    }
    for (cseq, status, says) in [
        (1, 200, "m=audio"),
        (2, 200, "interleaved=2-3"),
        (3, 454, ""),
        (4, 200, ""),
    ] {
        let response = client.response();
        assert!(
            response.starts_with(&format!("RTSP/1.0 {status} ")),
            "{response}"
        );
        assert!(response.contains(&format!("CSeq: {cseq}\r\n")) && response.contains(says));
    }
    assert_eq!(client.frame().0, 3, "a sender report");
}

#[test]
fn an_interrupt_and_a_stop_say_goodbye_and_close() {
    let mut rig = rig();
    for stop in [false, true] {
        let mut client = rig.connect();
        client.play(&mut rig);
        if stop {
            let begin = Instant::now();
            rig.input.take().unwrap().stop(Instant::now() + PATIENCE);
            assert!(begin.elapsed() < STOP_WAITS);
        } else {
            rig.input.as_ref().unwrap().interrupt();
        }
        let bye = loop {
            let (channel, packet) = client.frame();
            if channel == 5 && packet[1] == 201 {
                break packet;
            }
        };
        assert_eq!((bye.len(), bye[9]), (16, 203));
        assert!(client.is_closed());
    }
    let mut client = rig.connect();
    assert!(
        client
            .ask("OPTIONS", &format!("/{SECRET}/cam"), "")
            .starts_with("RTSP/1.0 404")
    );
}

#[test]
fn who_does_not_read_loses_frames_and_holds_up_nobody() {
    let mut rig = rig();
    let mut client = rig.connect();
    client.play(&mut rig);
    let begin = Instant::now();
    while rig.counters.input_frames_dropped.value() == 0 {
        rig.publish(1200);
        assert!(begin.elapsed() < PATIENCE, "a queue without bounds");
        if rig.seq.is_multiple_of(16) {
            std::thread::yield_now();
        }
    }
    // What comes out at last is whole.
    let mut seen = 0;
    while seen < 1000 {
        let (_, packet) = client.frame();
        assert!(packet.len() >= 12);
        seen += 1;
    }
}
