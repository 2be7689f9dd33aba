//! Records on their way: published, taken, acknowledged, given again.

mod common;

use std::time::Duration;

use common::{Instance, drain, one_partition, payload, put, small};
use mixcord_ring::{
    Geometry, GroupSpec, Limits, Member, Meta, Observed, Policy, Producer, Ring, StageError, Start,
    TakeError,
};

fn group() -> GroupSpec {
    GroupSpec::durable("g").from(Start::Earliest)
}

#[test]
fn staged_records_are_invisible_until_published() {
    let instance = Instance::new("commit");
    let bell = instance.namespace.bell().unwrap();
    let mut producer =
        Producer::create(&instance.namespace, "r", small(), &[group()], &bell).unwrap();
    let mut member = Ring::attach(&instance.namespace, "r").unwrap().join(&group(), &bell).unwrap();
    for key in 0..10 {
        put(&mut producer, key);
    }
    assert_eq!(drain(&mut member), []);
    assert_eq!(producer.publish(), 10);
    let mut seen = drain(&mut member);
    seen.sort_unstable();
    assert_eq!(seen, (0..10).map(|i| (i, i)).collect::<Vec<_>>());
    assert_eq!(member.floor(), 10);
    assert_eq!(member.lag(), 0);
}

#[test]
fn the_ring_goes_round_many_times() {
    for geometry in [small(), one_partition()] {
        let instance = Instance::new("round");
        let bell = instance.namespace.bell().unwrap();
        let mut producer =
            Producer::create(&instance.namespace, "r", geometry, &[group()], &bell).unwrap();
        let mut member = producer.ring().join(&group(), &bell).unwrap();
        let mut by_key = std::collections::HashMap::<u64, u64>::new();
        let mut count = 0;
        while count < 2000 {
            for _ in 0..count % 7 + 1 {
                put(&mut producer, count % 13);
                count += 1;
            }
            producer.publish();
            for (position, key) in drain(&mut member) {
                assert!(by_key.insert(key, position).is_none_or(|last| last < position));
            }
        }
        assert_eq!(member.floor(), producer.tail());
    }
}

#[test]
fn a_full_ring_takes_nothing_and_goes_on_when_acknowledged() {
    let instance = Instance::new("full");
    let bell = instance.namespace.bell().unwrap();
    let mut producer =
        Producer::create(&instance.namespace, "r", one_partition(), &[group()], &bell).unwrap();
    let mut member = producer.ring().join(&group(), &bell).unwrap();
    let meta = Meta::default();
    let mut staged = 0;
    while producer.stage(&meta, &[b"x"]).is_ok() {
        staged += 1;
        producer.publish();
    }
    assert_eq!(staged, 16);
    assert!(matches!(producer.stage(&meta, &[b"x"]), Err(StageError::Full)));
    assert!(!producer.wait_space(1, Duration::from_millis(1)));
    let mut batch = member.take(Limits { records: 3, bytes: 1 << 20 }).unwrap().unwrap();
    assert_eq!(batch.len(), 3);
    batch.ack_through(1);
    assert!(producer.has_space(1));
    for _ in 0..2 {
        producer.stage(&meta, &[b"y"]).unwrap();
    }
    assert!(matches!(producer.stage(&meta, &[b"y"]), Err(StageError::Full)));
    assert_eq!(producer.ring().pressure().stalls, 2);
    drop(batch);
    let again = member.take(Limits::default()).unwrap().unwrap();
    assert_eq!(again.first().unwrap().position, 2);
}

#[test]
fn every_group_sees_everything_and_members_share() {
    let instance = Instance::new("groups");
    let bell = instance.namespace.bell().unwrap();
    let other = GroupSpec::durable("h").from(Start::Earliest);
    let groups = [group(), other.clone()];
    let mut producer = Producer::create(&instance.namespace, "r", small(), &groups, &bell).unwrap();
    let ring = Ring::attach(&instance.namespace, "r").unwrap();
    let mut a = ring.join(&group(), &bell).unwrap();
    let mut b = ring.join(&group(), &bell).unwrap();
    let mut c = ring.join(&other, &bell).unwrap();
    for key in 0..40 {
        put(&mut producer, key);
    }
    producer.publish();
    let first = a.take(Limits::default()).unwrap().unwrap();
    let second = b.take(Limits::default()).unwrap().unwrap();
    assert_ne!(first.partition(), second.partition());
    let mut seen: Vec<_> =
        first.records().chain(second.records()).map(|entry| entry.position).collect();
    first.ack();
    second.ack();
    seen.extend(drain(&mut a).iter().map(|seen| seen.0));
    seen.sort_unstable();
    assert_eq!(seen, (0..40).collect::<Vec<_>>());
    assert_eq!(drain(&mut c).len(), 40);
    assert_eq!(drain(&mut b), []);
}

