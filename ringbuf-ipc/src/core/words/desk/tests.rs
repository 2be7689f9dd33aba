//! What is fresh is taken at a glance only where nothing else is to be minded.

use std::cell::Cell;

use super::*;
use crate::core::layout::FIXED;
use crate::core::memory::Memory;
use crate::core::words::table::Settlement;
use crate::core::words::word::Epoch;
use mixcord_memory::Heap;

const WORDS: usize = 128;
const SLOTS: u32 = 8;

/// The others of the group: none lives.
struct Others {
    has_ours: bool,
    now: Cell<u64>,
}

impl Peers for Others {
    fn is_alive(&self, member: u16) -> bool {
        member == 0
    }
    fn is_proven(&self, _: u16) -> bool {
        true
    }
    fn now_ns(&self) -> u64 {
        self.now.get()
    }
    fn while_dead<T>(&self, _: u16, take: impl FnOnce() -> T) -> Option<T> {
        Some(take())
    }
    fn is_ours(&self, _: Position) -> bool {
        self.has_ours
    }
}

struct Scene {
    memory: Memory,
    desk: Desk,
    others: Others,
}

impl Scene {
    /// A member that has settled something, and has seen a record of each of these keys.
    fn new(keys: std::ops::Range<Key>) -> Self {
        let memory = Memory::new(Box::new(Heap::new(FIXED)));
        Words::wipe(&memory, WORDS, SLOTS);
        let mut desk = Desk::new(SLOTS, 0, Terms { member: 0, attempts: 0, once: false });
        desk.prove();
        keys.for_each(|key| desk.show(key));
        Self { memory, desk, others: Others { has_ours: true, now: Cell::new(0) } }
    }

    fn words(&self) -> Words<'_> {
        Words::new(&self.memory, WORDS, SLOTS, Epoch::of(1))
    }

    fn take(&mut self) -> Option<Position> {
        let words = Words::new(&self.memory, WORDS, SLOTS, Epoch::of(1));
        match self.desk.next(&words, &self.others, true)? {
            Offer::Take { position, .. } => Some(position),
            Offer::Bury { .. } => panic!("there is no limit"),
        }
    }
}

#[test]
fn nothing_newer_of_a_key_before_what_is_aside() {
    let mut scene = Scene::new(0..2);
    scene.desk.aside.insert(0);
    assert_eq!([scene.take(), scene.take()], [Some(1), None]);
}

#[test]
fn nothing_of_anothers_partition() {
    let mut scene = Scene::new(0..2);
    scene.others.has_ours = false;
    assert_eq!(scene.take(), None);
}

#[test]
fn nothing_while_a_suspect_waits_for_its_turn() {
    let mut scene = Scene::new(0..4);
    for _ in 0..2 {
        let words = scene.words();
        words.take(1, words.look(1), 5, false).expect("it is free");
        words.reclaim(1, words.look(1), true).expect("nobody else is at work");
    }
    assert_eq!([scene.take(), scene.take(), scene.take()], [Some(0), Some(2), None]);
}

/// Else one that failed would wait as long as new ones come.
#[test]
fn what_is_to_be_tried_again_has_its_turn_among_others() {
    let mut scene = Scene::new(0..3);
    assert_eq!(scene.take(), Some(0));
    let words = scene.words();
    let word = words.look(0).word;
    words.settle(0, word, Settlement::Retry).expect("it is its own");
    scene.desk.left(0, 0, Left::Until(5));
    scene.others.now.set(10);
    assert_eq!(scene.take(), Some(1));
    scene.desk.show(3);
    assert_eq!([scene.take(), scene.take(), scene.take()], [Some(2), Some(0), Some(3)]);
}
