//! The lists as FFmpeg gets them, the split of the Go original, and bounds that hold for every draw.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::*;
use crate::config::VideoCodec;

const WIRE: Wire = Wire {
    port: 21_900,
    video_payload_type: 102,
    audio_payload_type: 111,
    start_time_us: 1_700_000_000_000_000,
};

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn joined(settings: &ProcessSettings) -> String {
    build_args(settings, &WIRE).join(" ")
}

const VIDEO_LEG: &str = "-map 0:v:0 -c:v libx264 -preset veryfast -tune zerolatency \
     -profile:v baseline -bf 0 -sc_threshold 0 -pix_fmt yuv420p -fps_mode vfr -b:v 2500000 \
     -maxrate 2500000 -bufsize 2500000 -g 120 \
     -force_key_frames expr:if(isnan(prev_forced_t),1,gte(t,prev_forced_t+2.000)) \
     -payload_type 102 -start_time_realtime 1700000000000000 \
     -f rtp rtp://127.0.0.1:21900?pkt_size=1200&rtcpport=21900&localaddr=127.0.0.1";

const AUDIO_LEG: &str = "-map 0:a:0 -c:a libopus -ar 48000 -ac 2 -b:a 128000 \
     -application lowdelay -frame_duration 20 \
     -payload_type 111 -start_time_realtime 1700000000000000 \
     -f rtp rtp://127.0.0.1:21901?pkt_size=1200&rtcpport=21901&localaddr=127.0.0.1";

#[test]
fn the_flat_list_is_video_then_audio_and_splits_into_the_two_legs() {
    let flat = build_args(&ProcessSettings::default(), &WIRE);
    assert_eq!(flat, words(&format!("{VIDEO_LEG} {AUDIO_LEG}")));
    let halves = split_rtp_legs(&flat).unwrap();
    assert_eq!(halves, (words(VIDEO_LEG), words(AUDIO_LEG)));

    let legs = legs(&ProcessSettings::default(), &WIRE).unwrap();
    let facts: Vec<_> = legs
        .iter()
        .map(|it| (it.id, it.kind, it.rtp_port, it.payload_type, it.clock_rate))
        .collect();
    assert_eq!(
        facts,
        [
            ("corertc_video", 1, 21_900, 102, 90_000),
            ("corertc_audio", 2, 21_901, 111, 48_000)
        ]
    );
    assert_eq!(legs[0].args, halves.0);
    assert_eq!(legs[1].args, halves.1);
}

#[test]
fn a_list_without_map_is_an_error_and_with_one_it_is_one_leg() {
    assert_eq!(split_rtp_legs(&[]), Err(ArgsError::NoMap));
    assert_eq!(
        split_rtp_legs(&words("-c copy rtp://x")),
        Err(ArgsError::NoMap)
    );
    let one = words("-map 0:v:0 -f rtp rtp://x");
    assert_eq!(split_rtp_legs(&one), Ok((one.clone(), Vec::new())));
    for no_address in ["-map 0:v:0", "-map", "-map 0:v rtp://x -map 0:a"] {
        assert_eq!(
            split_rtp_legs(&words(no_address)),
            Err(ArgsError::NoAddress),
            "{no_address}"
        );
    }
    let three = words("-map 0 a -map 1 b -map 2 c");
    assert_eq!(split_rtp_legs(&three), Err(ArgsError::TooManyMaps));
}

#[test]
fn a_medium_that_is_off_has_no_leg() {
    let video_only = ProcessSettings {
        audio: false,
        ..ProcessSettings::default()
    };
    let audio_only = ProcessSettings {
        video: false,
        ..ProcessSettings::default()
    };
    assert_eq!(build_args(&video_only, &WIRE), words(VIDEO_LEG));
    assert_eq!(build_args(&audio_only, &WIRE), words(AUDIO_LEG));
    let legs = legs(&audio_only, &WIRE).unwrap();
    assert_eq!(legs.len(), 1);
    assert_eq!((legs[0].id, legs[0].rtp_port), ("corertc_audio", 21_901));
}

#[test]
fn single_port_puts_both_media_on_v_told_apart_by_payload_type() {
    let settings = ProcessSettings {
        single_port: true,
        ..ProcessSettings::default()
    };
    let legs = legs(&settings, &WIRE).unwrap();
    let address = "rtp://127.0.0.1:21900?pkt_size=1200&rtcpport=21900&localaddr=127.0.0.1";
    for (leg, payload_type) in legs.iter().zip([102, 111]) {
        assert_eq!((leg.rtp_port, leg.payload_type), (21_900, payload_type));
        assert_eq!(leg.args.last().unwrap(), address);
    }
}

#[test]
fn isolate_is_one_tee_with_optional_maps_and_a_null_slave() {
    let settings = ProcessSettings {
        isolate: true,
        video_codec: VideoCodec::Copy,
        video_map: "[v]".to_owned(),
        ..ProcessSettings::default()
    };
    let legs = legs(&settings, &WIRE).unwrap();
    assert_eq!(legs.len(), 1);
    let leg = &legs[0];
    assert_eq!(
        (leg.id, leg.kind, leg.payload_type),
        ("corertc_av", KIND_AV, 0)
    );
    assert_eq!((leg.rtp_port, leg.clock_rate), (21_900, 90_000));
    assert_eq!(leg.args, build_args(&settings, &WIRE));
    assert!(
        leg.args.join(" ").starts_with(
            "-map [v] -map 0:a:0? -c:v copy -bsf:v h264_mp4toannexb,dump_extra=freq=keyframe"
        ),
        "{:?}",
        leg.args
    );
    let tail = &leg.args[leg.args.len() - 3..];
    assert_eq!(tail[..2], words("-f tee"));
    assert_eq!(
        tail[2],
        "[select=\\'v:0\\':f=rtp:onfail=ignore:payload_type=102:start_time_realtime=1700000000000000]\
         rtp://127.0.0.1:21900?pkt_size=1200&rtcpport=21900&localaddr=127.0.0.1|\
         [select=\\'a:0\\':f=rtp:onfail=ignore:payload_type=111:start_time_realtime=1700000000000000]\
         rtp://127.0.0.1:21901?pkt_size=1200&rtcpport=21901&localaddr=127.0.0.1|\
         [f=null:onfail=ignore]-"
    );
}

