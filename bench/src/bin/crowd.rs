//! A crowd for any WHEP server: joins, watches, and says what arrived. `crowd URL [--viewers N] [--seconds S]`.

use std::thread;
use std::time::Duration;

use corertc_bench::crowd::{Crowd, Error, Join};
use corertc_bench::report::{argument, number};
use serde_json::json;

fn main() -> Result<(), Error> {
    corertc_bench::child::play_role();
    let Some(url) = std::env::args().nth(1).filter(|url| !url.starts_with("--")) else {
        eprintln!(
            "usage: crowd URL [--viewers N] [--at-once N] [--seconds S] [--sample N] [--token T] [--setup actpass|active]"
        );
        std::process::exit(2);
    };
    let seconds = number("--seconds", 10);
    let crowd = Crowd::new(1)?;
    let joined = crowd.join(&Join {
        url,
        token: argument("--token"),
        viewers: number("--viewers", 100),
        at_once: number("--at-once", 16),
        sample: number("--sample", 64) as u32,
        setup: argument("--setup").unwrap_or_else(|| "actpass".to_owned()),
        deadline: Duration::from_secs(60),
    })?;
    eprintln!("{joined:?}");
    let before = crowd.totals();
    thread::sleep(Duration::from_secs(seconds as u64));
    let after = crowd.totals();
    crowd.leave();
    let received = after.received - before.received;
    println!(
        "{}",
        json!({
            "connected": joined.connected, "join_seconds": joined.seconds, "still_connected": after.connected,
            "packets": received, "packets_per_second": received as f64 / seconds.max(1) as f64,
            "read": after.read, "authentic": after.authentic, "gcm": after.gcm, "dtls_clients": after.dtls_clients,
        })
    );
    Ok(())
}
