//! The scenarios and what must hold after each death.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use mixcord_ring::{AttachError, GroupSpec, Producer, Ring, Start, TakeError};

use crate::child::{BATCH, LIMITS, RING, geometry, group, payload, stage};
use crate::common::Instance;
use crate::{Words, every_k, run};

/// A ring with so many records in it, and the group declared before them.
pub(crate) fn filled(instance: &Instance, partitions: u16, groups: &[GroupSpec], records: u64) {
    let bell = instance.namespace.bell().unwrap();
    let sizes = geometry(partitions);
    let mut producer = Producer::create(&instance.namespace, RING, sizes, groups, &bell).unwrap();
    for _ in 0..records {
        stage(&mut producer).unwrap();
    }
    producer.publish();
}

/// Acknowledges everything the group has, and gives it.
pub(crate) fn drain(
    instance: &Instance,
    spec: &GroupSpec,
) -> (Vec<u64>, Option<std::ops::Range<u64>>) {
    let bell = instance.namespace.bell().unwrap();
    let ring = Ring::attach(&instance.namespace, RING).unwrap();
    let mut member = ring.join(spec, &bell).unwrap();
    let (mut given, mut lost) = (Vec::new(), None);
    let deadline = Instant::now() + Duration::from_secs(10);
    while member.floor() < ring.tail() {
        assert!(Instant::now() < deadline, "the group stands at {}", member.floor());
        match member.take(LIMITS) {
            Ok(Some(batch)) => {
                for entry in batch.records() {
                    assert_eq!(entry.payload, payload(entry.position));
                    assert_eq!((entry.key, entry.tag), (entry.position % 5, entry.position));
                    assert_eq!(entry.source, entry.position + 1);
                    given.push(entry.position);
                }
                batch.ack();
            }
            // A dead member's partition is looked at every few milliseconds.
            Ok(None) => drop(member.wait(Duration::from_millis(20))),
            Err(TakeError::Evicted { lost: range, .. }) => lost = Some(range),
            Err(error) => panic!("{error}"),
        }
    }
    (given, lost)
}

/// A producer attaches and goes once round the ring: nothing that died is in its way.
pub(crate) fn goes_round(instance: &Instance, spec: &GroupSpec) {
    let bell = instance.namespace.bell().unwrap();
    let mut producer = Producer::attach(&instance.namespace, RING, &bell).unwrap();
    let first = producer.tail();
    let deadline = Instant::now() + Duration::from_secs(10);
    while producer.tail() < first + 48 {
        assert!(Instant::now() < deadline, "the producer stands at {}", producer.tail());
        if stage(&mut producer).is_ok() {
            producer.publish();
        } else {
            let tail = producer.tail();
            let (given, _) = drain(instance, spec);
            assert_eq!(given.iter().max(), Some(&(tail - 1)));
            producer.wait_space(2100, Duration::from_millis(20));
        }
    }
    drop(producer);
    drain(instance, spec);
    let files = instance.files();
    assert!(files.len() <= 1 + 8, "large records are freed: {files:?}");
}

pub(crate) fn in_order_by_key(given: &[u64]) {
    let mut last = BTreeMap::new();
    for &position in given {
        let before = last.insert(position % 5, position);
        assert!(before.is_none_or(|before| before < position), "{given:?}");
    }
}

/// Nothing lost, nothing twice beyond what was not acknowledged, in order.
pub(crate) fn nothing_lost_nothing_twice(
    words: &Words,
    given: &[u64],
    range: std::ops::Range<u64>,
) {
    in_order_by_key(given);
    let set = |word| words.all(word).flatten().copied().collect::<BTreeSet<u64>>();
    let (before, acknowledged) = (set("given"), set("acknowledged"));
    let surely_or_maybe = set("acknowledging");
    let now: BTreeSet<u64> = given.iter().copied().collect();
    assert_eq!(now.len(), given.len(), "given twice: {given:?}");
    let twice: Vec<_> = now.intersection(&acknowledged).collect();
    assert!(twice.is_empty(), "given again although acknowledged: {twice:?}");
    assert!(now.intersection(&before).count() <= LIMITS.records * 2);
    let any = words.all("acknowledging_any").next().is_some();
    for position in range {
        let maybe = surely_or_maybe.contains(&position) || any;
        assert!(now.contains(&position) || maybe, "lost: {position}");
    }
}

#[test]
fn a_creator() {
    every_k(
        "creator",
        |_| (),
        |instance, (), words| {
            let bell = instance.namespace.bell().expect("the bells are whole, or made anew");
            match Producer::attach(&instance.namespace, RING, &bell) {
                Ok(producer) => {
                    let groups: Vec<_> =
                        producer.ring().groups().into_iter().map(|info| info.name).collect();
                    assert_eq!(groups, ["g", "h"]);
                    assert!(producer.tail() >= words.last("published").unwrap_or(0));
                }
                Err(AttachError::NotFound { .. }) => {
                    assert_eq!(words.last("created"), None);
                    assert_eq!(instance.namespace.rings().unwrap(), Vec::<String>::new());
                    filled(instance, 2, &[group()], 3);
                }
                Err(error) => panic!("{error}"),
            }
        },
    );
}

