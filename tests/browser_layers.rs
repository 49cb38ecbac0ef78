//! Real Chromium publishes three simulcast layers; direct viewers choose theirs, and FFmpeg's line is one across layers.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use corertc::rtp::codec::Codec;
use serde_json::{Value, json};

use common::browser::Browser;
use common::host::Host;
use common::kept::Kept;
use common::publish::ingest;
use common::site::Site;
use common::{PATIENCE, eventually, one_at_a_time};

/// The publisher's layers by name.
fn layers(host: &Host) -> BTreeMap<String, Value> {
    let stats = host.stats();
    let sessions = stats["sessions"].as_array().unwrap();
    let publishers = sessions.iter().filter(|it| it["direction"] == "publish");
    let all = publishers.flat_map(|it| it["layers"].as_array().unwrap());
    all.map(|it| (it["rid"].as_str().unwrap().to_owned(), it.clone()))
        .collect()
}

/// A host and a browser that publishes `cam` in three layers: C082, only from about 960x540.
fn published(host: &Host, browser: &Browser, mime_type: &str) {
    let rids = ["l", "m", "h"];
    let options = json!({ "codec": mime_type, "rids": rids, "width": 960, "height": 540 });
    let answer = browser.publish("pub", &host.url("/whip/cam"), options);
    assert_eq!(answer["status"], 201, "{answer}");
    browser.until_sent("pub", "all layers are sent", |sent| {
        sent.layers.iter().filter(|layer| layer.1 > 10).count() == 3
    });
}

#[test]
fn each_viewer_sees_the_layer_it_asked_for_and_the_numbers_name_it() {
    let _turn = one_at_a_time();
    let host = Host::with(|settings| settings.whip_direct = true);
    ingest(&host, "cam", Some(Codec::Vp8));
    let site = Site::start();
    let browser = Browser::on(&site);
    published(&host, &browser, "video/VP8");
    let unknown = browser.post("none", &host.url("/whep/cam?rid=x"), &["video"]);
    assert_eq!(unknown["status"], 404, "{unknown}");
    browser.watch("small", &host.url("/whep/cam?rid=l"));
    browser.watch("middle", &host.url("/whep/cam?source=ingest&rid=m"));
    for (name, width) in [("small", 240), ("middle", 480)] {
        browser.until(name, "its picture", |seen| seen.width == width);
        browser.sees_motion(name);
        browser.hears_tone(name);
    }
    assert_eq!(browser.report("small").width, 240, "it stays");
    eventually("the layers' numbers", PATIENCE, || {
        let layers = layers(&host);
        let serves = |rid: &str| layers.get(rid).map(|it| it["serves"].clone());
        let rate = |rid: &str| layers.get(rid).and_then(|it| it["bitrate_bps"].as_u64());
        let named = serves("l") == Some(json!(["l"])) && serves("m") == Some(json!(["m"]));
        match named && rate("h") > rate("l") && rate("l") > Some(0) {
            true => Ok(()),
            false => Err(format!("{layers:?}")),
        }
    });
    let stats = host.stats();
    let sessions = stats["sessions"].as_array().unwrap();
    let mut rids: Vec<_> = sessions
        .iter()
        .filter_map(|it| it["rid"].as_str())
        .collect();
    rids.sort_unstable();
    assert_eq!(rids, ["l", "m"]);
    // Nobody but viewers knows of a layer: they end with it.
    let point = host.subsystem.ingests().unwrap().find("cam").unwrap();
    point.end();
    for layer in point.open_layers() {
        layer.point.stream().announce_end();
    }
    browser.until("small", "it is told", |seen| seen.state != "connected");
}

#[test]
fn a_layer_that_stops_is_replaced_by_the_next_one_and_comes_back_on_one_line() {
    let _turn = one_at_a_time();
    let host = Host::with(|settings| settings.whip_direct = true);
    let point = ingest(&host, "cam", Some(Codec::H264));
    let kept = Arc::new(Kept::default());
    point.stream().attach(kept.clone());
    let site = Site::start();
    let browser = Browser::on(&site);
    published(&host, &browser, "video/H264");
    let send = |rids: &[&str]| {
        let arguments = vec![json!("pub"), json!(rids)];
        browser.wait_for("whip.send(arguments[0], arguments[1])", arguments);
    };
    browser.watch("best", &host.url("/whep/cam"));
    browser.watch("middle", &host.url("/whep/cam?rid=m"));
    browser.watch("small", &host.url("/whep/cam?rid=l"));
    let sees = |name: &str, width: u32| {
        browser.until(name, &format!("a width of {width}"), |seen| {
            seen.width == width
        });
        browser.sees_motion(name);
    };
    sees("best", 960);
    sees("middle", 480);
    sees("small", 240);
    send(&["l"]);
    sees("best", 240);
    sees("middle", 240);
    send(&["l", "m", "h"]);
    sees("middle", 480);
    sees("best", 960);
    browser.hears_tone("middle");
    kept.is_one_line();
    let counters = host.subsystem.counters();
    assert_eq!(
        counters.leg_codec_mismatch.value(),
        0,
        "parameter sets change"
    );
    assert!(
        counters.pli_out.value() < 60,
        "{}",
        counters.pli_out.value()
    );
}
