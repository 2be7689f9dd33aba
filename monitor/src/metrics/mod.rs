//! `/metrics`: read from shared memory at each scrape, nothing of it kept.
//!
//! No label grows with what a bot does: shards, rings, groups, kinds, reasons and resources are all bounded by
//! what was configured or by Discord's documentation.

mod bridges;
mod cache;
mod family;
mod leases;
mod pauses;
mod proxies;
mod reshard;
mod rings;
mod shards;
mod stages;

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text, text};
use prometheus_client::registry::Registry;

use self::family::Families;
use crate::sample::{Sample, Source};

/// What a scraper asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus' text format, which everybody reads.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// Whoever names OpenMetrics gets that.
    pub(crate) fn wanted(accept: Option<&str>) -> Self {
        let names = |accept: &str| accept.contains("application/openmetrics-text");
        if accept.is_some_and(names) { Self::OpenMetrics } else { Self::Prometheus }
    }

    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// All metrics, as text.
#[derive(Debug)]
pub(crate) struct Metrics(Registry);

impl Metrics {
    pub(crate) fn new(source: Arc<Source>) -> Self {
        let mut registry = Registry::with_prefix("mixcord");
        registry.register_collector(Box::new(Reader(source)));
        Self(registry)
    }

    /// The text; an error when shared memory cannot be listed.
    pub(crate) fn text(&self, format: Format) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        match format {
            Format::Prometheus => prometheus_text::encode(&mut text, &self.0)?,
            Format::OpenMetrics => text::encode(&mut text, &self.0)?,
        }
        Ok(text)
    }
}

#[derive(Debug)]
struct Reader(Arc<Source>);

impl Collector for Reader {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let sample = self.0.look().map_err(|_| std::fmt::Error)?;
        encode(&sample, &mut Families::new(encoder))
    }
}

fn encode(sample: &Sample, out: &mut Families<'_>) -> Result<(), std::fmt::Error> {
    out.info("build", "The monitor that tells this", &[("version", env!("CARGO_PKG_VERSION"))])?;
    out.gauge(
        "scrape_duration_seconds",
        "Time that reading shared memory took for this",
        [([("", ""); 0], sample.took.as_secs_f64())],
    )?;
    let gateway = sample.overview.shards().any(|ring| ring.producer_alive);
    let cache = sample.overview.output().is_some_and(|ring| ring.producer_alive);
    out.gauge(
        "up",
        "Whether a process of this kind lives, by the lock that the kernel holds for it",
        [
            ("gateway", Some(gateway)),
            ("cache", Some(cache)),
            ("bridge", bridges::up(sample)),
            ("proxy", proxies::up(sample)),
        ]
        .into_iter()
        .filter_map(|(process, up)| Some((process, up?)))
        .map(|(process, up)| ([("process", process)], f64::from(u8::from(up)))),
    )?;
    shards::encode(sample, out)?;
    rings::encode(sample, out)?;
    cache::encode(sample, out)?;
    pauses::encode(sample, out)?;
    stages::encode(sample, out)?;
    proxies::encode(sample, out)?;
    bridges::encode(sample, out)?;
    leases::encode(sample, out)?;
    reshard::encode(sample, out)?;
    let processes = &sample.processes;
    out.counter(
        "process_cpu_seconds",
        "Processor time of the processes of a kind that live",
        processes.iter().map(|it| ([("process", it.process)], it.cpu_seconds)),
    )?;
    out.gauge(
        "process_resident_memory_bytes",
        "Memory in use by the processes of a kind; shared segments are counted with each that touched them",
        processes.iter().map(|it| ([("process", it.process)], it.memory_bytes as f64)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_given_to_whom_names_it() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5";
        assert_eq!(Format::wanted(Some(prometheus)), Format::OpenMetrics);
        for other in [None, Some("*/*"), Some("text/plain"), Some("")] {
            assert_eq!(Format::wanted(other), Format::Prometheus);
        }
    }
}
