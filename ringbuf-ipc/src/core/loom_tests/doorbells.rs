//! Bells: the futex word, the count of those who sleep on it, and the bits of those who wait for it.

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::Duration;

use loom::sync::atomic::AtomicBool;
use loom::thread;
use mixcord_memory::Heap;

use super::super::arming::{Sleeper, arm, arm_all};
use super::super::doorbell::{self, Doorbells};
use super::super::group_spec::{GroupSpec, Start};
use super::super::groups;
use super::super::layout::{CONTROL, PRODUCER, control, group, producer};
use super::super::memory::{Ordering, Weaken};
use super::super::reader::Reader;
use super::super::writer::Writer;
use super::{LIMITS, Met, Pair, check, explore, layout_for, put, ring_of, ring_with, spec};

/// An owner that is about to sleep is counted by its ringer, or sees that it was rung.
#[test]
fn loom_a_bell_wakes_its_owner() {
    static SLEPT: Met = Met::new();
    static AWAKE: Met = Met::new();
    explore(Weaken::Nothing, 3, || {
        let memory = doorbell::Memory::new(Box::new(Heap::new(doorbell::BYTES)));
        let bells = Arc::new(Doorbells::new(memory));
        bells.prepare(1);
        let news = Arc::new(AtomicBool::new(false));
        let (theirs, their_news) = (Arc::clone(&bells), Arc::clone(&news));
        let ringer = thread::spawn(move || {
            their_news.store(true, Ordering::Release);
            let woken = theirs.ring(0);
            SLEPT.note(woken);
            AWAKE.note(!woken);
        });
        loop {
            let ticket = bells.ticket(0);
            if news.load(Ordering::Acquire) {
                break;
            }
            assert!(bells.wait(0, ticket, Duration::MAX));
        }
        ringer.join().unwrap();
    });
    SLEPT.check();
    AWAKE.check();
}

/// A member that goes to sleep while others are being woken is not forgotten: the next news wake it.
fn armed_between(pair: Pair) {
    static SLEPT: Met = Met::new();
    explore(Weaken::Nothing, 3, move || {
        let (core, bells) = ring_with(pair, 4, 1, 2);
        groups::declare(&core, &spec()).unwrap();
        let mut writer = ManuallyDrop::new(Writer::resume(Arc::clone(&core)).unwrap());
        let mut late = ManuallyDrop::new(Reader::join(&core, &spec(), Some(0)).unwrap());
        // It found work after it had asked for a bell, so that its bit stands.
        let mut busy = ManuallyDrop::new(Reader::join(&core, &spec(), Some(1)).unwrap());
        arm(&mut *busy);
        let producer = thread::spawn(move || {
            assert!(put(&mut writer) && put(&mut writer));
        });
        let mut seen = 0;
        while seen < 2 {
            if let Some((hold, buffers)) = late.take(LIMITS, false).unwrap() {
                seen += check(&buffers).len();
                hold.advance(hold.next);
                continue;
            }
            let ticket = bells[0].ticket();
            arm(&mut *late);
            if !late.has_work() {
                SLEPT.note(seen == 1);
                bells[0].wait(ticket);
            }
        }
        producer.join().unwrap();
    });
    SLEPT.check();
}

#[test]
fn loom_who_arms_while_others_are_woken_is_woken_next() {
    armed_between(Pair::Fences);
}

#[test]
fn loom_who_arms_while_others_are_woken_is_woken_next_with_barriers() {
    armed_between(Pair::Barriers);
}

/// A member asks again while its bit stands from the time before: it is left as it is, and whoever takes it meanwhile
/// rings all the same.
fn armed_again(pair: Pair) {
    static STOOD: Met = Met::new();
    static SLEPT: Met = Met::new();
    explore(Weaken::Nothing, 3, move || {
        let (core, bells) = ring_with(pair, 4, 1, 1);
        groups::declare(&core, &spec()).unwrap();
        let mut writer = ManuallyDrop::new(Writer::resume(Arc::clone(&core)).unwrap());
        let mut reader = ManuallyDrop::new(Reader::join(&core, &spec(), Some(0)).unwrap());
        // It found something else to do after it had asked.
        arm(&mut *reader);
        let sleepers = core.layout.group(0) + group::SLEEPERS;
        let producer = thread::spawn(move || {
            assert!(put(&mut writer));
        });
        let mut seen = 0;
        while seen == 0 {
            let ticket = bells[0].ticket();
            STOOD.note(core.memory.load(sleepers, Ordering::Relaxed) != 0);
            arm(&mut *reader);
            if !reader.has_work() {
                SLEPT.note(true);
                bells[0].wait(ticket);
            }
            if let Some((hold, buffers)) = reader.take(LIMITS, false).unwrap() {
                seen += check(&buffers).len();
                hold.advance(hold.next);
            }
        }
        producer.join().unwrap();
    });
    STOOD.check();
    SLEPT.check();
}

