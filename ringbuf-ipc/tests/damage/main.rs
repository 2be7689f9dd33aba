//! Bytes in a segment, whatever they are, give an error or a record, never a panic (P8).

mod alive;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/damage.rs"]
mod damage;

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use common::Instance;
use damage::{Damage, put, sound, survive, use_it};
use mixcord_ring::{Geometry, GroupSpec, Limits, Meta, Namespace, Producer, Start, TakeError};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Numbers at which arithmetic goes wrong, and any others.
fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..40u64,
        (0..40u64).prop_map(|n| u64::MAX - n),
        (0..64u32, 0..40u64).prop_map(|(bit, n)| (1u64 << bit).wrapping_sub(20).wrapping_add(n)),
        any::<u64>(),
    ]
}

fn damages() -> impl Strategy<Value = Vec<Damage>> {
    let one = (0..5u64, numbers(), numbers(), numbers(), numbers())
        .prop_map(|(kind, a, b, c, d)| Damage::of([kind, a, b, c, d]));
    proptest::collection::vec(one, 1..6)
}

#[test]
fn any_damage_is_survived() {
    let instance = Instance::new("damage");
    let bell = instance.namespace.bell().unwrap();
    let sound = sound(&instance.namespace, &bell);
    let mut runner = TestRunner::new(Config {
        cases: 2000,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&damages(), |damage| {
            survive(&instance.namespace, &bell, &sound, &damage);
            Ok(())
        })
        .unwrap();
}

/// A tail at the end of all numbers, with a whole descriptor before it: every sum overflows.
#[test]
fn the_end_of_all_numbers_is_survived() {
    let instance = Instance::new("end");
    let bell = instance.namespace.bell().unwrap();
    let sound = sound(&instance.namespace, &bell);
    for tail in [u64::MAX, u64::MAX - 1, u64::MAX - 16, 1 << 63, (1 << 62) + 1, 1 << 62] {
        for offset in [u64::MAX - 63, 1 << 63, 0] {
            for reserved in [0, tail.wrapping_sub(16), tail, u64::MAX] {
                let mut damage = vec![Damage::Ends { tail, reserved }];
                damage.extend((1..=16).map(|back| Damage::Descriptor {
                    position: tail.wrapping_sub(back),
                    offset,
                    size: 64,
                    key: back,
                }));
                for cursor in [tail.wrapping_sub(16), 0, tail, u64::MAX] {
                    let owner = 0;
                    damage.push(Damage::Cursors { group: 0, floor: cursor, cursor, owner });
                    survive(&instance.namespace, &bell, &sound, &damage);
                }
            }
        }
    }
}

#[test]
fn any_bytes_are_refused() {
    let instance = Instance::new("bytes");
    let bell = instance.namespace.bell().unwrap();
    let mut runner =
        TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
    runner
        .run(&proptest::collection::vec(any::<u8>(), 0..9000), |bytes| {
            put(&instance.namespace, &bytes);
            use_it(&instance.namespace, &bell);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_segment_cut_short_at_any_page_is_refused() {
    let instance = Instance::new("short");
    let bell = instance.namespace.bell().unwrap();
    let sound = sound(&instance.namespace, &bell);
    for pages in 0..sound.len() / 4096 {
        put(&instance.namespace, &sound[..pages * 4096]);
        let error = mixcord_ring::Ring::attach(&instance.namespace, damage::RING).unwrap_err();
        assert!(error.to_string().contains("remove the file"), "{error}");
        use_it(&instance.namespace, &bell);
    }
}

#[test]
fn records_before_a_damaged_one_are_given_first() {
    let instance = Instance::new("before");
    let bell = instance.namespace.bell().unwrap();
    // The geometry for which tests/layout.rs fixes where descriptors begin.
    let geometry = Geometry::new(16, 4096, 2, 4, 4).unwrap();
    let group = GroupSpec::durable("g").from(Start::Earliest);
    let mut producer = Producer::create(
        &instance.namespace,
        damage::RING,
        geometry,
        std::slice::from_ref(&group),
        &bell,
    )
    .unwrap();
    let mut member = producer.ring().join(&group, &bell).unwrap();
    for position in 0..4u64 {
        producer.stage(&Meta { tag: position, ..Meta::default() }, &[b"record"]).unwrap();
    }
    producer.publish();
    let name = format!("{}.{}", instance.namespace.prefix(), damage::RING);
    let file = OpenOptions::new().write(true).open(Namespace::directory().join(name)).unwrap();
    file.write_all_at(&[0xFF; 8], 208_896 + 2 * 64).unwrap();
    let batch = member.take(Limits::default()).unwrap().unwrap();
    assert_eq!(batch.records().map(|entry| entry.position).collect::<Vec<_>>(), [0, 1]);
    batch.ack();
    assert!(matches!(member.take(Limits::default()), Err(TakeError::Corrupt { position: 2 })));
}
