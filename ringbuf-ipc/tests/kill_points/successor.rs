//! What the next producer makes of checkpoints, of a ring filled beyond its tail, and of files.

use mixcord_ring::{AttachError, Geometry, Producer, RestageError};

use crate::child::{RING, checkpoint, geometry, group, stage};
use crate::common::Instance;
use crate::every_k;
use crate::oracle::{drain, filled, goes_round};

fn attach(instance: &Instance) -> Producer {
    let bell = instance.namespace.bell().unwrap();
    Producer::attach(&instance.namespace, RING, &bell).unwrap()
}

/// A ring of three records, with the checkpoint of number 1.
fn with_checkpoint(instance: &Instance) {
    filled(instance, 1, &[], 3);
    let mut producer = attach(instance);
    producer.set_checkpoint(&checkpoint(1)).unwrap();
    producer.publish();
}

/// The newest checkpoint is the last one published, or the one about to be; and it stays whatever the
/// successor publishes, until that is a checkpoint, which then stays in its turn.
fn keeps_the_checkpoint(first: impl Fn(&mut Producer)) {
    every_k("recorder", with_checkpoint, |instance, (), words| {
        let mut producer = attach(instance);
        let surely = words.last("set").unwrap_or(1);
        let maybe = words.last("setting").unwrap_or(1);
        let found = producer.checkpoint();
        let among = [surely, maybe].map(|number| Some(checkpoint(number)));
        assert!(among.contains(&found), "{surely} or {maybe}: {found:?}");
        first(&mut producer);
        producer.publish();
        let expected = if producer.checkpoint() == found { found } else { Some(checkpoint(9)) };
        for _ in 0..3 {
            stage(&mut producer).unwrap();
            producer.publish();
            assert_eq!(producer.checkpoint(), expected);
        }
        drop(producer);
        assert_eq!(attach(instance).checkpoint(), expected);
    });
}

#[test]
fn a_producer_of_checkpoints_and_one_that_publishes_records() {
    keeps_the_checkpoint(|producer| {
        stage(producer).unwrap();
    });
}

#[test]
fn a_producer_of_checkpoints_and_one_that_publishes_a_checkpoint() {
    keeps_the_checkpoint(|producer| producer.set_checkpoint(&checkpoint(9)).unwrap());
}

/// A ring filled beyond the tail as far as it goes: the tail's own record stays, and of what was staged
/// exactly the whole records can be had again.
#[test]
fn a_producer_that_fills_the_ring() {
    const SLOTS: u64 = 8;
    every_k(
        "filler",
        |instance| {
            let bell = instance.namespace.bell().unwrap();
            let sizes = Geometry::new(SLOTS as u32, 4096, 1, 1, 2).unwrap();
            let mut producer =
                Producer::create(&instance.namespace, RING, sizes, &[group()], &bell).unwrap();
            // More than once round, so that every slot has an older record in it.
            for _ in 0..2 * SLOTS + 3 {
                stage(&mut producer).unwrap();
                producer.publish();
                drain(instance, &group());
            }
        },
        |instance, (), words| {
            let mut producer = attach(instance);
            let tail = producer.tail();
            assert_eq!(tail, 2 * SLOTS + 3);
            let staged = words.last("staged").unwrap_or(tail);
            if words.last("end").is_some() {
                assert_eq!(staged, tail + SLOTS - 1, "one slot is the tail's own");
            }
            match producer.restage(staged + 1) {
                // Whole, and killed before it said so.
                Ok(()) => {}
                Err(RestageError::Invalid { position }) => {
                    assert_eq!(position, staged);
                    producer.restage(staged).unwrap();
                }
                Err(RestageError::OutOfRange { .. }) => producer.restage(staged).unwrap(),
                Err(error) => panic!("{error}"),
            }
            let tail = (tail, producer.publish());
            drop(producer);
            // Which looks at every byte.
            assert_eq!(drain(instance, &group()).0, (tail.0..tail.1).collect::<Vec<_>>());
        },
    );
}

/// A ring that is half removed is there or not, and can be made again; its files go.
#[test]
fn a_process_that_removes_a_ring() {
    every_k(
        "demolisher",
        |instance| filled(instance, 1, &[group()], 24),
        |instance, (), _| {
            let bell = instance.namespace.bell().unwrap();
            match Producer::attach(&instance.namespace, RING, &bell) {
                Ok(_) => panic!("nothing was removed"),
                Err(AttachError::NotFound { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            drop(
                Producer::create(&instance.namespace, RING, geometry(4), &[group()], &bell)
                    .unwrap(),
            );
            goes_round(instance, &group());
            drop(bell);
            instance.namespace.remove_all().unwrap();
            assert_eq!(instance.files(), Vec::<String>::new());
        },
    );
}
