//! When gateway and cache were away for long.

use std::fmt::Error;

use mixcord::operator::{PauseStatus, PausesStatus};

use super::family::Families;
use crate::sample::Sample;

/// Of which process, and what was the cause.
type Labels = [(&'static str, &'static str); 2];

pub(super) fn encode(sample: &Sample, out: &mut Families<'_>) -> Result<(), Error> {
    let shards: Vec<_> =
        sample.overview.shards().filter_map(|ring| Some(&ring.shard.as_ref()?.pauses)).collect();
    let gateway = (!shards.is_empty()).then(|| PausesStatus::all(shards));
    let cache = sample.overview.output().and_then(|ring| ring.cache.as_ref());
    let processes = [("gateway", gateway), ("cache", cache.map(|cache| cache.pauses.clone()))];
    let known = processes.iter().filter_map(|(name, pauses)| Some((*name, pauses.as_ref()?)));
    let all = known.flat_map(|(process, pauses)| {
        [("work", &pauses.work), ("late", &pauses.late)]
            .map(|(cause, times)| ([("process", process), ("cause", cause)], times))
    });
    out.histograms(
        "pause_duration_seconds",
        "Times above a millisecond for which the process was away: its work took so long, or it came back late from a rest",
        all.map(|(labels, times): (Labels, &PauseStatus)| (labels, times.seconds, buckets(times))),
    )
}

fn buckets(times: &PauseStatus) -> Vec<(f64, u64)> {
    times.times.iter().map(|(bound, count)| (bound.unwrap_or(f64::INFINITY), *count)).collect()
}
