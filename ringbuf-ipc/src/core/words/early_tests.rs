//! Programs that die before they have settled anything, one start after the other, against the words of a ring.

use std::cell::Cell;

use super::super::Position;
use super::super::layout::FIXED;
use super::super::memory::Memory;
use super::desk::{Desk, Left, Offer, Terms};
use super::early::{ALONE_MAX, ALONE_NS, COUNTS_ANYHOW_AT, COUNTS_AT, Death, Fear, First};
use super::lanes::Key;
use super::peers::Peers;
use super::table::{Settlement, Words};
use super::word::{Epoch, SUSPECT_AT, State, Word};
use mixcord_memory::Heap;

const SLOTS: u32 = 16;
const WORDS: usize = 128;
const ATTEMPTS: u8 = 3;
const SEAT: u16 = 0;
/// Rounds after which a handler that takes long is through.
const LONG: u32 = 20;

/// One seat, in which one member after the other dies.
#[derive(Default)]
struct Group {
    fear: Cell<u64>,
    first: Cell<u64>,
    proven: Cell<bool>,
    now: Cell<u64>,
    /// Records that are not settled.
    left: Cell<usize>,
    /// All records are of one order key.
    one_key: bool,
    /// Its handler is through only when nothing else was given for long.
    takes_long: Option<Position>,
}

impl Group {
    fn key(&self, position: Position) -> Key {
        if self.one_key { 0 } else { position as Key }
    }
}

impl Peers for Group {
    fn is_alive(&self, member: u16) -> bool {
        member == SEAT
    }
    fn is_proven(&self, _: u16) -> bool {
        self.proven.get()
    }
    fn death(&self, _: u16, position: Position, _: bool) -> Death {
        match self.proven.get() {
            true => Death::Counts,
            false => Death::early(First::of(self.first.get()), self.fear(), position, || {
                self.left.get() == 1
            }),
        }
    }
    fn gave_up(&self) {
        self.fear.set(Fear::given_up().0);
    }
    fn died_early(&self, with: Option<Position>) {
        self.fear.set(self.fear().after(with).0);
    }
    fn fear(&self) -> Fear {
        Fear(self.fear.get())
    }
    fn took_first(&self, first: First) {
        self.first.set(first.word());
    }
    fn now_ns(&self) -> u64 {
        self.now.get()
    }
    fn while_dead<T>(&self, _: u16, take: impl FnOnce() -> T) -> Option<T> {
        Some(take())
    }
}

/// What a program did until it died, or had nothing more to do.
#[derive(Debug, Default)]
struct Run {
    given: Vec<Position>,
    buried: Vec<Position>,
    died: bool,
}

/// Starts a program that handles up to `side_by_side` at a time and dies of records for which `kills` holds: of one
/// that does as soon as it runs, before any beside it is done.
fn start(
    memory: &Memory,
    group: &Group,
    records: u64,
    side_by_side: usize,
    kills: impl Fn(Position) -> bool,
) -> Run {
    let words = Words::new(memory, WORDS, SLOTS, Epoch::of(1));
    let is_left = |position: &Position| !words.look(*position).word.is_past();
    group.left.set((0..records).filter(is_left).count());
    for position in 0..records {
        let seen = words.look(position);
        if seen.word.member() == Some(SEAT) && !seen.word.is_past() {
            let death = group.death(SEAT, position, false);
            words.reclaim(position, seen, death == Death::Counts).expect("nobody else is there");
            if let (State::Out, Death::Early(with)) = (seen.word.state(), death) {
                group.died_early(with);
            }
        }
    }
    group.first.set(0);
    group.proven.set(false);
    let mut desk = Desk::new(SLOTS, 0, Terms { member: SEAT, attempts: ATTEMPTS, once: false });
    (0..records).for_each(|position| desk.show(group.key(position)));
    let mut run = Run::default();
    let (mut has, mut still) = (Vec::new(), 0);
    loop {
        // In a while for longer than a suspect's turn is waited for.
        group.now.set(group.now.get() + 700_000_000);
        let before = run.given.len();
        while has.len() < side_by_side {
            match desk.next(&words, group, true) {
                None => break,
                Some(Offer::Take { position, key, word }) => {
                    run.given.push(position);
                    has.push((position, key, word));
                }
                Some(Offer::Bury { position, key, word }) => {
                    assert!(words.bury(position, word));
                    run.buried.push(position);
                    desk.left(position, key, Left::Past);
                }
            }
        }
        if has.iter().any(|&(position, ..)| kills(position)) {
            run.died = true;
            return run;
        }
        if has.is_empty() {
            return run;
        }
        still = if run.given.len() == before { still + 1 } else { 0 };
        let through = |&(position, ..): &(Position, Key, Word)| {
            still > LONG || Some(position) != group.takes_long
        };
        let Some(next) = has.iter().position(through) else { continue };
        let (position, key, word) = has.remove(next);
        words.settle(position, word, Settlement::Done).expect("it is its own");
        if !group.proven.replace(true) {
            group.fear.set(0);
        }
        desk.left(position, key, Left::Past);
        desk.prove();
    }
}