#[test]
fn a_member_that_leaves_hands_on_what_it_held() {
    let instance = Instance::new("leave");
    let bell = instance.namespace.bell().unwrap();
    let mut producer =
        Producer::create(&instance.namespace, "r", small(), &[group()], &bell).unwrap();
    let ring = Ring::attach(&instance.namespace, "r").unwrap();
    let mut a = ring.join(&group(), &bell).unwrap();
    let mut b = ring.join(&group(), &bell).unwrap();
    put(&mut producer, 1);
    put(&mut producer, 1);
    producer.publish();
    let mut held = a.take(Limits::default()).unwrap().unwrap();
    assert!(b.take(Limits::default()).unwrap().is_none());
    held.ack_through(0);
    drop((held, a));
    assert_eq!(drain(&mut b), [(1, 1)]);
}

#[test]
fn at_most_once_is_not_given_again_but_holds_the_partition() {
    let instance = Instance::new("once");
    let bell = instance.namespace.bell().unwrap();
    let mut producer =
        Producer::create(&instance.namespace, "r", small(), &[group()], &bell).unwrap();
    let ring = producer.ring();
    let mut a = ring.join(&group(), &bell).unwrap();
    let mut b = ring.join(&group(), &bell).unwrap();
    put(&mut producer, 1);
    producer.publish();
    let batch = a.take_at_most_once(Limits::default()).unwrap().unwrap();
    put(&mut producer, 1);
    producer.publish();
    assert!(b.take(Limits::default()).unwrap().is_none(), "one handler at a time");
    drop(batch);
    assert_eq!(drain(&mut b), [(1, 1)]);
}

#[test]
fn a_durable_group_goes_on_at_its_cursor() {
    let instance = Instance::new("durable");
    let bell = instance.namespace.bell().unwrap();
    let mut producer =
        Producer::create(&instance.namespace, "r", small(), &[group()], &bell).unwrap();
    for key in 0..4 {
        put(&mut producer, key);
    }
    producer.publish();
    let mut member = producer.ring().join(&group(), &bell).unwrap();
    let batch = member.take(Limits { records: 1, bytes: 1 << 20 }).unwrap().unwrap();
    let done = batch.first().unwrap().position;
    batch.ack();
    member.leave();
    drop(producer);
    let mut producer = Producer::attach(&instance.namespace, "r", &bell).unwrap();
    assert_eq!(producer.tail(), 4);
    put(&mut producer, 9);
    producer.publish();
    // A stored cursor wins over the start asked for.
    let spec = group().from(Start::Latest);
    let mut member = Ring::attach(&instance.namespace, "r").unwrap().join(&spec, &bell).unwrap();
    let mut seen: Vec<_> = drain(&mut member).iter().map(|seen| seen.0).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..5).filter(|&p| p != done).collect::<Vec<_>>());
}

#[test]
fn an_observer_is_told_exactly_what_it_lost() {
    let instance = Instance::new("observer");
    let bell = instance.namespace.bell().unwrap();
    let mut producer =
        Producer::create(&instance.namespace, "r", one_partition(), &[], &bell).unwrap();
    let ring = Ring::attach(&instance.namespace, "r").unwrap();
    let mut observer = ring.observe("test", Start::Earliest, &bell).unwrap();
    let mut observed = Observed::default();
    assert!(!observer.read(Limits::default(), &mut observed).unwrap());
    let (mut lost, mut next) = (0, 0);
    for round in 0..50 {
        for key in 0..round {
            put(&mut producer, key);
            producer.publish();
        }
        while observer.read(Limits { records: 5, bytes: 4096 }, &mut observed).unwrap() {
            lost += observed.lost();
            next += observed.lost();
            for entry in observed.entries() {
                assert_eq!(entry.position, next);
                assert_eq!(entry.payload, payload(next));
                next += 1;
            }
        }
        assert_eq!(next, producer.tail());
    }
    assert!(lost > 0 && lost < next);
    assert_eq!(producer.ring().pressure().stalls, 0);
}

