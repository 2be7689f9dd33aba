//! Cursors and floors that no member ever stored, beyond the tail or of another epoch than their group's: never
//! silence, and never the same records for ever; always an error.

mod common;

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use common::Instance;
use mixcord_ring::{
    Geometry, GroupSpec, Limits, Member, Meta, Order, Producer, Settle, TakeError, WorkerOptions,
};

const MEMBERS: u16 = 4;
/// Of a group that was made with its ring; in floor and cursors.
const EPOCH: u64 = 3;
/// Records published before the damage.
const TAIL: u64 = 8;

/// Where the words of the first group stand; tests/layout.rs fixes it.
mod at {
    pub(crate) const GROUP: u64 = 65_536 + 896;
    pub(crate) const FLOOR: u64 = GROUP + 128;
    pub(crate) const CURSOR: u64 =
        GROUP + (512 + super::MEMBERS as u64 * 64).next_multiple_of(128) + 8;
    pub(crate) const PARTITION_BYTES: u64 = 128;
}

fn stage(producer: &mut Producer, records: u64) -> bool {
    (0..records).all(|key| {
        let staged = producer.stage(&Meta { key, ..Meta::default() }, &[b"x"]).is_ok();
        producer.publish();
        staged
    })
}

/// A ring whose records a group has yet to acknowledge, and its segment.
fn ring(instance: &Instance, partitions: u16, spec: &GroupSpec) -> (Producer, File) {
    let bell = instance.namespace.bell().unwrap();
    let geometry = Geometry::new(16, 4096, 2, partitions, MEMBERS).unwrap();
    let groups = std::slice::from_ref(spec);
    let producer = Producer::create(&instance.namespace, "r", geometry, groups, &bell).unwrap();
    let segment = OpenOptions::new().read(true).write(true).open(instance.path("r")).unwrap();
    (producer, segment)
}

fn damage(segment: &File, words: &[u64], value: u64) {
    for &word in words {
        segment.write_all_at(&value.to_le_bytes(), word).unwrap();
    }
}

/// All that is given until there is an error; everything is acknowledged.
fn error_of(member: &mut Member) -> TakeError {
    // A record that comes twice says that it would come for ever.
    let mut seen = BTreeSet::new();
    loop {
        match member.take(Limits { records: 1, ..Limits::default() }) {
            Ok(Some(batch)) => {
                for entry in batch.records() {
                    assert!(seen.insert(entry.position), "{} again", entry.position);
                }
                batch.ack();
            }
            Ok(None) => panic!("silence"),
            Err(error) => return error,
        }
    }
}

/// What members of before and after are told of the words at `words` that say `value`, before anything is
/// overwritten; and that everybody else sees it.
fn told(partitions: u16, words: &[u64], value: u64, is_told: impl Fn(&TakeError) -> bool) {
    let instance = Instance::new("beyond");
    let bell = instance.namespace.bell().unwrap();
    let spec = GroupSpec::durable("g");
    let (mut producer, segment) = ring(&instance, partitions, &spec);
    let mut before = producer.ring().join(&spec, &bell).unwrap();
    assert!(stage(&mut producer, TAIL));
    let sound = producer.ring().groups().remove(0);
    assert!(!sound.damaged);
    damage(&segment, words, value);
    assert!(producer.ring().groups()[0].damaged);
    if words == [at::FLOOR] {
        let looked_at = producer.ring().groups().remove(0);
        assert_eq!(looked_at.partition_lags, sound.partition_lags, "a look spreads the damage");
    }
    let mut after = producer.ring().join(&spec, &bell).unwrap();
    for member in [&mut before, &mut after] {
        // A floor does not stand in the way of what can still be had.
        let error = error_of(member);
        assert!(is_told(&error), "{words:?} {value:#x}: {error}");
        assert!(error.to_string().contains("remove the group"), "{error}");
        damage(&segment, words, value);
    }
    let info = &producer.ring().groups()[0];
    assert!(info.damaged, "{info:?}");
    drop((before, after));
    // Made anew it works.
    stage(&mut producer, 40);
    producer.ring().remove_group("g").unwrap();
    let mut member = producer.ring().join(&spec, &bell).unwrap();
    assert!(stage(&mut producer, 4));
    assert_eq!(common::positions(&mut member).len(), 4);
}

fn cursors(partitions: u16) -> Vec<u64> {
    (0..u64::from(partitions)).map(|at| at::CURSOR + at * at::PARTITION_BYTES).collect()
}

const PARTITIONS: [u16; 2] = [1, 4];

