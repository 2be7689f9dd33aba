//! The partitions of a member of a sticky group: it takes the records of these and of no others.
//!
//! The owner word of a partition says who has it. A member that lives lets go of its partitions by itself, each once
//! nothing of it is out; those of the dead anybody may take. So two members never have one partition, and what a
//! member knows to be its own is so.
//!
//! Nobody assigns: every member counts who lives, and has an equal share, where that does not come out even one more
//! in the first seats. Who has more lets go, who has fewer takes what is free. A new member makes no other share
//! larger, and one that is gone makes none smaller: so a join moves the share of the newcomer, a death that of the
//! dead, and nothing else moves.

#[cfg(all(test, not(loom)))]
mod tests;

use super::neighbours::Neighbours;
use crate::core::descriptor::Hashes;
use crate::core::geometry::partition_of;
use crate::core::layout::group;
use crate::core::memory::Ordering;
use crate::core::reader::seat::{Seat, owner, released};
use crate::core::words::early::{Death, Fear, First};
use crate::core::words::peers::Peers;
use crate::core::{Core, Position};

/// How often members look who lives, without being told: one that was killed tells nobody.
const LOOK_EVERY_NS: u64 = 100_000_000;

/// What a member has of its group; of one that is not sticky it has everything.
#[derive(Debug)]
pub(super) struct Share {
    /// Partitions of the group, 0 where it is not sticky.
    partitions: u16,
    /// By partition.
    holds: Box<[Hold]>,
    /// How many partitions this member is to have.
    quota: u16,
    /// How many stand [`Here`](Standing::Here), and how many are [`Leaving`](Standing::Leaving).
    kept: u16,
    leaving: u16,
    /// It is to have more, and there was nothing free when it looked last.
    starves: bool,
    /// The group's count of comings and goings at the last look at who lives, and when that was.
    seats: u64,
    looked_at: Option<u64>,
    /// Partitions that whoever runs this member was told are lost, and that are let go of next.
    told: Vec<u16>,
}

/// A partition, as its member knows it.
#[derive(Debug, Clone, Copy, Default)]
struct Hold {
    standing: Standing,
    /// The owner word by which it was taken.
    word: u64,
    /// Records of it that are out.
    out: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Standing {
    /// Another's, or nobody's.
    #[default]
    Elsewhere,
    /// This member's.
    Here,
    /// This member's still, but nothing more of it is taken.
    Leaving,
    /// Lost: it is let go of when whoever runs this member had the time to put its things in order.
    Told,
}

/// Partitions that came and went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) gained: Vec<u16>,
    pub(crate) lost: Vec<u16>,
}

impl Share {
    pub(super) fn new(core: &Core, sticky: bool) -> Self {
        let partitions = if sticky { core.layout.geometry.partitions } else { 0 };
        Self {
            partitions,
            holds: vec![Hold::default(); usize::from(partitions)].into(),
            quota: 0,
            kept: 0,
            leaving: 0,
            starves: false,
            seats: 0,
            looked_at: None,
            told: Vec::new(),
        }
    }

    pub(super) const fn is_sticky(&self) -> bool {
        self.partitions != 0
    }

    /// The partition of a key; 0 where there is none.
    #[inline]
    pub(super) fn partition(&self, key: u64) -> u16 {
        if self.is_sticky() { partition_of(key, self.partitions) } else { 0 }
    }

    /// Whether records of a key may be taken.
    #[inline]
    pub(super) fn has(&self, key: u64) -> bool {
        !self.is_sticky() || self.is_here(self.partition(key))
    }

    /// Whether the record may be taken. Of one that is overwritten or damaged its take finds that out.
    #[inline]
    pub(super) fn has_record(&self, core: &Core, position: Position) -> bool {
        !self.is_sticky()
            || Hashes::load(core, position)
                .is_none_or(|hashes| self.is_here(hashes.partition(self.partitions)))
    }

    /// The seat of another member that has the partition of a record.
    pub(super) fn owner_elsewhere(&self, seat: &Seat, position: Position) -> Option<u16> {
        if !self.is_sticky() {
            return None;
        }
        let partition = Hashes::load(&seat.core, position)?.partition(self.partitions);
        let member = owner(seat.core.memory.load(owner_of(seat, partition), Ordering::Acquire))?;
        (member != seat.member && member < seat.core.layout.geometry.members).then_some(member)
    }

