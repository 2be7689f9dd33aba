//! Words under loom: takes, settlements, thefts from the dead and moves of the group that meet.
//!
//! Run by `RUSTFLAGS="--cfg loom" cargo test -p mixcord-ring --lib loom_words --release`.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering as Plain};
use std::sync::{Arc, Mutex};

use loom::thread;

use super::super::Position;
use super::super::layout::FIXED;
use super::super::memory::{Memory, Ordering};
use super::cursor;
use super::desk::{Desk, Left, Offer, Terms};
use super::peers::Peers;
use super::table::{Settlement, Words};
use super::word::{Counts, Epoch, Stand, State};
use mixcord_memory::Heap;

const SLOTS: u32 = 2;
const CURSOR: usize = 0;
const WORDS: usize = 64;
const EPOCH: Epoch = Epoch::of(1);
const NEXT: Epoch = Epoch::of(2);

/// Seats whose members live; all of them are proven, unless one is left out.
struct Seats {
    alive: Mutex<HashSet<u16>>,
    unproven: Option<u16>,
    /// Held by who takes from the dead, and by who takes a seat.
    succession: loom::sync::Mutex<()>,
}

impl Seats {
    fn new(alive: impl IntoIterator<Item = u16>) -> Self {
        let alive = Mutex::new(alive.into_iter().collect());
        Self { alive, unproven: None, succession: loom::sync::Mutex::new(()) }
    }
}

impl Peers for Seats {
    fn is_alive(&self, member: u16) -> bool {
        self.alive.lock().unwrap().contains(&member)
    }
    fn is_proven(&self, member: u16) -> bool {
        self.unproven != Some(member)
    }
    fn now_ns(&self) -> u64 {
        0
    }
    fn while_dead<T>(&self, member: u16, take: impl FnOnce() -> T) -> Option<T> {
        let _held = self.succession.lock().unwrap();
        (!self.is_alive(member)).then(take)
    }
}

fn memory() -> Arc<Memory> {
    let memory = Memory::new(Box::new(Heap::new(FIXED)));
    // Touched before there are threads: loom makes a word at its first touch.
    Words::wipe(&memory, WORDS, SLOTS);
    memory.store(CURSOR, Stand::new(EPOCH, 0).0, Ordering::Release);
    Arc::new(memory)
}

fn stand(memory: &Memory, epoch: Epoch) -> Position {
    let stand = Stand(memory.load(CURSOR, Ordering::Acquire));
    assert_eq!(stand.epoch(), epoch, "moved by one of the last epoch");
    stand.position()
}

fn words(memory: &Memory, epoch: Epoch) -> Words<'_> {
    Words::new(memory, WORDS, SLOTS, epoch)
}

/// A member that has seen two records of one key.
fn desk(member: u16) -> Desk {
    let mut desk = Desk::new(SLOTS, 0, Terms { member, attempts: 0, once: false });
    desk.lanes.push(7);
    desk.lanes.push(7);
    desk
}

fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.max_branches = 100_000;
    builder.check(model);
}

/// What a member does that comes by once or twice: the positions it was given, in order.
fn work(memory: &Memory, desk: &mut Desk, seats: &Seats, tries: usize) -> Vec<(u64, Counts)> {
    let words = words(memory, desk_epoch());
    let mut given = Vec::new();
    for _ in 0..tries {
        let Some(Offer::Take { position, key, word }) = desk.next(&words, seats, true) else {
            continue;
        };
        given.push((position, word.counts()));
        words.settle(position, word, Settlement::Done).expect("nobody takes it from the living");
        desk.left(position, key, Left::Past);
        cursor::advance(memory, CURSOR, &words, 2, || false).unwrap();
    }
    given
}

const fn desk_epoch() -> Epoch {
    EPOCH
}

#[test]
fn loom_words_two_members_share_a_lane() {
    static BOTH: AtomicUsize = AtomicUsize::new(0);
    explore(|| {
        let memory = memory();
        let seats = Arc::new(Seats::new([0, 1]));
        let other = {
            let (memory, seats) = (Arc::clone(&memory), Arc::clone(&seats));
            thread::spawn(move || work(&memory, &mut desk(1), &seats, 2))
        };
        let mut own = desk(0);
        let mut given = work(&memory, &mut own, &seats, 2);
        let others = other.join().unwrap();
        if !given.is_empty() && !others.is_empty() {
            BOTH.fetch_add(1, Plain::Relaxed);
        }
        let in_order = |given: &[(u64, Counts)]| given.windows(2).all(|pair| pair[0].0 < pair[1].0);
        assert!(in_order(&given) && in_order(&others));
        given.extend(others);
        given.extend(work(&memory, &mut own, &seats, 2));
        given.sort_unstable_by_key(|&(position, _)| position);
        let positions: Vec<_> = given.iter().map(|&(position, _)| position).collect();
        assert_eq!(positions, [0, 1], "each once");
        // Whoever settled last moved the cursor over both.
        assert_eq!(stand(&memory, EPOCH), 2);
    });
    assert_ne!(BOTH.load(Plain::Relaxed), 0, "in some run each got one");
}

