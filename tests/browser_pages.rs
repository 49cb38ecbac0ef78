//! The pages in real Chromium: what a viewer sees, presses and is told; leaving and coming back.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::time::{Duration, Instant};

use corertc::config::Settings;
use corertc::rtp::codec::Codec;
use serde_json::{Value, json};

use common::browser::Browser;
use common::ffmpeg::{Ffmpeg, PICTURE_AND_TONE};
use common::host::{Host, picture_and_tone};
use common::{PATIENCE, eventually, one_at_a_time};

/// A stream `cam` that plays, and a browser.
struct Scene {
    host: Host,
    browser: Browser,
    ffmpeg: Ffmpeg,
}

impl Scene {
    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let host = Host::with(change);
        let legs = host.process_start("cam", &picture_and_tone(Codec::H264));
        let ffmpeg = Ffmpeg::run(PICTURE_AND_TONE, &legs);
        let browser = Browser::start();
        Self {
            host,
            browser,
            ffmpeg,
        }
    }

    fn viewers_become(&self, wanted: u64, within: Duration) {
        eventually(&format!("{wanted} viewers"), within, || {
            match self.host.viewers() {
                now if now == wanted => Ok(()),
                now => Err(format!("{now} viewers")),
            }
        });
    }
}

/// The page's state, its message, and the frames its element showed.
fn seen(browser: &Browser) -> (String, String, u64) {
    let all = browser.run(
        "return [document.body.dataset.state, document.getElementById('message').textContent, \
         document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames]",
        vec![],
    );
    (
        all[0].as_str().unwrap_or("").to_owned(),
        all[1].as_str().unwrap_or("").to_owned(),
        all[2].as_u64().unwrap_or(0),
    )
}

fn becomes(browser: &Browser, state: &str) -> String {
    eventually(&format!("the page is {state}"), PATIENCE, || {
        let (now, message, _) = seen(browser);
        if now == state {
            return Ok(message);
        }
        Err(format!("{now}: {message}"))
    })
}

fn moves(browser: &Browser) {
    becomes(browser, "live");
    let (_, _, before) = seen(browser);
    eventually("the picture moves", PATIENCE, || {
        let (state, message, now) = seen(browser);
        // A new element source counts from zero again.
        if now >= before + 20 {
            return Ok(());
        }
        Err(format!("{state} {message}: {now} frames, before {before}"))
    });
}

fn stat(browser: &Browser, name: &str) -> String {
    let text = browser.run(
        "return document.querySelector(`[data-stat=\"${arguments[0]}\"]`).textContent",
        vec![json!(name)],
    );
    text.as_str().unwrap().to_owned()
}

/// The number a statistic begins with.
fn number(browser: &Browser, name: &str) -> Result<f64, String> {
    let text = stat(browser, name);
    let first = text.split(' ').next().unwrap_or("");
    first.parse().map_err(|_| text.clone())
}

