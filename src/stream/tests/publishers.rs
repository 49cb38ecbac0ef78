//! A publisher's clock: placed by arrival, then kept in sync by its reports, whatever they are counted from.

use std::time::Duration;

use super::rig::{OPUS, Rig, SLICE, Sender, T0_US};
use crate::rtp::Media;
use crate::rtp::codec::Codec;
use crate::rtp::rtcp;

/// How much later than the audio of the same moment video stands on the line, milliseconds.
fn skew_ms(rig: &Rig, video_ms: i64, audio_ms: i64) -> f64 {
    let batches = rig.batches();
    let last = |media| {
        let batch = batches.iter().rev().find(|batch| batch.media == media);
        f64::from(batch.unwrap().timestamp as i32)
    };
    (last(Media::Video) / 90.0 - video_ms as f64) - (last(Media::Audio) / 48.0 - audio_ms as f64)
}

/// What a publisher's report says at its own time `now_ms`, its wall clock being `clock_ms` ahead of that.
fn report(sender: &Sender, now_ms: i64, clock_ms: u64) -> Vec<u8> {
    let wall = std::time::UNIX_EPOCH + Duration::from_millis(clock_ms + now_ms as u64);
    let mut out = Vec::new();
    let ntp = rtcp::ntp_from(wall);
    rtcp::write_sender_report(&mut out, sender.ssrc, ntp, sender.rtp(now_ms), 0, 0);
    out
}

/// Video and audio every 20 ms, video `late_ms` behind; reports each second, from the publisher's own wall clock.
/// The skew at the end.
fn publish(rig: &mut Rig, run: u32, late_ms: i64, seconds: i64) -> f64 {
    let (mut video, mut audio) = (Sender::video(100 + run), Sender::audio(200 + run));
    let clock_ms = T0_US / 1000 + 77_777_777 * u64::from(run + 1);
    let mut last = 0;
    for now in (0..seconds * 1000).step_by(20) {
        audio.send(rig, now, true, OPUS);
        let captured = now - late_ms;
        if captured == 0 {
            video.send_keyframe(rig, captured);
        } else if captured > 0 {
            video.send(rig, captured, true, SLICE);
        }
        if now % 1000 == 500 || now % 1000 == 720 {
            rig.feed(Media::Audio, &report(&audio, now, clock_ms));
            rig.feed(Media::Video, &report(&video, now, clock_ms));
        }
        last = now;
        rig.pass_ms(20);
    }
    rig.pass_ms(5);
    skew_ms(rig, last - late_ms, last)
}

fn publishers_rig() -> Rig {
    let mut rig = Rig::new(Codec::H264);
    rig.ingest.follow_reports();
    rig
}

#[test]
fn late_video_is_brought_into_sync_by_the_reports() {
    // Placed by arrival, video would stand 120 ms later than the sound it belongs to.
    let mut rig = publishers_rig();
    let skew = publish(&mut rig, 0, 120, 4);
    assert!(skew.abs() <= 5.5, "{skew} ms");
}

#[test]
fn no_timestamp_goes_back_while_it_moves() {
    let mut rig = publishers_rig();
    let (mut video, mut audio) = (Sender::video(1), Sender::audio(2));
    for now in (0..3000_i64).step_by(20) {
        audio.send(&mut rig, now, true, OPUS);
        match now - 300 {
            0 => video.send_keyframe(&mut rig, 0),
            captured if captured > 0 => video.send(&mut rig, captured, true, SLICE),
            _ => {}
        }
        if now % 500 == 0 {
            rig.feed(Media::Audio, &report(&audio, now, 1_000_000));
            rig.feed(Media::Video, &report(&video, now, 1_000_000));
        }
        rig.pass_ms(20);
    }
    let video = rig.batches_of(Media::Video);
    let steps = video.windows(2).map(|pair| {
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        step.cast_signed()
    });
    // A quarter of the step at most.
    for step in steps {
        assert!((1800 - 450..=1800 + 450).contains(&step), "{step}");
    }
}

#[test]
fn each_publisher_has_its_own_clock_and_the_line_goes_on() {
    let mut rig = publishers_rig();
    for run in 0..5 {
        let skew = publish(&mut rig, run, 40 + i64::from(run) * 20, 4);
        assert!(skew.abs() <= 5.5, "run {run}: {skew} ms");
        rig.pass(Duration::from_millis(300));
        let expectation = rig.stream.expectation();
        rig.ingest.expect(expectation);
        assert_eq!(rig.stream.stats().restarts, u64::from(run));
    }
}

/// C013: early OBS sends none.
#[test]
fn without_any_reports_both_media_stand_where_they_came() {
    let mut rig = publishers_rig();
    let (mut video, mut audio) = (Sender::video(1), Sender::audio(2));
    for now in (0..4000_i64).step_by(20) {
        audio.send(&mut rig, now, true, OPUS);
        match now {
            0 => video.send_keyframe(&mut rig, 0),
            _ => video.send(&mut rig, now, true, SLICE),
        }
        rig.pass_ms(20);
    }
    let skew = skew_ms(&rig, 3980, 3980);
    assert!(skew.abs() <= 1.0, "{skew} ms");
}

