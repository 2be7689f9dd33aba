//! Workers that die at every store and at every change of a file: nothing acknowledged comes again, nothing
//! is lost, order holds for each key, and a dead letter is written once and never given.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use mixcord_ring::{Producer, Ring, Settle, Start, WorkerOptions};

use crate::child::{RING, any_order, group, larger, payload, stage};
use crate::common::Instance;
use crate::oracle::{drain as drain_in_order, filled};
use crate::{Words, every_k};

const RECORDS: u64 = 24;

/// Takes and acknowledges everything the group has left: which, in order.
fn drain(instance: &Instance) -> Vec<u64> {
    let bell = instance.namespace.bell().unwrap();
    let ring = Ring::attach(&instance.namespace, RING).unwrap();
    let mut worker = ring.work(&any_order(), &bell, WorkerOptions::new()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut given = Vec::new();
    loop {
        assert!(Instant::now() < deadline, "after {given:?}: {:?}", ring.groups());
        if let Some(delivery) = worker.take().unwrap() {
            let position = delivery.position();
            assert_eq!(delivery.entry().payload, payload(position));
            assert_eq!((delivery.entry().key, delivery.entry().tag), (position % 5, position));
            given.push(position);
            delivery.settle(Settle::Ack).unwrap();
        } else if worker.lag() == 0 && ring.peek_group("w", 1).unwrap().is_empty() {
            return given;
        } else {
            worker.wait(Duration::from_millis(10));
        }
    }
}

fn judge(instance: &Instance, words: &Words, from: u64) {
    let given = drain(instance);
    let mut last = BTreeMap::new();
    for &position in &given {
        let before = last.insert(position % 5, position);
        assert!(before.is_none_or(|before| before < position), "{given:?}");
    }
    let set = |word| words.all(word).flatten().copied().collect::<BTreeSet<u64>>();
    let now: BTreeSet<u64> = given.iter().copied().collect();
    assert_eq!(now.len(), given.len(), "given twice: {given:?}");
    let ring = Ring::attach(&instance.namespace, RING).unwrap();
    let letters = ring.dead_letters("w").unwrap();
    let dead: BTreeSet<u64> = letters.iter().map(|letter| letter.position).collect();
    assert_eq!(dead.len(), letters.len(), "written down twice");
    for letter in &letters {
        assert_eq!(letter.payload, payload(letter.position));
        // Of one whose process died while it wrote it down, the reason may be lost.
        assert!(letter.reason == "no use" || !set("buried").contains(&letter.position));
    }
    let (acknowledged, buried) = (set("acknowledged"), set("buried"));
    assert!(now.is_disjoint(&acknowledged), "given again although acknowledged");
    assert!(now.is_disjoint(&dead), "given although it is dead");
    assert!(buried.is_subset(&dead), "a dead letter is lost");
    for position in from..RECORDS {
        let somewhere = now.contains(&position) || dead.contains(&position);
        assert!(somewhere || set("acknowledging").contains(&position), "lost: {position}");
    }
    // What a death leaves is in nobody's way.
    assert_eq!(ring.groups()[0].lag, 0);
    ring.remove_group("w").unwrap();
    assert!(!instance.files().iter().any(|file| file.contains("letters")), "its file is gone");
}

fn ring_of_words(instance: &Instance) {
    filled(instance, 4, &[any_order()], RECORDS);
}

#[test]
fn a_worker() {
    every_k("worker", ring_of_words, |instance, (), words| judge(instance, words, 0));
}

/// The ring is three quarters full behind the first record.
#[test]
fn a_worker_that_sets_records_aside() {
    every_k("asider", ring_of_words, |instance, (), words| judge(instance, words, 0));
}

#[test]
fn a_process_that_moves_a_group() {
    every_k("mover", ring_of_words, |instance, (), words| {
        let given: BTreeSet<u64> = drain(instance).into_iter().collect();
        let moved = words.all("moved").next().is_some();
        // Not yet, or wholly.
        let all = (0..RECORDS).collect();
        let from_ten = (10..RECORDS).collect();
        assert!(given == from_ten || (!moved && given == all), "{given:?}");
        let ring = Ring::attach(&instance.namespace, RING).unwrap();
        assert_eq!(ring.reset_group("w", Start::Earliest).unwrap(), 0);
        assert_eq!(drain(instance).len() as u64, RECORDS);
    });
}

#[test]
fn a_process_that_makes_evicts_and_removes_a_group_with_words() {
    every_k(
        "maker",
        |instance| filled(instance, 4, &[], RECORDS),
        |instance, (), words| {
            let bell = instance.namespace.bell().unwrap();
            let ring = Ring::attach(&instance.namespace, RING).unwrap();
            let removed = words.all("removed").next().is_some();
            let acknowledged = words.all("acknowledged").next().is_some();
            let mut worker = ring.work(&any_order(), &bell, WorkerOptions::new()).unwrap();
            let first = worker.take().unwrap().expect("some are there").position();
            let again = removed || words.all("removing").next().is_some();
            assert!(first == 0 || (acknowledged && first == 1) || !again, "{first}");
            assert!(!acknowledged || again || first == 1, "acknowledged before the eviction");
            drop(worker);
            ring.remove_group("w").unwrap();
        },
    );
}

/// Half-way there is the old ring or the new one, and whoever comes next finishes or goes on.
#[test]
fn a_producer_whose_ring_gets_other_sizes() {
    every_k(
        "refitter",
        |instance| {
            filled(instance, 4, &[any_order(), group()], RECORDS);
            drain(instance);
            drain_in_order(instance, &group());
            Ring::attach(&instance.namespace, RING).unwrap().id()
        },
        |instance, id, words| {
            let bell = instance.namespace.bell().unwrap();
            let (mut producer, _) =
                Producer::create_or_fit(&instance.namespace, RING, larger(), &[], &bell).unwrap();
            assert_eq!((producer.id(), producer.geometry()), (id, larger()));
            let published = words.last("published").unwrap_or(RECORDS);
            assert!(producer.tail() >= published && producer.tail() <= RECORDS + 1);
            stage(&mut producer).unwrap();
            producer.publish();
            let expected: Vec<_> = (RECORDS..producer.tail()).collect();
            drop(producer);
            assert_eq!(drain(instance), expected);
            assert_eq!(drain_in_order(instance, &group()).0, expected);
        },
    );
}
