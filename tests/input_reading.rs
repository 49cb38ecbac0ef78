//! FFmpeg reads an ingest in both forms: what stands in its file, and how its reading ends.
#![allow(clippy::unwrap_used, missing_docs)]

mod input_rig;

use std::time::Duration;

use corertc::config::ProcessSettings;

use input_rig::{
    BOTH_FORMS, PICTURE_AND_TONE, Publisher, Reading, host, input_stats, probe, scratch, skews,
    start_input,
};

#[test]
fn both_media_reach_the_file_in_sync_and_a_stop_ends_ffmpeg_cleanly() {
    for form in BOTH_FORMS {
        let host = host(form);
        let legs = start_input(&host, "cam", &ProcessSettings::default());
        let file = scratch(&format!("both-{form:?}.mkv"));
        let mut reading = Reading::start(&legs, &file);
        let publisher = Publisher::start(&host, "cam", PICTURE_AND_TONE);
        reading.wait_for_bytes(80_000);
        let stats = input_stats(&host, "cam");
        assert_eq!(stats["ffmpeg"]["reading"], true, "{stats}");
        host.subsystem.input_stop("cam").unwrap();
        let (status, took) = reading.ended();
        assert_eq!(status, Some(0), "{form:?}");
        assert!(took < Duration::from_secs(2), "{form:?}: {took:?}");
        drop(publisher);
        let probe = probe(&file);
        assert_eq!(probe.streams, ["h264", "opus"]);
        probe.assert_monotonic();
        let (video, audio) = (probe.duration("video"), probe.duration("audio"));
        assert!(
            video > 3.0 && (video - audio).abs() < 0.5,
            "{form:?}: {video} {audio}"
        );
        let skews = skews(&file);
        assert!(skews.len() >= 2, "{form:?}: {skews:?}");
        assert!(
            skews.iter().all(|it| it.abs() < 0.05),
            "{form:?}: {skews:?}"
        );
    }
}
