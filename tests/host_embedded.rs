//! `examples-c/embedded_http.c`: a host's own HTTP server in front of `corertc_http_handle`, pages and all, in Chromium
//! and with raw requests.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "common/c.rs"]
mod c;
mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::browser::Browser;
use common::{PATIENCE, Scratch, eventually, one_at_a_time};

/// The running example. Dropping it kills it.
struct Embedded {
    child: Child,
    port: u16,
    _library: Scratch,
}

impl Embedded {
    /// As examples-c/Makefile builds it, linked with the library under test.
    fn start() -> Self {
        let folder = Scratch::new("embedded");
        let library = c::library_folder().join("libcorertc.so");
        let program = PathBuf::from(folder.file("embedded_http"));
        let built = c::run(
            Command::new("gcc")
                .args([
                    "-std=c11",
                    "-Wall",
                    "-Wextra",
                    "-Wpedantic",
                    "-Werror",
                    "-g",
                ])
                .arg(format!("-I{}", c::root().join("include").display()))
                .arg(c::root().join("examples-c/embedded_http.c"))
                .arg(&library)
                .args(["-pthread", "-o"])
                .arg(&program),
        );
        assert!(built.status.success(), "{}", c::words(&built));
        std::os::unix::fs::symlink(&library, folder.file("libcorertc.so.1")).unwrap();
        let mut child = Command::new(&program)
            .arg("0")
            .env("LD_LIBRARY_PATH", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let port = line
            .strip_prefix("ready http://127.0.0.1:")
            .and_then(|rest| rest.trim().strip_suffix("/media/"))
            .and_then(|port| port.parse().ok());
        Self {
            port: port.unwrap_or_else(|| panic!("not ready: {line:?}")),
            child,
            _library: folder,
        }
    }

    fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let timeout = Some(Duration::from_secs(20));
        stream.set_read_timeout(timeout).unwrap();
        // A refusal may come before all is written.
        let _ = stream.write_all(request);
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn get(&self, path: &str) -> String {
        self.raw(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_page_plays_through_a_hosts_own_server_and_the_host_ends_with_status_0() {
    let _turn = one_at_a_time();
    let mut host = Embedded::start();
    let browser = Browser::start();
    browser.goto(&format!("http://127.0.0.1:{}/media/play/cam", host.port));
    let frames = || {
        let script = "return [document.body.dataset.state, \
             document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames]";
        browser.run(script, vec![])
    };
    eventually("the picture moves", PATIENCE, || {
        let seen = frames();
        if seen[0] == "live" && seen[1].as_u64() > Some(30) {
            return Ok(());
        }
        Err(seen.to_string())
    });
    assert!(host.get("/media/metrics").contains("\ncorertc_viewers 1\n"));
    // Leaving DELETEs through the same server.
    browser.goto(&format!("http://127.0.0.1:{}/", host.port));
    eventually("the viewer left", Duration::from_secs(5), || {
        let text = host.get("/media/metrics");
        let gone = text.contains("\ncorertc_viewers 0\n");
        if gone { Ok(()) } else { Err(text) }
    });
    let pid = host.child.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(sent.unwrap().success());
    let status = eventually("the host's end", Duration::from_secs(20), || {
        match host.child.try_wait().unwrap() {
            Some(status) => Ok(status.code()),
            None => Err("it runs".to_owned()),
        }
    });
    assert_eq!(status, Some(0));
}

#[test]
fn requests_pass_as_they_are_and_bad_ones_are_answered() {
    let _turn = one_at_a_time();
    let host = Embedded::start();
    assert!(host.get("/").contains("the host's own page"));
    assert!(host.get("/mediaplayer").contains("the host's own page"));
    let list = host.get("/media/");
    assert!(
        list.starts_with("HTTP/1.1 200") && list.contains("play/cam"),
        "{list}"
    );
    assert!(
        list.to_ascii_lowercase()
            .contains("content-security-policy")
    );
    assert!(
        host.get("/media/assets/play.js")
            .contains("text/javascript")
    );
    let head = host.raw(b"HEAD /media/ HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(
        head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    let options = host.raw(b"OPTIONS /media/whep/cam HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(options.starts_with("HTTP/1.1 204"), "{options}");
    let wrong = host.raw(
        b"POST /media/whep/cam HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\ncontent-length: 3\r\n\r\nabc",
    );
    assert!(
        wrong.starts_with("HTTP/1.1 415") && wrong.contains("problem+json"),
        "{wrong}"
    );
    for (request, status) in [
        (&b"GET\r\n\r\n"[..], "400"),
        (b"GET media HTTP/1.1\r\n\r\n", "400"),
        (b"\x16\x03\x01\r\n\r\n", "400"),
        (
            b"POST /media/whep/cam HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n",
            "413",
        ),
        (
            b"POST /media/whep/cam HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            "411",
        ),
        (
            b"POST /media/whep/cam HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "411",
        ),
    ] {
        let answer = host.raw(request);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
    }
    let long = format!("GET /media/ HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(40_000));
    assert!(host.raw(long.as_bytes()).starts_with("HTTP/1.1 431"));
    assert!(host.get("/media/healthz").ends_with("ok\n"));
}
