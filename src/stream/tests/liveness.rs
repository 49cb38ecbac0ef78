//! What the stream tells of itself: events, end, sinks, numbers.

use std::sync::Arc;
use std::time::Duration;

use super::rig::{Kept, Rig, SLICE, Sender};
use crate::events::EventKind;
use crate::rtp::codec::Codec;
use crate::stream::Sink;

fn kinds(rig: &Rig) -> Vec<EventKind> {
    rig.events().iter().map(|event| event.kind).collect()
}

#[test]
fn a_stream_is_active_from_its_first_packet_until_three_seconds_of_silence() {
    let (mut rig, mut video) = (Rig::new(Codec::H264), Sender::video(1));
    video.send_keyframe(&mut rig, 0);
    let events = rig.events();
    assert_eq!(events[0].kind, EventKind::StreamActive);
    assert_eq!(events[0].stream_id, "cam");
    assert_eq!(events[0].detail["video"], "H264");
    rig.pass_ms(2900);
    video.send(&mut rig, 2900, true, SLICE);
    rig.pass_ms(2999);
    assert!(rig.stream.info().live && kinds(&rig).is_empty());
    rig.pass_ms(1);
    assert!(!rig.stream.info().live);
    assert_eq!(kinds(&rig), [EventKind::StreamInactive]);
    assert_eq!(rig.ingest.next_timeout(), None);
    video.send(&mut rig, 6000, true, SLICE);
    assert_eq!(kinds(&rig), [EventKind::StreamActive]);
}

#[test]
fn an_ended_stream_takes_nothing_any_more() {
    let (mut rig, mut video) = (Rig::new(Codec::H264), Sender::video(1));
    video.send_keyframe(&mut rig, 0);
    rig.batches();
    rig.stream.end();
    rig.stream.end();
    let info = rig.stream.info();
    assert!(info.ended && !info.live);
    assert_eq!(
        kinds(&rig),
        [EventKind::StreamActive, EventKind::StreamInactive]
    );
    video.send(&mut rig, 40, true, SLICE);
    rig.pass_ms(10_000);
    assert!(rig.batches().is_empty());
    assert!(kinds(&rig).is_empty());
}

#[test]
fn a_sink_gets_each_batch_once_while_it_is_attached() {
    let (mut rig, mut video) = (Rig::new(Codec::H264), Sender::video(1));
    let late: Arc<dyn Sink> = Arc::new(Kept::default());
    video.send_keyframe(&mut rig, 0);
    rig.stream.attach(Arc::clone(&late));
    rig.stream.detach(&late);
    video.send(&mut rig, 40, true, SLICE);
    assert_eq!(Arc::strong_count(&late), 1);
    // The rig attached its own sink twice.
    assert_eq!(rig.batches().len(), 2);
}

#[test]
fn key_frame_wishes_are_passed_on_twice_a_second_at_most() {
    let mut rig = Rig::new(Codec::H264);
    for _ in 0..11 {
        rig.stream.want_keyframe(rig.now);
        rig.pass_ms(100);
    }
    assert_eq!(kinds(&rig), [EventKind::KeyframeWanted; 3]);
}

#[test]
fn numbers_follow_the_stream() {
    let (mut rig, mut video) = (Rig::new(Codec::H264), Sender::video(1));
    let payload = [SLICE, &[1; 996]].concat();
    for frame in 0..100 {
        if frame % 25 == 0 {
            video.send_keyframe(&mut rig, frame * 40);
        } else {
            video.send(&mut rig, frame * 40, true, &payload);
        }
        rig.pass_ms(40);
    }
    let stats = rig.stream.stats();
    assert_eq!(stats.keyframe_interval, Some(Duration::from_secs(1)));
    assert_eq!(stats.packets, 104);
    // 24 packets of 1000 bytes and a small key frame per second.
    assert!(
        (180_000..200_000).contains(&stats.bitrate_bps),
        "{}",
        stats.bitrate_bps
    );
    rig.pass_ms(4000);
    assert_eq!(rig.stream.stats().bitrate_bps, 0);
}