fn memory() -> Memory {
    let memory = Memory::new(Box::new(Heap::new(FIXED)));
    Words::wipe(&memory, WORDS, SLOTS);
    memory
}

/// Starts a program until one start ends well: how many died, and what was buried.
fn starts(records: u64, side_by_side: usize, kills: impl Fn(Position) -> bool) -> (u64, Vec<u64>) {
    let (memory, group) = (memory(), Group::default());
    let mut buried = Vec::new();
    for died in 0.. {
        assert!(died < 100, "{records} records, {side_by_side} side by side: {buried:?}");
        let run = start(&memory, &group, records, side_by_side, &kills);
        buried.extend(run.buried);
        if !run.died {
            return (died, buried);
        }
    }
    unreachable!()
}

#[test]
fn a_record_that_kills_its_process_and_has_none_beside_it_is_given_up() {
    let (died, buried) = starts(1, 8, |_| true);
    let limit = COUNTS_AT + u64::from(SUSPECT_AT) + u64::from(ATTEMPTS);
    assert_eq!((died, buried), (limit, vec![0]));
}

#[test]
fn one_among_others_is_given_up_and_no_other_with_it() {
    for side_by_side in [1, 2, 8] {
        for killer in 0..4 {
            let (died, buried) = starts(4, side_by_side, |position| position == killer);
            assert_eq!(buried, [killer], "{side_by_side} side by side, {died} died");
        }
    }
}

#[test]
fn who_died_with_several_says_nothing_of_any() {
    let (memory, group) = (memory(), Group::default());
    for expected in [Fear::NONE, Fear::NONE.after(None), Fear::NONE.after(Some(0))] {
        start(&memory, &group, 3, 8, |_| true);
        assert_eq!(group.fear(), expected, "counted by the next");
    }
}

/// What waits behind a record was offered to nobody: it may be the program.
#[test]
fn a_program_that_cannot_work_costs_no_record_of_one_key_for_long() {
    let (memory, group) = (memory(), Group { one_key: true, ..Group::default() });
    let limit = COUNTS_ANYHOW_AT + u64::from(SUSPECT_AT) + u64::from(ATTEMPTS);
    for start_number in 0..limit {
        let run = start(&memory, &group, 3, 8, |_| true);
        assert!(run.died && run.buried.is_empty(), "{start_number}: {run:?}");
    }
    assert_eq!(start(&memory, &group, 3, 8, |_| false).buried, [0], "given up in the end");
}

