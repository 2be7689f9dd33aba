//! What the cache did, and what it remembers.

use std::fmt::Error;

use super::family::Families;
use crate::sample::{Sample, Store};

pub(super) fn encode(sample: &Sample, out: &mut Families<'_>) -> Result<(), Error> {
    if let Some(cache) = sample.overview.output().and_then(|ring| ring.cache.as_ref()) {
        let events = cache.events_by_kind.iter();
        out.counter(
            "events",
            "Events published to consumers, by kind",
            events.map(|(kind, count)| ([("kind", *kind)], *count as f64)),
        )?;
        let one = |value: u64| [([("", ""); 0], value as f64)];
        out.counter("cache_batches", "Batches committed", one(cache.batches))?;
        out.counter(
            "cache_records",
            "Records of shard rings that were worked in",
            one(cache.records),
        )?;
        let buckets: Vec<_> = cache
            .commits
            .iter()
            .map(|(bound, count)| (bound.unwrap_or(f64::INFINITY), *count))
            .collect();
        out.histogram(
            "cache_commit_duration_seconds",
            "Time from the first record of a batch to its publication",
            cache.commit_seconds,
            &buckets,
        )?;
    }
    sample.store.as_ref().map_or(Ok(()), |store| state(store, out))
}

fn state(store: &Store, out: &mut Families<'_>) -> Result<(), Error> {
    let each = |of: fn(&(&'static str, u64, u64)) -> u64| {
        store.resources.iter().map(move |it| ([("resource", it.0)], of(it) as f64))
    };
    out.gauge("state_entities", "Entities that the cache remembers", each(|it| it.1))?;
    out.gauge("state_bytes", "Bytes they take", each(|it| it.2))?;
    out.gauge(
        "state_file_bytes",
        "Bytes of the store's file",
        [([("", ""); 0], store.file_bytes as f64)],
    )
}
