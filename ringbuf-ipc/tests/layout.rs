//! Where every byte of a segment is, as literal numbers read from the file: a change here is a change of
//! the layout, and needs a new `LAYOUT_VERSION`. LAYOUT.md draws the same.

mod common;

use std::os::unix::fs::FileExt;
use std::time::Duration;

use common::Instance;
use mixcord_ring::{
    Geometry, GroupSpec, LAYOUT_VERSION, Limits, Meta, Order, Producer, Settle, Start,
    WorkerOptions,
};

struct Segment(std::fs::File);

impl Segment {
    fn word(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, at).unwrap();
        u64::from_le_bytes(bytes)
    }

    fn bytes(&self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.read_exact_at(&mut bytes, at).unwrap();
        bytes
    }
}

#[test]
fn the_layout_is_version_3() {
    assert_eq!(LAYOUT_VERSION, 3);
    let instance = Instance::new("layout");
    let bell = instance.namespace.bell().unwrap();
    let geometry = Geometry::new(16, 4096, 2, 4, 4).unwrap();
    let group = GroupSpec::durable("readers").from(Start::Earliest);
    let mut producer = Producer::create(
        &instance.namespace,
        "ring",
        geometry,
        std::slice::from_ref(&group),
        &bell,
    )
    .unwrap();
    let meta = Meta { key: 0x1111, tag: 0x2222, source: 0x3333, order: 0x4444 };
    producer.stage(&meta, &[b"first"]).unwrap();
    producer.stage(&meta, &[&[7; 100]]).unwrap();
    producer.set_checkpoint(b"kept").unwrap();
    producer.publish();
    let ring = producer.ring();
    let mut member = ring.join(&group, &bell).unwrap();
    let mut batch = member.take(Limits { records: 1, bytes: 0 }).unwrap().unwrap();
    batch.ack_through(0);

    let path = instance.path("ring");
    let segment = Segment(std::fs::File::open(path).unwrap());
    assert_eq!(segment.0.metadata().unwrap().len(), 262_144);
    assert_eq!(geometry.segment_bytes(), 262_144 - 2 * 4096, "no memory for delivery words");

    // Header page.
    assert_eq!(segment.bytes(0, 8), b"MIXRING\0");
    assert_eq!(segment.word(8), 3);
    assert_eq!(segment.word(16), ring.id().0);
    let sizes: Vec<_> = (3..9).map(|word| segment.word(word * 8)).collect();
    assert_eq!(sizes, [16, 4096, 2, 4, 4, 4032]);
    let parts: Vec<_> = (9..31).map(|word| segment.word(word * 8)).collect();
    let expected = [
        [262_144, 4096].as_slice(), // length, producer page
        &[65_536],                  // control part
        &[66_432, 1280],            // groups, and one
        &[512, 64, 768, 128],       // in a group: members, partitions
        &[131_072, 4096],           // delivery words, and those of a group
        &[196_608, 4096],           // checkpoints, and one
        &[204_800, 8, 208_896, 64], // hashes, descriptors
        &[212_992, 0, 0, 0, 0],     // payloads, spare words
    ];
    assert_eq!(parts, expected.concat());
    let words: Vec<_> = (0..31).map(|word| segment.word(word * 8)).collect();
    assert_eq!(segment.word(248), checksum(&words), "checksum");

    // Producer page and checkpoints.
    assert_eq!(segment.word(4096), 2, "tail");
    assert_eq!(segment.word(4096 + 128), 0, "reserved");
    assert_ne!(segment.word(4096 + 256), 0, "bell of the producer + 1");
    assert_eq!(segment.word(4096 + 384), 1, "publishes");
    assert_eq!(segment.word(4096 + 424), 64 + 128, "payload head");
    assert_eq!(segment.word(196_608), 2, "checkpoint: tag");
    assert_eq!(segment.word(196_616), 4, "length");
    assert_eq!(segment.word(196_632), 1, "number");
    assert_eq!(segment.bytes(196_672, 4), b"kept");
    let word = u64::from(u32::from_le_bytes(*b"kept"));
    let sum = checksum(&[checksum(&[2, 1, 4]), word]) | 1;
    assert_eq!(segment.word(196_624), sum, "checksum");
    assert_eq!(segment.word(200_704 + 16), 0, "the other slot is empty");

    // Control part.
    let control = 65_536;
    assert_eq!(segment.word(control + 256), 0, "floor the producer waits for");
    let first = control + 896;
    assert_eq!(segment.word(first) & 0xFF, 2, "active");
    assert_eq!(segment.word(first + 8), 0, "durable");
    assert_eq!(segment.word(first + 16), 0, "no max_absence");
    assert_eq!(segment.word(first + 24), 0, "a member lives");
    assert_eq!(segment.word(first + 32), 7);
    assert_eq!(segment.word(first + 56), 0, "in order");
    assert_eq!(segment.bytes(first + 64, 7), b"readers");
    assert_eq!(segment.word(first + 512), bell_of(&segment), "bell of the first member");
    let partition = u64::from(batch.partition());
    let place = first + 768 + partition * 128;
    assert_eq!(segment.word(place) & 0xFFFF, 1, "held by the first member");
    assert_eq!(segment.word(place + 8), 3 << 52 | 1, "cursor, in the epoch of generation 2");
    assert_eq!(segment.word(first), 2 << 8 | 2, "generation 2, active");
    let second = first + 1280;
    assert_eq!(segment.word(second), 0, "free");
    assert_eq!(segment.word(second + 128), u64::MAX, "holds nothing");

    // Descriptors.
    let descriptor: Vec<_> = (0..7).map(|word| segment.word(208_896 + word * 8)).collect();
    assert_eq!(descriptor, [0, 0, 5, 0x1111, 0x2222, 0x3333, 0x4444]);
    let descriptor: Vec<_> = (0..7).map(|word| segment.word(208_960 + word * 8)).collect();
    assert_eq!(descriptor, [1, 64, 100, 0x1111, 0x2222, 0x3333, 0x4444]);
    let sum = descriptor.iter().fold(ODD, |sum, word| (sum ^ word).wrapping_mul(ODD));
    assert_eq!(segment.word(208_960 + 56), sum, "checksum");

    let hash = |key: u64| mix(key) >> 32 & 0x3FFF_FFFF;
    assert_eq!(segment.word(204_808), hash(0x4444) << 30 | hash(0x1111), "hashes");

    // Payloads.
    assert_eq!(segment.bytes(212_992, 5), b"first");
    assert_eq!(segment.bytes(212_992 + 64, 100), [7; 100]);
}

