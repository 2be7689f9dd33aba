//! An instance of a test's own: rings, a store, and their end.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mixcord_cache::engine::{Engine, Plan, Progress};
use mixcord_cache::settings::Settings;
use mixcord_cache::store::{CopyFrom, DiskStore};
use mixcord_event::{Flags, Record, Seal, topology};
use mixcord_ring::{
    Bell, Geometry, GroupSpec, Limits, Member, Meta, Namespace, Producer, Ring, Start,
};
use mixcord_state::{Arena, Key, Read, Table};
use serde_json::{Value as Json, json};

use super::{At, invariants, record_bytes};

/// An output record, with its identity.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Out {
    pub(crate) kind: String,
    pub(crate) reason: Option<&'static str>,
    pub(crate) shard: (u16, u16),
    pub(crate) index: u16,
    pub(crate) origin: (u64, u64),
    pub(crate) flags: Flags,
    pub(crate) data: Json,
    pub(crate) old: Json,
}

/// Rings and store of a test; removed with it.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) namespace: Namespace,
    pub(crate) bell: Bell,
    pub(crate) settings: Settings,
    pub(crate) output: Geometry,
    pub(crate) state_from: Option<CopyFrom>,
    pub(crate) state_bytes_max: u64,
    pub(crate) store: bool,
    pub(crate) old_rings_kept: Duration,
}

impl Instance {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("t{}-c-{name}", std::process::id());
        Self::attach(&name)
    }

    /// An instance that another process set up.
    pub(crate) fn attach(name: &str) -> Self {
        let namespace = Namespace::new(&topology::namespace(name)).expect("a name");
        let bell = namespace.bell().expect("a bell");
        Self {
            name: name.to_owned(),
            namespace,
            bell,
            settings: Settings::default(),
            output: Geometry::new(1024, 1 << 19, 4, 1, 4).expect("a geometry"),
            state_from: None,
            state_bytes_max: 64 << 20,
            store: true,
            old_rings_kept: Duration::MAX,
        }
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        topology::state_dir(&self.name).into()
    }

    pub(crate) fn plan(&self) -> Plan {
        Plan {
            instance: self.name.clone(),
            state: self.store.then(|| self.state_dir()),
            state_from: self.state_from.clone(),
            state_bytes_max: self.state_bytes_max,
            settings: self.settings.clone(),
            output: self.output,
            old_rings_kept: self.old_rings_kept,
        }
    }

    pub(crate) fn engine(&self) -> Engine {
        Engine::start(&self.plan()).expect("an engine")
    }

    /// Checks that the tables of the store agree; no engine may be running.
    pub(crate) fn check_state(&self) {
        invariants::check(&self.disk().view(&Arena::default()));
    }

    /// The store, while no engine runs.
    pub(crate) fn disk(&self) -> DiskStore {
        DiskStore::open(&self.state_dir(), self.state_bytes_max).expect("a store").0
    }

    /// Changes an entry of the store while no engine runs.
    pub(crate) fn edit(&self, key: Key, value: &[u8]) {
        let mut disk = self.disk();
        disk.writer_mut().put(key, &[value]).expect("room");
        let output = disk.writer().output();
        disk.writer_mut().commit(output).expect("room");
    }

    /// Whether the store has an entry; no engine may be running.
    pub(crate) fn has(&self, key: Key) -> bool {
        self.disk().view(&Arena::default()).get(key).expect("a store").is_some()
    }

    /// Whether the store has nothing in a table; no engine may be running.
    pub(crate) fn is_empty(&self, table: Table) -> bool {
        let mut empty = true;
        let look = self.disk().view(&Arena::default()).keys(table.all(), &mut |_| {
            empty = false;
            false
        });
        look.expect("a store");
        empty
    }

    /// Makes the ring of a shard, with the cache's group.
    pub(crate) fn shard(&self, shard: u16, shards: u16) -> Producer {
        let geometry = Geometry::new(256, 1 << 18, 4, 1, 4).expect("a geometry");
        let group = GroupSpec::durable(topology::CACHE_GROUP).from(Start::Earliest);
        let name = topology::shard_ring(shard, shards);
        Producer::create_or_attach(&self.namespace, &name, geometry, &[group], &self.bell)
            .expect("a ring")
    }

    /// A consumer that sees everything.
    pub(crate) fn consumer(&self) -> Member {
        let ring = Ring::attach(&self.namespace, topology::OUTPUT_RING).expect("the output ring");
        let group = GroupSpec::durable("test").from(Start::Earliest);
        ring.join(&group, &self.bell).expect("a group")
    }

    /// Makes the output ring with the consumer's group before the cache does.
    pub(crate) fn declare(&self) {
        let group = GroupSpec::durable("test").from(Start::Earliest);
        let made = Producer::create(
            &self.namespace,
            topology::OUTPUT_RING,
            self.output,
            &[group],
            &self.bell,
        );
        drop(made.expect("the output ring"));
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if !self.name.starts_with(&format!("t{}-c-", std::process::id())) {
            return;
        }
        let _ = std::fs::remove_dir_all(self.state_dir());
        let _ = std::fs::remove_dir_all(topology::copy_dir(&self.name));
        let _ = std::fs::remove_file(topology::reshard_board(&self.name));
        if self.namespace.remove_all().is_err() {
            let prefix = format!("{}.", self.namespace.prefix());
            for entry in std::fs::read_dir(Namespace::directory()).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().starts_with(&prefix) {
                    let _ = std::fs::remove_file(entry.path());
                }
            }
        }
    }
}

