//! Members at random against a reference that is as simple as can be: a list of records.
//!
//! Takes, settlements in any order, failures, deaths, seats taken over, evicted zombies that go on, moves of
//! the group back and forth. What must hold is checked at each step, and at the end everything is settled.

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};

use super::super::Position;
use super::super::layout::FIXED;
use super::super::memory::{Memory, Ordering};
use super::cursor;
use super::desk::{Desk, Left, Offer, Terms};
use super::lanes::Key;
use super::peers::Peers;
use super::table::{Settlement, Words};
use super::word::{Counts, Epoch, Stand, Word};
use mixcord_memory::Heap;

const SLOTS: u32 = 16;
const CURSOR: usize = 64;
const WORDS: usize = 128;
const SEATS: u16 = 3;

/// Deterministic noise.
struct Noise(u64);

impl Noise {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[derive(Default)]
struct Seats {
    alive: [Cell<bool>; SEATS as usize],
    proven: [Cell<bool>; SEATS as usize],
    now: Cell<u64>,
}

impl Peers for Seats {
    fn is_alive(&self, member: u16) -> bool {
        self.alive[usize::from(member)].get()
    }
    fn is_proven(&self, member: u16) -> bool {
        self.proven[usize::from(member)].get()
    }
    fn now_ns(&self) -> u64 {
        self.now.get()
    }
    fn while_dead<T>(&self, member: u16, take: impl FnOnce() -> T) -> Option<T> {
        (!self.is_alive(member)).then(take)
    }
}

/// What the reference knows of a record.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    key: Key,
    settled: bool,
    out: Option<u16>,
    retries: Option<u16>,
    counts: Counts,
}

/// A member and what it has out.
struct Member {
    desk: Desk,
    has: Vec<(Position, Key, Word)>,
    epoch: Epoch,
}

struct Scene {
    memory: Memory,
    seats: Seats,
    generation: u64,
    records: Vec<Known>,
    members: [Option<Member>; SEATS as usize],
    /// Evicted ones that do not know it yet.
    zombies: Vec<Member>,
    attempts: u8,
    once: bool,
    noise: Noise,
    buried: u64,
}

fn stand(memory: &Memory, epoch: Epoch) -> Position {
    let stand = Stand(memory.load(CURSOR, Ordering::Acquire));
    assert_eq!(stand.epoch(), epoch, "moved by one of the last epoch");
    stand.position()
}

impl Scene {
    fn new(seed: u64) -> Self {
        let mut noise = Noise(seed * 2_654_435_761 + 88_172_645_463_325_252);
        let memory = Memory::new(Box::new(Heap::new(FIXED)));
        // Near the bounds of both, now and then.
        let generation = if noise.below(2) == 0 { 4_090 } else { 7 };
        let base = if noise.below(2) == 0 { u64::from(SLOTS) * ((1 << 24) - 3) } else { 0 };
        let attempts = noise.below(4) as u8;
        let once = noise.below(5) == 0;
        let this = Self {
            memory,
            seats: Seats::default(),
            generation,
            records: Vec::new(),
            members: [const { None }; SEATS as usize],
            zombies: Vec::new(),
            attempts,
            once,
            noise,
            buried: 0,
        };
        this.memory.store(CURSOR, Stand::new(this.epoch(), base).0, Ordering::Release);
        BASE.set(base);
        this
    }

    fn epoch(&self) -> Epoch {
        Epoch::of(self.generation)
    }