/// What is in use while somebody sleeps, the ring is full, and a group was away too long.
#[test]
fn pressure_sleepers_and_losses_are_where_they_are_drawn() {
    let instance = Instance::new("layout-busy");
    let bell = instance.namespace.bell().unwrap();
    let geometry = Geometry::new(16, 4096, 3, 1, 2).unwrap();
    let groups = [
        GroupSpec::durable("here").from(Start::Earliest),
        GroupSpec::durable("away").from(Start::Earliest).max_absence(Duration::from_millis(1)),
    ];
    let mut producer =
        Producer::create(&instance.namespace, "ring", geometry, &groups, &bell).unwrap();
    let ring = producer.ring();
    let passing = ring.join(&GroupSpec::ephemeral("passing"), &bell).unwrap();
    let mut member = ring.join(&groups[0], &bell).unwrap();
    let mut observer = ring.observe("o", Start::Latest, &bell).unwrap();
    let segment = Segment(std::fs::File::open(instance.path("ring")).unwrap());
    let (pressure, control) = (4096, 65_536);
    let [here, away, third] = [0, 1, 2].map(|group| control + 896 + group * 768);
    assert_eq!(segment.bytes(third + 64, 7), b"passing");
    assert_eq!(segment.word(third + 8), 1, "ephemeral");
    assert_eq!((segment.word(away + 8), segment.word(away + 16)), (0, 1), "max_absence in ms");
    assert_eq!(segment.word(control + 384), bell_of(&segment), "bell of the first observer");

    // Who sleeps, and is rung.
    member.arm();
    observer.arm();
    assert_eq!((segment.word(control), segment.word(control + 8)), (1, 1));
    assert_eq!(segment.word(here + 256), 1);
    producer.stage(&Meta::default(), &[&[1; 2000]]).unwrap();
    producer.publish();
    assert_eq!((segment.word(control), segment.word(control + 8)), (0, 0));
    assert_eq!(segment.word(here + 256), 0);
    assert_eq!(segment.word(pressure + 392), 2, "bells rung");
    assert_eq!(segment.word(pressure + 440), 1, "out-of-line records");
    assert_eq!(segment.word(208_896 + 16), 1 << 32 | 2000, "out of line, and its length");

    // A full ring, until what holds it is gone.
    while producer.stage(&Meta::default(), &[&[]]).is_ok() {
        producer.publish();
    }
    assert_eq!(segment.word(pressure + 400), 1, "stalls");
    assert_ne!(segment.word(pressure + 416), 0, "stalled since");
    assert_ne!(segment.word(away + 24), 0, "absent since");
    assert!(!producer.arm_space(0));
    assert_ne!(segment.word(control + 256), 0, "the floor waited for");
    while let Some(batch) = member.take(Limits::default()).unwrap() {
        batch.ack();
    }
    drop(passing);
    while producer.stage(&Meta::default(), &[&[]]).is_err() {
        std::thread::yield_now();
    }
    assert_eq!(segment.word(pressure + 416), 0);
    assert_ne!(segment.word(pressure + 408), 0, "ns stalled");
    assert_eq!(segment.word(pressure + 432), 1, "evictions");
    assert_eq!(segment.word(away) & 0xFF, 3, "evicted");
    assert_eq!(segment.word(away + 128), u64::MAX, "holds nothing");
    let reserved = segment.word(pressure + 128);
    assert_ne!(reserved, 0, "reserved");
    let _joined = ring.join(&groups[1], &bell).unwrap();
    assert_eq!(
        (segment.word(away + 40), segment.word(away + 48)),
        (1, reserved),
        "a loss, its end"
    );
    let partition = away + 640;
    assert_eq!(segment.word(partition + 8), 5 << 52 | reserved, "cursor, of generation 4");
    assert_eq!(segment.word(away + 128), 5 << 52 | reserved, "floor");
    assert_eq!(segment.word(away + 392), 0, "where it stood when it was evicted");
    assert_eq!(segment.word(partition + 16), 0, "cursor at the eviction");
}