/// Timestamps that jump an hour ahead, a minute back, and to anywhere: the line goes on by arrival.
#[test]
fn a_clock_that_jumps_leaves_no_jump_on_the_line() {
    let mut rig = publishers_rig();
    let (mut video, mut audio) = (Sender::video(1), Sender::audio(2));
    for now in (0..10_000_i64).step_by(20) {
        let moved = match now {
            0..2000 => 0,
            2000..4000 => 3_600_000,
            4000..6000 => -60_000,
            // Half a turn of the 32-bit clock, about.
            6000..8000 => 23_000_000,
            _ => 0,
        };
        audio.send(&mut rig, now, true, OPUS);
        match now {
            0 => video.send_keyframe(&mut rig, 0),
            _ => video.send(&mut rig, now + moved, true, SLICE),
        }
        rig.pass_ms(20);
    }
    let batches = rig.batches_of(Media::Video);
    assert_eq!(batches.len(), 500);
    for pair in batches.windows(2) {
        let step = pair[1]
            .timestamp
            .wrapping_sub(pair[0].timestamp)
            .cast_signed();
        assert!((1700..=1900).contains(&step), "{step}");
    }
    assert_eq!(rig.counters.publish_jumps.value(), 4);
    let whole = batches[499].timestamp.wrapping_sub(batches[0].timestamp);
    assert!((499 * 1800_i64 - i64::from(whole)).abs() < 450, "{whole}");
}

/// A pause is none: the time that passed is on the line.
#[test]
fn a_pause_of_the_picture_stays_one() {
    let mut rig = publishers_rig();
    let (mut video, mut audio) = (Sender::video(1), Sender::audio(2));
    for now in (0..10_000_i64).step_by(20) {
        audio.send(&mut rig, now, true, OPUS);
        match now {
            0 => video.send_keyframe(&mut rig, 0),
            2000..7000 => {}
            _ => video.send(&mut rig, now, true, SLICE),
        }
        rig.pass_ms(20);
    }
    assert_eq!(rig.counters.publish_jumps.value(), 0);
    assert!(skew_ms(&rig, 9980, 9980).abs() <= 1.0);
}

/// Samples that stop and go on without the time between (a source that is muted): a second later they are where they came.
#[test]
fn a_clock_that_stood_still_in_a_pause_is_moved_on() {
    let mut rig = publishers_rig();
    let (mut video, mut audio) = (Sender::video(1), Sender::audio(2));
    for now in (0..12_000_i64).step_by(20) {
        match now {
            0..2000 => audio.send(&mut rig, now, true, OPUS),
            2000..7000 => {}
            _ => audio.send(&mut rig, now - 5000, true, OPUS),
        }
        match now {
            0 => video.send_keyframe(&mut rig, 0),
            _ => video.send(&mut rig, now, true, SLICE),
        }
        rig.pass_ms(20);
    }
    let batches = rig.batches();
    let audio: Vec<_> = batches
        .iter()
        .filter(|it| it.media == Media::Audio)
        .collect();
    let apart = |at: usize, ms: i64| {
        i64::from(audio[at].timestamp.wrapping_sub(audio[0].timestamp)) / 48 - ms
    };
    assert_eq!(apart(100, 2000), 0, "it may still be caught up on");
    assert!(apart(152, 8040).abs() <= 1, "a second later it is not");
    assert!(apart(audio.len() - 1, 11_980).abs() <= 1);
    assert_eq!(rig.counters.publish_jumps.value(), 1);
}

/// A network that held everything back for seconds, and let it through in a burst or faster than it was made.
#[test]
fn what_comes_late_but_comes_is_not_moved() {
    for each_ms in [0, 10] {
        let mut rig = publishers_rig();
        let mut audio = Sender::audio(2);
        let mut sent_at = 0;
        for made in (0..12_000_i64).step_by(20) {
            sent_at = match made {
                0..2000 => made,
                2000 => 5000,
                _ => made.max(sent_at + each_ms),
            };
            let passed = rig.now.duration_since(rig.stream.clock.0).as_millis() as i64;
            rig.pass_ms((sent_at - passed).max(0) as u64);
            audio.send(&mut rig, made, true, OPUS);
        }
        rig.pass_ms(5);
        let batches = rig.batches_of(Media::Audio);
        let whole = batches[batches.len() - 1]
            .timestamp
            .wrapping_sub(batches[0].timestamp);
        assert_eq!(whole, 11_980 * 48);
        assert_eq!(rig.counters.publish_jumps.value(), 0);
    }
}

/// Sound is in order when it comes here: time that goes back is another time.
#[test]
fn sound_never_goes_back() {
    let mut rig = publishers_rig();
    let mut audio = Sender::audio(2);
    for now in (0..4000_i64).step_by(20) {
        let moved = if now < 2000 { 0 } else { -700 };
        audio.send(&mut rig, now + moved, true, OPUS);
        rig.pass_ms(20);
    }
    for pair in rig.batches_of(Media::Audio).windows(2) {
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert_eq!(step, 960);
    }
}
