//! The contract of start and stop, without viewers.

use std::collections::HashSet;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use super::super::fake_world::{fake, rebindable};
use super::*;
use crate::config::VideoCodec;
use crate::leg::ports::tests::free_range;
use crate::rtp::codec::Codec;

const NO_LINGER: Duration = Duration::ZERO;

fn vp8() -> ProcessSettings {
    ProcessSettings {
        video_codec: VideoCodec::Encode(Codec::Vp8),
        ..ProcessSettings::default()
    }
}

fn silent() -> ProcessSettings {
    ProcessSettings {
        audio: false,
        ..ProcessSettings::default()
    }
}

#[test]
fn a_known_id_gets_the_same_legs_byte_for_byte() {
    let (processes, world) = fake(Ports::new(None), NO_LINGER);
    let settings = ProcessSettings::default();
    let legs = processes.start("a:1/x", &settings).unwrap();
    assert_eq!(legs.len(), 2);
    assert_eq!(legs[0].rtp_port + 1, legs[1].rtp_port);
    assert!(!rebindable(legs[0].rtp_port));
    assert_eq!(processes.start("a:1/x", &settings).unwrap(), legs);
    assert_eq!(world.log(), ["open a:1/x"]);
    assert_eq!(processes.count(), 1);
}

#[test]
fn a_stop_tells_viewers_then_the_host_then_closes_the_sockets() {
    let (processes, world) = fake(Ports::new(None), NO_LINGER);
    let port = processes.start("a", &ProcessSettings::default()).unwrap()[0].rtp_port;
    world.on_teardown(move |_| assert!(!rebindable(port), "the sockets are still open"));
    processes.stop("a").unwrap();
    assert!(rebindable(port));
    assert_eq!(
        world.log(),
        ["open a", "forget a", "farewell a stopped", "teardown a"]
    );
    assert_eq!(processes.count(), 0);
    for id in ["a", "never"] {
        assert!(matches!(processes.stop(id), Err(Error::NotFound(text)) if text.contains(id)));
    }
    assert!(world.log().is_empty(), "a second stop is harmless");
}

#[test]
fn another_configuration_keeps_the_ports_and_the_viewers_it_can_carry() {
    let (processes, world) = fake(Ports::new(None), NO_LINGER);
    let first = processes.start("a", &ProcessSettings::default()).unwrap();
    world.log();

    let without_audio = processes.start("a", &silent()).unwrap();
    assert_eq!(without_audio.len(), 1);
    assert_eq!(without_audio[0].rtp_port, first[0].rtp_port);
    assert_ne!(without_audio[0].payload_type, first[0].payload_type);
    world.wait_for("expect a H264");
    assert_eq!(world.log(), ["expect a H264"], "the viewers stay");

    let back = processes.start("a", &ProcessSettings::default()).unwrap();
    assert_eq!(back[1].rtp_port, first[1].rtp_port);
    world.wait_for("expect a H264");
    assert_eq!(
        world.log(),
        ["farewell a codec", "expect a H264"],
        "their answers have no audio"
    );

    let other_codec = processes.start("a", &vp8()).unwrap();
    assert_eq!(other_codec[0].rtp_port, first[0].rtp_port);
    world.wait_for("expect a VP8");
    assert_eq!(world.log(), ["farewell a codec", "expect a VP8"]);
    assert_eq!(processes.start("a", &vp8()).unwrap(), other_codec);
    processes.stop("a").unwrap();
    assert!(rebindable(first[0].rtp_port));
}

#[test]
fn bad_ids_and_bad_maps_reserve_nothing() {
    let (processes, world) = fake(Ports::new(None), NO_LINGER);
    let odd = ProcessSettings {
        video_map: "-map".to_owned(),
        ..ProcessSettings::default()
    };
    assert!(matches!(
        processes.start("", &vp8()),
        Err(Error::Invalid(_))
    ));
    assert!(matches!(processes.start("a", &odd), Err(Error::Invalid(_))));
    assert_eq!((processes.count(), world.log().len()), (0, 0));
}

