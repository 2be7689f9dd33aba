//! Cursors and floors beyond the tail, which no member ever stored: never silence, always an error.

mod common;

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use common::Instance;
use mixcord_ring::{Geometry, GroupSpec, Limits, Meta, Producer, TakeError};

const MEMBERS: u16 = 4;

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

/// What a member is told of the words at `words` that say `value`, before anything is overwritten.
fn told(partitions: u16, words: &[u64], value: u64) {
    let instance = Instance::new("beyond");
    let bell = instance.namespace.bell().unwrap();
    let geometry = Geometry::new(16, 4096, 2, partitions, MEMBERS).unwrap();
    let spec = GroupSpec::durable("g");
    let groups = std::slice::from_ref(&spec);
    let mut producer = Producer::create(&instance.namespace, "r", geometry, groups, &bell).unwrap();
    let mut before = producer.ring().join(&spec, &bell).unwrap();
    assert!(stage(&mut producer, 8));
    let sound = producer.ring().groups().remove(0);
    assert!(!sound.damaged);
    let segment = OpenOptions::new().write(true).open(instance.path("r")).unwrap();
    for &word in words {
        segment.write_all_at(&value.to_le_bytes(), word).unwrap();
    }
    let mut after = producer.ring().join(&spec, &bell).unwrap();
    for member in [&mut before, &mut after] {
        // A floor does not stand in the way of what can still be had.
        let mut taken = Vec::new();
        let error = loop {
            match member.take(Limits::default()) {
                Ok(Some(batch)) => taken.push(batch),
                Ok(None) => panic!("silence: {words:?} {value:#x}"),
                Err(error) => break error,
            }
        };
        assert!(
            matches!(error, TakeError::Beyond { found, tail: 8, .. } if found == value),
            "{error}"
        );
        assert!(error.to_string().contains("remove the group"), "{error}");
    }
    let info = &producer.ring().groups()[0];
    assert!(info.damaged, "{info:?}");
    if words == [at::FLOOR] {
        let looked_at = producer.ring().groups().remove(0);
        assert_eq!(looked_at.partition_lags, sound.partition_lags, "a look spreads the damage");
    }
    drop((before, after));
    stage(&mut producer, 40);
    assert_eq!(producer.ring().groups()[0].damaged, value > producer.tail());
    // Made anew it works.
    producer.ring().remove_group("g").unwrap();
    let mut member = producer.ring().join(&spec, &bell).unwrap();
    assert!(stage(&mut producer, 4));
    assert_eq!(common::positions(&mut member).len(), 4);
}

#[test]
fn a_cursor_beyond_the_tail_is_told() {
    for partitions in [1, 4] {
        let cursors: Vec<_> =
            (0..u64::from(partitions)).map(|at| at::CURSOR + at * at::PARTITION_BYTES).collect();
        for value in [9, 1 << 40, u64::MAX] {
            told(partitions, &cursors, value);
        }
    }
}

#[test]
fn a_floor_beyond_the_tail_is_told() {
    for partitions in [1, 4] {
        for value in [9, 1 << 40, u64::MAX] {
            told(partitions, &[at::FLOOR], value);
        }
    }
}
