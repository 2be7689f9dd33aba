//! Deaths beside processes that go on meanwhile, and need nobody to clean up after the dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mixcord_ring::{Bell, Member, Namespace, Observed, Producer, Ring, Start, Ticket};

use crate::child::{LIMITS, RING, group, payload, stage};
use crate::common::Instance;
use crate::oracle::{filled, in_order_by_key, nothing_lost_nothing_twice};
use crate::{every_k, run};

/// So long at most anything here takes.
const LONG: Duration = Duration::from_secs(20);
/// When to look again, bell or no bell.
const TICK: Duration = Duration::from_millis(20);

/// A member that works until its group has done all records before `until`: what it was given.
fn at_work(namespace: &Namespace, until: &AtomicU64) -> Vec<u64> {
    let bell = namespace.bell().unwrap();
    let mut member = Ring::attach(namespace, RING).unwrap().join(&group(), &bell).unwrap();
    let (mut given, begin) = (Vec::new(), Instant::now());
    while member.floor() < until.load(Ordering::Acquire) {
        assert!(begin.elapsed() < LONG, "the group stands at {}", member.floor());
        let Some(batch) = member.take(LIMITS).unwrap() else {
            member.wait(TICK);
            continue;
        };
        for entry in batch.records() {
            assert_eq!(entry.payload, payload(entry.position));
            given.push(entry.position);
        }
        batch.ack();
    }
    given
}

/// An observer that looks on until it is at `until`: what it saw, or counted as lost.
fn looking_on(namespace: &Namespace, from: u64, until: &AtomicU64) -> Vec<u64> {
    let bell = namespace.bell().unwrap();
    let ring = Ring::attach(namespace, RING).unwrap();
    let mut observer = ring.observe("o", Start::At(from), &bell).unwrap();
    let (mut seen, mut passed, begin) = (Observed::default(), Vec::new(), Instant::now());
    while observer.position() < until.load(Ordering::Acquire) {
        assert!(begin.elapsed() < LONG, "the observer stands at {}", observer.position());
        if !observer.read(LIMITS, &mut seen).unwrap() {
            observer.wait(TICK);
            continue;
        }
        let next = from + passed.len() as u64;
        passed.extend(next..next + seen.lost());
        for entry in seen.entries() {
            assert_eq!(entry.payload, payload(entry.position));
            passed.push(entry.position);
        }
    }
    passed
}

/// Publishes records one by one until the tail is `until`.
fn go_on(producer: &mut Producer, until: u64) {
    let begin = Instant::now();
    while producer.tail() < until {
        assert!(begin.elapsed() < LONG, "the producer stands at {}", producer.tail());
        if stage(producer).is_err() {
            producer.wait_space(2100, TICK);
        }
        producer.publish();
    }
}

/// A member dies while another takes its share, and while the producer goes on.
#[test]
fn a_member_beside_a_member_and_a_producer() {
    // The two share the work by chance, so that no point is the last: a hundred are several batches.
    for last in 1..=100 {
        let instance = Instance::new("colleague");
        filled(&instance, 4, &[group()], 12);
        let (namespace, until) = (&instance.namespace, AtomicU64::new(u64::MAX));
        let (over, until) = (AtomicBool::new(false), &until);
        let (words, given) = thread::scope(|scope| {
            scope.spawn(|| {
                let bell = namespace.bell().unwrap();
                let mut producer = Producer::attach(namespace, RING, &bell).unwrap();
                while !over.load(Ordering::Acquire) {
                    let next = producer.tail() + 1;
                    go_on(&mut producer, next);
                }
                let end = producer.tail() + 6;
                go_on(&mut producer, end);
                until.store(end, Ordering::Release);
            });
            let survivor = scope.spawn(|| at_work(namespace, until));
            let words = run("colleague", &instance, last);
            over.store(true, Ordering::Release);
            (words, survivor.join().unwrap())
        });
        assert_eq!(words.last("end"), None, "it goes on until it is killed");
        let tail = until.load(Ordering::Acquire);
        nothing_lost_nothing_twice(&words, &given, 0..tail);
    }
}

/// Those who read while a producer dies.
struct Readers {
    bell: Bell,
    ticket: Ticket,
    _asleep: Member,
    until: Arc<AtomicU64>,
    at_work: JoinHandle<Vec<u64>>,
    looking_on: JoinHandle<Vec<u64>>,
}

impl Readers {
    fn begin(instance: &Instance, from: u64) -> Self {
        let until = Arc::new(AtomicU64::new(u64::MAX));
        let bell = instance.namespace.bell().unwrap();
        let ring = Ring::attach(&instance.namespace, RING).unwrap();
        let mut asleep = ring.join(&group(), &bell).unwrap();
        let ticket = bell.ticket();
        asleep.arm();
        assert!(!asleep.has_work());
        let at = || (instance.namespace.clone(), Arc::clone(&until));
        let ((namespace, end), (its_namespace, its_end)) = (at(), at());
        Self {
            bell,
            ticket,
            _asleep: asleep,
            at_work: thread::spawn(move || at_work(&namespace, &end)),
            looking_on: thread::spawn(move || looking_on(&its_namespace, from, &its_end)),
            until,
        }
    }
}

/// A producer dies while a member is at work, an observer looks on, and another member of the group is
/// asleep. They see everything that was published, and whatever was published before the death, the
/// sleeper is rung by the dead or by the one that comes after it.
#[test]
fn a_producer_beside_its_readers() {
    const FROM: u64 = 12;
    every_k(
        "companion",
        |instance| {
            filled(instance, 4, &[group()], FROM);
            assert_eq!(at_work(&instance.namespace, &AtomicU64::new(FROM)).len(), FROM as usize);
            Readers::begin(instance, FROM)
        },
        |instance, readers, words| {
            let published = Ring::attach(&instance.namespace, RING).unwrap().tail();
            assert!(published >= words.last("published").unwrap_or(FROM));
            let mut producer = Producer::attach(&instance.namespace, RING, &readers.bell).unwrap();
            let rung = readers.bell.ticket() != readers.ticket;
            assert!(rung || published == FROM, "asleep at {FROM}, and the tail is {published}");
            let tail = published + 6;
            go_on(&mut producer, tail);
            readers.until.store(tail, Ordering::Release);
            let mut given = readers.at_work.join().unwrap();
            in_order_by_key(&given);
            given.sort_unstable();
            let all: Vec<_> = (FROM..tail).collect();
            assert_eq!(given, all);
            assert_eq!(readers.looking_on.join().unwrap(), all);
        },
    );
}
