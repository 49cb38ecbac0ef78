//! STOP_LINGER and close, without viewers.

use std::net::UdpSocket;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::deadline::Deadline;
use super::fake_world::{fake, rebindable};
use crate::config::{ProcessSettings, VideoCodec};
use crate::error::Error;
use crate::leg::ports::Ports;
use crate::rtp::codec::Codec;

const LINGER: Duration = Duration::from_secs(60);

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

#[test]
fn lingering_viewers_are_taken_over_by_the_next_start() {
    let (processes, world) = fake(Ports::new(None), LINGER);
    let settings = ProcessSettings::default();
    let port = processes.start("a", &settings).unwrap()[0].rtp_port;
    processes.stop("a").unwrap();
    assert!(rebindable(port), "the legs' sockets close at once");
    assert_eq!(world.log(), ["open a"], "nobody was told to leave");
    assert_eq!(processes.count(), 0);
    assert!(matches!(processes.stop("a"), Err(Error::NotFound(_))));

    processes.start("a", &settings).unwrap();
    assert_eq!(world.log(), ["expect a H264"], "the same stream goes on");
    world.run_timers();
    assert!(world.log().is_empty(), "the old timer means nothing now");
    assert_eq!(processes.count(), 1);
}

#[test]
fn a_lingering_stream_does_not_count_as_live() {
    let (processes, world) = fake(Ports::new(None), LINGER);
    let port = processes.start("a", &ProcessSettings::default()).unwrap()[0].rtp_port;
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.send_to(b"packet", ("127.0.0.1", port)).unwrap();
    world.wait_for("live a");
    processes.stop("a").unwrap();
    assert_eq!(world.log(), ["open a", "live a", "silent a"]);
}

#[test]
fn a_takeover_with_another_codec_sends_the_viewers_away() {
    let (processes, world) = fake(Ports::new(None), LINGER);
    processes.start("a", &ProcessSettings::default()).unwrap();
    processes.stop("a").unwrap();
    world.log();
    let vp8 = ProcessSettings {
        video_codec: VideoCodec::Encode(Codec::Vp8),
        ..ProcessSettings::default()
    };
    processes.start("a", &vp8).unwrap();
    assert_eq!(world.log(), ["farewell a codec", "expect a VP8"]);
}

#[test]
fn when_the_linger_ends_viewers_leave_and_the_hook_runs_once() {
    let (processes, world) = fake(Ports::new(None), LINGER);
    processes.start("a", &ProcessSettings::default()).unwrap();
    processes.stop("a").unwrap();
    world.log();
    world.run_timers();
    let ending = ["forget a", "farewell a stopped", "teardown a"];
    assert_eq!(world.log(), ending);
    processes.start("a", &ProcessSettings::default()).unwrap();
    assert_eq!(world.log(), ["open a"], "a new stream");
}

#[test]
fn close_ends_live_and_lingering_processes_and_nothing_starts_any_more() {
    let (processes, world) = fake(Ports::new(None), LINGER);
    let settings = ProcessSettings::default();
    let port = processes.start("live", &settings).unwrap()[0].rtp_port;
    processes.start("lingering", &settings).unwrap();
    processes.stop("lingering").unwrap();
    world.log();
    processes.close(&mut soon()).unwrap();
    let log = world.log();
    for id in ["live", "lingering"] {
        let of_id: Vec<_> = log.iter().filter(|it| it.contains(id)).collect();
        let expected = [
            format!("forget {id}"),
            format!("farewell {id} stopped"),
            format!("teardown {id}"),
        ];
        assert_eq!(of_id, expected.iter().collect::<Vec<_>>());
    }
    assert!(rebindable(port));
    assert!(matches!(
        processes.start("x", &settings),
        Err(Error::State(_))
    ));
    assert!(matches!(processes.stop("live"), Err(Error::NotFound(_))));
    world.run_timers();
    processes.close(&mut soon()).unwrap();
    assert!(world.log().is_empty(), "nothing is told twice");
}

#[test]
fn the_hosts_time_in_the_hook_does_not_count_against_close() {
    let (processes, world) = fake(Ports::new(None), Duration::ZERO);
    for id in ["a", "b", "c"] {
        processes.start(id, &ProcessSettings::default()).unwrap();
    }
    // Longer than the whole deadline, each time; the sleep is the behaviour under test.
    world.on_teardown(|_| thread::sleep(Duration::from_millis(700)));
    let mut deadline = Deadline::after(Duration::from_millis(500));
    assert_eq!(processes.close(&mut deadline), Ok(()));
    assert_eq!(processes.count(), 0);
}

#[test]
fn close_keeps_its_deadline_when_a_stop_hangs_and_the_next_one_goes_on() {
    let (processes, world) = fake(Ports::new(None), Duration::ZERO);
    processes
        .start("hangs", &ProcessSettings::default())
        .unwrap();
    processes
        .start("other", &ProcessSettings::default())
        .unwrap();
    let (go_on, may_go_on) = channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    world.on_teardown(move |id| {
        if id == "hangs" {
            may_go_on.lock().unwrap().recv().unwrap();
        }
    });
    thread::scope(|scope| {
        let stop = scope.spawn(|| processes.stop("hangs"));
        world.wait_for("teardown hangs");
        let mut short = Deadline::after(Duration::from_millis(30));
        let late = processes.close(&mut short);
        assert!(matches!(late, Err(Error::Timeout(text)) if text.contains("hangs")));
        world.wait_for("teardown other");
        go_on.send(()).unwrap();
        assert_eq!(stop.join().unwrap(), Ok(()));
    });
    assert_eq!(processes.close(&mut soon()), Ok(()));
}