    fn words(&self, epoch: Epoch) -> Words<'_> {
        Words::new(&self.memory, WORDS, SLOTS, epoch)
    }

    fn tail(&self) -> Position {
        BASE.get() + self.records.len() as u64
    }

    fn known(&mut self, position: Position) -> &mut Known {
        &mut self.records[(position - BASE.get()) as usize]
    }

    fn cursor(&self) -> Position {
        stand(&self.memory, self.epoch())
    }

    fn advance(&mut self) {
        let words = self.words(self.epoch());
        let to = cursor::advance(&self.memory, CURSOR, &words, self.tail(), || false).unwrap();
        let first = self.records.iter().position(|known| !known.settled);
        let settled = first.map_or_else(|| self.tail(), |first| BASE.get() + first as u64);
        assert!(to <= settled, "the cursor passed {settled}, which is not settled");
        // What was given once by one who died is found to be done when somebody looks.
        assert!(to == settled || self.once, "{to} instead of {settled}");
    }

    fn publish(&mut self) {
        self.advance();
        let many = self.noise.below(6);
        for _ in 0..many {
            if self.tail() - self.cursor() == u64::from(SLOTS) {
                break;
            }
            let key = self.noise.below(5) as Key;
            self.records.push(Known { key, ..Known::default() });
        }
    }

    fn join(&mut self) {
        let Some(seat) = (0..SEATS).find(|&seat| self.members[usize::from(seat)].is_none()) else {
            return;
        };
        // What the last one in this seat died with.
        let words = self.words(self.epoch());
        for position in self.cursor()..self.tail() {
            let seen = words.look(position);
            if seen.word.member() == Some(seat) && !seen.word.is_past() {
                let proven = self.seats.is_proven(seat);
                words.reclaim(position, seen, proven).expect("nobody else is at work");
            }
        }
        self.seats.alive[usize::from(seat)].set(true);
        self.seats.proven[usize::from(seat)].set(false);
        let terms = Terms { member: seat, attempts: self.attempts, once: self.once };
        let desk = Desk::new(SLOTS, self.cursor(), terms);
        let member = Member { desk, has: Vec::new(), epoch: self.epoch() };
        self.members[usize::from(seat)] = Some(member);
    }

    fn take(&mut self, seat: usize) {
        let Some(mut member) = self.members[seat].take() else { return };
        let keys: Vec<Key> = self.records.iter().map(|known| known.key).collect();
        let cursor = self.cursor();
        if member.desk.lanes.scanned() < cursor {
            member.desk.lanes.restart(cursor);
        }
        while member.desk.lanes.scanned() < self.tail() {
            let at = (member.desk.lanes.scanned() - BASE.get()) as usize;
            member.desk.show(keys[at]);
        }
        let all = self.noise.below(2) == 0;
        let offer = {
            let words = Words::new(&self.memory, WORDS, SLOTS, member.epoch);
            // As who reads a file in which there is nothing.
            (member.desk.met_aside, member.desk.aside) = (false, HashSet::new());
            member.desk.look_again();
            if self.noise.below(3) == 0 {
                member.desk.has_next(&words, &self.seats, all);
            }
            member.desk.next(&words, &self.seats, all)
        };
        match offer {
            None => {}
            Some(Offer::Take { position, key, word }) => {
                self.given(seat as u16, &member, position, key, word);
                member.has.push((position, key, word));
            }
            Some(Offer::Bury { position, key, word }) => {
                self.in_order(position);
                let attempts = self.attempts;
                let known = self.known(position);
                assert!(known.counts.is_spent(attempts), "{known:?} buried");
                known.settled = true;
                self.buried += 1;
                assert!(self.words(self.epoch()).bury(position, word));
                member.desk.left(position, key, Left::Past);
            }
        }
        self.members[seat] = Some(member);
    }

    /// Every earlier record of its key is settled, and it is not.
    fn in_order(&mut self, position: Position) {
        let this = *self.known(position);
        assert!(!this.settled, "{position} is given though it is settled");
        assert_eq!(this.out, None, "{position} is out already");
        let index = (position - BASE.get()) as usize;
        let before = self.records[..index].iter().any(|k| k.key == this.key && !k.settled);
        assert!(!before, "{position} is given before another of its key");
    }

    fn given(&mut self, seat: u16, member: &Member, position: Position, key: Key, word: Word) {
        self.in_order(position);
        assert_eq!(self.known(position).key, key);
        assert_eq!(word.counts(), self.known(position).counts, "what was given in vain is counted");
        assert!(!word.counts().is_spent(self.attempts), "{position} is at its limit");
        if let Some(waiter) = self.known(position).retries {
            assert_eq!(waiter, seat, "another member waits with it");
        }
        let suspects = member.has.iter().any(|(_, _, word)| word.counts().is_suspect());
        let alone = member.has.is_empty() || (!word.counts().is_suspect() && !suspects);
        assert!(alone, "a suspect is given alone");
        let known = self.known(position);
        (known.out, known.retries) = (Some(seat), None);
    }

    fn settle(&mut self, seat: usize) {
        let Some(mut member) = self.members[seat].take() else { return };
        if member.has.is_empty() {
            self.members[seat] = Some(member);
            return;
        }
        let which = self.noise.below(member.has.len() as u64) as usize;
        let (position, key, word) = member.has.swap_remove(which);
        let how = match self.noise.below(10) {
            0 | 1 => Settlement::Retry,
            2 => Settlement::Back,
            3 => Settlement::Dying,
            _ => Settlement::Done,
        };
        let after = self.words(self.epoch()).settle(position, word, how).expect("it is its own");
        assert!(self.words(self.epoch()).settle(position, word, how).is_none(), "settled once");
        let due = self.seats.now.get() + self.noise.below(3);
        let known = self.known(position);
        known.out = None;
        let left = match how {
            Settlement::Done => {
                known.settled = true;
                self.seats.proven[seat].set(true);
                Left::Past
            }
            Settlement::Retry => {
                known.counts = known.counts.failed();
                known.retries = Some(seat as u16);
                Left::Until(due)
            }
            Settlement::Back => Left::Back,
            Settlement::Dying => {
                known.counts = known.counts.failed();
                known.settled = true;
                assert!(self.words(self.epoch()).bury(position, after));
                Left::Past
            }
        };
        member.desk.left(position, key, left);
        self.members[seat] = Some(member);
    }

    fn die(&mut self, seat: usize) {
        let Some(member) = self.members[seat].take() else { return };
        self.seats.alive[seat].set(false);
        let proven = self.seats.proven[seat].get();
        let once = self.once;
        for (position, ..) in member.has {
            let known = self.known(position);
            known.out = None;
            if once {
                known.settled = true;
            } else if proven {
                known.counts = known.counts.died();
            }
        }
        for known in &mut self.records {
            if known.retries == Some(seat as u16) {
                known.retries = None;
            }
        }
    }

    /// The group is moved by force, while its members are at work.
    fn reset(&mut self) {
        self.generation += 1;
        Words::wipe(&self.memory, WORDS, SLOTS);
        let oldest = self.tail().saturating_sub(u64::from(SLOTS)).max(BASE.get());
        let to = oldest + self.noise.below(self.tail() - oldest + 1);
        self.memory.store(CURSOR, Stand::new(self.epoch(), to).0, Ordering::Release);
        for (index, known) in self.records.iter_mut().enumerate() {
            let settled = BASE.get() + (index as u64) < to;
            *known = Known { key: known.key, settled, ..Known::default() };
        }
        for seat in 0..usize::from(SEATS) {
            if let Some(zombie) = self.members[seat].take() {
                self.zombies.push(zombie);
                self.seats.alive[seat].set(false);
            }
        }
    }

    /// One that was evicted and does not know it.
    fn haunt(&mut self) {
        let Some(mut zombie) = self.zombies.pop() else { return };
        let words = Words::new(&self.memory, WORDS, SLOTS, zombie.epoch);
        let moved = cursor::advance(&self.memory, CURSOR, &words, self.tail(), || false);
        assert!(moved.is_err(), "a zombie moved the cursor");
        // What it takes is nobody's: those of the new epoch find it free.
        let _ = zombie.desk.next(&words, &self.seats, true);
        for (position, _, word) in zombie.has {
            assert!(words.settle(position, word, Settlement::Done).is_none(), "a zombie settled");
        }
    }

    fn step(&mut self) {
        let seat = self.noise.below(SEATS.into()) as usize;
        self.seats.now.set(self.seats.now.get() + 1);
        match self.noise.below(40) {
            0..6 => self.publish(),
            6..9 => self.join(),
            9..22 => self.take(seat),
            22..34 => self.settle(seat),
            34 | 35 => self.die(seat),
            36 => self.haunt(),
            37 if self.noise.below(6) == 0 => self.reset(),
            _ => self.advance(),
        }
    }

    /// All that live finish: everything comes to be settled, in bounded time.
    fn finish(&mut self) {
        for round in 0.. {
            assert!(round < 40_000, "{:?}", self.records.iter().find(|k| !k.settled));
            // Further apart than a member waits for a suspect's turn.
            self.seats.now.set(self.seats.now.get() + 700_000_000);
            self.join();
            let seat = self.noise.below(SEATS.into()) as usize;
            self.take(seat);
            self.settle(seat);
            self.advance();
            if self.cursor() == self.tail() {
                break;
            }
        }
        assert!(self.records.iter().all(|known| known.settled));
    }
}

thread_local! {
    /// Position of the first record of the scene.
    static BASE: Cell<Position> = const { Cell::new(0) };
}

#[test]
fn random_members_keep_to_the_reference() {
    let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..400 {
        let mut scene = Scene::new(seed);
        for _ in 0..1_500 {
            scene.step();
        }
        scene.finish();
        *totals.entry("records").or_default() += scene.records.len() as u64;
        *totals.entry("buried").or_default() += scene.buried;
        let suspects = scene.records.iter().filter(|known| known.counts.is_suspect()).count();
        *totals.entry("suspects").or_default() += suspects as u64;
        *totals.entry("epochs").or_default() += scene.generation;
    }
    // It is no proof of anything unless all of it happened.
    assert!(totals.values().all(|&total| total > 100), "{totals:?}");
}
