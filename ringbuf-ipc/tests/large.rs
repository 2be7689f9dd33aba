//! Records too long for the payload ring: files of their own, kept as long as anybody has to read them.

mod common;

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use common::{Instance, one_partition};
use mixcord_ring::{
    Bell, GroupSpec, Limits, Member, Meta, Observed, Order, Producer, RECORD_MAX, Ring, Settle,
    Start, TakeError, WorkerOptions,
};

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

fn blob(instance: &Instance, producer: &Producer, position: u64) -> std::path::PathBuf {
    instance.path(&format!("r.blob-{:016x}-{position}", producer.id().0))
}

/// Positions, and whether the record is lost.
fn told(member: &mut Member) -> Vec<(u64, bool)> {
    let mut seen = Vec::new();
    while let Some(batch) = member.take(Limits { records: 4, bytes: 1 << 20 }).unwrap() {
        for entry in batch.records() {
            assert_eq!((entry.tag, entry.source), (entry.position, entry.position + 1));
            assert_eq!(entry.payload, if entry.lost { vec![] } else { payload(entry.position) });
            seen.push((entry.position, entry.lost));
        }
        batch.ack();
    }
    seen
}

/// What is done to the file of a large record, and whether the record is lost by it.
#[test]
fn a_record_whose_file_is_gone_is_told_in_its_place_and_stops_nobody() {
    let damages: [fn(&std::path::Path); 5] = [
        |path| std::fs::remove_file(path).unwrap(),
        |path| OpenOptions::new().write(true).open(path).unwrap().set_len(1999).unwrap(),
        |path| OpenOptions::new().write(true).open(path).unwrap().set_len(2001).unwrap(),
        |path| {
            std::fs::remove_file(path).unwrap();
            std::fs::create_dir(path).unwrap();
        },
        |path| {
            std::fs::remove_file(path).unwrap();
            std::os::unix::fs::symlink("/dev/zero", path).unwrap();
        },
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let instance = Instance::new("gone");
        let bell = instance.namespace.bell().unwrap();
        let mut producer = filled(&instance, &bell, &[group()], 12);
        let ring = producer.ring();
        let mut member = ring.join(&group(), &bell).unwrap();
        let mut observer = ring.observe("o", Start::Earliest, &bell).unwrap();
        let path = blob(&instance, &producer, LARGE);
        damage(&path);
        let all: Vec<_> = (0..12).map(|position| (position, position == LARGE)).collect();
        // Not acknowledged, it is told again, as any other record is given again.
        drop(member.take(Limits { records: 12, bytes: 1 << 20 }).unwrap().unwrap());
        assert_eq!(told(&mut member), all, "damage {number}");
        assert_eq!(member.lag(), 0);
        let (mut seen, mut read) = (Vec::new(), Observed::default());
        while observer.read(Limits::default(), &mut read).unwrap() {
            assert_eq!(read.lost(), 0, "it is told in its place");
            seen.extend(read.entries().map(|entry| (entry.position, entry.lost)));
        }
        assert_eq!(seen, all, "damage {number}");
        // The ring goes round as if nothing were.
        for position in 12..40 {
            let meta = Meta { tag: position, source: position + 1, ..Meta::default() };
            producer.stage(&meta, &[&payload(position)]).unwrap();
            producer.publish();
            assert_eq!(told(&mut member), [(position, false)]);
        }
        let _ = std::fs::remove_dir(path);
    }
}

