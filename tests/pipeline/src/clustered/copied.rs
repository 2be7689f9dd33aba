//! A machine from nothing, which begins with the state of another (`--state-from`).

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mixcord::State;
use mixcord::event::topology;
use mixcord::ring::{Namespace, Ring};
use mixcord::state::StateStats;

use super::feed::{Feed, SHARD};
use super::{Keeping, STREAM, Servers, bridge};
use crate::contender::mixcord::{self as programs, Instance};
use crate::contender::{Pace, Place, Store};
use crate::process::until;

const STUCK: Duration = Duration::from_secs(240);
/// How often it is looked at: a state is counted at each look.
const LOOK: Duration = Duration::from_millis(20);
const ONE: Keeping = Keeping { servers: 1, sync_always: false };

/// What a copy took.
#[derive(Clone, Copy, Debug)]
pub struct Copied {
    /// From the start of `mixcord-bridge receive` until all of it is on the new machine, in seconds.
    pub fetched_s: f64,
    /// From there until the new cache has all of it.
    pub loaded_s: f64,
    /// Bytes that came through the broker.
    pub bytes: u64,
    /// Bytes of the state that was copied.
    pub state_bytes: u64,
}

/// Begins a machine with the state of one that has so many guilds.
///
/// # Errors
/// A process ended, something is missing, or takes too long.
pub fn state_from(place: &Place, server: &Path, guilds: u64) -> Result<Copied> {
    let [near, far] = [Instance::new(), Instance::new()];
    let mut feed = Feed::new(&near.0, &[topology::CACHE_GROUP, topology::BRIDGE_GROUP])?;
    let mut servers = Servers::start(place, server, ONE)?;
    let mut send = bridge(place, &near.0, &near.0, &servers, "send", &STREAM)?;
    let mut giver = programs::cache(place, &near.0, Store::Whole, Pace::Balanced)?;
    let namespace = Namespace::new(&topology::namespace(&near.0))?;
    let ring = Ring::attach(&namespace, &topology::shard_ring(SHARD.0, SHARD.1))?;
    let write = |feed: &mut Feed, stop: &_| feed.guilds(guilds, stop);
    feed.write_until(write, LOOK, || {
        servers.check()?;
        send.check()?;
        giver.check()?;
        Ok((ring.tail() == guilds && ring.is_drained()).then_some(()))
    })?;

    let begun = Instant::now();
    let options = ["--state-from", &near.0];
    let mut receive = bridge(place, &far.0, &near.0, &servers, "receive", &options)?;
    let bytes = until("the copy", STUCK, LOOK, || {
        receive.check()?;
        Ok(arrived(&far.0))
    })?;
    let fetched_s = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let mut taker = programs::cache(place, &far.0, Store::Whole, Pace::Balanced)?;
    until("the state", STUCK, LOOK, || {
        taker.check()?;
        // It is removed by who has taken it.
        Ok((arrived(&far.0).is_none() && known(&far.0) == Some(guilds)).then_some(()))
    })?;
    let loaded_s = begun.elapsed().as_secs_f64();
    let state = stats(&near.0).context("the state that was copied")?;
    ensure!(known(&near.0) == Some(guilds), "the state has other guilds than were sent");
    Ok(Copied { fetched_s, loaded_s, bytes, state_bytes: state.bytes() })
}

/// The length of a copy that is whole.
fn arrived(instance: &str) -> Option<u64> {
    let files = fs::read_dir(topology::copy_dir(instance)).ok()?.flatten();
    let is_whole = |name: &str| topology::parse_copy_file(name).is_some();
    let mut whole = files.filter(|file| file.file_name().to_str().is_some_and(is_whole));
    Some(whole.next()?.metadata().ok()?.len())
}

/// Guilds in the state of an instance, where it has one.
fn known(instance: &str) -> Option<u64> {
    let stats = stats(instance)?;
    let guilds = stats.resources.iter().find(|of| of.resource.name() == "guilds");
    guilds.map(|of| of.entities)
}

fn stats(instance: &str) -> Option<StateStats> {
    State::attach(instance).ok()?.stats().ok()
}