    /// Partitions that are this member's and not told to be lost.
    pub(super) fn own(&self) -> impl Iterator<Item = u16> + '_ {
        let own = |hold: &Hold| matches!(hold.standing, Standing::Here | Standing::Leaving);
        (0..self.partitions).zip(&self.holds).filter(move |(_, hold)| own(hold)).map(|(at, _)| at)
    }

    #[inline]
    fn is_here(&self, partition: u16) -> bool {
        self.holds[usize::from(partition)].standing == Standing::Here
    }

    pub(super) fn went_out(&mut self, partition: u16) {
        if let Some(hold) = self.holds.get_mut(usize::from(partition)) {
            hold.out += 1;
        }
    }

    pub(super) fn came_back(&mut self, partition: u16) {
        if let Some(hold) = self.holds.get_mut(usize::from(partition)) {
            hold.out = hold.out.saturating_sub(1);
        }
    }

    /// Lets go of what an earlier member in this seat died with: the one who sits there now has none of it.
    pub(super) fn release_predecessor(&self, seat: &Seat) {
        for partition in 0..self.partitions {
            let at = owner_of(seat, partition);
            let word = seat.core.memory.load(at, Ordering::Acquire);
            if owner(word) == Some(seat.member) {
                seat.core.memory.cas(at, word, released(word));
            }
        }
    }

    /// Takes part from now on, and tells the others.
    pub(super) fn enter(&self, seat: &Seat) {
        if self.is_sticky() {
            let at = seat.core.layout.member(seat.group, seat.member) + group::MEMBER_SHARES;
            seat.core.memory.store(at, seat.state, Ordering::Release);
            tell_others(seat);
        }
    }

    /// Takes part no more: lets go of all of which nothing is out, and tells the others. The rest goes with the seat.
    pub(super) fn leave(&mut self, seat: &Seat) {
        if !self.is_sticky() {
            return;
        }
        let at = seat.core.layout.member(seat.group, seat.member) + group::MEMBER_SHARES;
        seat.core.memory.store(at, 0, Ordering::Release);
        for partition in 0..self.partitions {
            if self.holds[usize::from(partition)].out == 0 {
                self.let_go(seat, partition);
            }
        }
        tell_others(seat);
    }

    /// Whether [`settle_up`](Self::settle_up) has something to do.
    pub(super) fn is_unsettled(&mut self, seat: &Seat, neighbours: &Neighbours) -> bool {
        if !self.is_sticky() {
            return false;
        }
        self.look(seat, neighbours);
        if !self.told.is_empty() || self.kept > self.quota {
            return true;
        }
        let is_drained = |hold: &Hold| hold.standing == Standing::Leaving && hold.out == 0;
        if self.leaving != 0 && (self.kept < self.quota || self.holds.iter().any(is_drained)) {
            return true;
        }
        if self.kept < self.quota && !self.starves {
            let starves = self.free(seat, neighbours).next().is_none();
            self.starves = starves;
        }
        self.kept < self.quota && !self.starves
    }

    /// Lets go of what was told to be lost; then gives up, and takes, what makes this member's share an equal one.
    /// Those of which something is out follow when that came back.
    pub(super) fn settle_up(&mut self, seat: &Seat, neighbours: &Neighbours) -> Moved {
        if !self.is_unsettled(seat, neighbours) {
            return Moved::default();
        }
        let told = std::mem::take(&mut self.told);
        if !told.is_empty() {
            told.iter().for_each(|&partition| self.let_go(seat, partition));
            tell_others(seat);
        }
        self.choose_who_stays();
        let mut moved = Moved::default();
        for (partition, hold) in (0..self.partitions).zip(&mut self.holds) {
            if hold.standing == Standing::Leaving && hold.out == 0 {
                hold.standing = Standing::Told;
                moved.lost.push(partition);
            }
        }
        self.told.clone_from(&moved.lost);
        let mut missing = self.quota.saturating_sub(self.kept);
        let free: Vec<_> = self.free(seat, neighbours).collect();
        for (partition, word) in free {
            if missing == 0 {
                break;
            }
            if let Some(word) = claim(seat, partition, word) {
                let standing = Standing::Here;
                self.holds[usize::from(partition)] = Hold { standing, word, out: 0 };
                moved.gained.push(partition);
                missing -= 1;
            }
        }
        self.recount();
        self.starves = missing != 0;
        moved
    }

    /// What there are too many of is left, first that of which nothing is out; what was to be left stays where there
    /// is room again.
    fn choose_who_stays(&mut self) {
        let mut over = self.kept.saturating_sub(self.quota);
        for is_busy in [false, true] {
            for hold in self.holds.iter_mut().rev() {
                if over != 0 && hold.standing == Standing::Here && (hold.out != 0) == is_busy {
                    hold.standing = Standing::Leaving;
                    over -= 1;
                }
            }
        }
        let mut room = self.quota.saturating_sub(self.kept);
        for hold in &mut self.holds {
            if room != 0 && hold.standing == Standing::Leaving {
                hold.standing = Standing::Here;
                room -= 1;
            }
        }
        self.recount();
    }

    fn recount(&mut self) {
        let count = |standing| self.holds.iter().filter(|hold| hold.standing == standing).count();
        (self.kept, self.leaving) = (count(Standing::Here) as u16, count(Standing::Leaving) as u16);
    }

    /// Looks who lives, where somebody came or went, or for a while nobody looked.
    fn look(&mut self, seat: &Seat, neighbours: &Neighbours) {
        let at = seat.core.layout.group(seat.group) + group::SEATS;
        let seats = seat.core.memory.load(at, Ordering::Acquire);
        let now = neighbours.now_ns();
        let is_fresh = self.looked_at.is_some_and(|at| now.saturating_sub(at) < LOOK_EVERY_NS);
        if is_fresh && seats == self.seats {
            return;
        }
        (self.seats, self.looked_at, self.starves) = (seats, Some(now), false);
        let (mut members, mut before) = (0, 0);
        for member in 0..seat.core.layout.geometry.members {
            if takes_part(seat, neighbours, member) {
                members += 1;
                before += u16::from(member < seat.member);
            }
        }
        self.quota = quota(self.partitions, members, before);
    }

    /// Partitions that nobody has who lives, with their owner words.
    fn free<'a>(
        &'a self,
        seat: &'a Seat,
        neighbours: &'a Neighbours,
    ) -> impl Iterator<Item = (u16, u64)> + 'a {
        let partitions = (0..self.partitions).zip(&self.holds);
        let elsewhere = partitions.filter(|(_, hold)| hold.standing == Standing::Elsewhere);
        elsewhere.filter_map(move |(partition, _)| {
            let word = seat.core.memory.load(owner_of(seat, partition), Ordering::Acquire);
            // Looked at behind the word: who takes a dead one's seat is no owner by its words.
            let has = |member: u16| member != seat.member && neighbours.is_alive(member);
            (!owner(word).is_some_and(has)).then_some((partition, word))
        })
    }

    fn let_go(&mut self, seat: &Seat, partition: u16) {
        let hold = &mut self.holds[usize::from(partition)];
        if hold.standing != Standing::Elsewhere {
            // It is another word only where the group was moved by force.
            seat.core.memory.cas(owner_of(seat, partition), hold.word, released(hold.word));
            *hold = Hold::default();
        }
    }
}

