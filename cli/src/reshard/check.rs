//! Whether a change can begin: everything that can be known before anything is asked for.

use anyhow::{Result, bail};
use mixcord::operator::{Instance, Overview, RingStatus, ShardStatus, span};
use mixcord_monitor::findings::{Machine, look_around};

use super::Count;
use crate::terminal::bytes;

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A change to this count is to begin.
    Begins(u16),
    /// It is under way.
    Goes(u16),
    /// It is over.
    IsOver(u16),
}

pub(super) fn check(overview: &Overview, instance: &Instance, to: Count) -> Result<Change> {
    let name = &overview.instance;
    if overview.is_empty() {
        bail!("instance \"{name}\" has no rings{}", crate::ls::others(name));
    }
    let change = overview.reshard.as_ref();
    let under_way = change.filter(|change| change.under_way);
    let to = match to {
        Count::Fixed(to) => to,
        // What is recommended may have become another number since.
        Count::Auto => match under_way {
            Some(change) => change.to,
            None => recommended(overview)?,
        },
    };
    if let Some(change) = under_way {
        if change.to == to && change.stage != "called-off" {
            return Ok(Change::Goes(to));
        }
        bail!(
            "another change is under way, {}: wait until it is over, or call it off with --call-off",
            change.text().unwrap_or_default()
        );
    }
    cache_lives(overview)?;
    if overview.state.is_none() {
        bail!(
            "mixcord-cache keeps no state (--store none), in which it could remember what both sets brought: stop \
             mixcord-gateway and start it with --shards {to} instead"
        );
    }
    let Some(running) = running(overview) else {
        bail!("no mixcord-gateway runs for instance \"{name}\": start it with --shards {to}");
    };
    if running == to {
        if change.is_some_and(|change| change.stage == "done" && change.to == to) {
            return Ok(Change::IsOver(to));
        }
        bail!("instance \"{name}\" runs {to} shards already");
    }
    has_room(overview, &look_around(instance)?, running, to)?;
    has_budget(overview, to)?;
    Ok(Change::Begins(to))
}

/// # Errors
/// Nobody would obey.
pub(super) fn cache_lives(overview: &Overview) -> Result<()> {
    if overview.output().is_some_and(|ring| ring.producer_alive) {
        return Ok(());
    }
    let name = &overview.instance;
    bail!(
        "mixcord-cache does not run, which changes the shard count: start mixcord-cache --instance {name}"
    )
}

fn living(overview: &Overview) -> impl Iterator<Item = (&RingStatus, &ShardStatus)> {
    let living = overview.shards().filter(|ring| ring.producer_alive);
    living.filter_map(|ring| Some((ring, ring.shard.as_ref()?)))
}

/// The shard count that a gateway runs.
fn running(overview: &Overview) -> Option<u16> {
    let mut living = overview.shards().filter(|ring| ring.producer_alive);
    living.find_map(|ring| ring.of_shard()).map(|(_, shards)| shards)
}

fn recommended(overview: &Overview) -> Result<u16> {
    let known = living(overview).filter_map(|(_, shard)| {
        let age = shard.budget.map_or(f64::MAX, |budget| budget.age_seconds);
        Some((age, shard.recommended_shards?))
    });
    let newest = known.min_by(|one, other| one.0.total_cmp(&other.0));
    match newest.map(|(_, shards)| u16::try_from(shards)) {
        Some(Ok(shards)) => Ok(shards),
        _ => bail!("no mixcord-gateway knows yet how many shards Discord recommends: say --to N"),
    }
}

/// Whether the new rings fit beside the old ones.
fn has_room(overview: &Overview, machine: &Machine, running: u16, to: u16) -> Result<()> {
    let Some(shm) = &machine.shm else { return Ok(()) };
    let ours =
        overview.shards().filter(|ring| ring.of_shard().is_some_and(|(_, of)| of == running));
    let largest = ours.filter_map(|ring| {
        let name = format!("mixcord.{}.{}", overview.instance, ring.name);
        machine.segments.iter().find(|segment| segment.name == name).map(|segment| segment.bytes)
    });
    let needed = largest.max().unwrap_or(0).saturating_mul(to.into());
    if needed <= shm.free_bytes {
        return Ok(());
    }
    bail!(
        "the rings of {to} shards take {} beside those of {running}, and {} are free in /dev/shm: make it larger, or \
         have mixcord-gateway use a smaller --ring-bytes",
        bytes(needed),
        bytes(shm.free_bytes)
    )
}

/// Whether all new shards may identify.
fn has_budget(overview: &Overview, to: u16) -> Result<()> {
    let known = living(overview).filter_map(|(_, shard)| shard.budget);
    let newest = known.min_by(|one, other| one.age_seconds.total_cmp(&other.age_seconds));
    let Some(budget) = newest.filter(|budget| budget.left < to.into()) else { return Ok(()) };
    // It may be whole since.
    if budget.whole_seconds <= 0.0 {
        return Ok(());
    }
    let whole = span(std::time::Duration::from_secs_f64(budget.whole_seconds));
    bail!(
        "{to} shards have to identify, and {} of the day's {} identifies are left: they are whole again in {whole}",
        budget.left,
        budget.total
    )
}