#[test]
fn a_word_beyond_the_tail_is_told() {
    const BEYOND: [(u64, u64); 3] = [
        (EPOCH << 52 | (TAIL + 1), TAIL + 1),
        (EPOCH << 52 | 1 << 40, 1 << 40),
        (u64::MAX, u64::MAX),
    ];
    for partitions in PARTITIONS {
        for words in [cursors(partitions), vec![at::FLOOR]] {
            for (value, position) in BEYOND {
                told(
                    partitions,
                    &words,
                    value,
                    |error| matches!(error, TakeError::Beyond { found, tail: TAIL, .. } if *found == position),
                );
            }
        }
    }
}

#[test]
fn a_cursor_of_another_epoch_is_told() {
    for partitions in PARTITIONS {
        for epoch in [0, 1, 7, 2_000, 4_095] {
            for position in [0, 3, TAIL] {
                let value = epoch << 52 | position;
                told(
                    partitions,
                    &cursors(partitions),
                    value,
                    |error| matches!(error, TakeError::Foreign { found, .. } if *found == value),
                );
            }
        }
    }
}

#[test]
fn a_floor_of_a_later_epoch_is_told() {
    for partitions in PARTITIONS {
        for epoch in [7, 2_000] {
            for position in [0, 3, TAIL] {
                let value = epoch << 52 | position;
                told(
                    partitions,
                    &[at::FLOOR],
                    value,
                    |error| matches!(error, TakeError::Foreign { found, .. } if *found == value),
                );
            }
        }
    }
}

/// One of an earlier epoch cannot be that of a group which was moved meanwhile: it is made anew of the cursors.
#[test]
fn a_floor_of_an_earlier_epoch_is_put_right() {
    let instance = Instance::new("earlier");
    let bell = instance.namespace.bell().unwrap();
    let spec = GroupSpec::durable("g");
    for partitions in PARTITIONS {
        for position in [0, 3, TAIL] {
            let (mut producer, segment) = ring(&instance, partitions, &spec);
            let mut member = producer.ring().join(&spec, &bell).unwrap();
            assert!(stage(&mut producer, TAIL));
            damage(&segment, &[at::FLOOR], 1 << 52 | position);
            assert!(producer.ring().groups()[0].damaged);
            assert_eq!(common::positions(&mut member).len() as u64, TAIL);
            assert_eq!(member.lag(), 0);
            assert!(!producer.ring().groups()[0].damaged);
            drop((member, producer));
            instance.namespace.remove_ring("r").unwrap();
        }
    }
}

/// The cursor of one partition, while the members are at work in all of them.
#[test]
fn one_cursor_of_many_is_told() {
    let instance = Instance::new("one-cursor");
    let bell = instance.namespace.bell().unwrap();
    // Of an earlier epoch and of a later one.
    for (partition, epoch) in cursors(4).into_iter().flat_map(|at| [(at, 1), (at, 7)]) {
        let spec = GroupSpec::durable("g");
        let (mut producer, segment) = ring(&instance, 4, &spec);
        let mut member = producer.ring().join(&spec, &bell).unwrap();
        assert!(stage(&mut producer, TAIL));
        damage(&segment, &[partition], epoch << 52 | (TAIL - 1));
        // What moves idle partitions on leaves it as it is.
        member.arm();
        let error = error_of(&mut member);
        assert!(matches!(error, TakeError::Foreign { what: "cursor", .. }), "{error}");
        // Who comes when there is nothing left to take is told, too.
        let mut late = producer.ring().join(&spec, &bell).unwrap();
        let error = error_of(&mut late);
        assert!(matches!(error, TakeError::Foreign { what: "cursor", .. }), "{error}");
        drop((member, late, producer));
        instance.namespace.remove_ring("r").unwrap();
    }
}

/// Groups whose members follow the ring have one cursor, those with words none.
#[test]
fn groups_of_every_mode_are_told() {
    let instance = Instance::new("modes");
    let bell = instance.namespace.bell().unwrap();
    for words in [vec![at::CURSOR], vec![at::FLOOR]] {
        let spec = GroupSpec::durable("g").follow();
        let (mut producer, segment) = ring(&instance, 4, &spec);
        let mut member = producer.ring().join(&spec, &bell).unwrap();
        assert!(stage(&mut producer, TAIL));
        // Nobody uses the others.
        damage(&segment, &cursors(4)[1..], 7 << 52 | 3);
        assert!(!producer.ring().groups()[0].damaged);
        damage(&segment, &words, 7 << 52 | 3);
        let error = error_of(&mut member);
        assert!(matches!(error, TakeError::Foreign { .. }), "{error}");
        assert!(producer.ring().groups()[0].damaged);
        drop((member, producer));
        instance.namespace.remove_ring("r").unwrap();
    }
    let spec = GroupSpec::durable("g").any_order(Order::Key);
    let (mut producer, segment) = ring(&instance, 4, &spec);
    let mut worker = producer.ring().work(&spec, &bell, WorkerOptions::default()).unwrap();
    assert!(stage(&mut producer, TAIL));
    damage(&segment, &cursors(4), 7 << 52 | 3);
    assert!(!producer.ring().groups()[0].damaged);
    damage(&segment, &[at::FLOOR], 7 << 52 | 3);
    let error = worker.take().map(drop).unwrap_err();
    assert!(matches!(error, TakeError::Foreign { what: "floor", .. }), "{error}");
    assert!(producer.ring().groups()[0].damaged);
}

