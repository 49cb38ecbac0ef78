//! The floor: the least a server can do and still be one that WHEP viewers join. One thread takes RTP from the leg, seals
//! each frame per viewer with AES-128-GCM and gives it to the kernel as one segmented message per viewer, many in one
//! call. No audio, no repair, no reports, no limits, no pace; hand-shakes are the library's, since they aren't measured here.

mod legs;
mod send;
mod sessions;

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use self::legs::{Frame, Leg};
use self::send::Sender;
use self::sessions::{Order, Sessions};
use crate::host;

/// The payload type its feed sends with.
const PAYLOAD_TYPE: u8 = 96;
/// Between looks at the hand-shakes' timers.
const TICK: Duration = Duration::from_millis(100);

/// Listens on ports of the system's choice until the input ends.
pub fn serve() -> Result<(), String> {
    let said = |error: io::Error| error.to_string();
    let media = UdpSocket::bind((super::address(), 0)).map_err(said)?;
    media.set_nonblocking(true).map_err(said)?;
    host::grow_send_buffer(&media);
    let leg = Leg::open().map_err(said)?;
    let listener = TcpListener::bind((super::address(), 0)).map_err(said)?;
    let http = listener.local_addr().map_err(said)?;
    let rtp_port = leg.port().map_err(said)?;
    let at = media.local_addr().map_err(said)?;
    let sessions = Sessions::new(at)?;
    let (orders, taken) = mpsc::channel();
    let door = sessions.door(orders);
    thread::spawn(move || door.open(&listener));
    thread::spawn(move || run(leg, &media, sessions, &taken));
    super::attend(&format!("http://{http}/whep"), rtp_port, PAYLOAD_TYPE);
    Ok(())
}

fn run(mut leg: Leg, media: &UdpSocket, mut sessions: Sessions, orders: &mpsc::Receiver<Order>) {
    let mut frame = Frame::default();
    let mut sender = Sender::default();
    let mut datagram = [0; 2048];
    let mut next_tick = Instant::now();
    loop {
        let [from_leg, from_viewers] = readable([leg.fd(), media.as_raw_fd()]);
        // A viewer's first datagram follows its answer: no need to be woken for these.
        while let Ok(order) = orders.try_recv() {
            sessions.obey(order, &mut sender);
        }
        if from_viewers {
            while let Ok((len, from)) = media.recv_from(&mut datagram) {
                take(&mut sessions, &mut sender, media, from, &datagram[..len]);
            }
        }
        if from_leg {
            leg.receive(|packet| {
                if frame.take(packet) {
                    sender.send(&frame, media.as_raw_fd());
                    frame.clear();
                }
            });
        }
        if Instant::now() >= next_tick {
            next_tick = Instant::now() + TICK;
            sessions.tick(media);
        }
    }
}

/// The demultiplexing of RFC 7983 §7; what viewers report isn't read.
fn take(
    sessions: &mut Sessions,
    sender: &mut Sender,
    media: &UdpSocket,
    from: SocketAddr,
    datagram: &[u8],
) {
    match datagram.first() {
        Some(0..4) => sessions.stun(media, from, datagram),
        Some(20..64) => sessions.dtls(media, from, datagram, sender),
        _ => {}
    }
}

/// Waits until one of them has something, or for a tick.
fn readable(fds: [RawFd; 2]) -> [bool; 2] {
    let mut polled = fds.map(|fd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    });
    // SAFETY: the array lives through the call and its length is given.
    unsafe {
        libc::poll(polled.as_mut_ptr(), 2, TICK.as_millis() as i32);
    }
    polled.map(|one| one.revents & libc::POLLIN != 0)
}
