//! Records too long for the payload ring: files of their own, kept as long as anybody has to read them.

mod common;

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use common::{Instance, one_partition};
use mixcord_ring::{Bell, GroupSpec, Limits, Member, Meta, Producer, Ring, Start};

/// Where `reserved` stands in a segment; tests/layout.rs fixes it.
const RESERVED: u64 = 4096 + 128;
/// The record that is too long for the ring.
const LARGE: u64 = 5;

fn group() -> GroupSpec {
    GroupSpec::durable("g").from(Start::Earliest)
}

fn payload(position: u64) -> Vec<u8> {
    vec![position as u8; if position == LARGE { 2000 } else { 20 }]
}

/// A ring of `records` records.
fn filled(instance: &Instance, bell: &Bell, groups: &[GroupSpec], records: u64) -> Producer {
    let mut producer =
        Producer::create(&instance.namespace, "r", one_partition(), groups, bell).unwrap();
    for position in 0..records {
        let meta = Meta { key: 0, tag: position, source: position + 1, ..Meta::default() };
        producer.stage(&meta, &[&payload(position)]).unwrap();
    }
    producer.publish();
    producer
}

fn drain(member: &mut Member) -> Vec<u64> {
    let mut seen = Vec::new();
    while let Some(batch) = member.take(Limits::default()).unwrap() {
        for entry in batch.records() {
            assert_eq!(entry.payload, payload(entry.position));
            seen.push(entry.position);
        }
        batch.ack();
    }
    seen
}

/// A group that joins between a producer's announcement and its second look at the floors reads from
/// before `reserved`. That producer keeps its files; so must the next one.
#[test]
fn a_producer_that_comes_back_keeps_the_files_of_a_group_behind_reserved() {
    let instance = Instance::new("behind");
    let bell = instance.namespace.bell().unwrap();
    let producer = filled(&instance, &bell, &[], 12);
    let ring = Ring::attach(&instance.namespace, "r").unwrap();
    let mut member = ring.join(&group(), &bell).unwrap();
    assert_eq!(member.floor(), 0);
    // What an announcement leaves whose second look found this group (`loom_tests/overrun.rs` reaches it).
    let segment = OpenOptions::new().write(true).open(instance.path("r")).unwrap();
    segment.write_all_at(&8u64.to_le_bytes(), RESERVED).unwrap();
    drop(producer);
    let producer = Producer::attach(&instance.namespace, "r", &bell).unwrap();
    assert_eq!(drain(&mut member), (0..12).collect::<Vec<_>>());
    drop(producer);
    // Past it, the file goes.
    drop(Producer::attach(&instance.namespace, "r", &bell).unwrap());
    assert_eq!(instance.files(), ["r"]);
}
