//! Somebody writes into a segment while it is used (P8): nobody panics, nobody hangs, and nobody is silent:
//! whoever does not get every record is told.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mixcord_ring::{
    Bell, Geometry, GroupSpec, Limits, Meta, Namespace, Producer, Ring, Start, TakeError,
};

use crate::common::Instance;
use crate::damage::{self, CONTROL, CURSORS, DESCRIPTORS, GROUPS, RING, SLOTS, TAIL, TOTAL};

/// How long each of the tests goes on: `RING_DAMAGE_SECONDS`, or three. The longer, the more words.
fn at_work() -> Duration {
    let seconds = std::env::var("RING_DAMAGE_SECONDS").ok();
    Duration::from_secs(seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or(3))
}

/// Nothing here takes so long but what hangs.
const HANGS: Duration = Duration::from_secs(30);

/// Numbers that are hard to live with, from one seed (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn value(&mut self) -> u64 {
        let any = self.next();
        match self.below(5) {
            0 => any % 40,
            1 => u64::MAX - any % 40,
            2 => 1 << (any % 64),
            // An owner word.
            3 => (any % 4) | ((any >> 40) << 8),
            _ => any,
        }
    }
}

fn segment(namespace: &Namespace) -> File {
    let path = Namespace::directory().join(format!("{}.{RING}", namespace.prefix()));
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

/// Whatever a ring is for, again and again, while words are written all over it.
#[test]
fn a_writer_at_work_is_survived() {
    let instance = Instance::new("hostile");
    let bell = instance.namespace.bell().unwrap();
    let sound = damage::sound(&instance.namespace, &bell);
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let (begin, mut rounds) = (Instant::now(), 0);
    let written = AtomicU64::new(0);
    while rounds < 12 || begin.elapsed() < at_work() {
        damage::put(&instance.namespace, &sound);
        let file = segment(&instance.namespace);
        let over = AtomicBool::new(false);
        let mut theirs = Numbers(numbers.next() | 1);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let at = match theirs.below(4) {
                        0 => TAIL + theirs.below(60) * 8,
                        1 => CONTROL + theirs.below(400) * 8,
                        2 => DESCRIPTORS + theirs.below(SLOTS * 8) * 8,
                        _ => TAIL + theirs.below((TOTAL - TAIL) / 8) * 8,
                    };
                    file.write_all_at(&theirs.value().to_le_bytes(), at).unwrap();
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
            let used = Instant::now();
            damage::use_it(&instance.namespace, &bell);
            over.store(true, Ordering::Relaxed);
            assert!(used.elapsed() < HANGS, "round {rounds} hung");
        });
        rounds += 1;
    }
    println!("{rounds} rounds, {} words", written.load(Ordering::Relaxed));
    assert!(rounds > 10, "{rounds}");
}

const RECORDS: u64 = 60;
/// How often a record comes at most, whatever word was damaged, once.
const AGAIN: u32 = 3;
const PARTITIONS: u64 = 4;
/// Of the group, which is made with the ring; in floor and cursors.
const EPOCH: u64 = 3;
const FLOOR: u64 = GROUPS + 128;

fn group() -> GroupSpec {
    GroupSpec::durable("g").from(Start::Earliest)
}

/// A word to damage, and what is written there: not a number that could be true: whoever finds one has
/// nothing to tell it by (a cursor that is further on than it should be, a living member as the owner of
/// what it does not hold). Payloads carry no checksum, so what is in them is the user's own to check.
fn one_word(numbers: &mut Numbers) -> (u64, u64) {
    let could_be_position = |value: u64| value <= RECORDS + SLOTS;
    // Floors and cursors say which epoch they are of.
    let could_be_stand = |value: u64| value >> 52 == EPOCH && could_be_position(value << 12 >> 12);
    let could_be_member = |value: u64| (1..=4).contains(&(value & 0xFFFF));
    loop {
        let value = numbers.value();
        let (at, true_enough) = match numbers.below(5) {
            0 => (TAIL + numbers.below(60) * 8, could_be_position(value)),
            1 => (CONTROL + numbers.below(112) * 8, false),
            2 => {
                let at = GROUPS + numbers.below(64) * 8;
                let truth =
                    if at == FLOOR { could_be_stand(value) } else { could_be_position(value) };
                (at, truth)
            }
            3 => {
                let at = GROUPS + CURSORS + numbers.below(PARTITIONS) * 128;
                let word = numbers.below(3);
                let truth = match word {
                    0 => could_be_member(value),
                    1 => could_be_stand(value),
                    _ => could_be_position(value),
                };
                (at + word * 8, truth)
            }
            _ => (DESCRIPTORS + numbers.below(SLOTS * 8) * 8, false),
        };
        if !true_enough {
            return (at, value);
        }
    }
}

