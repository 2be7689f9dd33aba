//! No wake is lost: with whole fences on both sides, and with the kernel's barrier on one.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use loom::thread;

use super::super::Core;
use super::super::arming::{Sleeper, arm};
use super::super::buffers::Buffers;
use super::super::group_spec::Start;
use super::super::groups;
use super::super::layout::{CONTROL, PRODUCER, control, producer};
use super::super::memory::{Ordering, Weaken};
use super::super::reader::Reader;
use super::super::watcher::Watcher;
use super::super::writer::Writer;
use super::{LIMITS, Met, Pair, check, explore, put, ring_with, spec, stage};

/// A member that sleeps is woken by the publish it did not see.
fn doorbell(pair: Pair, weaken: Weaken) {
    static SLEPT: Met = Met::new();
    explore(weaken, 3, move || woken_by(pair, &SLEPT, |_, writer| assert!(put(writer))));
    SLEPT.check();
}

/// The same where another thread was handed the wakes.
fn put_off(pair: Pair, weaken: Weaken) {
    static SLEPT: Met = Met::new();
    let publish = |core: Arc<Core>, writer: &mut Writer| {
        assert!(stage(writer, 0));
        let from = writer.publish_quietly().unwrap();
        thread::spawn(move || core.wake_counted(from..core.tail())).join().unwrap();
    };
    explore(weaken, 2, move || woken_by(pair, &SLEPT, publish));
    SLEPT.check();
}

/// A member sleeps until it has the record that a producer publishes meanwhile.
fn woken_by(pair: Pair, slept: &Met, publish: fn(Arc<Core>, &mut Writer)) {
    let (core, bells) = ring_with(pair, 2, 1, 1);
    groups::declare(&core, &spec()).unwrap();
    let mut writer = Writer::resume(Arc::clone(&core)).unwrap();
    let mut reader = Reader::join(&core, &spec(), Some(0)).unwrap();
    let producer = thread::spawn(move || publish(core, &mut writer));
    let mut seen = 0;
    while seen == 0 {
        let ticket = bells[0].ticket();
        arm(&mut reader);
        if !reader.has_work() {
            slept.note(true);
            bells[0].wait(ticket);
        }
        if let Some((hold, buffers)) = reader.take(LIMITS, false).unwrap() {
            seen += check(&buffers).len();
            hold.advance(hold.next);
        }
    }
    producer.join().unwrap();
}

