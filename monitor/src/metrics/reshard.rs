//! A change of the shard count without a pause: the one that is under way, or the last one.

use std::fmt::Error;

use super::family::Families;
use crate::sample::Sample;

pub(super) fn encode(sample: &Sample, out: &mut Families<'_>) -> Result<(), Error> {
    let Some(of) = sample.overview.reshard.as_ref().filter(|of| of.to > 0) else { return Ok(()) };
    let one = |value: f64| [([("", ""); 0], value)];
    out.gauge(
        "reshard_under_way",
        "Whether the shard count is being changed",
        one(u8::from(of.under_way).into()),
    )?;
    out.gauge("reshard_stage", "How far that is, or how it ended", [([("stage", of.stage)], 1.0)])?;
    out.gauge(
        "reshard_shards",
        "Shards of the set of sessions before, and of the one that takes its place",
        [("old", of.from), ("new", of.to)].map(|(set, shards)| ([("set", set)], f64::from(shards))),
    )?;
    out.gauge(
        "reshard_sessions",
        "Shards of the new set that have a session",
        one(of.sessions.into()),
    )?;
    let guilds = [
        ("known", of.guilds),
        ("overlapping", of.overlapping),
        ("cut", of.cut),
        ("missing", of.missing),
    ];
    out.gauge(
        "reshard_guilds",
        "Guilds that are known, are there in both sets, are delivered by the new one, or missing there",
        guilds.map(|(state, guilds)| ([("state", state)], guilds as f64)),
    )?;
    out.gauge(
        "reshard_waiting_records",
        "Records that wait for their copies from the other set",
        one(of.waiting as f64),
    )?;
    out.gauge("reshard_waiting_bytes", "Bytes of those", one(of.waiting_bytes as f64))?;
    out.counter(
        "reshard_copies",
        "Copies that were recognised, and not delivered again",
        one(of.cancelled as f64),
    )?;
    out.counter(
        "reshard_one_sided",
        "Events that one set alone brought",
        [("old", of.one_sided_old), ("new", of.one_sided_new)]
            .map(|(set, events)| ([("set", set)], events as f64)),
    )?;
    out.counter(
        "reshard_taken_over",
        "Guilds that changed sides because a session was lost, or had them in an outage",
        one(of.taken_over as f64),
    )
}