#[test]
fn an_idle_partition_never_holds_the_ring() {
    let instance = Instance::new("idle");
    let bell = instance.namespace.bell().unwrap();
    let mut producer =
        Producer::create(&instance.namespace, "r", small(), &[group()], &bell).unwrap();
    let mut member = producer.ring().join(&group(), &bell).unwrap();
    for _ in 0..500 {
        put(&mut producer, 1);
        producer.publish();
        let batch = member.take(Limits { records: 1, bytes: 1 << 20 }).unwrap().unwrap();
        batch.ack();
    }
    member.leave();
    // All but one partition are idle, and nobody lives who could say so: the producer finds out.
    let mut staged = 0;
    while producer.wait_space(8, Duration::from_millis(1)) && staged < 1000 {
        put(&mut producer, 1);
        producer.publish();
        staged += 1;
    }
    assert_eq!(staged, 64);
}

/// A slow batch ends where its partition had no more when it was taken. The ring went on meanwhile and
/// was swept, and comes to no more news: somebody has to move that partition on all the same.
#[test]
fn a_partition_that_was_held_while_the_ring_went_on_does_not_hold_it_afterwards() {
    let instance = Instance::new("rest");
    let bell = instance.namespace.bell().unwrap();
    let mut producer =
        Producer::create(&instance.namespace, "r", small(), &[group()], &bell).unwrap();
    let mut member = producer.ring().join(&group(), &bell).unwrap();
    let slow = put(&mut producer, 1);
    producer.publish();
    let held = member.take(Limits::default()).unwrap().unwrap();
    assert_eq!(held.first().unwrap().position, slow);
    let other = Meta { key: 2, ..Meta::default() };
    while producer.stage(&other, &[&[0; 1000]]).is_ok() {
        producer.publish();
    }
    while let Some(batch) = member.take(Limits::default()).unwrap() {
        batch.ack();
    }
    assert_eq!(member.floor(), slow);
    held.ack();
    assert!(!producer.arm_space(4 << 10));
    assert!(member.take(Limits::default()).unwrap().is_none());
    assert_eq!(member.floor(), producer.tail());
    assert!(producer.has_space(4 << 10));
}

/// The same where nobody waits for room yet when the member goes to sleep.
#[test]
fn a_member_that_goes_to_sleep_leaves_no_partition_behind() {
    let instance = Instance::new("asleep");
    let bell = instance.namespace.bell().unwrap();
    let mut producer =
        Producer::create(&instance.namespace, "r", small(), &[group()], &bell).unwrap();
    let mut member = producer.ring().join(&group(), &bell).unwrap();
    put(&mut producer, 1);
    producer.publish();
    let held = member.take(Limits::default()).unwrap().unwrap();
    put(&mut producer, 2);
    producer.publish();
    drain(&mut member);
    held.ack();
    member.arm();
    assert_eq!(member.floor(), producer.tail());
}

#[test]
fn an_ephemeral_group_ends_with_its_last_member() {
    let instance = Instance::new("ephemeral");
    let bell = instance.namespace.bell().unwrap();
    let producer = Producer::create(&instance.namespace, "r", small(), &[], &bell).unwrap();
    let ring = producer.ring();
    let spec = GroupSpec::ephemeral("e");
    let a = ring.join(&spec, &bell).unwrap();
    let b = ring.join(&spec, &bell).unwrap();
    a.leave();
    assert_eq!(ring.groups()[0].policy, Policy::Ephemeral);
    b.leave();
    assert_eq!(ring.groups(), []);
}