/// What a worker's desk has to know: who lives, and what is this member's.
pub(super) struct Around<'a> {
    pub(super) neighbours: &'a Neighbours,
    pub(super) share: &'a Share,
    pub(super) core: &'a Core,
}

impl Peers for Around<'_> {
    #[inline]
    fn is_alive(&self, member: u16) -> bool {
        self.neighbours.is_alive(member)
    }

    fn is_proven(&self, member: u16) -> bool {
        self.neighbours.is_proven(member)
    }

    fn death(&self, member: u16, position: Position, beside: bool) -> Death {
        self.neighbours.death(member, position, beside)
    }

    fn died_early(&self, with: Option<Position>) {
        self.neighbours.died_early(with);
    }

    fn gave_up(&self) {
        self.neighbours.gave_up();
    }

    fn fear(&self) -> Fear {
        self.neighbours.fear()
    }

    fn took_first(&self, first: First) {
        self.neighbours.took_first(first);
    }

    fn now_ns(&self) -> u64 {
        self.neighbours.now_ns()
    }

    fn while_dead<T>(&self, member: u16, take: impl FnOnce() -> T) -> Option<T> {
        self.neighbours.while_dead(member, take)
    }

    #[inline]
    fn is_ours(&self, position: Position) -> bool {
        self.share.has_record(self.core, position)
    }

    #[inline]
    fn is_exclusive(&self) -> bool {
        self.share.is_sticky()
    }
}

/// How many of so many partitions the member with so many others `before` it has.
const fn quota(partitions: u16, members: u16, before: u16) -> u16 {
    let members = if members == 0 { 1 } else { members };
    partitions / members + (before < partitions % members) as u16
}

/// Whether the member in that seat lives and shares: one that left and has events out lives still.
fn takes_part(seat: &Seat, neighbours: &Neighbours, member: u16) -> bool {
    let at = seat.core.layout.member(seat.group, member) + group::MEMBER_SHARES;
    seat.core.memory.load(at, Ordering::Acquire) == seat.state && neighbours.is_alive(member)
}

fn owner_of(seat: &Seat, partition: u16) -> usize {
    seat.core.layout.partition(seat.group, partition) + group::PARTITION_OWNER
}

/// Takes a partition whose owner word is `word`; what it is then.
fn claim(seat: &Seat, partition: u16, word: u64) -> Option<u64> {
    let claimed = released(word) | (u64::from(seat.member) + 1);
    seat.core.memory.cas(owner_of(seat, partition), word, claimed).then_some(claimed)
}

/// The others look who lives, and what is free, at once.
pub(super) fn tell_others(seat: &Seat) {
    seat.core.count(seat.group, group::SEATS, 1);
    seat.core.light_fence();
    seat.core.wake_group(seat.group);
}
