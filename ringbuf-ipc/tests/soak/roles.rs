//! What the processes of the soak do until they are killed, or told to stop.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use mixcord_ring::{
    Entry, Geometry, GroupSpec, Limits, Meta, Namespace, Observed, Producer, Ring, Start,
};

use crate::journal::Journal;

pub(crate) const ROLE: &str = "RING_SOAK_ROLE";
pub(crate) const PREFIX: &str = "RING_SOAK_PREFIX";
pub(crate) const JOURNAL: &str = "RING_SOAK_JOURNAL";
pub(crate) const STOP: &str = "RING_SOAK_STOP";
pub(crate) const RING: &str = "ring";
pub(crate) const KEYS: u64 = 61;

const WAIT: Duration = Duration::from_millis(20);

pub(crate) fn geometry() -> Geometry {
    Geometry::new(1024, 256 << 10, 4, 8, 8).unwrap()
}

fn mix(x: u64) -> u64 {
    let x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ x >> 31
}

pub(crate) fn key(position: u64) -> u64 {
    mix(position + 1) % KEYS
}

/// Every byte follows from the position; now and then one is too long for the ring.
fn payload(position: u64, into: &mut Vec<u8>) {
    into.clear();
    let length = if position % 1499 == 7 { 70_000 } else { mix(position ^ 0x55) % 700 };
    into.extend_from_slice(&position.to_le_bytes());
    let mut word = position;
    while (into.len() as u64) < length {
        word = mix(word.wrapping_add(0x9E37));
        into.extend_from_slice(&word.to_le_bytes());
    }
}

fn check(entry: &Entry<'_>, expected: &mut Vec<u8>) {
    payload(entry.position, expected);
    assert_eq!(entry.payload, expected, "payload of {}", entry.position);
    assert_eq!(entry.key, key(entry.position));
}

#[test]
fn process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let namespace = Namespace::new(&std::env::var(PREFIX).unwrap()).unwrap();
    let stop = PathBuf::from(std::env::var(STOP).unwrap());
    let stopped = move || stop.exists();
    let journal = Journal::new(File::create(std::env::var(JOURNAL).unwrap()).unwrap());
    match &*role {
        "producer" => producer(&namespace, stopped),
        "observer" => observer(&namespace, stopped),
        group => member(&namespace, &GroupSpec::durable(group), journal, stopped),
    }
}

fn producer(namespace: &Namespace, stopped: impl Fn() -> bool) {
    let bell = namespace.bell().unwrap();
    let mut producer = Producer::attach(namespace, RING, &bell).unwrap();
    let tail = producer.tail();
    let checkpoint = producer.checkpoint();
    assert!(tail == 0 || checkpoint.as_deref() == Some(&tail.to_le_bytes()[..]), "{checkpoint:?}");
    let mut bytes = Vec::new();
    let mut round = 0u64;
    while !stopped() {
        round += 1;
        for _ in 0..=mix(round) % 40 {
            let position = producer.staged_tail();
            payload(position, &mut bytes);
            let meta =
                Meta { key: key(position), tag: position, source: position, ..Meta::default() };
            if producer.stage(&meta, &[&bytes]).is_err() {
                break;
            }
        }
        if producer.staged_tail() == producer.tail() {
            producer.wait_space(70_000, WAIT);
            continue;
        }
        producer.set_checkpoint(&producer.staged_tail().to_le_bytes()).unwrap();
        producer.publish();
    }
}

fn member(
    namespace: &Namespace,
    group: &GroupSpec,
    mut journal: Journal,
    stopped: impl Fn() -> bool,
) {
    let bell = namespace.bell().unwrap();
    let ring = Ring::attach(namespace, RING).unwrap();
    let mut member = ring.join(group, &bell).unwrap();
    let limits = Limits { records: 16, bytes: 128 << 10 };
    let mut expected = Vec::new();
    loop {
        let Some(batch) = member.take(limits).unwrap() else {
            if stopped() && !ring.producer_alive() && member.floor() == ring.tail() {
                return;
            }
            member.wait(WAIT);
            continue;
        };
        for entry in batch.records() {
            check(&entry, &mut expected);
        }
        let positions: Vec<u64> = batch.records().map(|entry| entry.position).collect();
        journal.given(&positions);
        // Handlers take their time: most deaths are to come between take and acknowledgement.
        if positions.first().is_some_and(|&first| mix(first).is_multiple_of(4)) {
            std::thread::sleep(Duration::from_millis(1));
        }
        batch.ack();
        journal.acknowledged(&positions);
    }
}

fn observer(namespace: &Namespace, stopped: impl Fn() -> bool) {
    let bell = namespace.bell().unwrap();
    let ring = Ring::attach(namespace, RING).unwrap();
    let mut observer = ring.observe("soak", Start::Latest, &bell).unwrap();
    let (mut seen, mut expected) = (Observed::default(), Vec::new());
    let mut next = None;
    while !stopped() {
        if !observer.read(Limits::default(), &mut seen).unwrap() {
            observer.wait(WAIT);
            continue;
        }
        let mut at = next.map(|next: u64| next + seen.lost());
        for entry in seen.entries() {
            check(&entry, &mut expected);
            assert!(at.is_none_or(|at| at == entry.position), "the loss is exact");
            at = Some(entry.position + 1);
        }
        next = at;
    }
}
