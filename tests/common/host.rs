//! A media host in Rust: the subsystem with its listener, as tests need it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use corertc::config::{ProcessSettings, Settings, VideoCodec};
use corertc::leg::Leg;
use corertc::rtp::codec::Codec;
use corertc::subsystem::{Hooks, Subsystem};
use serde_json::Value;

/// A subsystem that listens on a free port of 127.0.0.1. Dropping it closes it.
pub(crate) struct Host {
    pub(crate) subsystem: Subsystem,
    pub(crate) port: u16,
    ip: IpAddr,
    torn_down: Arc<Mutex<Vec<String>>>,
    whip_torn_down: Arc<Mutex<Vec<String>>>,
}

impl Host {
    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    /// With other settings than the defaults.
    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = defaults();
        change(&mut settings);
        let torn_down = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&torn_down);
        let whip_torn_down = Arc::new(Mutex::new(Vec::new()));
        let whip_seen = Arc::clone(&whip_torn_down);
        let hooks = Hooks {
            teardown: Arc::new(move |id| seen.lock().unwrap().push(id.to_owned())),
            whip_teardown: Arc::new(move |id| whip_seen.lock().unwrap().push(id.to_owned())),
            auth: Arc::new(|_| None),
        };
        let subsystem = Subsystem::new(settings, hooks).unwrap();
        let port = subsystem.http_listen("127.0.0.1:0").unwrap();
        Self {
            subsystem,
            port,
            ip: Ipv4Addr::LOCALHOST.into(),
            torn_down,
            whip_torn_down,
        }
    }

    /// The start hook.
    pub(crate) fn process_start(&self, id: &str, settings: &ProcessSettings) -> Vec<Leg> {
        self.subsystem.process_start(id, settings).unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}:{}{path}", self.ip, self.port)
    }

    /// Listens on an IPv4 address instead.
    pub(crate) fn move_to(&mut self, ip: IpAddr) {
        self.subsystem.http_unlisten().unwrap();
        self.port = self.subsystem.http_listen(&format!("{ip}:0")).unwrap();
        self.ip = ip;
    }

    /// Viewers now.
    pub(crate) fn viewers(&self) -> u64 {
        self.subsystem.now().2
    }

    /// Ids the teardown hook was called with, in order.
    pub(crate) fn torn_down(&self) -> Vec<String> {
        self.torn_down.lock().unwrap().clone()
    }

    /// Ids the WHIP teardown hook was called with, in order.
    pub(crate) fn whip_torn_down(&self) -> Vec<String> {
        self.whip_torn_down.lock().unwrap().clone()
    }

    /// Waits until the only stream has sent for `seconds`.
    pub(crate) fn after_seconds_of_media(&self, seconds: u64) {
        let packets = || self.stats()["streams"][0]["packets"].as_u64();
        super::eventually("the stream sends", super::PATIENCE, || match packets() {
            // 50 packets of audio a second tell the time, and at least 30 of video.
            Some(came) if came >= seconds * 80 => Ok(()),
            came => Err(format!("{came:?} packets")),
        });
    }

    /// A counter of `stats_json`.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.stats()["counters"][name].as_u64().unwrap()
    }

    /// `stats_json`, parsed.
    pub(crate) fn stats(&self) -> Value {
        serde_json::from_str(&self.subsystem.stats_json()).unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.subsystem.close(Duration::from_secs(5));
    }
}

/// For [`super::ffmpeg::PICTURE_AND_TONE`]: audio from the second input, a key frame every second.
pub(crate) fn picture_and_tone(codec: Codec) -> ProcessSettings {
    ProcessSettings {
        audio_map: "1:a:0".to_owned(),
        video_codec: VideoCodec::Encode(codec),
        keyframe_interval: Duration::from_secs(1),
        video_bitrate_bps: 1_000_000,
        ..ProcessSettings::default()
    }
}

/// The same with a key frame every 10 s.
pub(crate) fn long_gop(codec: Codec) -> ProcessSettings {
    ProcessSettings {
        keyframe_interval: Duration::from_secs(10),
        ..picture_and_tone(codec)
    }
}

/// For a file whose video is passed on as it is.
pub(crate) fn copied(source_codec: Codec) -> ProcessSettings {
    ProcessSettings {
        video_codec: VideoCodec::Copy,
        source_codec,
        ..ProcessSettings::default()
    }
}

/// The defaults of the C ABI's options, but for two workers and a POST that waits for the first packets.
fn defaults() -> Settings {
    Settings {
        workers: 2,
        wait_for_stream: Duration::from_secs(10),
        ..Settings::default()
    }
}
