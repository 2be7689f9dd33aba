//! What one member has done is not done again by the next, and not overwritten before it is done.
//!
//! A thread that stores starts before those who load: of a word that it had loaded itself before, loom
//! would not try the others' earlier loads. Where light fences are whole ones, some of them would do for
//! the order asked for: such a model has barriers.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use loom::thread;

use super::super::Core;
use super::super::descriptor::Descriptor;
use super::super::groups;
use super::super::layout::{Layout, group};
use super::super::memory::{Ordering, Weaken};
use super::super::reader::Reader;
use super::super::writer::Writer;
use super::{LIMITS, Met, Pair, explore, key_of, layout, put, put_in, ring, ring_with, spec};

fn owner_of(layout: &Layout, partition: u16) -> usize {
    layout.partition(0, partition) + group::PARTITION_OWNER
}

fn cursor_of(layout: &Layout, partition: u16) -> usize {
    layout.partition(0, partition) + group::PARTITION_CURSOR
}

/// A member that takes hold of a partition as soon as another lets go of it finds how far that one came.
fn taking_after(weaken: Weaken) {
    static TAKEN: Met = Met::new();
    explore(weaken, 3, || {
        let (core, _) = ring_with(Pair::Barriers, 2, 1, 0);
        groups::declare(&core, &spec()).unwrap();
        let mut writer = Writer::resume(Arc::clone(&core)).unwrap();
        let mut first = ManuallyDrop::new(Reader::join(&core, &spec(), None).unwrap());
        let mut second = ManuallyDrop::new(Reader::join(&core, &spec(), None).unwrap());
        assert!(put(&mut writer));
        let (hold, _) = first.take(LIMITS, false).unwrap().unwrap();
        let word = owner_of(&core.layout, 0);
        let held = core.memory.load(word, Ordering::Relaxed);
        let done = thread::spawn(move || {
            hold.advance(hold.next);
            drop(hold);
        });
        let taking = thread::spawn(move || {
            let taken = ManuallyDrop::new(second.take(LIMITS, false).unwrap());
            assert!(taken.is_none(), "a record that was acknowledged is given again");
        });
        done.join().unwrap();
        taking.join().unwrap();
        // Let go once by the first; and taken, and let go again for want of work, by the second.
        let changes = (core.memory.load(word, Ordering::Relaxed) >> 16) - (held >> 16);
        assert!(changes == 1 || changes == 3, "{changes}");
        TAKEN.note(changes == 3);
    });
    TAKEN.check();
}

#[test]
fn loom_taking_after_another() {
    taking_after(Weaken::Nothing);
}

#[test]
#[should_panic(expected = "a record that was acknowledged is given again")]
fn loom_catches_a_relaxed_release_of_a_partition() {
    taking_after(Weaken::ReleaseOf(owner_of(&layout(2, 1, 2), 0)));
}

/// A record is overwritten after the member that acknowledges it has read it.
fn acknowledged(weaken: Weaken) {
    static OVERWRITTEN: Met = Met::new();
    static REFUSED: Met = Met::new();
    explore(weaken, 3, || {
        let (core, _) = ring_with(Pair::Barriers, 2, 1, 0);
        groups::declare(&core, &spec()).unwrap();
        let mut writer = ManuallyDrop::new(Writer::resume(Arc::clone(&core)).unwrap());
        let mut reader = ManuallyDrop::new(Reader::join(&core, &spec(), None).unwrap());
        assert!(put(&mut writer) && put(&mut writer));
        let (hold, _) = reader.take(LIMITS, false).unwrap().unwrap();
        let holder = thread::spawn(move || {
            look_again(&hold.seat.core);
            hold.advance(1);
            std::mem::forget(hold);
        });
        let producer = thread::spawn(move || {
            let overwritten = put(&mut writer);
            OVERWRITTEN.note(overwritten);
            REFUSED.note(!overwritten);
        });
        [holder, producer].into_iter().for_each(|thread| thread.join().unwrap());
    });
    OVERWRITTEN.check();
    REFUSED.check();
}

/// Reads the first record where it lies, as who holds a lease does.
fn look_again(core: &Core) {
    Descriptor::load(core, 0).unwrap().copy(core, &mut [0; 8]).unwrap();
}

#[test]
fn loom_an_acknowledged_record_was_read() {
    acknowledged(Weaken::Nothing);
}

#[test]
#[should_panic(expected = "Concurrent atomic store and `unsync_load`")]
fn loom_catches_a_relaxed_floor() {
    acknowledged(Weaken::ReleaseOf(layout(2, 1, 2).group(0) + group::FLOOR));
}

/// The same, whoever raised the floor.
fn raised_by_another(weaken: Weaken) {
    static OVERWRITTEN: Met = Met::new();
    static REFUSED: Met = Met::new();
    explore(weaken, 3, || {
        let (core, _) = ring(2, 2, 0);
        groups::declare(&core, &spec()).unwrap();
        let mut writer = ManuallyDrop::new(Writer::resume(Arc::clone(&core)).unwrap());
        let mut reader = ManuallyDrop::new(Reader::join(&core, &spec(), None).unwrap());
        assert!(put_in(&mut writer, key_of(0)) && put_in(&mut writer, key_of(1)));
        let (hold, _) = reader.take(LIMITS, false).unwrap().unwrap();
        let (other, _) = reader.take(LIMITS, false).unwrap().unwrap();
        other.advance(other.next);
        std::mem::forget(other);
        assert_eq!((hold.partition, core.group_floor(0)), (0, 0));
        let holder = thread::spawn(move || {
            look_again(&hold.seat.core);
            hold.advance(hold.next);
            std::mem::forget(hold);
        });
        let theirs = Arc::clone(&core);
        let raiser = thread::spawn(move || theirs.advance_floor(0, theirs.group_epoch(0)));
        let producer = thread::spawn(move || {
            let overwritten = put(&mut writer);
            OVERWRITTEN.note(overwritten);
            REFUSED.note(!overwritten);
        });
        [holder, raiser, producer].into_iter().for_each(|thread| thread.join().unwrap());
    });
    OVERWRITTEN.check();
    REFUSED.check();
}

#[test]
fn loom_a_floor_raised_by_another() {
    raised_by_another(Weaken::Nothing);
}

#[test]
#[should_panic(expected = "Concurrent atomic store and `unsync_load`")]
fn loom_catches_a_relaxed_cursor() {
    raised_by_another(Weaken::ReleaseOf(cursor_of(&layout(2, 2, 2), 0)));
}
