//! What a group asks its producer to say anew: who hears of it, and what takes the wish away.

mod common;

use std::os::unix::fs::FileExt;

use common::{Instance, put};
use mixcord_ring::{Fit, Geometry, GroupError, GroupSpec, Limits, Producer, Ring, Start};

fn sizes(slots: u32) -> Geometry {
    Geometry::new(slots, 4 << 10, 2, 1, 2).unwrap()
}

fn group(name: &str) -> GroupSpec {
    GroupSpec::durable(name).from(Start::Earliest)
}

#[test]
fn a_wish_stays_until_its_group_goes_and_only_grows() {
    let instance = Instance::new("anew");
    let bell = instance.namespace.bell().unwrap();
    let groups = [group("one"), group("two")];
    let mut producer =
        Producer::create(&instance.namespace, "r", sizes(16), &groups, &bell).unwrap();
    for key in 0..5 {
        put(&mut producer, key);
    }
    producer.publish();
    let ring = Ring::attach(&instance.namespace, "r").unwrap();
    assert_eq!(ring.asked_anew(), 0, "nobody asks");
    ring.ask_anew("one", 3).unwrap();
    ring.ask_anew("one", 2).unwrap();
    ring.ask_anew("two", 1).unwrap();
    assert_eq!(producer.ring().asked_anew(), 3, "the latest, and whoever asks");
    ring.ask_anew("two", 99).unwrap();
    assert_eq!(producer.ring().asked_anew(), 5, "what was not said yet is not lost");
    let error = ring.ask_anew("three", 1).unwrap_err();
    assert!(matches!(error, GroupError::NotFound { .. }), "{error}");

    // The producer's death and a ring of other sizes leave it.
    for spec in &groups {
        let mut member = ring.join(spec, &bell).unwrap();
        while let Some(batch) = member.take(Limits::default()).unwrap() {
            batch.ack();
        }
    }
    drop(producer);
    let (producer, fit) =
        Producer::create_or_fit(&instance.namespace, "r", sizes(32), &groups, &bell).unwrap();
    assert!(matches!(fit, Fit::Changed { .. }), "{fit:?}");
    let ring = producer.ring();
    assert_eq!(ring.asked_anew(), 5);
    ring.remove_group("two").unwrap();
    assert_eq!(ring.asked_anew(), 3, "with its group it is gone");
    ring.declare_group(&group("two")).unwrap();
    assert_eq!(ring.asked_anew(), 3, "and whoever takes its place asks for nothing");
}

/// P8: whatever stands in the word.
#[test]
fn a_word_that_cannot_be_is_no_wish() {
    let instance = Instance::new("anew-damage");
    let bell = instance.namespace.bell().unwrap();
    let mut producer =
        Producer::create(&instance.namespace, "r", sizes(16), &[group("one")], &bell).unwrap();
    put(&mut producer, 1);
    producer.publish();
    let file = std::fs::File::options().write(true).open(instance.path("r")).unwrap();
    // LAYOUT.md: the first entry of the group table, and the word in it.
    let word = 65_536 + 896 + 504;
    for (stands, means) in [(1, 1), (2, 0), (u64::MAX, 0), (0, 0)] {
        file.write_all_at(&u64::to_le_bytes(stands), word).unwrap();
        assert_eq!(producer.ring().asked_anew(), means, "{stands}");
    }
}