/// What stands in the way may be taken away: that is no loss.
#[test]
fn a_file_that_cannot_be_read_now_is_waited_for() {
    use std::os::unix::fs::PermissionsExt;
    let instance = Instance::new("wait");
    let bell = instance.namespace.bell().unwrap();
    let producer = filled(&instance, &bell, &[group()], 12);
    let mut member = producer.ring().join(&group(), &bell).unwrap();
    let path = blob(&instance, &producer, LARGE);
    let mode = |bits| std::fs::set_permissions(&path, PermissionsExt::from_mode(bits)).unwrap();
    mode(0o644);
    let batch = member.take(Limits::default()).unwrap().unwrap();
    assert_eq!(batch.len() as u64, LARGE);
    batch.ack();
    for _ in 0..3 {
        let error = member.take(Limits::default()).unwrap_err();
        assert!(matches!(error, TakeError::Blob { position: LARGE, .. }), "{error}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
    mode(0o600);
    assert_eq!(drain(&mut member), (LARGE..12).collect::<Vec<_>>());
}

/// Nor is it for who settles one by one, whatever is done beside it: it is no dead letter.
#[test]
fn a_file_that_cannot_be_read_now_is_waited_for_by_workers() {
    use std::os::unix::fs::PermissionsExt;
    let instance = Instance::new("worker-waits");
    let bell = instance.namespace.bell().unwrap();
    let group = group().any_order(Order::None);
    let producer = filled(&instance, &bell, std::slice::from_ref(&group), 12);
    let mut worker = producer.ring().work(&group, &bell, WorkerOptions::new()).unwrap();
    let path = blob(&instance, &producer, LARGE);
    let mode = |bits| std::fs::set_permissions(&path, PermissionsExt::from_mode(bits)).unwrap();
    mode(0o644);
    let (mut seen, mut refused) = (Vec::new(), 0);
    let end = Instant::now() + Duration::from_secs(30);
    while seen.len() < 12 {
        assert!(Instant::now() < end, "{seen:?}");
        match worker.take() {
            Ok(Some(delivery)) => {
                assert_eq!(delivery.entry().payload, payload(delivery.position()));
                seen.push(delivery.position());
                delivery.settle(Settle::Ack).unwrap();
            }
            Ok(None) => {
                worker.wait(Duration::from_millis(10));
            }
            Err(error) => {
                assert!(matches!(error, TakeError::Blob { position: LARGE, .. }), "{error}");
                refused += 1;
                if seen.len() == 11 {
                    mode(0o600);
                }
            }
        }
    }
    assert_eq!(seen.last(), Some(&LARGE), "{seen:?}");
    assert!(refused > 0 && producer.ring().dead_letters("g").unwrap().is_empty());
}

/// A loss is told to who would not have wanted the record: nobody knows any more what it said.
#[test]
fn what_is_not_wanted_and_gone_is_told_as_lost() {
    let instance = Instance::new("unwanted-gone");
    let bell = instance.namespace.bell().unwrap();
    let group = group().any_order(Order::Key);
    let producer = filled(&instance, &bell, std::slice::from_ref(&group), 12);
    std::fs::remove_file(blob(&instance, &producer, LARGE)).unwrap();
    let options = WorkerOptions::new().tags(|_| false);
    let mut worker = producer.ring().work(&group, &bell, options).unwrap();
    let told = worker.take().unwrap().expect("the loss");
    assert_eq!((told.position(), told.entry().lost), (LARGE, true));
    told.settle(Settle::Ack).unwrap();
    assert!(worker.take().unwrap().is_none());
}

/// Anybody may make files of such names: the producer counts none that cannot be a record.
#[test]
fn files_that_are_no_records_are_not_counted() {
    let instance = Instance::new("foreign");
    let bell = instance.namespace.bell().unwrap();
    let producer = filled(&instance, &bell, &[group()], 5);
    let path = |position| blob(&instance, &producer, position);
    for position in 0..3 {
        let file = std::fs::File::create(path(position)).unwrap();
        file.set_len(1 << 62).unwrap();
    }
    std::fs::create_dir(path(3)).unwrap();
    std::os::unix::fs::symlink("/dev/zero", path(4)).unwrap();
    let sparse = std::fs::File::create(path(40)).unwrap();
    sparse.set_len(RECORD_MAX + 1).unwrap();
    let (ring, path_of_dir) = (producer.ring(), path(3));
    drop(producer);
    let mut producer = Producer::attach(&instance.namespace, "r", &bell).unwrap();
    // Counted, they would take all the room there is for such records.
    producer.stage(&Meta { tag: 5, source: 6, ..Meta::default() }, &[&payload(LARGE)]).unwrap();
    producer.publish();
    std::fs::remove_dir(path_of_dir).unwrap();
    assert_eq!(drain(&mut ring.join(&group(), &bell).unwrap()), (0..6).collect::<Vec<_>>());
}
