//! FFmpegs and publishers that come and go around an input: the line towards FFmpeg goes on, nothing leaks, stops are quick.
#![allow(clippy::unwrap_used, missing_docs)]

mod input_rig;

use std::time::{Duration, Instant};

use corertc::config::{InputTransport, ProcessSettings};
use corertc::error::Error;
use serde_json::Value;

use input_rig::common::{PATIENCE, eventually, one_at_a_time};
use input_rig::{
    BOTH_FORMS, Host, PICTURE_AND_TONE, Publish, Publisher, Reading, host, input_stats, probe,
    scratch, start_input,
};

/// Waits until the input's FFmpeg numbers are so.
fn wait_for(host: &Host, what: &str, so: impl Fn(&Value) -> bool) {
    eventually(what, PATIENCE, || {
        let stats = input_stats(host, "cam");
        let ffmpeg = &stats["ffmpeg"];
        if so(ffmpeg) {
            Ok(())
        } else {
            Err(stats.to_string())
        }
    });
}

#[test]
fn a_publisher_that_leaves_and_returns_ten_times_is_one_line_to_ffmpeg() {
    let _turn = one_at_a_time();
    for form in BOTH_FORMS {
        let host = host(form);
        let legs = start_input(&host, "cam", &ProcessSettings::default());
        let file = scratch(&format!("returns-{form:?}.mkv"));
        let mut reading = Reading::start(&legs, &file);
        let often = Publish {
            gop: 5,
            ..PICTURE_AND_TONE
        };
        for _ in 0..11 {
            let before = std::fs::metadata(&file).map_or(0, |it| it.len());
            let publisher = Publisher::start(&host, "cam", often);
            reading.wait_for_bytes(before + 12_000);
            drop(publisher);
        }
        assert!(reading.is_running());
        assert_eq!(input_stats(&host, "cam")["ffmpeg"]["readings"], 1);
        host.subsystem.input_stop("cam").unwrap();
        assert_eq!(reading.ended().0, Some(0), "{form:?}");
        let probe = probe(&file);
        assert_eq!(probe.streams, ["h264", "opus"]);
        probe.assert_monotonic();
        let (video, audio) = (probe.duration("video"), probe.duration("audio"));
        assert!((video - audio).abs() < 1.0, "{form:?}: {video} {audio}");
        // Pauses are as long as they were, and filled with silence.
        assert!(probe.longest_step("video") < 10.0);
        assert!(
            probe.longest_step("audio") < 0.7,
            "{}",
            probe.longest_step("audio")
        );
    }
}

#[test]
fn an_ffmpeg_that_is_killed_starts_again_under_a_live_publisher() {
    let _turn = one_at_a_time();
    for form in BOTH_FORMS {
        let host = host(form);
        let legs = start_input(&host, "cam", &ProcessSettings::default());
        assert_eq!(start_input(&host, "cam", &ProcessSettings::default()), legs);
        let _publisher = Publisher::start(&host, "cam", PICTURE_AND_TONE);
        for run in 0..3 {
            let file = scratch(&format!("killed-{form:?}-{run}.ts"));
            let mut reading = Reading::start(&legs, &file);
            reading.wait_for_bytes(40_000);
            wait_for(&host, "it reads", |it| {
                it["reading"] == true && it["readings"] == run + 1
            });
            reading.kill();
            wait_for(&host, "it is gone", |it| it["reading"] == false);
            let probe = probe(&file);
            assert_eq!(probe.streams, ["h264", "opus"], "{form:?}");
            probe.assert_monotonic();
        }
        let stats = input_stats(&host, "cam");
        assert_eq!(
            stats["live"], true,
            "the publisher noticed nothing: {stats}"
        );
        assert_eq!(stats["restarts"], 0);
    }
}

#[test]
fn a_publisher_without_audio_is_given_silence() {
    let _turn = one_at_a_time();
    for form in BOTH_FORMS {
        let host = host(form);
        let legs = start_input(&host, "cam", &ProcessSettings::default());
        let file = scratch(&format!("silence-{form:?}.ts"));
        let mut reading = Reading::start(&legs, &file);
        let silent = Publish {
            audio: false,
            ..PICTURE_AND_TONE
        };
        let began = Instant::now();
        let _publisher = Publisher::start(&host, "cam", silent);
        reading.wait_for_bytes(1);
        let first = began.elapsed();
        // Without silence it is 11 s.
        assert!(
            first < Duration::from_secs(5),
            "{form:?}: first output after {first:?}"
        );
        reading.wait_for_bytes(40_000);
        let stats = input_stats(&host, "cam");
        assert!(stats["ffmpeg"]["silence"].as_u64() > Some(20), "{stats}");
        host.subsystem.input_stop("cam").unwrap();
        assert_eq!(reading.ended().0, Some(0), "{form:?}");
        let probe = probe(&file);
        assert_eq!(probe.streams, ["h264", "opus"]);
        probe.assert_monotonic();
        assert!((probe.duration("video") - probe.duration("audio")).abs() < 0.5);
    }
}

