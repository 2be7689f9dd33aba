//! A drained ring goes over into one of other sizes, or from the layout before: nothing is skipped.

mod common;

use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::time::Duration;

use common::Instance;
use mixcord_ring::{
    Bell, CreateError, Fit, Geometry, GroupSpec, HeldBy, Limits, Meta, Order, Policy, Producer,
    Settle, Start, WorkerOptions,
};

fn sizes(slots: u32) -> Geometry {
    Geometry::new(slots, 16 << 10, 4, 4, 4).unwrap()
}

fn groups() -> [GroupSpec; 2] {
    [
        GroupSpec::durable("bot").from(Start::Earliest).any_order(Order::Key),
        GroupSpec::durable("plain").from(Start::Earliest).max_absence(Duration::from_secs(900)),
    ]
}

fn put(producer: &mut Producer, records: u64) {
    for key in 0..records {
        producer.stage(&Meta { key, ..Meta::default() }, &[b"payload"]).unwrap();
    }
    producer.publish();
}

/// Acknowledges everything; the positions of the plain group.
fn drain(producer: &Producer, bell: &Bell) -> Vec<u64> {
    let ring = producer.ring();
    let [bot, plain] = groups();
    let mut worker = ring.work(&bot, bell, WorkerOptions::new()).unwrap();
    while let Some(delivery) = worker.take().unwrap() {
        let how = match delivery.position() {
            3 => Settle::Dead { reason: "no use" },
            _ => Settle::Ack,
        };
        delivery.settle(how).unwrap();
    }
    assert_eq!(worker.lag(), 0);
    let mut member = ring.join(&plain, bell).unwrap();
    let mut seen = Vec::new();
    while let Some(batch) = member.take(Limits::default()).unwrap() {
        seen.extend(batch.records().map(|entry| entry.position));
        batch.ack();
    }
    seen.sort_unstable();
    seen
}

#[test]
fn a_drained_ring_gets_the_sizes_that_are_asked_for() {
    let instance = Instance::new("grow");
    let bell = instance.namespace.bell().unwrap();
    let open = |slots| {
        Producer::create_or_fit(&instance.namespace, "r", sizes(slots), &groups(), &bell).unwrap()
    };
    let (mut producer, fit) = open(64);
    assert_eq!(fit, Fit::AsAsked);
    let id = producer.id();
    put(&mut producer, 20);
    producer.set_checkpoint(b"where I am").unwrap();
    put(&mut producer, 1);
    assert_eq!(drain(&producer, &bell), (0..21).collect::<Vec<_>>());
    let old = producer.ring();
    drop(producer);

    let (mut producer, fit) = open(256);
    assert_eq!(fit, Fit::Changed { from: Some(sizes(64)) });
    assert!(!old.is_current() && producer.ring().is_current());
    assert_eq!((producer.id(), producer.tail()), (id, 21), "the same ring");
    assert_eq!(producer.geometry(), sizes(256));
    assert_eq!(producer.checkpoint().unwrap(), b"where I am");
    let infos = producer.ring().groups();
    let seen: Vec<_> = infos.iter().map(|info| (&*info.name, info.floor, info.lag)).collect();
    assert_eq!(seen, [("bot", 21, 0), ("plain", 21, 0)]);
    let absence = Some(Duration::from_secs(900));
    assert_eq!(infos[1].policy, Policy::Durable { max_absence: absence });
    let letters = producer.ring().dead_letters("bot").unwrap();
    assert_eq!(letters.iter().map(|letter| letter.position).collect::<Vec<_>>(), [3]);
    // It holds more now, and goes on behind what was there.
    put(&mut producer, 200);
    assert_eq!(drain(&producer, &bell), (21..221).collect::<Vec<_>>());
    assert_eq!(instance.files().len(), 2, "{:?}", instance.files());
}

#[test]
fn what_is_not_drained_keeps_its_sizes_and_says_what_holds_it() {
    let instance = Instance::new("held");
    let bell = instance.namespace.bell().unwrap();
    let open = |geometry| {
        Producer::create_or_fit(&instance.namespace, "r", geometry, &groups(), &bell).unwrap()
    };
    let (mut producer, _) = open(sizes(64));
    put(&mut producer, 5);
    drop(producer);
    let (producer, fit) = open(sizes(128));
    let by = HeldBy::Group { name: "bot".to_owned(), lag: 5 };
    assert_eq!(fit, Fit::Kept { geometry: sizes(64), by });
    assert_eq!(drain(&producer, &bell).len(), 5);
    drop(producer);
    let one = Geometry::new(128, 16 << 10, 1, 4, 4).unwrap();
    let Fit::Kept { by, .. } = open_one(&instance, one, &bell) else { panic!() };
    assert_eq!(by, HeldBy::TooSmall { what: "groups" });
    let (_, fit) = open(sizes(128));
    assert_eq!(fit, Fit::Changed { from: Some(sizes(64)) });
}

