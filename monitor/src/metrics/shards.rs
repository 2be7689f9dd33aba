//! How the shards stand, and what is left of the identify budget.

use std::collections::BTreeMap;
use std::fmt::Error;

use mixcord::operator::{RingStatus, ShardStatus};

use super::family::Families;
use crate::sample::Sample;

/// What a shard can be.
const STATES: [&str; 7] =
    ["disconnected", "connecting", "identifying", "resuming", "connected", "paused", "stopped"];

/// Which shard, of how many: while a bot gets another count there are two of one number.
type Labels = [(&'static str, String); 2];

pub(super) fn encode(sample: &Sample, out: &mut Families<'_>) -> Result<(), Error> {
    let shards: Vec<(Labels, &RingStatus, &ShardStatus)> = sample
        .overview
        .shards()
        .filter_map(|ring| Some((labels(ring)?, ring, ring.shard.as_ref()?)))
        .collect();
    let states = shards.iter().flat_map(|(labels, ring, shard)| {
        STATES.iter().map(|state| {
            let [number, count] = labels.clone();
            // What it said before its process was killed is not how it is.
            let now = if ring.producer_alive { shard.state.as_str() } else { "stopped" };
            ([number, count, ("state", (*state).to_owned())], f64::from(u8::from(now == *state)))
        })
    });
    out.gauge("shard_state", "1 for the state that the shard is in, 0 for the others", states)?;
    let gauge = |of: fn(&ShardStatus) -> Option<f64>| {
        shards.iter().filter_map(move |(labels, _, shard)| Some((labels.clone(), of(shard)?)))
    };
    out.gauge(
        "shard_session_age_seconds",
        "How long the shard's session lives, over restarts of the gateway",
        gauge(|shard| shard.session_seconds),
    )?;
    out.gauge(
        "shard_heartbeat_latency_seconds",
        "Time until Discord answered the last heartbeat",
        gauge(|shard| shard.latency_ms().map(|ms| ms / 1e3)),
    )?;
    out.gauge(
        "shard_sequence",
        "Discord's last sequence number in the ring; starts anew with each session",
        gauge(|shard| shard.seq.map(|seq| seq as f64)),
    )?;
    out.gauge(
        "shard_last_event_age_seconds",
        "How long ago the gateway received what it wrote last",
        gauge(|shard| shard.last_event_seconds),
    )?;
    out.gauge(
        "shard_last_close_code",
        "The last close code that Discord gave",
        gauge(|shard| shard.last_close.map(f64::from)),
    )?;
    out.gauge(
        "shard_unread_seconds",
        "How long the socket is not read now, for want of room in the ring; 0 while it is",
        gauge(|shard| Some(shard.stalled_now_seconds.unwrap_or(0.0))),
    )?;
    out.gauge(
        "shard_awaits_refill",
        "1 while the cache has lost its state of the shard and no session was begun since",
        gauge(|shard| Some(f64::from(u8::from(shard.awaits_refill)))),
    )?;
    let counter = |of: fn(&ShardStatus) -> u64| {
        shards.iter().map(move |(labels, _, shard)| (labels.clone(), of(shard) as f64))
    };
    out.counter("shard_reconnects", "Connections lost", counter(|shard| shard.reconnects))?;
    out.counter(
        "shard_identifies",
        "Sessions begun: IDENTIFYs sent",
        counter(|shard| shard.identifies),
    )?;
    out.counter("shard_resumes", "RESUMEs sent", counter(|shard| shard.resumes))?;
    out.counter(
        "shard_refills",
        "Sessions begun because the state was lost",
        counter(|shard| shard.refills),
    )?;
    out.counter("shard_gaps", "Losses told as a GAP", counter(|shard| shard.gaps))?;
    out.counter(
        "shard_undecodable_messages",
        "Messages left out because they could not be decoded",
        counter(|shard| shard.undecodable),
    )?;
    out.counter(
        "shard_stalls",
        "Times the socket was not read because the ring was full",
        counter(|shard| shard.stalls),
    )?;
    out.counter(
        "shard_stalled_seconds",
        "Time the socket was not read because the ring was full",
        shards.iter().map(|(labels, _, shard)| (labels.clone(), shard.stalled_seconds)),
    )?;
    gaps(sample, out)?;
    budget(&shards, out)
}

fn labels(ring: &RingStatus) -> Option<Labels> {
    let (shard, shards) = ring.of_shard()?;
    Some([("shard", shard.to_string()), ("shards", shards.to_string())])
}

fn gaps(sample: &Sample, out: &mut Families<'_>) -> Result<(), Error> {
    let mut gaps: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for shard in sample.overview.shards().filter_map(|ring| ring.shard.as_ref()) {
        for (reason, count) in &shard.gaps_by_reason {
            *gaps.entry(("gateway", reason)).or_default() += count;
        }
    }
    let cache = sample.overview.output().and_then(|ring| ring.cache.as_ref());
    for (reason, count) in cache.into_iter().flat_map(|cache| &cache.gaps_by_reason) {
        *gaps.entry(("cache", reason)).or_default() += count;
    }
    let gaps = gaps
        .iter()
        .map(|((by, reason), count)| ([("by", *by), ("reason", *reason)], *count as f64));
    out.counter("gaps", "Losses told as a GAP, by who told them and why", gaps)
}

/// The token has one budget: what the process knows that heard of it last.
fn budget(
    shards: &[(Labels, &RingStatus, &ShardStatus)],
    out: &mut Families<'_>,
) -> Result<(), Error> {
    let known = shards.iter().filter_map(|(_, _, shard)| shard.budget);
    let newest = known.min_by(|a, b| a.age_seconds.total_cmp(&b.age_seconds));
    let value = |value: f64| newest.map(|_| ([("", ""); 0], value));
    let Some(budget) = newest else { return Ok(()) };
    out.gauge(
        "identify_budget",
        "Sessions that may be begun in a day",
        value(budget.total as f64),
    )?;
    out.gauge("identify_remaining", "Sessions that may still be begun", value(budget.left as f64))?;
    out.gauge(
        "identify_reset_seconds",
        "Until the budget is whole again",
        value(budget.whole_seconds),
    )
}