#[test]
fn a_producer() {
    every_k(
        "producer",
        // Twelve records and acknowledged, so that the child's go over the end of the ring.
        |instance| {
            filled(instance, 4, &[group()], 12);
            assert_eq!(drain(instance, &group()).0.len(), 12);
        },
        |instance, (), words| {
            let bell = instance.namespace.bell().unwrap();
            let mut producer = Producer::attach(&instance.namespace, RING, &bell).unwrap();
            let tail = producer.tail();
            assert_eq!((tail - 12) % BATCH, 0, "half a batch is visible");
            assert!(tail >= words.last("published").unwrap_or(12), "published and gone");
            assert!(tail <= words.last("staged").unwrap_or(12));
            // The checkpoint is that of the last batch published, and of no other.
            let checkpoint = producer.checkpoint();
            let expected = (tail > 12).then(|| tail.to_le_bytes().repeat(3));
            assert_eq!(checkpoint, expected, "at {tail}");
            // What was staged and not published can be had again.
            if let Some(intended) = words.last("staged").filter(|&intended| intended > tail) {
                producer.restage(intended).unwrap();
                assert_eq!(producer.publish(), intended);
            }
            let tail = producer.tail();
            drop(producer);
            let (given, _) = drain(instance, &group());
            in_order_by_key(&given);
            let mut sorted = given;
            sorted.sort_unstable();
            assert_eq!(sorted, (12..tail).collect::<Vec<_>>());
            goes_round(instance, &group());
        },
    );
}

#[test]
fn a_producer_that_adopts_what_was_staged() {
    every_k(
        "restager",
        |instance| {
            let bell = instance.namespace.bell().unwrap();
            let groups = [group()];
            let mut producer =
                Producer::create(&instance.namespace, RING, geometry(4), &groups, &bell).unwrap();
            for _ in 0..5 {
                stage(&mut producer).unwrap();
            }
            producer.publish();
            // Staged, among them one too long for the ring, and then forgotten by a death.
            for _ in 0..BATCH {
                stage(&mut producer).unwrap();
            }
        },
        |instance, (), words| {
            let bell = instance.namespace.bell().unwrap();
            let mut producer = Producer::attach(&instance.namespace, RING, &bell).unwrap();
            let tail = producer.tail();
            assert!(matches!(tail, 5 | 8 | 11), "{tail}");
            assert!(tail >= words.last("published").unwrap_or(5));
            let expected = (tail == 11).then(|| 11u64.to_le_bytes().repeat(3));
            assert_eq!(producer.checkpoint(), expected);
            if tail == 5 {
                producer.restage(8).unwrap();
                producer.publish();
            }
            let tail = producer.tail();
            drop(producer);
            let mut given = drain(instance, &group()).0;
            given.sort_unstable();
            assert_eq!(given, (0..tail).collect::<Vec<_>>());
            goes_round(instance, &group());
        },
    );
}

#[test]
fn a_producer_that_overwrites() {
    every_k(
        "overwriter",
        |instance| filled(instance, 1, &[], 24),
        |instance, (), words| {
            let bell = instance.namespace.bell().unwrap();
            let ring = Ring::attach(&instance.namespace, RING).unwrap();
            assert!(ring.tail() >= words.last("published").unwrap_or(24));
            let mut observer = ring.observe("o", Start::At(0), &bell).unwrap();
            let mut seen = mixcord_ring::Observed::default();
            let (mut next, mut any) = (0, false);
            while observer.read(LIMITS, &mut seen).unwrap() {
                next += seen.lost();
                for entry in seen.entries() {
                    assert_eq!(entry.position, next);
                    assert_eq!(entry.payload, payload(entry.position));
                    next += 1;
                    any = true;
                }
            }
            assert_eq!(next, ring.tail(), "every record is seen or counted as lost");
            assert!(any, "the newest are there");
            filled_again(instance);
        },
    );
}

fn filled_again(instance: &Instance) {
    let bell = instance.namespace.bell().unwrap();
    let mut producer = Producer::attach(&instance.namespace, RING, &bell).unwrap();
    let tail = producer.tail();
    for _ in 0..40 {
        stage(&mut producer).unwrap();
        producer.publish();
    }
    assert_eq!(producer.tail(), tail + 40);
}