/// Of the header.
fn checksum(words: &[u64]) -> u64 {
    words.iter().fold(0x6D69_7863_6F72_6421, |sum, word| mix(sum ^ word))
}

/// The finaliser of splitmix64.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(ODD);
    let value = (value ^ value >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ value >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ value >> 31
}

/// Of a descriptor's checksum, and of `mix`.
const ODD: u64 = 0x9E37_79B9_7F4A_7C15;

/// Producer and member of this test have the same bell.
fn bell_of(segment: &Segment) -> u64 {
    segment.word(4096 + 256)
}

/// The partition of a key is fixed for all time too: other versions would break the order of a group.
#[test]
fn keys_go_to_the_partitions_they_always_went_to() {
    let instance = Instance::new("keys");
    let bell = instance.namespace.bell().unwrap();
    let geometry = Geometry::new(64, 4096, 1, 64, 4).unwrap();
    let group = GroupSpec::durable("g").from(Start::Earliest);
    let mut producer = Producer::create(
        &instance.namespace,
        "ring",
        geometry,
        std::slice::from_ref(&group),
        &bell,
    )
    .unwrap();
    let keys = [0, 1, 2, 3, 175_928_847_299_117_063, u64::MAX];
    for key in keys {
        producer.stage(&Meta { key, ..Meta::default() }, &[&[]]).unwrap();
    }
    producer.publish();
    let mut member = producer.ring().join(&group, &bell).unwrap();
    let mut found = Vec::new();
    let mut held = Vec::new();
    while let Some(batch) = member.take(Limits::default()).unwrap() {
        found.extend(batch.records().map(|entry| (entry.position, batch.partition())));
        held.push(batch);
    }
    found.sort_unstable();
    let partitions: Vec<_> = found.into_iter().map(|(_, partition)| partition).collect();
    assert_eq!(partitions, PARTITIONS);
}

const PARTITIONS: [u16; 6] = [57, 44, 30, 36, 30, 55];

