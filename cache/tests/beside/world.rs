//! A world, what two sets of sessions are told of it while the shard count changes from one to two, and what a consumer
//! is to see.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::common::instance::{Instance, Out, send_at, settle};
use mixcord_cache::engine::{Engine, Progress};
use mixcord_cache::overlap::{Stage, Times};
use mixcord_ring::Producer;
use mixcord_state::{Arena, Read, meta};
use serde_json::{Value as Json, json};

const TIMES: Times = Times { window_us: 1_000_000, slack_us: 100_000 };
/// From one event to the next.
const STEP_US: u64 = 20_000;
/// Guilds of the two shards, and the one that goes and comes back.
const GUILDS: [u64; 3] = [2 << 22, 3 << 22, 4 << 22];

pub(crate) type Event = (&'static str, Json);

pub(crate) fn guild(id: u64, year: u32) -> Event {
    let joined_at = format!("{year}-01-01T00:00:00.000000+00:00");
    let data = json!({"id": id.to_string(), "name": "g", "joined_at": joined_at, "channels": []});
    ("GUILD_CREATE", data)
}

pub(crate) fn ready(guilds: &[u64]) -> Event {
    let list = |id: &u64| json!({"id": id.to_string(), "unavailable": true});
    let guilds: Vec<Json> = guilds.iter().map(list).collect();
    ("READY", json!({"user": {"id": "1"}, "guilds": guilds}))
}

/// The n-th event of the world; 0 is of a private channel.
pub(crate) fn message(n: u64) -> (u64, Event) {
    let guild = [GUILDS[0], GUILDS[1], GUILDS[2], 0][n as usize % 4];
    let mut data = json!({"id": (1000 + n).to_string(), "channel_id": "7", "content": ""});
    if guild != 0 {
        data["guild_id"] = json!(guild.to_string());
    }
    (guild, ("MESSAGE_CREATE", data))
}

/// What happens in the world, with the guild of each.
fn world() -> Vec<(u64, Event)> {
    let mut world: Vec<_> = (0..120).map(message).collect();
    let id = GUILDS[2];
    // Nothing else of the guild comes between.
    world.insert(55, (id, ("GUILD_DELETE", json!({"id": id.to_string()}))));
    world.insert(56, (id, guild(id, 2021)));
    world
}

fn shard_of(guild: u64, shards: u64) -> u16 {
    ((guild >> 22) % shards) as u16
}

/// The last minute, in microseconds since 1970.
pub(crate) fn start_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time");
    now.as_micros() as u64 - 60_000_000
}

/// The old set, the state, and a change that began.
pub(crate) fn begin(instance: &Instance, us: u64) -> Producer {
    instance.declare();
    let mut old = instance.shard(0, 1);
    let mut events = vec![ready(&GUILDS)];
    events.extend(GUILDS.map(|id| guild(id, 2020)));
    send_at(&mut old, (0, 1), &events, us - 10_000_000);
    let mut engine = instance.engine();
    settle(&mut engine);
    assert!(engine.reshard(2, TIMES, 1 << 20));
    assert!(!engine.reshard(3, TIMES, 1 << 20), "one is under way");
    until(&mut engine, |engine| stage(engine) == Some(Stage::Overlapping));
    old
}

/// How many events there are.
pub(crate) const ALL: usize = 122;

/// Events that the old set is told: all but the last quarter, before which it is closed.
pub(crate) const OLD: Range<usize> = 0..90;

/// The old set is told these.
pub(crate) fn tell_old(old: &mut Producer, us: u64, events: Range<usize>) {
    let first = events.start as u64;
    for ((_, event), n) in world()[events].iter().zip(first..) {
        send_at(old, (0, 1), std::slice::from_ref(event), us + n * STEP_US);
    }
}