fn a_member_dies(role: &str, partitions: u16, spec: &GroupSpec, prepare: impl Fn(&Instance)) {
    every_k(
        role,
        |instance| {
            filled(instance, partitions, &[group()], 24);
            prepare(instance);
        },
        |instance, (), words| {
            let (given, lost) = drain(instance, spec);
            assert_eq!(lost, None);
            nothing_lost_nothing_twice(words, &given, 0..24);
            if spec.name != "g" {
                assert_eq!(drain(instance, &group()).0.len(), 24);
                // A group that is held only by the dead is no longer in anybody's way.
                let ring = Ring::attach(&instance.namespace, RING).unwrap();
                ring.remove_group(&spec.name).unwrap();
            }
            goes_round(instance, &group());
        },
    );
}

#[test]
fn a_member() {
    a_member_dies("member", 4, &group(), |_| {});
}

#[test]
fn a_member_of_a_group_with_one_partition() {
    a_member_dies("member_of_one", 1, &group(), |_| {});
}

#[test]
fn a_member_that_leaves_records_where_they_are() {
    a_member_dies("lessee", 4, &group(), |_| {});
}

#[test]
fn a_member_that_takes_over_from_a_dead_one() {
    a_member_dies("thief", 4, &group(), |instance| {
        assert_eq!(run("holder", instance, u64::MAX).last("end"), None);
    });
}

#[test]
fn a_member_that_makes_its_group() {
    a_member_dies("joiner", 4, &GroupSpec::durable("new").from(Start::Earliest), |_| {});
}

#[test]
fn a_member_that_drops_what_it_took() {
    a_member_dies("careless", 4, &group(), |_| {});
}

/// An ephemeral group goes with its member: what is left of it holds nobody up.
#[test]
fn the_only_member_of_an_ephemeral_group() {
    every_k(
        "passer_by",
        |instance| filled(instance, 4, &[group()], 24),
        |instance, (), _| {
            assert_eq!(drain(instance, &group()).0.len(), 24);
            goes_round(instance, &group());
            let ring = Ring::attach(&instance.namespace, RING).unwrap();
            let left: Vec<_> = ring.groups().into_iter().map(|info| info.name).collect();
            assert_eq!(left, ["g"], "gone once its space was needed");
        },
    );
}

#[test]
fn a_process_that_removes_and_declares_groups() {
    every_k(
        "remover",
        |instance| filled(instance, 4, &[group()], 24),
        |instance, (), words| {
            let ring = Ring::attach(&instance.namespace, RING).unwrap();
            let names: BTreeSet<_> = ring.groups().into_iter().map(|info| info.name).collect();
            if words.all("removed").next().is_some() {
                assert!(!names.contains("g"));
            }
            if words.all("declared").next().is_some() {
                assert!(names.contains("other"));
            }
            for name in &names {
                let spec = GroupSpec::durable(name).from(Start::Earliest);
                let mut given = drain(instance, &spec).0;
                given.sort_unstable();
                assert_eq!(given, (0..24).collect::<Vec<_>>(), "{name}");
                ring.remove_group(name).unwrap();
            }
            ring.declare_group(&group()).unwrap();
            goes_round(instance, &group());
        },
    );
}

/// A producer evicts a group that is absent, and dies while it does; the group is told what it lost.
#[test]
fn a_producer_that_evicts() {
    let spec = group().max_absence(Duration::from_millis(1));
    every_k(
        "evictor",
        |instance| filled(instance, 2, std::slice::from_ref(&spec), 24),
        |instance, (), words| {
            let tail = Ring::attach(&instance.namespace, RING).unwrap().tail();
            assert!(tail >= words.last("published").unwrap_or(24));
            told_exactly(instance, &spec, tail, 0);
            goes_round(instance, &spec);
        },
    );
}

/// A member of an evicted group comes back, and dies while it does.
#[test]
fn a_member_that_comes_back_after_an_eviction() {
    let spec = group().max_absence(Duration::from_millis(1));
    every_k(
        "returner",
        |instance| {
            filled(instance, 2, std::slice::from_ref(&spec), 24);
            run("evictor", instance, u64::MAX);
        },
        |instance, (), words| {
            let tail = Ring::attach(&instance.namespace, RING).unwrap().tail();
            let (given, lost) = drain(instance, &spec);
            let told: Vec<_> = words.all("lost").map(<[u64]>::to_vec).collect();
            let range = lost.map(|lost| vec![lost.start, lost.end]);
            let lost = range.or_else(|| told.first().cloned()).expect("somebody is told");
            assert_eq!(lost.first(), Some(&0));
            nothing_lost_nothing_twice(words, &given, lost.last().copied().unwrap()..tail);
        },
    );
}

/// What is not given is what the group is told it lost, no more and no less.
fn told_exactly(instance: &Instance, spec: &GroupSpec, tail: u64, from: u64) {
    let (mut given, lost) = drain(instance, spec);
    in_order_by_key(&given);
    given.sort_unstable();
    let first = lost.map_or(from, |lost| {
        assert_eq!(lost.start, from);
        lost.end
    });
    assert_eq!(given, (first..tail).collect::<Vec<_>>());
}