#[test]
fn an_absent_group_is_evicted_from_a_full_ring_only_and_told_what_it_lost() {
    let instance = Instance::new("evict");
    let bell = instance.namespace.bell().unwrap();
    let spec = group().max_absence(Duration::from_millis(1));
    let mut producer = Producer::create(
        &instance.namespace,
        "r",
        one_partition(),
        std::slice::from_ref(&spec),
        &bell,
    )
    .unwrap();
    let ring = producer.ring();
    for key in 0..16 {
        // Fifteen at most are staged at a time: the last published one is kept.
        if key == 15 {
            assert!(matches!(producer.stage(&Meta::default(), &[]), Err(StageError::Full)));
            producer.publish();
        }
        put(&mut producer, key);
    }
    producer.publish();
    assert!(!ring.groups()[0].evicted);
    assert!(producer.wait_space(8, Duration::from_secs(20)));
    assert!(ring.groups()[0].evicted);
    for key in 0..20 {
        put(&mut producer, key);
        producer.publish();
    }
    assert_eq!(ring.pressure().evictions, 1);
    let mut member = ring.join(&spec, &bell).unwrap();
    let kept = producer.earliest();
    let error = member.take(Limits::default()).unwrap_err();
    let TakeError::Evicted { lost, partitions } = error else { panic!("{error}") };
    assert_eq!(lost, 0..kept);
    assert_eq!(partitions, [(0, 0..kept)]);
    let seen: Vec<_> = drain(&mut member).iter().map(|seen| seen.0).collect();
    assert_eq!(seen, (kept..producer.tail()).collect::<Vec<_>>());
}

#[test]
fn large_records_pass_in_order_and_their_files_go() {
    let instance = Instance::new("blob");
    let bell = instance.namespace.bell().unwrap();
    let mut producer =
        Producer::create(&instance.namespace, "r", one_partition(), &[group()], &bell).unwrap();
    let mut member = producer.ring().join(&group(), &bell).unwrap();
    let large: Vec<u8> = (0..3000u32).map(|i| i as u8).collect();
    for _ in 0..20 {
        let meta = Meta::default();
        producer.stage(&meta, &[b"small"]).unwrap();
        producer.stage(&meta, &[&large[..1000], &large[1000..]]).unwrap();
        producer.stage(&meta, &[b"after"]).unwrap();
        producer.publish();
        assert!(instance.files().iter().any(|name| name.contains("blob")));
        let batch = member.take(Limits::default()).unwrap().unwrap();
        let payloads: Vec<_> = batch.records().map(|entry| entry.payload.to_vec()).collect();
        assert_eq!(payloads, [b"small".to_vec(), large.clone(), b"after".to_vec()]);
        batch.ack();
    }
    producer.publish();
    assert_eq!(instance.files(), ["r"]);
}

/// Whichever group is last, the next publish finds that it is past; nobody's ring keeps what it has.
#[test]
fn the_file_of_a_large_record_goes_with_the_last_group() {
    let instance = Instance::new("blob-groups");
    let bell = instance.namespace.bell().unwrap();
    let geometry = Geometry::new(256, 4096, 8, 1, 1).unwrap();
    let mut producer = Producer::create(&instance.namespace, "r", geometry, &[], &bell).unwrap();
    let ring = producer.ring();
    let blobs = || instance.files().iter().filter(|name| name.contains("blob")).count();
    let stage = |producer: &mut Producer, bytes: usize| {
        producer.stage(&Meta::default(), &[&vec![1; bytes]]).unwrap();
        producer.publish();
    };
    stage(&mut producer, 3000);
    (0..30).for_each(|_| stage(&mut producer, 10));
    assert_eq!(blobs(), 1);
    let read = |member: &mut Member| {
        while let Some(batch) = member.take(Limits::default()).unwrap() {
            batch.ack();
        }
    };
    let group = |index| GroupSpec::durable(&format!("g{index}")).from(Start::Earliest);
    let mut members: Vec<_> =
        (0..8).map(|index| ring.join(&group(index), &bell).unwrap()).collect();
    members.iter_mut().for_each(read);
    (0..8).for_each(|_| stage(&mut producer, 10));
    assert_eq!(blobs(), 0);
    for last in 0..8 {
        stage(&mut producer, 3000);
        stage(&mut producer, 10);
        for member in (1..8).map(|step| (last + step) % 8) {
            read(&mut members[member]);
            producer.publish();
            assert_eq!(blobs(), 1, "group {last} has not seen it");
        }
        read(&mut members[last]);
        producer.publish();
        assert_eq!(blobs(), 0, "group {last} was the last");
    }
}

