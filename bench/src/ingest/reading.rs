//! The process of the readers: what FFmpeg would be, for the price of little. Over UDP it has FFmpeg's four ports and waits
//! for all of them; over RTSP it is a TCP client. Packets are counted, and their marks read.

use std::io::{self, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::crowd::stamp;
use crate::{child, host, report};

/// How long a reader waits before it asks again for what isn't there yet.
const RETRY: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Counts {
    received: AtomicU64,
    /// From a packet's sending to this socket.
    latencies_ns: Mutex<Vec<u64>>,
}

impl Counts {
    fn packet(&self, packet: &[u8], at_ns: u64) {
        self.received.fetch_add(1, Ordering::SeqCst);
        if let Some(sent) = stamp::sent_ns(packet) {
            let mut latencies = self
                .latencies_ns
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            latencies.push(at_ns.saturating_sub(sent));
        }
    }
}

/// Orders: `open` (a list of inputs: `udp` with the first port or `rtsp` with the URL), `received`, `latencies` since the last
/// such order.
pub fn run() -> Result<(), String> {
    let counts = Arc::new(Counts::default());
    child::answer_each(|order| match order["do"].as_str().unwrap_or_default() {
        "open" => {
            let inputs = order["inputs"].as_array().cloned().unwrap_or_default();
            let opened = inputs.iter().try_for_each(|input| open(input, &counts));
            match opened {
                Ok(()) => json!({}),
                Err(error) => json!({"error": error.to_string()}),
            }
        }
        "received" => json!({"received": counts.received.load(Ordering::SeqCst)}),
        "latencies" => {
            let mut latencies = counts
                .latencies_ns
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            summary(std::mem::take(&mut latencies))
        }
        other => json!({"error": format!("no such order: {other}")}),
    });
    Ok(())
}

/// Percentiles of latencies, in microseconds.
#[must_use]
pub fn summary(latencies_ns: Vec<u64>) -> Value {
    let mut us: Vec<f64> = latencies_ns.iter().map(|&ns| ns as f64 / 1000.0).collect();
    us.sort_by(f64::total_cmp);
    let at = |share| report::percentile(&us, share);
    json!({"count": us.len(), "p50_us": at(0.5), "p99_us": at(0.99), "max_us": at(1.0)})
}

fn open(input: &Value, counts: &Arc<Counts>) -> io::Result<()> {
    let counts = Arc::clone(counts);
    if let Some(port) = input["udp"].as_u64() {
        let port = port as u16;
        let sockets = (port..port + 4).map(|port| UdpSocket::bind(("127.0.0.1", port)));
        let sockets: Vec<UdpSocket> = sockets.collect::<io::Result<_>>()?;
        for socket in &sockets {
            host::grow_receive_buffer(socket);
            stamp::enable(socket)?;
        }
        thread::spawn(move || read_udp(&sockets, &counts));
    } else if let Some(url) = input["rtsp"].as_str().map(str::to_owned) {
        thread::spawn(move || {
            while let Err(error) = read_rtsp(&url, &counts) {
                eprintln!("readers: {error}");
                thread::sleep(RETRY);
            }
        });
    }
    Ok(())
}

fn read_udp(sockets: &[UdpSocket], counts: &Counts) {
    let polled = |socket: &UdpSocket| libc::pollfd {
        fd: socket.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let mut polled: Vec<libc::pollfd> = sockets.iter().map(polled).collect();
    let mut buffer = [0; 2048];
    loop {
        // SAFETY: the array lives through the call and has the length that is said.
        unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, -1) };
        for (index, socket) in polled.iter().enumerate().filter(|(_, it)| it.revents != 0) {
            while let Ok((len, at)) = stamp::receive(socket.fd, &mut buffer) {
                let packet = &buffer[..len];
                if is_rtcp(packet) {
                    if ends_with_bye(packet) {
                        return;
                    }
                } else if index % 2 == 0 && len >= 12 {
                    counts.packet(packet, at);
                }
            }
        }
    }
}

/// RFC 5761 §4.
fn is_rtcp(packet: &[u8]) -> bool {
    packet.len() >= 8 && (192..224).contains(&packet[1])
}

/// A compound packet whose second one is a BYE: FFmpeg ends its input then, and closes its ports.
fn ends_with_bye(compound: &[u8]) -> bool {
    let first = 4 * (1 + usize::from(u16::from_be_bytes([compound[2], compound[3]])));
    compound.get(first + 1) == Some(&203)
}

/// What FFmpeg says to an RTSP server with `-rtsp_transport tcp`, then interleaved frames (RFC 2326 §10.12) to the end.
fn read_rtsp(url: &str, counts: &Counts) -> io::Result<()> {
    let authority = url
        .strip_prefix("rtsp://")
        .and_then(|rest| rest.split('/').next());
    let authority = authority.ok_or_else(|| io::Error::other("not an RTSP URL"))?;
    let mut stream = TcpStream::connect(authority)?;
    let mut input = Vec::new();
    let requests = [
        format!("DESCRIBE {url} RTSP/1.0\r\nAccept: application/sdp\r\n"),
        format!(
            "SETUP {url}/streamid=0 RTSP/1.0\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        ),
        format!(
            "SETUP {url}/streamid=1 RTSP/1.0\r\nTransport: RTP/AVP/TCP;unicast;interleaved=2-3\r\n"
        ),
        format!("PLAY {url} RTSP/1.0\r\n"),
    ];
    for (index, request) in requests.iter().enumerate() {
        write!(stream, "{request}CSeq: {}\r\n\r\n", index + 1)?;
        answer(&mut stream, &mut input)?;
    }
    let mut chunk = vec![0; 64 << 10];
    loop {
        let at_ns = stamp::now_ns();
        let mut done = 0;
        while let [b'$', channel, high, low, rest @ ..] = &input[done..] {
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            let Some(packet) = rest.get(..len) else { break };
            if channel % 2 == 0 {
                counts.packet(packet, at_ns);
            }
            done += 4 + len;
        }
        input.drain(..done);
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            len => input.extend_from_slice(&chunk[..len]),
        }
    }
}

/// Takes one response, which must be 200, off the input.
fn answer(stream: &mut TcpStream, input: &mut Vec<u8>) -> io::Result<()> {
    let mut chunk = [0; 4096];
    loop {
        if let Some(end) = input.windows(4).position(|it| it == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&input[..end]).into_owned();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "));
            let len = end + 4 + length.and_then(|it| it.parse().ok()).unwrap_or(0);
            if input.len() >= len {
                input.drain(..len);
                let good = head.starts_with("RTSP/1.0 200");
                return if good {
                    Ok(())
                } else {
                    Err(io::Error::other(head))
                };
            }
        }
        match stream.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            len => input.extend_from_slice(&chunk[..len]),
        }
    }
}
