//! The browser harness itself: without it working, no other browser test says anything.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use serde_json::json;

use common::browser::Browser;
use common::one_at_a_time;
use common::site::Site;

#[test]
fn a_page_runs_scripts_and_the_browser_decodes_the_codecs_the_tests_need() {
    let _turn = one_at_a_time();
    let site = Site::start();
    let browser = Browser::on(&site);
    assert_eq!(browser.run("return 6 * arguments[0]", vec![json!(7)]), 42);
    assert_eq!(
        browser.wait_for("Promise.resolve(arguments[0])", vec![json!("later")]),
        "later"
    );
    let codecs = browser
        .run(
            "return RTCRtpReceiver.getCapabilities('video').codecs.map((codec) => codec.mimeType)",
            vec![],
        )
        .to_string();
    assert!(codecs.contains("video/VP8"), "{codecs}");
    assert!(codecs.contains("video/H264"), "{codecs}");
}

#[test]
fn two_peers_in_one_page_give_reports() {
    let _turn = one_at_a_time();
    let site = Site::start();
    let browser = Browser::on(&site);
    let refused = browser.post("nobody", "http://127.0.0.1:9/whep/x", &["video"]);
    assert!(refused["error"].is_string(), "{refused}");
    let report = browser.report("nobody");
    assert_eq!(report.state, "new");
    assert_eq!(report.frames_decoded, 0);
    let first = browser.open_tab();
    browser.goto(&site.origin());
    browser.close_tab(first);
    assert_eq!(browser.report("nobody").state, "new");
}

#[test]
fn a_peer_in_the_same_page_is_seen_and_heard() {
    let _turn = one_at_a_time();
    let site = Site::start();
    let browser = Browser::on(&site);
    browser.wait_for("whep.loop(arguments[0])", vec![json!("self")]);
    browser.sees_motion("self");
    browser.hears_tone("self");
}