#[test]
fn room_for_a_record_is_room_for_every_shorter_one() {
    let instance = Instance::new("monotone");
    let bell = instance.namespace.bell().unwrap();
    let mut producer =
        Producer::create(&instance.namespace, "r", one_partition(), &[group()], &bell).unwrap();
    let mut member = producer.ring().join(&group(), &bell).unwrap();
    for round in 0..200usize {
        // Out of line from 1024 bytes on: such a record needs a slot only, a shorter one payload too.
        while producer.stage(&Meta::default(), &[&vec![1; 300 + round % 700]]).is_ok() {
            producer.publish();
        }
        let fitting: Vec<_> =
            (0..3000).step_by(64).map(|bytes| producer.has_space(bytes)).collect();
        assert!(fitting.is_sorted_by(|shorter, longer| shorter >= longer), "{fitting:?}");
        assert!(!producer.wait_space(2000, Duration::ZERO));
        if let Some(batch) = member.take(Limits { records: 1 + round % 5, bytes: 4096 }).unwrap() {
            batch.ack();
        }
    }
}

#[test]
fn a_checkpoint_is_committed_with_its_records() {
    let instance = Instance::new("checkpoint");
    let bell = instance.namespace.bell().unwrap();
    let mut producer =
        Producer::create(&instance.namespace, "r", small(), &[group()], &bell).unwrap();
    assert_eq!(producer.checkpoint(), None);
    producer.set_checkpoint(b"zero").unwrap();
    assert_eq!(producer.checkpoint(), None);
    producer.publish();
    assert_eq!(producer.checkpoint().unwrap(), b"zero");
    assert!(producer.ring().checkpoint_begins_with(b"zer"));
    assert!(!producer.ring().checkpoint_begins_with(b"zet"));
    for round in 0..5u8 {
        put(&mut producer, 1);
        producer.set_checkpoint(&[round; 40]).unwrap();
        producer.publish();
        assert_eq!(producer.ring().checkpoint().unwrap(), [round; 40]);
        // The one before stands there too.
        assert!(!producer.ring().checkpoint_begins_with(&[round]));
    }
    for _ in 0..2 {
        producer.set_checkpoint(b"f").unwrap();
        producer.publish();
    }
    assert!(producer.ring().checkpoint_begins_with(b"f"));
    assert!(!producer.ring().checkpoint_begins_with(&[b'f', 3]), "bytes of the one before");
    producer.set_checkpoint(&[4; 40]).unwrap();
    producer.publish();
    drop(producer);
    let mut producer = Producer::attach(&instance.namespace, "r", &bell).unwrap();
    assert_eq!(producer.checkpoint().unwrap(), [4; 40]);
    producer.set_checkpoint(&[4; 4]).unwrap();
    producer.publish();
    assert!(producer.ring().checkpoint_begins_with(&[4; 4]));
}

#[test]
fn staged_records_can_be_staged_again_after_a_restart() {
    let instance = Instance::new("restage");
    let bell = instance.namespace.bell().unwrap();
    let mut producer =
        Producer::create(&instance.namespace, "r", small(), &[group()], &bell).unwrap();
    for key in 0..3 {
        put(&mut producer, key);
    }
    producer.publish();
    for key in 3..8 {
        put(&mut producer, key);
    }
    producer
        .stage(&Meta { key: 1, tag: 0, source: 24, ..Meta::default() }, &[&vec![7; 9000]])
        .unwrap();
    drop(producer);
    let mut producer = Producer::attach(&instance.namespace, "r", &bell).unwrap();
    assert!(producer.restage(10).is_err());
    assert_eq!(producer.staged_tail(), 3);
    producer.restage(9).unwrap();
    put(&mut producer, 9);
    producer.publish();
    let mut member = producer.ring().join(&group(), &bell).unwrap();
    let mut positions = Vec::new();
    while let Some(batch) = member.take(Limits::default()).unwrap() {
        positions.extend(batch.records().map(|entry| entry.position));
        batch.ack();
    }
    positions.sort_unstable();
    assert_eq!(positions, (0..10).collect::<Vec<_>>());
}