fn open_one(instance: &Instance, geometry: Geometry, bell: &Bell) -> Fit {
    Producer::create_or_fit(&instance.namespace, "r", geometry, &[], bell).unwrap().1
}

/// A ring of layout 2 with three records and one group, by the numbers that its README drew.
fn of_layout_2(instance: &Instance, cursor: u64) {
    let path = instance.path("r");
    let file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.set_len(28_672).unwrap();
    let put = |at: u64, word: u64| file.write_all_at(&word.to_le_bytes(), at).unwrap();
    let magic = u64::from_le_bytes(*b"MIXRING\0");
    let header = [magic, 2, 77, 16, 4096, 2, 4, 4, 4096, 16_384, 20_480, 24_576, 28_672];
    for (at, word) in (0..).step_by(8).zip(header) {
        put(at, word);
    }
    put(104, checksum(&header));
    put(4096, 3); // tail
    put(4096 + 384, 2); // publishes
    put(4096 + 424, 192); // payload head
    // Checkpoint of number 5.
    put(8192, 3);
    put(8200, 4);
    put(8216, 5);
    file.write_all_at(b"kept", 8256).unwrap();
    let word = u64::from(u32::from_le_bytes(*b"kept"));
    put(8208, checksum(&[checksum(&[3, 5, 4]), word]) | 1);
    let group = 16_384 + 768;
    put(group, 2 << 8 | 2);
    put(group + 16, 900_000); // max_absence
    put(group + 32, 5);
    file.write_all_at(b"plain", group + 64).unwrap();
    put(group + 128, cursor);
    for partition in 0..4 {
        put(group + 640 + partition * 128 + 8, cursor);
    }
    put(group + 1152 + 128, u64::MAX);
    for position in 0..3 {
        put(20_480 + position * 64, position);
        put(20_480 + position * 64 + 24, position);
    }
}

fn checksum(words: &[u64]) -> u64 {
    words.iter().fold(0x6D69_7863_6F72_6421, |sum, word| mix(sum ^ word))
}

fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ value >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ value >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ value >> 31
}

#[test]
fn a_drained_ring_of_the_layout_before_goes_over() {
    let instance = Instance::new("layout-2");
    let bell = instance.namespace.bell().unwrap();
    of_layout_2(&instance, 3);
    let (mut producer, fit) =
        Producer::create_or_fit(&instance.namespace, "r", sizes(64), &groups(), &bell).unwrap();
    assert_eq!(fit, Fit::Changed { from: None });
    assert_eq!((producer.id().0, producer.tail()), (77, 3));
    assert_eq!(producer.checkpoint().unwrap(), b"kept");
    assert_eq!(producer.ring().pressure().publishes, 2);
    let infos = producer.ring().groups();
    assert_eq!(infos.len(), 2, "the one there was, and the one it lacked");
    assert_eq!((&*infos[0].name, infos[0].floor, infos[0].lag), ("plain", 3, 0));
    let absence = Some(Duration::from_secs(900));
    assert_eq!(infos[0].policy, Policy::Durable { max_absence: absence });
    put(&mut producer, 9);
    assert_eq!(drain(&producer, &bell), (3..12).collect::<Vec<_>>());
}

#[test]
fn one_that_is_not_drained_stays_and_says_what_holds_it() {
    let instance = Instance::new("layout-2-held");
    let bell = instance.namespace.bell().unwrap();
    of_layout_2(&instance, 1);
    let before = std::fs::read(instance.path("r")).unwrap();
    let refused =
        Producer::create_or_fit(&instance.namespace, "r", sizes(64), &groups(), &bell).unwrap_err();
    let CreateError::Held { by, .. } = &refused else { panic!("{refused}") };
    assert_eq!(*by, HeldBy::Group { name: "plain".to_owned(), lag: 2 });
    assert!(std::fs::read(instance.path("r")).unwrap() == before, "nothing was changed");
}