/// What came of a round.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// All records, whole.
    Complete,
    /// An error.
    Told(String),
    /// None of these: nothing comes, or the same records again and again.
    Silence(String),
}

/// Publishes all records, at the pace of the group.
fn produce(mut producer: Producer, published: &AtomicU64, over: &AtomicBool) -> Option<String> {
    while producer.tail() < RECORDS && !over.load(Ordering::Acquire) {
        let position = producer.staged_tail();
        let meta = Meta { key: position % 7, order: 0, tag: position, source: position };
        match producer.stage(&meta, &[&position.to_le_bytes().repeat(1 + position as usize % 9)]) {
            Ok(_) => {}
            Err(mixcord_ring::StageError::Full) => {
                producer.publish();
                producer.wait_space(128, Duration::from_millis(2));
            }
            Err(error) => return Some(error.to_string()),
        }
        if position.is_multiple_of(3) {
            producer.publish();
        }
        published.store(producer.tail(), Ordering::Release);
    }
    producer.publish();
    None
}

/// Takes all records, until somebody says that they do not come.
fn consume(ring: &Ring, bell: &Bell) -> Outcome {
    let mut member = match ring.join(&group(), bell) {
        Ok(member) => member,
        Err(error) => return Outcome::Told(error.to_string()),
    };
    let (mut seen, begin) = (BTreeMap::new(), Instant::now());
    while seen.len() < RECORDS as usize {
        match member.take(Limits { records: 5, ..Limits::default() }) {
            Ok(Some(batch)) => {
                for entry in batch.records() {
                    let whole =
                        entry.position.to_le_bytes().repeat(1 + entry.position as usize % 9);
                    assert_eq!((entry.tag, entry.payload), (entry.position, &*whole));
                    *seen.entry(entry.position).or_insert(0) += 1;
                }
                batch.ack();
                // A damaged owner word may give a record twice, to who has it and to another; never for ever.
                if let Some((again, times)) = seen.iter().find(|(_, times)| **times > AGAIN) {
                    return Outcome::Silence(format!("{again} came {times} times"));
                }
            }
            Ok(None) => {
                member.wait(Duration::from_millis(2));
                // What `mixcord ls` would say.
                if let Some(info) = ring.groups().into_iter().find(|info| info.damaged) {
                    return Outcome::Told(format!("{} is damaged", info.name));
                }
                if begin.elapsed() > HANGS {
                    return Outcome::Silence(format!(
                        "{} of {RECORDS}: {:?}",
                        seen.len(),
                        ring.groups()
                    ));
                }
            }
            Err(TakeError::Evicted { lost, .. }) => return Outcome::Told(format!("lost {lost:?}")),
            Err(error) => return Outcome::Told(error.to_string()),
        }
    }
    Outcome::Complete
}

/// After a word was damaged, at whatever moment, either somebody is told or every record comes.
#[test]
fn damage_is_told_or_does_no_harm() {
    let instance = Instance::new("silence");
    let bell = instance.namespace.bell().unwrap();
    let geometry = Geometry::new(SLOTS as u32, damage::PAYLOAD, 2, PARTITIONS as u16, 4).unwrap();
    let mut numbers = Numbers(0xD1B5_4A32_D192_ED03);
    let (begin, mut rounds, mut told) = (Instant::now(), 0, 0);
    while rounds < 12 || begin.elapsed() < at_work() {
        let (at, value) = one_word(&mut numbers);
        let when = numbers.below(RECORDS);
        let producer =
            Producer::create(&instance.namespace, RING, geometry, &[group()], &bell).unwrap();
        let ring = producer.ring();
        let file = segment(&instance.namespace);
        let (published, over) = (AtomicU64::new(0), AtomicBool::new(false));
        let (outcome, refused) = thread::scope(|scope| {
            let producing = scope.spawn(|| produce(producer, &published, &over));
            scope.spawn(|| {
                while published.load(Ordering::Acquire) < when && !over.load(Ordering::Acquire) {
                    thread::yield_now();
                }
                file.write_all_at(&value.to_le_bytes(), at).unwrap();
            });
            let outcome = consume(&ring, &bell);
            over.store(true, Ordering::Release);
            (outcome, producing.join().unwrap())
        });
        let silent = matches!(outcome, Outcome::Silence(_)) && refused.is_none();
        assert!(!silent, "round {rounds}: {value:#x} at {at} after {when} records: {outcome:?}");
        told += u32::from(outcome != Outcome::Complete);
        rounds += 1;
        drop(ring);
        instance.namespace.remove_ring(RING).unwrap();
    }
    println!("{rounds} rounds, told of {told}");
    assert!(rounds > 10 && told != 0, "{rounds} rounds, told of {told}");
}