/// FFmpeg gives the promised picture up after a while (`-analyzeduration`) and goes on with what there is.
#[test]
fn a_publisher_without_video_is_heard() {
    let _turn = one_at_a_time();
    for form in BOTH_FORMS {
        let host = host(form);
        let legs = start_input(&host, "cam", &ProcessSettings::default());
        let file = scratch(&format!("sound-{form:?}.ts"));
        let mut reading = Reading::start(&legs, &file);
        let sound = Publish {
            video: false,
            ..PICTURE_AND_TONE
        };
        let _publisher = Publisher::start(&host, "cam", sound);
        reading.wait_for_bytes(1000);
        host.subsystem.input_stop("cam").unwrap();
        assert_eq!(reading.ended().0, Some(0), "{form:?}");
        let probe = probe(&file);
        assert_eq!(probe.streams, ["opus"], "{form:?}");
        probe.assert_monotonic();
    }
}

#[test]
fn a_process_without_audio_has_one_stream() {
    let _turn = one_at_a_time();
    let video_only = ProcessSettings {
        audio: false,
        ..ProcessSettings::default()
    };
    for form in BOTH_FORMS {
        let host = host(form);
        let legs = start_input(&host, "cam", &video_only);
        let file = scratch(&format!("video-only-{form:?}.ts"));
        let mut reading = Reading::start(&legs, &file);
        let _publisher = Publisher::start(&host, "cam", PICTURE_AND_TONE);
        reading.wait_for_bytes(30_000);
        host.subsystem.input_stop("cam").unwrap();
        assert_eq!(reading.ended().0, Some(0), "{form:?}");
        assert_eq!(probe(&file).streams, ["h264"], "{form:?}");
    }
}

#[test]
fn an_interrupt_ends_ffmpeg_and_leaves_the_input() {
    let _turn = one_at_a_time();
    for form in BOTH_FORMS {
        let host = host(form);
        let legs = start_input(&host, "cam", &ProcessSettings::default());
        let _publisher = Publisher::start(&host, "cam", PICTURE_AND_TONE);
        for run in 0..2 {
            let file = scratch(&format!("interrupt-{form:?}-{run}.ts"));
            let mut reading = Reading::start(&legs, &file);
            reading.wait_for_bytes(20_000);
            host.subsystem.input_interrupt("cam").unwrap();
            let (status, took) = reading.ended();
            assert_eq!(status, Some(0), "{form:?}");
            assert!(took < Duration::from_secs(2), "{form:?}: {took:?}");
            assert_eq!(start_input(&host, "cam", &ProcessSettings::default()), legs);
        }
        assert_eq!(input_stats(&host, "cam")["live"], true);
    }
}

#[test]
fn a_stop_without_ffmpeg_or_publisher_is_quick_and_its_places_are_free() {
    let _turn = one_at_a_time();
    for form in BOTH_FORMS {
        let host = host(form);
        for _ in 0..30 {
            let legs = start_input(&host, "cam", &ProcessSettings::default());
            assert_eq!(
                (legs.len(), legs[0].id, legs[0].kind),
                (1, "corertc_input", 3)
            );
            let began = Instant::now();
            host.subsystem.input_stop("cam").unwrap();
            assert!(
                began.elapsed() < Duration::from_millis(100),
                "{:?}",
                began.elapsed()
            );
            if form == InputTransport::Udp {
                for port in legs[0].rtp_port..legs[0].rtp_port + 4 {
                    assert!(std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok());
                }
            }
        }
        for call in [
            host.subsystem.input_stop("cam"),
            host.subsystem.input_interrupt("cam"),
            host.subsystem.input_request_keyframe("cam"),
        ] {
            assert!(matches!(call, Err(Error::NotFound(text)) if text.contains("cam")));
        }
        assert_eq!(host.subsystem.now().1, 0);
    }
}

#[test]
fn starts_and_stops_leave_no_descriptor_behind() {
    let _turn = one_at_a_time();
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    for form in BOTH_FORMS {
        let host = host(form);
        let round = || {
            for n in 0..20 {
                let id = format!("cam/{n}");
                start_input(&host, &id, &ProcessSettings::default());
            }
            assert_eq!(host.subsystem.now().1, 20);
            for n in 0..20 {
                host.subsystem.input_stop(&format!("cam/{n}")).unwrap();
            }
        };
        round();
        let before = descriptors();
        for _ in 0..5 {
            round();
        }
        eventually("descriptors are closed", PATIENCE, || {
            let now = descriptors();
            if now <= before {
                Ok(())
            } else {
                Err(format!("{before} before, {now} now"))
            }
        });
    }
}

#[test]
fn close_ends_ffmpeg_and_tells_the_host_once() {
    let _turn = one_at_a_time();
    for form in BOTH_FORMS {
        let host = host(form);
        let legs = start_input(&host, "cam", &ProcessSettings::default());
        let _publisher = Publisher::start(&host, "cam", PICTURE_AND_TONE);
        let mut reading = Reading::start(&legs, &scratch(&format!("close-{form:?}.ts")));
        reading.wait_for_bytes(20_000);
        host.subsystem.close(Duration::from_secs(5)).unwrap();
        assert_eq!(reading.ended().0, Some(0), "{form:?}");
        assert_eq!(host.whip_torn_down(), ["cam"]);
        let refused = host
            .subsystem
            .input_start("cam", &ProcessSettings::default());
        assert!(matches!(refused, Err(Error::State(_))));
    }
}