#[test]
fn a_sleeping_member_is_woken_and_a_sleeping_producer_too() {
    let instance = Instance::new("wake");
    let bell = instance.namespace.bell().unwrap();
    let mut producer =
        Producer::create(&instance.namespace, "r", one_partition(), &[group()], &bell).unwrap();
    let namespace = instance.namespace.clone();
    let reader = std::thread::spawn(move || {
        let bell = namespace.bell().unwrap();
        let mut member = Ring::attach(&namespace, "r").unwrap().join(&group(), &bell).unwrap();
        let mut next = 0;
        while next < 5000 {
            assert!(member.wait(Duration::from_secs(20)));
            for (position, _) in drain(&mut member) {
                assert_eq!(position, next);
                next += 1;
            }
        }
    });
    for key in 0..5000 {
        while !producer.has_space(105) {
            assert!(producer.wait_space(105, Duration::from_secs(20)));
        }
        put(&mut producer, key);
        producer.publish();
    }
    reader.join().unwrap();
}

#[test]
fn a_lease_shows_records_where_they_are_and_holds_them_there() {
    let instance = Instance::new("lease");
    let bell = instance.namespace.bell().unwrap();
    let mut producer =
        Producer::create(&instance.namespace, "r", one_partition(), &[group()], &bell).unwrap();
    let mut member = producer.ring().join(&group(), &bell).unwrap();
    assert!(member.lease(Limits::default()).unwrap().is_none());
    for key in 0..3 {
        put(&mut producer, key);
    }
    let long = vec![9; 2000];
    producer.stage(&Meta { tag: 77, ..Meta::default() }, &[&long]).unwrap();
    producer.publish();

    let lease = member.lease(Limits::default()).unwrap().unwrap();
    assert_eq!((lease.len(), lease.is_empty(), lease.partition()), (4, false, 0));
    for (position, view) in (0..3).zip(lease.records()) {
        let expected = payload(position);
        assert_eq!(
            (view.position(), view.key(), view.source()),
            (position, position, position * 3)
        );
        assert_eq!((view.tag(), view.len()), (position % 5, expected.len()));
        let mut copied = b"before".to_vec();
        view.copy_to(&mut copied).unwrap();
        assert_eq!(copied, [b"before", &expected[..]].concat());
        let in_place = view.in_place().unwrap();
        let bytes: Vec<u8> = (0..).map_while(|index| in_place.byte(index)).collect();
        assert_eq!(bytes, expected);
        let mut part = [0; 4];
        assert!(in_place.read_at(expected.len() - 4, &mut part));
        assert_eq!(part, expected[expected.len() - 4..]);
        assert!(!in_place.read_at(expected.len() - 3, &mut part));
    }
    let out_of_line = lease.records().last().unwrap();
    assert!(out_of_line.in_place().is_none());
    let mut copied = Vec::new();
    out_of_line.copy_to(&mut copied).unwrap();
    assert_eq!(copied, long);

    // Held: the ring fills up and takes no more.
    while producer.stage(&Meta::default(), &[b"x"]).is_ok() {
        producer.publish();
    }
    assert_eq!(producer.tail(), 16);
    assert!(lease.records().next().unwrap().in_place().unwrap().byte(0).is_some());
    lease.ack();
    assert_eq!(member.floor(), 4);
    assert!(producer.has_space(1));
}

#[test]
fn what_a_lease_leaves_unacknowledged_is_given_again() {
    let instance = Instance::new("lease-again");
    let bell = instance.namespace.bell().unwrap();
    let mut producer =
        Producer::create(&instance.namespace, "r", small(), &[group()], &bell).unwrap();
    let mut member = producer.ring().join(&group(), &bell).unwrap();
    for _ in 0..5 {
        put(&mut producer, 7);
    }
    producer.publish();
    let limits = Limits { records: 3, bytes: 1 << 20 };
    let mut lease = member.lease(limits).unwrap().unwrap();
    assert_eq!(lease.len(), 3);
    lease.ack_through(1);
    // What is acknowledged may be overwritten: it is not looked at again.
    assert_eq!(lease.records().map(|view| view.position()).collect::<Vec<_>>(), [2]);
    drop(lease);
    assert_eq!(member.take(limits).unwrap().unwrap().first().unwrap().position, 2);
    drop(member.lease(limits).unwrap().unwrap());
    let positions: Vec<_> = drain(&mut member).into_iter().map(|(position, _)| position).collect();
    assert_eq!(positions, [2, 3, 4]);
    assert_eq!(member.floor(), 5);
}