#[test]
fn the_page_plays_and_its_statistics_move() {
    let _turn = one_at_a_time();
    let scene = Scene::with(|_| {});
    let browser = &scene.browser;
    browser.goto(&scene.host.url("/play/cam"));
    moves(browser);
    for (name, low, high) in [
        ("fps", 20.0, 40.0),
        ("latency", 0.1, 2000.0),
        ("loss", 0.0, 5.0),
        ("first", 1.0, 20_000.0),
        ("rtt", 0.0, 1000.0),
    ] {
        eventually(name, PATIENCE, || match number(browser, name) {
            Ok(now) if (low..=high).contains(&now) => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
    assert_eq!(stat(browser, "resolution"), "320 × 180");
    assert_eq!(stat(browser, "codecs"), "H264 + opus");
    let bitrate = stat(browser, "bitrate");
    assert!(
        bitrate.ends_with("bit/s") && !bitrate.starts_with('0'),
        "{bitrate}"
    );
    eventually("the graph is drawn", PATIENCE, || {
        let drawn = browser.run(
            "const graph = document.getElementById('graph'); \
             const pixels = graph.getContext('2d').getImageData(0, 0, graph.width, graph.height).data; \
             return pixels.filter((value, index) => index % 4 === 3 && value > 200).length",
            vec![],
        );
        match drawn.as_u64() {
            Some(pixels) if pixels > 100 => Ok(()),
            _ => Err(drawn.to_string()),
        }
    });
}

#[test]
fn stop_and_start_sound_and_full_screen_do_what_they_say() {
    let _turn = one_at_a_time();
    let scene = Scene::with(|_| {});
    let browser = &scene.browser;
    browser.goto(&scene.host.url("/play/cam"));
    moves(browser);
    scene.viewers_become(1, PATIENCE);
    browser.click("#toggle");
    becomes(browser, "stopped");
    scene.viewers_become(0, Duration::from_secs(5));
    browser.click("#again");
    moves(browser);

    let sound = |browser: &Browser| {
        browser.run(
            "const video = document.querySelector('video'); return [video.muted, video.volume]",
            vec![],
        )
    };
    assert_eq!(sound(browser)[0], json!(true));
    browser.click("#sound");
    assert_eq!(sound(browser), json!([false, 1]));
    browser.run(
        "const volume = document.getElementById('volume'); volume.value = '30'; \
         volume.dispatchEvent(new Event('input'))",
        vec![],
    );
    assert_eq!(sound(browser), json!([false, 0.3]));

    browser.click("#full");
    eventually("full screen", PATIENCE, || {
        let full = browser.run("return document.fullscreenElement?.id ?? null", vec![]);
        if full == json!("player") {
            return Ok(());
        }
        Err(full.to_string())
    });
}

#[test]
fn a_missing_stream_is_said_and_comes_by_itself() {
    let _turn = one_at_a_time();
    let host = Host::with(|settings| settings.wait_for_stream = Duration::ZERO);
    let browser = Browser::start();
    browser.goto(&host.url("/play/cam"));
    let message = becomes(&browser, "missing");
    assert!(message.contains("isn't running"), "{message}");
    // There, but without packets: the same to a viewer.
    let legs = host.process_start("cam", &picture_and_tone(Codec::H264));
    becomes(&browser, "missing");
    let _ffmpeg = Ffmpeg::run(PICTURE_AND_TONE, &legs);
    moves(&browser);
}

#[test]
fn an_interruption_is_said_and_heals_in_the_same_session() {
    let _turn = one_at_a_time();
    let mut scene = Scene::with(|_| {});
    scene.browser.goto(&scene.host.url("/play/cam"));
    moves(&scene.browser);
    scene.ffmpeg.kill();
    let message = becomes(&scene.browser, "interrupted");
    assert!(message.contains("interrupted"), "{message}");
    scene.ffmpeg.restart();
    moves(&scene.browser);
    assert_eq!(scene.host.subsystem.counters().sessions_total.value(), 1);
}

#[test]
fn a_stopped_stream_is_missing_until_it_is_started_again() {
    let _turn = one_at_a_time();
    let mut scene = Scene::with(|settings| settings.wait_for_stream = Duration::ZERO);
    scene.browser.goto(&scene.host.url("/play/cam"));
    moves(&scene.browser);
    scene.ffmpeg.kill();
    scene.host.subsystem.process_stop("cam").unwrap();
    becomes(&scene.browser, "missing");
    let settings = picture_and_tone(Codec::H264);
    let legs = scene.host.process_start("cam", &settings);
    scene.ffmpeg = Ffmpeg::run(PICTURE_AND_TONE, &legs);
    moves(&scene.browser);
}

/// C080: no waiting for a silent client to expire.
#[test]
fn leaving_the_page_frees_the_session_at_once() {
    let _turn = one_at_a_time();
    let scene = Scene::with(|_| {});
    for _ in 0..2 {
        scene.browser.goto(&scene.host.url("/play/cam"));
        moves(&scene.browser);
        scene.viewers_become(1, PATIENCE);
        let left = Instant::now();
        scene.browser.goto(&scene.host.url("/healthz"));
        scene.viewers_become(0, Duration::from_secs(3));
        assert!(left.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn a_refused_viewer_is_asked_for_the_token_and_let_in_with_it() {
    let _turn = one_at_a_time();
    let scene = Scene::with(|settings| settings.play_token = Some("s3cret".to_owned()));
    let browser = &scene.browser;
    browser.goto(&scene.host.url("/play/cam"));
    let message = becomes(browser, "refused");
    assert!(message.contains("token"), "{message}");
    let type_in = |token: &str| {
        browser.run(
            "document.getElementById('token').value = arguments[0]",
            vec![json!(token)],
        );
        browser.click("#go");
    };
    type_in("guess");
    becomes(browser, "refused");
    type_in("s3cret");
    moves(browser);
    // It stands in no address.
    let url = browser.run("return location.href", vec![]);
    assert!(!url.as_str().unwrap().contains("s3cret"));
    scene
        .browser
        .goto(&scene.host.url("/play/cam?token=s3cret"));
    moves(browser);
}

/// P070–P075 in Chromium: the network changed, the session did not.
#[test]
fn an_ice_restart_keeps_the_picture() {
    let _turn = one_at_a_time();
    let scene = Scene::with(|_| {});
    let browser = &scene.browser;
    browser.goto(&scene.host.url("/play/cam"));
    moves(browser);
    for restarts in 1..=2 {
        browser.run("dispatchEvent(new Event('online'))", vec![]);
        eventually("the server restarted ICE", PATIENCE, || {
            match scene.host.subsystem.counters().ice_restarts.value() {
                now if now == restarts => Ok(()),
                now => Err(format!("{now} restarts")),
            }
        });
        moves(browser);
    }
    assert_eq!(scene.host.subsystem.counters().sessions_total.value(), 1);
    assert_eq!(scene.host.viewers(), 1);
}

#[test]
fn the_list_keeps_up_with_streams_viewers_and_bitrate() {
    let _turn = one_at_a_time();
    let scene = Scene::with(|_| {});
    let browser = &scene.browser;
    let list = || -> String {
        let text = browser.run(
            "return document.getElementById('streams').innerText",
            vec![],
        );
        text.as_str().unwrap().to_owned()
    };
    let shows = |what: &str| {
        eventually(what, PATIENCE, || {
            let text = list();
            if text.contains(what) {
                Ok(())
            } else {
                Err(text)
            }
        });
    };
    browser.goto(&scene.host.url("/"));
    browser.run("window.sameDocument = true", vec![]);
    shows("0 viewers");
    shows("bit/s");
    shows("H264 + opus");
    let first = browser.open_tab();
    browser.goto(&scene.host.url("/play/cam"));
    moves(browser);
    scene
        .host
        .process_start("später <b>", &picture_and_tone(Codec::Vp8));
    browser.close_tab(first);
    shows("später <b>");
    shows("no media");
    shows("viewer");
    assert_eq!(
        browser.run("return window.sameDocument", vec![]),
        json!(true)
    );
}

#[test]
fn the_pages_fit_a_phone_and_no_policy_is_broken() {
    let _turn = one_at_a_time();
    let scene = Scene::with(|_| {});
    let browser = &scene.browser;
    browser.resize(390, 844);
    for path in ["/", "/play/cam"] {
        browser.goto(&scene.host.url(path));
        let widths = browser.run(
            "return [document.documentElement.scrollWidth, innerWidth]",
            vec![],
        );
        assert!(widths[0].as_u64() <= widths[1].as_u64(), "{path}: {widths}");
    }
    moves(browser);
    // Inline code would be refused by the page's own policy.
    let ran = browser.run(
        "const script = document.createElement('script'); script.textContent = 'window.ran = 1'; \
         document.body.append(script); return window.ran ?? null",
        vec![],
    );
    assert_eq!(ran, Value::Null);
    let buttons = browser.run(
        "return [...document.querySelectorAll('button')].every((button) => \
         button.textContent.trim() || button.getAttribute('aria-label'))",
        vec![],
    );
    assert_eq!(buttons, json!(true));
}

/// Writes docs/play.png where CORERTC_SCREENSHOT is set.
#[test]
fn the_screenshot_can_be_taken() {
    let _turn = one_at_a_time();
    if std::env::var_os("CORERTC_SCREENSHOT").is_none() {
        return;
    }
    let host = Host::start();
    let mut settings = picture_and_tone(Codec::H264);
    settings.video_bitrate_bps = 2_500_000;
    let legs = host.process_start("front door", &settings);
    let mut input = PICTURE_AND_TONE.to_vec();
    input[4] = "testsrc2=size=640x360:rate=30";
    let _ffmpeg = Ffmpeg::run(&input, &legs);
    let browser = Browser::start();
    browser.resize(1180, 1080);
    browser.goto(&host.url("/play/front%20door"));
    moves(&browser);
    // As many samples as make a graph.
    eventually("a graph of a while", Duration::from_secs(60), || {
        let frames = seen(&browser).2;
        if frames > 30 * 30 {
            Ok(())
        } else {
            Err(format!("{frames}"))
        }
    });
    browser.run(
        "document.getElementById('player').dispatchEvent(new Event('pointermove'))",
        vec![],
    );
    std::fs::write("docs/play.png", browser.screenshot()).unwrap();
}
