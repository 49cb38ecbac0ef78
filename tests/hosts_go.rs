//! The Go host with real FFmpeg and real Chromium, both directions: a browser watches behind the token, through FFmpeg's
//! death and a reload, and publishes what FFmpeg records and sends on.
//! Its tests without a browser are Go's own (scripts/go-tests.sh).
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use common::browser::Browser;
use common::products::{library_directory, root, run};
use common::site::Site;
use common::{PATIENCE, Scratch, eventually, one_at_a_time};

const ID: &str = "restreamer-ui%3Aingest%3Aa%2Fb";

const PROCESS: &str = r#"{
  "id": "restreamer-ui:ingest:a/b", "reconnect": true, "reconnect_delay_ms": 200,
  "input": [
    {"id": "picture", "address": "testsrc2=size=320x180:rate=30", "options": ["-re", "-f", "lavfi"]},
    {"id": "tone", "address": "sine=frequency=440:sample_rate=48000", "options": ["-re", "-f", "lavfi"]}
  ],
  "output": [],
  "webrtc": {"audio_map": "1:a:0"}
}"#;

/// The running core. Dropping it ends it and its FFmpeg.
struct Core {
    child: Child,
    url: String,
}

impl Core {
    /// None where there is no Go, which only a build machine may not lack.
    fn start(scratch: &Scratch) -> Option<Self> {
        let library = library_directory();
        // Go's build cache knows what CGO_LDFLAGS says, and not what pkg-config says: two checkouts would share one.
        let flags = format!("-O2 -g -L{}", library.display());
        if Command::new("go").arg("version").output().is_err() {
            assert!(std::env::var("CI").is_err(), "Go is missing");
            println!("skipped: there is no Go");
            return None;
        }
        let program = scratch.file("core");
        let build = Command::new("go")
            .args(["build", "-o", &program, "."])
            .current_dir(root().join("bindings/go/examples/core"))
            .env("PKG_CONFIG_PATH", library.join("pkgconfig"))
            .env("CGO_LDFLAGS", flags)
            .status();
        assert!(build.unwrap().success());
        let mut child = Command::new(program)
            .args(["-listen", "127.0.0.1:0", "-udp", "127.0.0.1:0"])
            .args(["-public-ip", "127.0.0.1", "-token", "s3cret"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line
            .trim()
            .strip_prefix("ready ")
            .unwrap_or_else(|| panic!("not ready: {line:?}"))
            .to_owned();
        Some(Self { child, url })
    }

    fn api(&self, method: &str, path: &str, body: &str) -> String {
        run(Command::new("curl")
            .args(["-sS", "--fail-with-body", "-X", method, "-d", body])
            .args(["-H", "Content-Type: application/json"])
            .arg(format!("{}api/v3/{path}", self.url)))
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        // Nothing is left to do where it has ended.
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let _ = self.child.wait();
    }
}

#[test]
fn a_browser_watches_a_go_core_through_a_crash_and_a_reload() {
    let _turn = one_at_a_time();
    let scratch = Scratch::new("go");
    let Some(core) = Core::start(&scratch) else {
        return;
    };
    core.api("POST", "process", PROCESS);
    core.api("PUT", &format!("process/{ID}/start"), "");
    let whep = format!("{}whep/{ID}?token=s3cret", core.url);
    let site = Site::start();
    let browser = Browser::on(&site);
    let join = |name: &str| {
        eventually("the stream has packets", PATIENCE, || {
            let answer = browser.post(name, &whep, &["video", "audio"]);
            match answer["status"].as_u64() {
                Some(201) => Ok(()),
                _ => Err(answer.to_string()),
            }
        });
        browser.sees_motion(name);
        browser.hears_tone(name);
    };
    join("one");
    core.api("PUT", &format!("process/{ID}/restart"), "");
    eventually("another FFmpeg", Duration::from_secs(20), || {
        let shown = core.api("GET", &format!("process/{ID}"), "");
        if shown.contains("\"starts\":2") {
            return Ok(());
        }
        Err(shown)
    });
    browser.sees_motion("one");
    core.api("PUT", "reload", "");
    browser.until("one", "the goodbye", |seen| seen.state != "connected");
    join("two");
}

#[test]
fn a_browser_publishes_to_a_go_core_which_records_and_serves_it() {
    let _turn = one_at_a_time();
    let scratch = Scratch::new("go-whip");
    let Some(core) = Core::start(&scratch) else {
        return;
    };
    let file = scratch.file("recorded.mkv");
    let process = json!({
        "id": "studio", "reconnect": true, "reconnect_delay_ms": 200,
        "input": [{"id": "whip", "address": "{whip}"}],
        "output": [{"id": "file", "address": file, "options":
            ["-map", "0:v:0", "-map", "0:a:0", "-c", "copy", "-f", "matroska", "-flush_packets", "1"]}],
        "webrtc": {"source_codec": "h264", "video_codec": "copy"}
    });
    core.api("POST", "process", &process.to_string());
    core.api("PUT", "process/studio/start", "");
    let site = Site::start();
    let browser = Browser::on(&site);
    let options = json!({ "codec": "video/H264", "width": 320, "height": 180 });
    let whip = |token: &str| format!("{}whip/studio?token={token}", core.url);
    let refused = browser.publish("stranger", &whip("wrong"), options.clone());
    assert_eq!(refused["status"], 401, "{refused}");
    let answer = browser.publish("pub", &whip("s3cret"), options);
    assert_eq!(answer["status"], 201, "{answer}");
    browser.until_sent("pub", "it connects", |sent| sent.state == "connected");
    let whep = format!("{}whep/studio?token=s3cret", core.url);
    eventually("FFmpeg sends on what it reads", PATIENCE, || {
        let answer = browser.post("one", &whep, &["video", "audio"]);
        match answer["status"].as_u64() {
            Some(201) => Ok(()),
            _ => Err(answer.to_string()),
        }
    });
    browser.sees_motion("one");
    browser.hears_tone("one");
    eventually("the recording", PATIENCE, || {
        match std::fs::metadata(&file).map_or(0, |it| it.len()) {
            bytes if bytes > 50_000 => Ok(()),
            bytes => Err(format!("{bytes} bytes")),
        }
    });
    let began = Instant::now();
    core.api("PUT", "process/studio/stop", "");
    // FFmpeg ends at its input's end, and not five seconds later by SIGKILL.
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    browser.until("one", "the goodbye", |seen| seen.state != "connected");
    browser.until_sent("pub", "the goodbye", |sent| sent.state != "connected");
    let probe = [
        "-v",
        "error",
        "-show_entries",
        "stream=codec_name",
        "-of",
        "csv=p=0",
    ];
    let said = run(Command::new("ffprobe").args(probe).arg(&file));
    assert_eq!(said, "h264\nopus\n");
}