#[test]
fn loom_no_wake_is_lost() {
    doorbell(Pair::Fences, Weaken::Nothing);
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_catches_a_missing_fence_of_the_ringer() {
    doorbell(Pair::Fences, Weaken::LightFences);
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_catches_a_missing_fence_of_the_sleeper() {
    doorbell(Pair::Fences, Weaken::HeavyFences);
}

#[test]
fn loom_no_wake_is_lost_with_barriers() {
    doorbell(Pair::Barriers, Weaken::Nothing);
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_catches_a_reordering_of_the_ringer() {
    doorbell(Pair::Barriers, Weaken::LightFences);
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_catches_a_missing_barrier_of_the_sleeper() {
    doorbell(Pair::Barriers, Weaken::Barrier);
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_catches_no_barrier_and_no_fence_of_the_sleeper() {
    doorbell(Pair::Barriers, Weaken::HeavyFences);
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_catches_a_light_fence_of_the_sleeper() {
    doorbell(Pair::Barriers, Weaken::HeavyIsLight);
}

#[test]
fn loom_no_wake_that_was_put_off_is_lost() {
    put_off(Pair::Fences, Weaken::Nothing);
    put_off(Pair::Barriers, Weaken::Nothing);
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_catches_a_missing_fence_of_who_rings_later() {
    put_off(Pair::Fences, Weaken::LightFences);
}

/// A producer that waits for space is woken by the floor it did not see.
fn space(pair: Pair, weaken: Weaken) {
    static SLEPT: Met = Met::new();
    explore(weaken, 3, move || {
        let (core, bells) = ring_with(pair, 2, 1, 1);
        groups::declare(&core, &spec()).unwrap();
        let word = PRODUCER + producer::BELL;
        core.memory.store(word, 1, Ordering::Relaxed);
        let mut writer = Writer::resume(Arc::clone(&core)).unwrap();
        let mut reader = Reader::join(&core, &spec(), None).unwrap();
        assert!(put(&mut writer) && put(&mut writer));
        let consumer = thread::spawn(move || {
            let (hold, buffers) = reader.take(LIMITS, false).unwrap().unwrap();
            assert_eq!(check(&buffers), [0, 1]);
            hold.advance(1);
            hold.advance(hold.next);
            drop(hold);
            std::mem::forget(reader);
        });
        while !put(&mut writer) {
            let ticket = bells[0].ticket();
            if !writer.arm_space(8) {
                SLEPT.note(true);
                bells[0].wait(ticket);
            }
        }
        consumer.join().unwrap();
    });
    SLEPT.check();
}

#[test]
fn loom_no_wake_for_space_is_lost() {
    space(Pair::Fences, Weaken::Nothing);
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_catches_a_missing_fence_at_the_acknowledgement() {
    space(Pair::Fences, Weaken::LightFences);
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_catches_a_missing_fence_of_the_waiting_producer() {
    space(Pair::Fences, Weaken::HeavyFences);
}

#[test]
fn loom_no_wake_for_space_is_lost_with_barriers() {
    space(Pair::Barriers, Weaken::Nothing);
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_catches_a_reordering_at_the_acknowledgement() {
    space(Pair::Barriers, Weaken::LightFences);
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_catches_a_missing_barrier_of_the_waiting_producer() {
    space(Pair::Barriers, Weaken::Barrier);
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_catches_no_barrier_and_no_fence_of_the_waiting_producer() {
    space(Pair::Barriers, Weaken::HeavyFences);
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_catches_a_light_fence_of_the_waiting_producer() {
    space(Pair::Barriers, Weaken::HeavyIsLight);
}

/// What a member lets go of reaches the other one, asleep or not.
fn leaving(pair: Pair, weaken: Weaken) {
    static SLEPT: Met = Met::new();
    explore(weaken, 3, move || {
        let (core, bells) = ring_with(pair, 2, 1, 1);
        groups::declare(&core, &spec()).unwrap();
        let mut writer = Writer::resume(Arc::clone(&core)).unwrap();
        let mut a = Reader::join(&core, &spec(), None).unwrap();
        let mut b = Reader::join(&core, &spec(), Some(0)).unwrap();
        assert!(put(&mut writer));
        let held = a.take(LIMITS, false).unwrap().unwrap();
        let leaving = thread::spawn(move || {
            drop(held);
            drop(a);
        });
        loop {
            let ticket = bells[0].ticket();
            arm(&mut b);
            if !b.has_work() {
                SLEPT.note(true);
                bells[0].wait(ticket);
            }
            if let Some((hold, buffers)) = b.take(LIMITS, false).unwrap() {
                assert_eq!(check(&buffers), [0]);
                hold.advance(hold.next);
                break;
            }
        }
        leaving.join().unwrap();
    });
    SLEPT.check();
}

#[test]
fn loom_leaving_hands_on() {
    leaving(Pair::Fences, Weaken::Nothing);
}

#[test]
fn loom_leaving_hands_on_with_barriers() {
    leaving(Pair::Barriers, Weaken::Nothing);
}

/// The same while the member stays: its leave would wake the other anyway. Neither is dropped, since
/// that too would be modelled, in a model that has failed already.
fn letting_go(pair: Pair, weaken: Weaken) {
    static SLEPT: Met = Met::new();
    explore(weaken, 3, move || {
        let (core, bells) = ring_with(pair, 2, 1, 1);
        groups::declare(&core, &spec()).unwrap();
        let mut writer = Writer::resume(Arc::clone(&core)).unwrap();
        let mut a = ManuallyDrop::new(Reader::join(&core, &spec(), None).unwrap());
        let mut b = ManuallyDrop::new(Reader::join(&core, &spec(), Some(0)).unwrap());
        assert!(put(&mut writer));
        let held = a.take(LIMITS, false).unwrap().unwrap();
        let letting_go = thread::spawn(move || drop(held));
        loop {
            let ticket = bells[0].ticket();
            arm(&mut *b);
            if !b.has_work() {
                SLEPT.note(true);
                bells[0].wait(ticket);
            }
            if let Some(lease) = b.lease(LIMITS).unwrap() {
                assert_eq!(lease.entries[0].position, 0);
                lease.hold.advance(lease.hold.next);
                break;
            }
        }
        letting_go.join().unwrap();
    });
    SLEPT.check();
}

#[test]
fn loom_letting_go_hands_on() {
    letting_go(Pair::Fences, Weaken::Nothing);
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_catches_a_missing_fence_at_letting_go() {
    letting_go(Pair::Fences, Weaken::LightFences);
}

#[test]
fn loom_letting_go_hands_on_with_barriers() {
    letting_go(Pair::Barriers, Weaken::Nothing);
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_catches_a_missing_barrier_after_letting_go() {
    letting_go(Pair::Barriers, Weaken::Barrier);
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_catches_a_light_fence_after_letting_go() {
    letting_go(Pair::Barriers, Weaken::HeavyIsLight);
}

/// An observer that sleeps is woken by the publish it did not see.
fn watching(pair: Pair, weaken: Weaken) {
    static SLEPT: Met = Met::new();
    explore(weaken, 3, move || {
        let (core, bells) = ring_with(pair, 2, 1, 1);
        core.memory.store(CONTROL + control::OBSERVERS, 1, Ordering::Relaxed);
        let mut writer = Writer::resume(Arc::clone(&core)).unwrap();
        let mut watcher = Watcher::new(Arc::clone(&core), 0, Start::Earliest);
        let producer = thread::spawn(move || {
            assert!(put(&mut writer));
        });
        let mut buffers = Buffers::default();
        while watcher.position() == 0 {
            let ticket = bells[0].ticket();
            arm(&mut watcher);
            if !watcher.has_work() {
                SLEPT.note(true);
                bells[0].wait(ticket);
            }
            assert_eq!(watcher.read(LIMITS, &mut buffers).unwrap(), 0);
        }
        assert_eq!(check(&buffers), [0]);
        producer.join().unwrap();
    });
    SLEPT.check();
}

#[test]
fn loom_no_wake_of_an_observer_is_lost() {
    watching(Pair::Fences, Weaken::Nothing);
}

#[test]
fn loom_no_wake_of_an_observer_is_lost_with_barriers() {
    watching(Pair::Barriers, Weaken::Nothing);
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_catches_a_missing_fence_of_the_observer() {
    watching(Pair::Fences, Weaken::HeavyFences);
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_catches_a_missing_barrier_of_the_observer() {
    watching(Pair::Barriers, Weaken::Barrier);
}