#[test]
fn only_h264_and_h265_are_filtered_when_copied_and_no_map_is_optional() {
    let filters = [
        (
            Codec::H264,
            Some("h264_mp4toannexb,dump_extra=freq=keyframe"),
        ),
        (
            Codec::H265,
            Some("hevc_mp4toannexb,dump_extra=freq=keyframe"),
        ),
        (Codec::Vp8, None),
        (Codec::Vp9, None),
        (Codec::Av1, None),
    ];
    for (source_codec, filter) in filters {
        let settings = ProcessSettings {
            video_codec: VideoCodec::Copy,
            source_codec,
            ..ProcessSettings::default()
        };
        let args = build_args(&settings, &WIRE);
        let found = args.iter().position(|it| it == "-bsf:v");
        assert_eq!(found.map(|at| args[at + 1].as_str()), filter);
        assert!(args.iter().all(|it| !it.ends_with('?')), "{args:?}");
        let experimental = matches!(source_codec, Codec::Vp9 | Codec::Av1);
        assert_eq!(args.contains(&"-strict".to_owned()), experimental);
    }
}

#[test]
fn numbers_of_the_configuration_reach_ffmpeg() {
    let settings = ProcessSettings {
        video_codec: VideoCodec::Encode(Codec::Vp8),
        video_bitrate_bps: 700_000,
        audio_bitrate_bps: 64_000,
        keyframe_interval: Duration::from_millis(1_250),
        pkt_size: 1_000,
        audio_map: "1:a:0".to_owned(),
        ..ProcessSettings::default()
    };
    let args = joined(&settings);
    for part in [
        "-c:v libvpx ",
        "-b:v 700000 ",
        "-b:a 64000 ",
        "gte(t,prev_forced_t+1.250))",
        "-g 75 ",
        "?pkt_size=1000&",
        "-map 1:a:0 ",
    ] {
        assert!(args.contains(part), "{part} in {args}");
    }
}

#[test]
fn payload_types_are_dynamic_different_and_never_those_of_the_draw_before() {
    let now = SystemTime::now();
    let mut before: Option<Wire> = None;
    let mut seen = std::collections::HashSet::new();
    for _ in 0..500 {
        let wire = Wire::draw(20_000, before.as_ref(), now);
        let (video, audio) = (wire.video_payload_type, wire.audio_payload_type);
        assert_ne!(video, audio);
        for payload_type in [video, audio] {
            assert!((96..=127).contains(&payload_type));
            if let Some(before) = before {
                assert_ne!(payload_type, before.video_payload_type);
                assert_ne!(payload_type, before.audio_payload_type);
            }
            seen.insert(payload_type);
        }
        before = Some(wire);
    }
    assert_eq!(seen.len(), 32, "every type of the dynamic range is drawn");
}

fn codec() -> impl Strategy<Value = Codec> {
    prop::sample::select(vec![
        Codec::H264,
        Codec::H265,
        Codec::Vp8,
        Codec::Vp9,
        Codec::Av1,
    ])
}

fn settings() -> impl Strategy<Value = ProcessSettings> {
    let maps = (
        prop::bool::ANY,
        prop::bool::ANY,
        "[0-9]{1,2}:[va]:[0-9]",
        "[0-9]:a",
    );
    let codecs = (codec(), codec(), prop::bool::ANY);
    let shape = (prop::bool::ANY, prop::bool::ANY);
    let numbers = (
        1_u64..100_000_000,
        1_u64..600_000,
        6_000_u64..512_000,
        1_u64..9_999,
    );
    (maps, codecs, shape, numbers).prop_map(|(maps, codecs, shape, numbers)| ProcessSettings {
        video: maps.0 || !maps.1,
        audio: maps.1,
        video_map: maps.2,
        audio_map: maps.3,
        video_codec: if codecs.2 {
            VideoCodec::Copy
        } else {
            VideoCodec::Encode(codecs.0)
        },
        source_codec: codecs.1,
        isolate: shape.0,
        single_port: shape.1,
        video_bitrate_bps: numbers.0,
        keyframe_interval: Duration::from_millis(numbers.1),
        audio_bitrate_bps: numbers.2,
        pkt_size: numbers.3,
    })
}

proptest! {
    #[test]
    fn bounds_are_never_below_what_a_start_gives(
        settings in settings(),
        port in 1_u16..32_767,
        video_payload_type in 96_u8..128,
        audio_payload_type in 96_u8..128,
        start_time_us in any::<u64>(),
    ) {
        let wire = Wire { port: port * 2, video_payload_type, audio_payload_type, start_time_us };
        let legs = legs(&settings, &wire).unwrap();
        let bytes: usize = legs.iter().flat_map(|it| &it.args).map(|it| it.len() + 1).sum();
        let (legs_max, bytes_max) = bounds(&settings);
        prop_assert_eq!(legs.len(), legs_max);
        prop_assert!(bytes <= bytes_max && bytes_max < 16_384);
        prop_assert!(bytes_max - bytes <= 4 * (4 * 5 + 2 + 20), "and not far above");
        for leg in &legs {
            prop_assert!(leg.args.iter().all(|it| !it.contains('\0')));
            prop_assert!(leg.args.last().unwrap().contains("rtcpport="));
        }
    }
}