#[test]
fn from_the_teardown_hook_only_a_start_of_the_same_id_and_a_close_are_refused() {
    let (processes, world) = fake(Ports::new(None), NO_LINGER);
    let settings = ProcessSettings::default();
    processes.start("a", &settings).unwrap();
    let (sender, answers) = channel();
    let weak = Arc::downgrade(&processes);
    world.on_teardown(move |id| {
        let processes = weak.upgrade().unwrap();
        if id == "a" {
            let settings = ProcessSettings::default();
            let answers = (
                processes.start("a", &settings),
                processes.stop("a"),
                processes.start("b", &settings),
                processes.stop("b"),
                processes.in_hook(),
            );
            sender.send(answers).unwrap();
        }
    });
    processes.stop("a").unwrap();
    let (same, stop_same, other, stop_other, in_hook) = answers.recv().unwrap();
    assert!(matches!(same, Err(Error::State(_))));
    assert!(matches!(stop_same, Err(Error::NotFound(_))));
    assert!(other.is_ok() && stop_other.is_ok() && in_hook);
    assert!(!processes.in_hook());
    assert!(processes.start("a", &settings).is_ok());
}

#[test]
fn calls_on_one_id_are_serialised_and_on_others_parallel() {
    let (processes, world) = fake(Ports::new(None), NO_LINGER);
    let settings = ProcessSettings::default();
    processes.start("a", &settings).unwrap();
    let (open_hook, hook_open) = channel::<()>();
    let hook_open = Mutex::new(hook_open);
    world.on_teardown(move |_| hook_open.lock().unwrap().recv().unwrap());
    thread::scope(|scope| {
        let stop = scope.spawn(|| processes.stop("a"));
        world.wait_for("teardown a");
        let start = scope.spawn(|| processes.start("a", &settings));
        assert!(processes.start("b", &settings).is_ok(), "b does not wait");
        assert!(!start.is_finished());
        open_hook.send(()).unwrap();
        assert!(stop.join().unwrap().is_ok());
        assert!(start.join().unwrap().is_ok());
    });
    let log = world.log();
    let at = |line: &str| log.iter().rposition(|it| it == line).unwrap();
    assert!(at("teardown a") < at("open a"), "{log:?}");
}

#[test]
fn parallel_starts_share_no_port_and_one_id_is_opened_once() {
    let (processes, world) = fake(Ports::new(None), NO_LINGER);
    let settings = ProcessSettings::default();
    let legs: Vec<Vec<Leg>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let (processes, settings) = (&processes, &settings);
                scope.spawn(move || {
                    let own = (0..25).map(|i| format!("{thread}-{i}"));
                    own.chain(["shared".to_owned()])
                        .map(|id| processes.start(&id, settings).unwrap())
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|it| it.join().unwrap())
            .collect()
    });
    let ports: HashSet<u16> = legs.iter().map(|it| it[0].rtp_port).collect();
    assert_eq!((ports.len(), processes.count()), (201, 201));
    let opened = world.log().iter().filter(|it| *it == "open shared").count();
    assert_eq!(opened, 1);
}

#[test]
fn a_full_range_is_a_limit_that_names_it_until_one_stops() {
    let range = free_range(2);
    let (min, max) = (range.start().to_string(), range.end().to_string());
    let (processes, _world) = fake(Ports::new(Some(range)), NO_LINGER);
    let settings = ProcessSettings::default();
    processes.start("a", &settings).unwrap();
    processes.start("b", &settings).unwrap();
    let Err(Error::Limit(text)) = processes.start("c", &settings) else {
        panic!("a range of two pairs has no third");
    };
    assert!(text.contains(&min) && text.contains(&max), "{text}");
    assert_eq!(processes.count(), 2);
    processes.stop("a").unwrap();
    assert!(processes.start("c", &settings).is_ok());
}

#[test]
fn ten_thousand_starts_and_stops_leak_no_fd_and_no_port_and_are_quick() {
    let (processes, world) = fake(Ports::new(Some(free_range(2))), NO_LINGER);
    let settings = ProcessSettings::default();
    let open_fds = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open_fds();
    let mut starts = Vec::with_capacity(10_000);
    for _ in 0..10_000 {
        let begin = Instant::now();
        processes.start("a", &settings).unwrap();
        starts.push(begin.elapsed());
        processes.stop("a").unwrap();
        world.log();
    }
    // Other tests of this process open some meanwhile; a leak would be ten thousand.
    assert!(open_fds() < before + 1_000);
    starts.sort();
    let median = starts[starts.len() / 2];
    assert!(median < Duration::from_millis(2), "{median:?}");
}