/// Records that come one by one, to a program that cannot work: the first looks as if it were to blame, the next do not.
#[test]
fn of_records_that_come_one_by_one_the_first_alone_is_given_up_soon() {
    let (memory, group) = (memory(), Group::default());
    let deaths_with =
        |record: u64| (0..1000).find(|_| !start(&memory, &group, record + 1, 8, |_| true).died);
    let beyond = u64::from(SUSPECT_AT) + u64::from(ATTEMPTS);
    assert_eq!(deaths_with(0), Some(COUNTS_AT + beyond));
    assert_eq!(deaths_with(1), Some(COUNTS_ANYHOW_AT + beyond));
    assert_eq!(deaths_with(2), Some(COUNTS_ANYHOW_AT + beyond));
}

/// A member that has settled nothing, and has seen so many records.
fn newcomer(records: u64) -> (Memory, Desk) {
    let mut desk = Desk::new(SLOTS, 0, Terms { member: SEAT, attempts: ATTEMPTS, once: false });
    (0..records).for_each(|position| desk.show(position as Key));
    (memory(), desk)
}

fn take(memory: &Memory, group: &Group, desk: &mut Desk) -> Option<Position> {
    match desk.next(&Words::new(memory, WORDS, SLOTS, Epoch::of(1)), group, true)? {
        Offer::Take { position, .. } => Some(position),
        Offer::Bury { .. } => panic!("nothing died as often"),
    }
}

/// P10: a handler that hangs, or waits for another event, keeps each other waiting for a moment at most, and none once
/// there are some.
#[test]
fn one_that_is_out_for_long_keeps_no_other_waiting() {
    for fear in [Fear::NONE.after(None), Fear::NONE.after(Some(0)), Fear::given_up()] {
        let (memory, mut desk) = newcomer(u64::from(ALONE_MAX) + 4);
        let group = Group { fear: Cell::new(fear.0), ..Group::default() };
        assert_eq!(desk.takes_nothing_until(&group), None);
        let mut given = Vec::new();
        for number in 0..u64::from(ALONE_MAX) {
            let taken = take(&memory, &group, &mut desk).expect("one is given");
            assert_eq!(First::of(group.first.get()), First::One(taken), "a death is laid to it");
            given.push(taken);
            for now in [number * ALONE_NS, (number + 1) * ALONE_NS - 1] {
                group.now.set(now);
                assert_eq!(take(&memory, &group, &mut desk), None);
                let looks = desk.takes_nothing_until(&group);
                assert_eq!(looks, Some((number + 1) * ALONE_NS), "looked at again then");
            }
            group.now.set((number + 1) * ALONE_NS);
            assert_eq!(desk.takes_nothing_until(&group), None);
        }
        for _ in 0..4 {
            given.extend(take(&memory, &group, &mut desk));
            assert_eq!(First::of(group.first.get()), First::Several);
            assert_eq!(desk.takes_nothing_until(&group), None);
        }
        given.sort_unstable();
        assert_eq!(given, (0..u64::from(ALONE_MAX) + 4).collect::<Vec<_>>());
    }
}

/// What takes long is out at each death, and did nothing.
#[test]
fn what_kills_beside_a_handler_that_takes_long_is_given_up_in_the_end() {
    for (records, others) in [(2, 0), (4, 2)] {
        for killer in 1..records {
            let (memory, group) = (memory(), Group { takes_long: Some(0), ..Group::default() });
            let mut buried = Vec::new();
            let mut start = || {
                let run = start(&memory, &group, records, 8, |position| position == killer);
                buried.extend(run.buried);
                run.died
            };
            let starts = (0..1000).find(|_| !start());
            assert_eq!((buried, starts.is_some()), (vec![killer], true), "{others} others");
        }
    }
}