/// A group with delivery words: its mode and order, a word in each state, the file.
#[test]
fn delivery_words_are_where_they_are_drawn() {
    let instance = Instance::new("layout-words");
    let bell = instance.namespace.bell().unwrap();
    let geometry = Geometry::new(16, 4096, 2, 4, 4).unwrap();
    let group = GroupSpec::durable("bot").from(Start::Earliest).any_order(Order::Finer);
    let groups = [GroupSpec::durable("stage").follow(), group.clone()];
    let mut producer =
        Producer::create(&instance.namespace, "ring", geometry, &groups, &bell).unwrap();
    let segment = Segment(std::fs::File::open(instance.path("ring")).unwrap());
    let first = 65_536 + 896;
    let second = first + 1280;
    assert_eq!(segment.word(first + 56), 2, "follows");
    assert_eq!((segment.word(second + 56), segment.word(second + 384)), (1, 1), "any order, finer");
    for key in 1..=6 {
        producer.stage(&Meta { key, ..Meta::default() }, &[b"payload"]).unwrap();
    }
    producer.publish();
    let mut worker = producer.ring().work(&group, &bell, WorkerOptions::new()).unwrap();
    let mut take = || worker.take().unwrap().unwrap();
    take().settle(Settle::Ack).unwrap();
    let retry = Settle::Retry { after: Duration::from_secs(60), reason: "later" };
    take().settle(retry).unwrap();
    let _out = take();
    take().settle(Settle::Dead { reason: "no use" }).unwrap();
    take().settle(Settle::Back).unwrap();
    // Epoch 3, of generation 2; the first member.
    let word = |state: u64, member: u64, failures: u64| {
        3 << 28 | state << 25 | member << 15 | failures << 7
    };
    let expected = [word(6, 1, 0), word(3, 1, 1), word(1, 1, 0), word(6, 1, 1), word(0, 0, 0), 0];
    let words: Vec<_> = (0..6).map(|slot| segment.word(131_072 + 4096 + slot * 8)).collect();
    assert_eq!(words, expected);
    assert_eq!(segment.word(second + 424), 1, "dead letters");
    let member = second + 512;
    assert_eq!(segment.word(member), bell_of(&segment), "its bell");
    assert_eq!(segment.word(member + 24), u64::from(std::process::id()), "its process");
    assert_eq!(segment.word(member + 48), 1, "the first record it took, until it settled one");
    assert_eq!(segment.word(second + 496), 0, "nobody died that had settled nothing");

    let name = format!("ring.letters-{:016x}-1", producer.id().0);
    let letters = Segment(std::fs::File::open(instance.path(&name)).unwrap());
    assert_eq!(letters.bytes(0, 8), b"MIXLETTR");
    assert_eq!((letters.word(8), letters.word(16)), (2, producer.id().0));
    assert_eq!((letters.word(24), letters.word(32)), (0, 0), "times damaged, entries lost");
    let entry: Vec<_> = (1..14).map(|word| letters.word(64 + word * 8)).collect();
    assert_eq!((entry[0], entry[1]), (128, 1), "bytes, number");
    assert_eq!(entry[2], 3 << 48 | 1 << 32 | 1 << 16 | 4, "dead after a failure");
    assert_eq!((entry[4], entry[5]), (3, 4), "position, key");
    assert_eq!((entry[11], entry[12]), (6, 7), "bytes of reason and payload");
    let seal = |words: &[u64]| checksum(&[producer.id().0, checksum(words)]);
    assert_eq!(letters.word(64), seal(&entry), "of the head");
    assert_eq!(letters.bytes(64 + 112, 13), b"no usepayload");
    // Given again, and given back: changes of that entry, the last of them written behind.
    drop(worker);
    assert_eq!(producer.ring().retry_dead_letters(&group.name, None).unwrap(), 1);
    let letters = Segment(std::fs::File::open(instance.path(&name)).unwrap());
    let change: Vec<_> = (1..4).map(|word| letters.word(64 + 128 + word * 8)).collect();
    assert_eq!(change, [33, 1, 3 << 48 | 1 << 15 | 1], "length, number, waiting and revived");
    assert_eq!(letters.word(64 + 128), seal(&change));
}