/// What the new set is told: its sessions begin after a while.
pub(crate) fn tell_new(instance: &Instance, us: u64) {
    let mut new = [instance.shard(0, 2), instance.shard(1, 2)];
    for (shard, ring) in (0..).zip(&mut new) {
        let guilds: Vec<u64> = GUILDS.into_iter().filter(|id| shard_of(*id, 2) == shard).collect();
        let begins = us + 10 * STEP_US;
        send_at(ring, (shard, 2), &[ready(&guilds)], begins);
        let created: Vec<Event> = guilds.iter().map(|id| guild(*id, 2020)).collect();
        send_at(ring, (shard, 2), &created, begins + 1);
        for ((id, event), n) in world().iter().zip(0..).skip(11) {
            if shard_of(*id, 2) == shard {
                let event = std::slice::from_ref(event);
                send_at(ring, (shard, 2), event, us + n * STEP_US + 1000);
            }
        }
    }
}

pub(crate) fn stage(engine: &Engine) -> Option<Stage> {
    engine.resharding().map(|progress| progress.stage)
}

/// Rounds until something holds.
pub(crate) fn until(engine: &mut Engine, mut holds: impl FnMut(&mut Engine) -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let progress = engine.round().expect("a round");
        if progress != Progress::Worked && holds(engine) {
            return;
        }
        assert!(Instant::now() < end, "never came: {:?}", engine.resharding());
        engine.wait(progress, Duration::from_millis(5));
    }
}

/// Until the change is over.
pub(crate) fn finish(engine: &mut Engine) {
    finish_with(engine, || {});
}

/// The same, with something done after each round.
pub(crate) fn finish_with(engine: &mut Engine, mut between: impl FnMut()) {
    until(engine, |engine| {
        between();
        if stage(engine) == Some(Stage::Cut) {
            assert!(engine.leave_old());
        }
        engine.resharding().is_none()
    });
}

/// Of each guild the messages, memberships and departures that were told, in their order.
fn journal<'a>(seen: impl Iterator<Item = (&'a str, &'a Json)>) -> BTreeMap<u64, Vec<String>> {
    let mut journal: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for (kind, data) in seen {
        let id = if kind.starts_with("GUILD") { &data["id"] } else { &data["guild_id"] };
        let guild = id.as_str().map_or(0, |id| id.parse().expect("an id"));
        let what = match kind {
            "MESSAGE_CREATE" => data["id"].to_string(),
            "GUILD_CREATE" => data["joined_at"].to_string(),
            "READY" => continue,
            other => other.to_owned(),
        };
        journal.entry(guild).or_default().push(what);
    }
    journal
}

/// The same of the world.
fn expected() -> BTreeMap<u64, Vec<String>> {
    let begins = GUILDS.map(|id| (id, guild(id, 2020)));
    let all: Vec<_> = begins.into_iter().chain(world()).collect();
    journal(all.iter().map(|(_, (kind, data))| (*kind, data)))
}

/// Compares what the consumer saw and what the store holds with the world.
pub(crate) fn check(instance: &Instance, seen: &[Out], when: &str) {
    let told = journal(seen.iter().map(|out| (&*out.kind, &out.data)));
    assert_eq!(told, expected(), "{when}");
    let ready: Vec<_> = seen.iter().filter(|out| out.kind == "READY").collect();
    assert_eq!(ready.len(), 3, "{when}: one of each shard");
    let gone = seen.iter().find(|out| out.kind == "GUILD_DELETE").expect("one that is left");
    assert_eq!(gone.old["name"], "g", "{when}: P5, whichever set tells it");
    let mut names: Vec<_> = seen.iter().map(|out| (out.origin, out.index)).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), seen.len(), "{when}: each has its own identity");
    instance.check_state();
    let mut rows = 0;
    let disk = instance.disk();
    let looked = disk.view(&Arena::default()).keys(meta::RESHARD, &mut |_| {
        rows += 1;
        true
    });
    looked.expect("a store");
    assert_eq!(rows, 0, "{when}: rows that are left");
}