/// Another member writes it down: the next one is as cheap as that was.
#[test]
fn who_comes_too_late_to_give_a_record_up_has_not_given_it_up() {
    struct Overtaken<'a>(&'a Group, Words<'a>, Cell<u32>);
    impl Peers for Overtaken<'_> {
        fn is_alive(&self, _: u16) -> bool {
            true
        }
        fn is_proven(&self, member: u16) -> bool {
            self.0.is_proven(member)
        }
        fn gave_up(&self) {
            self.0.gave_up();
        }
        fn fear(&self) -> Fear {
            self.0.fear()
        }
        fn now_ns(&self) -> u64 {
            self.0.now_ns()
        }
        fn while_dead<T>(&self, _: u16, _: impl FnOnce() -> T) -> Option<T> {
            None
        }
        /// Asked between the look at a word and its change; for the second time when there is nothing else to give.
        fn is_ours(&self, position: Position) -> bool {
            if self.2.replace(self.2.get() + 1) == 1 {
                self.1.condemn(position, self.1.look(position), SEAT + 1).expect("it is free");
            }
            true
        }
    }
    let (memory, mut desk) = newcomer(1);
    let fear = (0..COUNTS_AT).fold(Fear::NONE, |fear, _| fear.after(Some(0)));
    let group = Group { fear: Cell::new(fear.0), ..Group::default() };
    let words = Words::new(&memory, WORDS, SLOTS, Epoch::of(1));
    for _ in 0..SUSPECT_AT + ATTEMPTS {
        let seen = words.look(0);
        words.take(0, seen, SEAT, false).expect("it is free");
        words.reclaim(0, words.look(0), true).expect("it is out");
    }
    assert!(words.look(0).word.counts().is_spent(ATTEMPTS));
    assert_eq!(desk.next(&words, &Overtaken(&group, words, Cell::new(0)), true), None);
    assert_eq!(words.look(0).word.member(), Some(SEAT + 1));
    assert_eq!(group.fear(), fear, "the other says it");
}

/// Else its key would wait until the member has caught up.
#[test]
fn what_was_to_come_last_has_its_turn_among_others_once_something_is_settled() {
    let (memory, mut desk) = newcomer(3);
    let group =
        Group { fear: Cell::new(Fear::NONE.after(Some(0)).after(Some(0)).0), ..Group::default() };
    assert_eq!(take(&memory, &group, &mut desk), Some(1));
    desk.left(1, 1, Left::Past);
    desk.prove();
    let mut given = Vec::new();
    for new in 3..6 {
        desk.show(new);
        given.extend(take(&memory, &group, &mut desk));
    }
    assert!(given.contains(&0), "new ones come without end: {given:?}");
}

/// Members in other seats die with one record after the other.
#[test]
fn of_two_that_were_to_come_last_none_is_forgotten() {
    let (memory, mut desk) = newcomer(2);
    let feared = |position| Fear::NONE.after(Some(position)).after(Some(position)).0;
    let group = Group { fear: Cell::new(feared(0)), ..Group::default() };
    let words = Words::new(&memory, WORDS, SLOTS, Epoch::of(1));
    assert_eq!(take(&memory, &group, &mut desk), Some(1));
    words.settle(1, words.look(1).word, Settlement::Back).expect("it is its own");
    desk.left(1, 1, Left::Back);
    group.fear.set(feared(1));
    assert_eq!(take(&memory, &group, &mut desk), Some(0));
    group.now.set(ALONE_NS);
    assert_eq!(take(&memory, &group, &mut desk), Some(1));
}

/// A program that dies of whatever it is given has nothing given up, where there are records of two keys.
#[test]
fn a_program_that_cannot_work_costs_no_record() {
    for side_by_side in [1, 2, 8] {
        let (memory, group) = (memory(), Group::default());
        let mut given = [0; 3];
        for _ in 0..1000 {
            let run = start(&memory, &group, 3, side_by_side, |_| true);
            assert!(run.died && run.buried.is_empty(), "{run:?}");
            run.given.iter().for_each(|&position| given[position as usize] += 1);
        }
        let words = Words::new(&memory, WORDS, SLOTS, Epoch::of(1));
        let counted = (0..3).any(|position| words.look(position).word.counts().deaths != 0);
        assert!(!counted, "{side_by_side} side by side: {given:?}");
    }
}