/// Publishes events into a shard's ring; each is received after all that were sent before, to whatever ring.
pub(crate) fn send(producer: &mut Producer, shard: (u16, u16), events: &[(&str, Json)]) {
    static CLOCK_US: AtomicU64 = AtomicU64::new(1_700_000_000_000_000);
    let us = CLOCK_US.fetch_add(events.len() as u64, Ordering::Relaxed);
    send_at(producer, shard, events, us);
}

/// Publishes events that are received from `us` on.
pub(crate) fn send_at(
    producer: &mut Producer,
    shard: (u16, u16),
    events: &[(&str, Json)],
    us: u64,
) {
    for ((kind, payload), us) in events.iter().zip(us..) {
        let seq = producer.staged_tail() + 1;
        let at = At { shard: shard.0, shards: shard.1, seq, us, ..At::default() };
        let bytes = record_bytes(kind, payload, at);
        let meta = Meta { key: 0, tag: 0, source: seq, ..Meta::default() };
        producer.stage(&meta, &[&bytes]).expect("room");
    }
    producer.publish();
}

/// Runs the engine until nothing is left to do, or it cannot go on.
pub(crate) fn settle(engine: &mut Engine) -> Progress {
    for _ in 0..10_000 {
        match engine.round().expect("a round") {
            Progress::Worked => {}
            Progress::Idle => {
                // The first look for rings may come after the first round.
                if engine.round().expect("a round") == Progress::Idle {
                    return Progress::Idle;
                }
            }
            other => return other,
        }
    }
    panic!("the engine does not come to rest");
}

/// Takes everything the consumer has not seen.
pub(crate) fn receive(member: &mut Member) -> Vec<Out> {
    let mut seen = Vec::new();
    while let Some(batch) = member.take(Limits { records: 64, bytes: 1 << 20 }).expect("a batch") {
        for entry in batch.records() {
            let record = Record::parse(entry.payload).expect("a record");
            assert_eq!(entry.seal, Seal::of(entry.payload).bits(), "nobody has to check it again");
            let header = record.header();
            seen.push(Out {
                kind: record.kind_name().to_owned(),
                reason: header.reason.as_str(),
                shard: (header.shard.id, header.shard.count),
                index: header.index,
                origin: (header.origin.ring, header.origin.position),
                flags: header.flags,
                data: super::json(record.data_bytes()),
                old: record.old_bytes().map_or(Json::Null, super::json),
            });
        }
        batch.ack();
    }
    seen
}

/// What came.
pub(crate) fn kinds(seen: &[Out]) -> Vec<&str> {
    seen.iter().map(|out| out.kind.as_str()).collect()
}

/// What was lost: of which shard, and why.
pub(crate) fn gaps(seen: &[Out]) -> Vec<(u16, &'static str)> {
    let gaps = seen.iter().filter(|out| out.kind == "GAP");
    gaps.map(|out| (out.shard.0, out.reason.expect("a reason"))).collect()
}

/// An event that changes nothing.
pub(crate) fn typing(n: u64) -> (&'static str, Json) {
    ("TYPING_START", json!({"n": n}))
}

/// A guild as long as its description.
pub(crate) fn guild(id: u64, description: &str) -> (&'static str, Json) {
    let description = json!(description);
    ("GUILD_CREATE", json!({"id": id.to_string(), "name": "g", "description": description}))
}

/// Waits for something to become true.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(std::time::Instant::now() < end, "never came: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
