//! The C host from its command line: it serves, says so, restarts FFmpeg, and ends with status 0.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use common::browser::Browser;
use common::ffmpeg::make_file;
use common::products::{library_directory, root, run};
use common::site::Site;
use common::{PATIENCE, Scratch, eventually, one_at_a_time};

/// The running host. Dropping it kills it; its FFmpeg dies with it.
struct CHost {
    child: Child,
    url: String,
}

impl CHost {
    fn start(arguments: &[&str]) -> Self {
        library_directory();
        let mut child = Command::new(root().join("examples-c/host"))
            .args(arguments)
            .args(["--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line
            .strip_prefix("ready ")
            .unwrap_or_else(|| panic!("not ready: {line:?}"));
        assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/\n"));
        Self {
            child,
            url: url.trim().to_owned(),
        }
    }

    /// Ids of its children that run FFmpeg.
    fn ffmpegs(&self) -> Vec<String> {
        // Where there is none, ps fails.
        let listed = format!("ps -o pid=,stat=,comm= --ppid {} || true", self.child.id());
        run(Command::new("sh").args(["-c", &listed]))
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .filter(|column| column[2] == "ffmpeg" && !column[1].starts_with('Z'))
            .map(|column| column[0].to_owned())
            .collect()
    }

    /// Sends a signal and gives the exit status.
    fn end(&mut self, signal: &str) -> Option<i32> {
        run(Command::new("kill").args([signal, &self.child.id().to_string()]));
        eventually("the host's end", Duration::from_secs(15), || {
            match self.child.try_wait().unwrap() {
                Some(status) => Ok(status.code()),
                None => Err("it runs".to_owned()),
            }
        })
    }
}

impl Drop for CHost {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_test_picture_plays_survives_a_killed_ffmpeg_and_the_host_ends_with_status_0() {
    let _turn = one_at_a_time();
    let mut host = CHost::start(&["--id", "room: 1/a", "--gop", "1"]);
    let whep = format!("{}whep/room%3A%201%2Fa", host.url);
    let site = Site::start();
    let browser = Browser::on(&site);
    eventually("the stream has packets", PATIENCE, || {
        let answer = browser.post("one", &whep, &["video", "audio"]);
        match answer["status"].as_u64() {
            Some(201) => Ok(()),
            _ => Err(answer.to_string()),
        }
    });
    browser.sees_motion("one");
    browser.hears_tone("one");

    let killed = host.ffmpegs();
    assert_eq!(killed.len(), 1);
    run(Command::new("kill").args(["-9", &killed[0]]));
    eventually("another FFmpeg", PATIENCE, || match host.ffmpegs() {
        now if now.len() == 1 && now != killed => Ok(()),
        now => Err(format!("{now:?}, killed {killed:?}")),
    });
    browser.sees_motion("one");

    let asked = Instant::now();
    assert_eq!(host.end("-INT"), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(10));
    browser.until("one", "the goodbye", |seen| seen.state != "connected");
}

#[test]
fn a_file_is_probed_and_its_video_copied() {
    let _turn = one_at_a_time();
    let scratch = Scratch::new("film");
    let file = scratch.file("silent film.mp4");
    make_file(&[
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=320x180:rate=30",
        "-t",
        "20",
        "-pix_fmt",
        "yuv420p",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-bf",
        "0",
        "-g",
        "30",
        &file,
    ]);
    let mut host = CHost::start(&["--id", "film", "--input", &file, "--codec", "copy"]);
    let site = Site::start();
    let browser = Browser::on(&site);
    let whep = format!("{}whep/film", host.url);
    eventually("the stream has packets", PATIENCE, || {
        match browser.post("one", &whep, &["video", "audio"])["status"].as_u64() {
            Some(201) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    browser.sees_motion("one");
    assert_eq!(host.end("-TERM"), Some(0));
}

#[test]
fn a_browser_publishes_and_the_host_s_ffmpeg_writes_the_file_to_its_end() {
    let _turn = one_at_a_time();
    let scratch = Scratch::new("publish");
    let file = scratch.file("studio.mp4");
    let mut host = CHost::start(&["--id", "cam", "--whip", "studio", "--output", &file]);
    let site = Site::start();
    let browser = Browser::on(&site);
    let whip = format!("{}whip/studio", host.url);
    let answer = browser.publish("pub", &whip, json!({ "codec": "video/H264" }));
    assert_eq!(answer["status"], 201, "{answer}");
    eventually("FFmpeg writes", PATIENCE, || {
        match std::fs::metadata(&file).map_or(0, |it| it.len()) {
            300_000.. => Ok(()),
            len => Err(format!("{len} bytes")),
        }
    });
    assert_eq!(host.end("-INT"), Some(0));
    // An MP4 without its end can't be read at all.
    let streams = run(Command::new("ffprobe").args([
        "-v",
        "error",
        "-show_entries",
        "stream=codec_name",
        "-of",
        "csv=p=0",
        &file,
    ]));
    assert_eq!(streams.lines().collect::<Vec<_>>(), ["h264", "opus"]);
}

#[test]
fn what_the_command_line_lacks_or_the_build_lacks_is_said() {
    library_directory();
    for (arguments, status, words) in [
        (vec![], 2, "--id"),
        (vec!["--id"], 2, "--id"),
        (vec!["--id", "x", "--gop", "soon"], 2, "--gop"),
        (vec!["--id", "x", "--unheard-of", "1"], 2, "--unheard-of"),
        (vec!["--id", "x", "--output", "y"], 2, "--whip"),
        (vec!["--id", "x", "--listen", "nowhere"], 1, "nowhere"),
        (vec!["--id", "x", "--udp", "example.org:1"], 1, "UDP_LISTEN"),
    ] {
        let output = Command::new(root().join("examples-c/host"))
            .args(&arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty());
    }
}