/// It holds nobody up: once it is in the way it is evicted, whoever lives in it; who comes back is told.
#[test]
fn a_damaged_group_holds_no_full_ring() {
    let instance = Instance::new("in-the-way");
    let bell = instance.namespace.bell().unwrap();
    let spec = GroupSpec::durable("g");
    for (partitions, words) in
        [(1, cursors(1)), (4, cursors(4)), (4, cursors(1)), (4, vec![at::FLOOR])]
    {
        let (mut producer, segment) = ring(&instance, partitions, &spec);
        let mut member = producer.ring().join(&spec, &bell).unwrap();
        assert!(stage(&mut producer, TAIL));
        damage(&segment, &words, 7 << 52 | 3);
        for _ in 0..40 {
            while !stage(&mut producer, 1) {
                producer.wait_space(64, Duration::from_millis(50));
            }
        }
        assert!(matches!(member.take(Limits::default()), Err(TakeError::Removed)));
        drop(member);
        let mut member = producer.ring().join(&spec, &bell).unwrap();
        match member.take(Limits::default()).map(drop).unwrap_err() {
            // Its cursors say what it lost.
            TakeError::Evicted { lost, .. } if words == [at::FLOOR] => assert_eq!(lost.start, 0),
            TakeError::Beyond { what: "cursor", .. } | TakeError::Evicted { .. } => {}
            error => panic!("{error}"),
        }
        drop((member, producer));
        instance.namespace.remove_ring("r").unwrap();
    }
}

/// Of a group with words, each word says whether its record is settled: a floor that is damaged costs nothing.
#[test]
fn words_know_what_a_damaged_floor_does_not() {
    let instance = Instance::new("words");
    let bell = instance.namespace.bell().unwrap();
    let spec = GroupSpec::durable("g").any_order(Order::None);
    for value in [7 << 52, 7 << 52 | 5, 7 << 52 | TAIL, 0] {
        let (mut producer, segment) = ring(&instance, 4, &spec);
        let mut worker = producer.ring().work(&spec, &bell, WorkerOptions::default()).unwrap();
        assert!(stage(&mut producer, TAIL));
        let mut open: Vec<_> = std::iter::from_fn(|| worker.take().unwrap()).collect();
        for settled in [6, 1, 0] {
            open.remove(settled).settle(Settle::Ack).unwrap();
        }
        let left: Vec<_> = open.iter().map(|delivery| delivery.position()).collect();
        drop((open, worker));
        damage(&segment, &[at::FLOOR], value);
        producer.ring().evict_group("g").unwrap();
        let mut worker = producer.ring().work(&spec, &bell, WorkerOptions::default()).unwrap();
        let given: Vec<_> = std::iter::from_fn(|| worker.take().unwrap()).collect();
        let again: Vec<_> = given.iter().map(|delivery| delivery.position()).collect();
        assert_eq!(again, left);
        drop((given, worker, producer));
        instance.namespace.remove_ring("r").unwrap();
    }
}

/// An evicted group goes on with what its cursors say, and not with one that is of no epoch of its own.
#[test]
fn an_evicted_group_is_told_when_it_goes_on() {
    let instance = Instance::new("evicted");
    let bell = instance.namespace.bell().unwrap();
    for (later, sound) in [(0, true), (3, false), (2_000, false)] {
        let spec = GroupSpec::durable("g");
        let (mut producer, segment) = ring(&instance, 4, &spec);
        assert!(stage(&mut producer, TAIL));
        producer.ring().evict_group("g").unwrap();
        damage(&segment, &cursors(4), (EPOCH + later) << 52 | 3);
        let mut member = producer.ring().join(&spec, &bell).unwrap();
        if sound {
            assert_eq!(common::positions(&mut member).len() as u64, TAIL - 3);
        } else {
            let error = error_of(&mut member);
            assert!(matches!(error, TakeError::Beyond { what: "cursor", .. }), "{error}");
        }
        drop((member, producer));
        instance.namespace.remove_ring("r").unwrap();
    }
}
