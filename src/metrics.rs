//! Prometheus text of a subsystem's counters and of what lives in it now.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::stats::Counters;

/// One live stream's gauges.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamGauges {
    /// The process id.
    pub id: String,
    /// Viewers of any state.
    pub viewers: u64,
    /// Bits per second that come in from FFmpeg.
    pub bitrate_bps: u64,
    /// Packets came within the last seconds.
    pub live: bool,
}

/// Everything one scrape shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// (name, help, value) of every counter since the start.
    pub counters: Vec<(&'static str, &'static str, u64)>,
    /// (name, help, value) of what is there now.
    pub gauges: Vec<(&'static str, &'static str, u64)>,
    /// Every stream.
    pub streams: Vec<StreamGauges>,
}

impl Snapshot {
    /// The counters now, and nothing else yet.
    #[must_use]
    pub fn of(counters: &Counters) -> Self {
        Self {
            counters: counters.all(),
            ..Self::default()
        }
    }

    /// The text a scrape gets (OpenMetrics).
    #[must_use]
    pub fn render(self) -> String {
        let mut registry = Registry::with_prefix("corertc");
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        // Writing into a String doesn't fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, help, value) in &self.counters {
            // The encoder ends every counter in `_total` itself, and every help text in a full stop.
            let name = name.strip_suffix("_total").unwrap_or(name);
            let metric = ConstCounter::new(*value);
            let kind = metric.metric_type();
            metric.encode(encoder.encode_descriptor(name, plain(help), None, kind)?)?;
        }
        for (name, help, value) in &self.gauges {
            let metric = ConstGauge::new(saturated(*value));
            let kind = metric.metric_type();
            metric.encode(encoder.encode_descriptor(name, plain(help), None, kind)?)?;
        }
        self.encode_streams(encoder)
    }
}

/// How one family of stream gauges reads its value.
type Reading = fn(&StreamGauges) -> u64;

/// Name, help and reading of the gauges every stream has.
const STREAM_FAMILIES: [(&str, &str, Reading); 3] = [
    ("stream_viewers", "Viewers of a stream", |it| it.viewers),
    ("stream_bitrate", "Bits per second from FFmpeg", |it| {
        it.bitrate_bps
    }),
    ("stream_live", "Whether packets come in", |it| {
        u64::from(it.live)
    }),
];

impl Snapshot {
    fn encode_streams(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if self.streams.is_empty() {
            return Ok(());
        }
        for (name, help, value) in STREAM_FAMILIES {
            let kind = ConstGauge::new(0_i64).metric_type();
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for stream in &self.streams {
                let labels = [("stream", stream.id.as_str())];
                let metric = ConstGauge::new(saturated(value(stream)));
                metric.encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

fn plain(help: &str) -> &str {
    help.trim_end_matches('.')
}

fn saturated(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        let counters = Counters::default();
        counters.sessions_total.add(3);
        counters.leg_packets_in.add(u64::MAX);
        let mut snapshot = Snapshot::of(&counters);
        snapshot.gauges = vec![("viewers", "Viewers now", 2)];
        snapshot.streams = vec![StreamGauges {
            id: "a\"b\\c\nd".to_owned(),
            viewers: 2,
            bitrate_bps: 2_500_000,
            live: true,
        }];
        snapshot
    }

    #[test]
    fn every_counter_is_a_line_with_one_total_suffix() {
        let text = snapshot().render();
        assert!(text.contains("\ncorertc_sessions_total 3\n"), "{text}");
        assert!(text.contains("# TYPE corertc_sessions counter\n"), "{text}");
        let highest = format!("\ncorertc_leg_packets_in_total {}\n", u64::MAX);
        assert!(text.contains(&highest), "{text}");
        for (name, _, _) in Counters::default().all() {
            let name = name.strip_suffix("_total").unwrap_or(name);
            assert!(text.contains(&format!("\ncorertc_{name}_total ")), "{name}");
        }
        assert!(!text.contains(".."), "{text}");
    }

    #[test]
    fn what_is_there_now_is_a_gauge_and_hostile_ids_are_escaped() {
        let text = snapshot().render();
        assert!(text.contains("\ncorertc_viewers 2\n"), "{text}");
        let line = r#"corertc_stream_viewers{stream="a\"b\\c\nd"} 2"#;
        assert!(text.contains(line), "{text}");
        assert!(text.contains("} 2500000\n"), "{text}");
    }
}
