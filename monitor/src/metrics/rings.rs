//! The rings and their groups.

use std::fmt::Error;

use mixcord::operator::{GroupStatus, RingStatus};

use super::family::Families;
use crate::sample::Sample;

pub(super) fn encode(sample: &Sample, out: &mut Families<'_>) -> Result<(), Error> {
    let rings = &sample.overview.rings;
    let each = |of: fn(&RingStatus) -> f64| {
        rings.iter().map(move |ring| ([("ring", ring.name.as_str())], of(ring)))
    };
    out.counter("ring_records", "Records published to the ring", each(|ring| ring.tail as f64))?;
    out.gauge(
        "ring_used_ratio",
        "How full the ring is of what groups have not acknowledged, 0 to 1",
        each(|ring| ring.fullness),
    )?;
    out.gauge("ring_size_bytes", "Room for records", each(|ring| ring.payload_bytes as f64))?;
    out.gauge(
        "ring_producer_up",
        "Whether a process publishes to the ring",
        each(|ring| f64::from(u8::from(ring.producer_alive))),
    )?;
    out.counter(
        "ring_stalls",
        "Times the producer waited for room",
        each(|ring| ring.stalls as f64),
    )?;
    out.counter(
        "ring_stalled_seconds",
        "Time the producer waited for room",
        each(|ring| ring.stalled_seconds),
    )?;
    out.counter(
        "ring_evictions",
        "Groups let go, or removed for want of a living member",
        each(|ring| ring.evictions as f64),
    )?;
    let unreadable = sample.overview.unreadable.len() as f64;
    out.gauge(
        "rings_unreadable",
        "Rings that are there and cannot be read",
        [([("", ""); 0], unreadable)],
    )?;
    groups(rings, out)
}

fn groups(rings: &[RingStatus], out: &mut Families<'_>) -> Result<(), Error> {
    let each = |of: fn(&GroupStatus) -> Option<f64>| {
        let groups =
            rings.iter().flat_map(|ring| ring.groups.iter().map(move |group| (ring, group)));
        groups.filter_map(move |(ring, group)| {
            Some(([("ring", ring.name.as_str()), ("group", group.name.as_str())], of(group)?))
        })
    };
    out.gauge(
        "group_lag_records",
        "Records the group is behind",
        each(|group| Some(group.lag as f64)),
    )?;
    out.gauge(
        "group_lag_seconds",
        "Age of the oldest record that the group has not acknowledged; 0 when there is none",
        each(|group| Some(group.oldest_seconds.unwrap_or(0.0))),
    )?;
    out.gauge(
        "group_oldest_out_seconds",
        "Age of the oldest record if a member has it in hand; 0 when none has",
        each(|group| {
            let out = group.oldest_state == Some("out");
            Some(group.oldest_seconds.filter(|_| out).unwrap_or(0.0))
        }),
    )?;
    out.gauge(
        "group_used_ratio",
        "How much of the ring the group's backlog takes, 0 to 1",
        each(|group| Some(group.fullness)),
    )?;
    out.gauge("group_members", "Members that live", each(|group| Some(f64::from(group.members))))?;
    out.gauge(
        "group_absent_seconds",
        "For how long no member lives; 0 while one does",
        each(|group| Some(group.absent_seconds.unwrap_or(0) as f64)),
    )?;
    out.gauge(
        "group_evicted",
        "Whether the group was let go: it holds nothing until a member comes back",
        each(|group| Some(f64::from(u8::from(group.evicted)))),
    )?;
    out.gauge(
        "group_damaged",
        "Whether the group's entry is damaged, so that it gets nothing",
        each(|group| Some(f64::from(u8::from(group.damaged)))),
    )?;
    out.counter(
        "group_redeliveries",
        "Events given more than once, each time counted",
        each(|group| Some(group.redelivered as f64)),
    )?;
    out.counter("group_dead_letters", "Events given up", each(|group| Some(group.dead as f64)))?;
    out.counter(
        "group_dead_letters_dropped",
        "Events given up and then dropped for want of room",
        each(|group| Some(group.dead_dropped as f64)),
    )?;
    out.counter(
        "group_set_aside",
        "Events set aside so that they do not hold the ring up",
        each(|group| Some(group.aside as f64)),
    )
}