#[test]
fn loom_who_asks_again_is_woken() {
    armed_again(Pair::Fences);
}

#[test]
fn loom_who_asks_again_is_woken_with_barriers() {
    armed_again(Pair::Barriers);
}

/// The group's bit stands from an earlier sleep, and what is published first another member has taken, which asks for
/// no bell: the one that asks now is woken by the second. Wakes alone, since a whole reader has too many steps.
fn armed_anew(pair: Pair) {
    static SLEPT: Met = Met::new();
    explore(Weaken::Nothing, 3, move || {
        let (core, bells) = ring_with(pair, 4, 1, 1);
        groups::declare(&core, &spec()).unwrap();
        core.memory.store(core.layout.member(0, 0) + group::MEMBER_BELL, 1, Ordering::Relaxed);
        core.memory.fetch_or(CONTROL + control::SLEEPERS, 1, Ordering::SeqCst);
        let news = PRODUCER + producer::TAIL;
        let theirs = Arc::clone(&core);
        let producer = thread::spawn(move || {
            for number in 1..=2 {
                theirs.memory.store(news, number, Ordering::Release);
                theirs.light_fence();
                theirs.wake_readers(0..1);
            }
        });
        loop {
            let ticket = bells[0].ticket();
            core.say_member_asleep(0, 0);
            core.heavy_fence();
            // The first was another's.
            if core.memory.load(news, Ordering::Acquire) == 2 {
                break;
            }
            SLEPT.note(true);
            bells[0].wait(ticket);
        }
        producer.join().unwrap();
    });
    SLEPT.check();
}

#[test]
fn loom_who_asks_while_its_groups_bit_stands_is_woken() {
    armed_anew(Pair::Fences);
}

#[test]
fn loom_who_asks_while_its_groups_bit_stands_is_woken_with_barriers() {
    armed_anew(Pair::Barriers);
}

/// Who reads twice asks for both bells with one fence: whichever news comes wakes it.
fn armed_together(pair: Pair, weaken: Weaken) {
    static SLEPT: Met = Met::new();
    explore(weaken, 2, move || {
        let (core, bells) = ring_of(pair, layout_for(2, 2, 1, 1), 1);
        let specs = ["g", "h"].map(|name| GroupSpec::durable(name).from(Start::Earliest));
        let mut readers = specs
            .each_ref()
            .map(|spec| ManuallyDrop::new(Reader::join(&core, spec, Some(0)).unwrap()));
        let mut writer = ManuallyDrop::new(Writer::resume(Arc::clone(&core)).unwrap());
        let producer = thread::spawn(move || {
            assert!(put(&mut writer));
        });
        let mut seen = [false; 2];
        while seen != [true; 2] {
            let ticket = bells[0].ticket();
            arm_all(|arm| readers.iter_mut().for_each(|reader| arm(&mut **reader)));
            let mut slept = true;
            for (reader, seen) in readers.iter_mut().zip(&mut seen) {
                if let Some((hold, buffers)) = reader.take(LIMITS, false).unwrap() {
                    *seen = !check(&buffers).is_empty();
                    hold.advance(hold.next);
                    slept = false;
                }
            }
            if slept {
                SLEPT.note(true);
                bells[0].wait(ticket);
            }
        }
        producer.join().unwrap();
    });
    SLEPT.check();
}

#[test]
fn loom_one_fence_is_enough_for_two_readers() {
    armed_together(Pair::Fences, Weaken::Nothing);
}

#[test]
fn loom_one_barrier_is_enough_for_two_readers() {
    armed_together(Pair::Barriers, Weaken::Nothing);
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_catches_a_missing_barrier_of_two_readers() {
    armed_together(Pair::Barriers, Weaken::Barrier);
}