/// Both find the holder dead: its death is counted once, and one of them has the record.
#[test]
fn loom_words_stealing_from_the_dead() {
    explore(|| {
        let memory = memory();
        let dead = words(&memory, EPOCH);
        dead.take(0, dead.look(0), 2, false).unwrap();
        let seats = Arc::new(Seats::new([0, 1]));
        let other = {
            let (memory, seats) = (Arc::clone(&memory), Arc::clone(&seats));
            thread::spawn(move || work(&memory, &mut desk(1), &seats, 1))
        };
        let mut own = desk(0);
        let mut given = work(&memory, &mut own, &seats, 1);
        given.extend(other.join().unwrap());
        given.extend(work(&memory, &mut own, &seats, 2));
        given.sort_unstable_by_key(|&(position, _)| position);
        let once = Counts { failures: 0, deaths: 1 };
        assert_eq!(given, [(0, once), (1, Counts::default())]);
    });
}

/// A group is moved back while a member settles and moves the cursor: what it was moved back to is given.
fn moved_while_settled(epoch_first: bool) {
    explore(move || {
        let memory = memory();
        let seats = Seats::new([0]);
        let mut own = desk(0);
        let Some(Offer::Take { position, word, .. }) =
            own.next(&words(&memory, EPOCH), &seats, true)
        else {
            panic!("it is free");
        };
        let member = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || {
                let words = words(&memory, EPOCH);
                let settled = words.settle(position, word, Settlement::Done).is_some();
                let moved = cursor::advance(&memory, CURSOR, &words, 2, || false);
                settled && moved.is_ok()
            })
        };
        // In the wrong order the words of the old epoch are looked at from the new cursor.
        let epoch = if epoch_first { NEXT } else { EPOCH };
        Words::wipe(&memory, WORDS, SLOTS);
        // A swap, as the protocol does it: loom lets a plain store come before a CAS that did not see it.
        memory.swap(CURSOR, Stand::new(epoch, 0).0, Ordering::AcqRel);
        member.join().unwrap();
        let now = words(&memory, epoch);
        assert_eq!(stand(&memory, epoch), 0, "moved by one of the last epoch");
        assert_eq!(now.look(0).word.state(), State::Free, "settled by one of the last epoch");
        let given = now.take(0, now.look(0), 1, false);
        assert!(given.is_some());
    });
}

#[test]
fn loom_words_a_move_is_not_undone_by_the_evicted() {
    moved_while_settled(true);
}

#[test]
#[should_panic(expected = "by one of the last epoch")]
fn loom_words_catches_a_move_without_a_new_epoch() {
    moved_while_settled(false);
}

/// One that does not know of the move takes from the new epoch nothing that is done.
#[test]
fn loom_words_the_evicted_take_nothing_that_is_done() {
    explore(|| {
        let memory = memory();
        let seats = Seats::new([0]);
        let member = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || {
                let _ = desk(0).next(&words(&memory, EPOCH), &seats, true);
            })
        };
        let now = words(&memory, NEXT);
        let word = loop {
            let seen = now.look(0);
            if let Some(word) = now.take(0, seen, 1, false) {
                break word;
            }
        };
        assert!(now.settle(0, word, Settlement::Done).is_some());
        member.join().unwrap();
        assert_eq!(now.look(0).word.state(), State::Done);
    });
}

/// The next in a dead one's seat takes the same record, and so writes the same word: whoever saw the seat empty before
/// takes nothing from it. The dead one is unproven, so that its death changes no count.
fn the_next_in_a_seat(careful: bool) {
    explore(move || {
        let memory = memory();
        let dead = words(&memory, EPOCH);
        dead.take(0, dead.look(0), 1, false).unwrap();
        let seats = Arc::new(Seats { unproven: Some(1), ..Seats::new([0]) });
        let newcomer = {
            let (memory, seats) = (Arc::clone(&memory), Arc::clone(&seats));
            thread::spawn(move || {
                let words = words(&memory, EPOCH);
                seats.alive.lock().unwrap().insert(1);
                if careful {
                    drop(seats.succession.lock().unwrap());
                }
                let seen = words.look(0);
                let left = seen.word.state() == State::Out && seen.word.member() == Some(1);
                let seen = if left { words.reclaim(0, seen, false) } else { None };
                seen.and_then(|_| words.take(0, words.look(0), 1, false))
            })
        };
        let own = desk(0).next(&words(&memory, EPOCH), &*seats, true);
        let others = newcomer.join().unwrap();
        assert!(own.is_none() || others.is_none(), "two have one record");
    });
}

#[test]
fn loom_words_nothing_is_taken_from_the_next_in_a_dead_ones_seat() {
    the_next_in_a_seat(true);
}

#[test]
#[should_panic(expected = "two have one record")]
fn loom_words_catches_a_seat_taken_without_a_word() {
    the_next_in_a_seat(false);
}

/// What a member settles while its evicted group is made to go on is settled there, or fails; and a loss that is told
/// is one.
fn carried(from: Position) {
    explore(move || {
        let memory = memory();
        let evicted = words(&memory, EPOCH);
        let word = evicted.take(0, evicted.look(0), 1, false).unwrap();
        let member = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || words(&memory, EPOCH).settle(0, word, Settlement::Done).is_some())
        };
        let lost = evicted.carry(NEXT, 0..1, from);
        let settled = member.join().unwrap();
        let state = words(&memory, NEXT).look(0).word.state();
        assert_eq!(state == State::Done, settled, "acknowledged, and given again");
        assert_eq!(lost, u64::from(from == 1 && !settled));
    });
}

#[test]
fn loom_words_what_is_settled_while_a_group_goes_on_counts_or_fails() {
    carried(0);
    carried(1);
}
