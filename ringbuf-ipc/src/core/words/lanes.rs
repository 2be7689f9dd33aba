//! Which record is next: a member's private memory of what waits, in lanes of one order key each.
//!
//! Every record between the group's cursor and the tail is linked into the lane of its key once, when it is
//! first seen, and unlinked once. Of a lane only the head matters: those behind it wait for it. Lanes whose
//! head may be had are in a queue, oldest first; lanes whose head somebody else has are parked. So to find a
//! record takes constant time, whatever the number of those that are out, and nothing here is larger than
//! the ring. It is a hint: words decide, and what is remembered of them is never wrong, only late.

use std::collections::VecDeque;

use super::super::Position;
use super::numbers::Numbers;

/// Hash of an order key: what lies beside the descriptors. Two keys of one hash are one lane.
pub(crate) type Key = u32;

/// All lanes that have a record.
#[derive(Debug)]
pub(crate) struct Lanes {
    /// Every record before it was seen.
    scanned: Position,
    /// The first record seen since the last restart.
    base: Position,
    /// By slot.
    links: Box<[Link]>,
    mask: u64,
    lanes: Numbers<Lane>,
    /// Keys to be looked at, oldest first. One whose lane is elsewhere by now is passed over.
    ready: VecDeque<Key>,
    /// Keys whose head somebody else had.
    parked: VecDeque<Key>,
    /// Records that are out with this member and no head any more: they were set aside meanwhile.
    strays: Numbers<()>,
}

/// Where a lane is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the queue of those to be looked at.
    #[default]
    Ready,
    /// Behind somebody else's record.
    Parked,
    /// Its head is with this member: out, or waiting for another try.
    Own,
}

#[derive(Debug, Clone, Copy, Default)]
struct Lane {
    head: Position,
    last: Position,
    place: Place,
    /// The head is out with this member.
    out: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Link {
    /// Distance to the next record of the lane, 0 at its end.
    next: u32,
    key: Key,
}

impl Lane {
    /// Goes on behind its head.
    #[inline]
    fn step(&mut self, links: &[Link], mask: u64) -> Option<Position> {
        if self.head == self.last {
            return None;
        }
        self.head += u64::from(links[(self.head & mask) as usize].next);
        Some(self.head)
    }
}

impl Lanes {
    pub(crate) fn new(slots: u32, from: Position) -> Self {
        Self {
            scanned: from,
            base: from,
            links: vec![Link::default(); slots as usize].into(),
            mask: u64::from(slots) - 1,
            lanes: Numbers::new(),
            ready: VecDeque::new(),
            parked: VecDeque::new(),
            strays: Numbers::new(),
        }
    }

    /// The next record to be shown.
    pub(crate) const fn scanned(&self) -> Position {
        self.scanned
    }

    /// Shows the next record. Gives the lane, if any, of which a record was forgotten that nobody had looked at
    /// since it was settled.
    #[inline]
    pub(crate) fn push(&mut self, key: Key) -> Option<Key> {
        let position = self.scanned;
        let forgotten = self.use_slot(key);
        let first = Lane { head: position, last: position, ..Lane::default() };
        let (lane, new) = self.lanes.entry(key.into(), first);
        if new {
            self.ready.push_back(key);
        } else {
            let before = (lane.last & self.mask) as usize;
            self.links[before].next = (position - lane.last) as u32;
            lane.last = position;
        }
        forgotten
    }

    /// Passes the next record: it is in no lane. Gives the same.
    pub(crate) fn skip(&mut self) -> Option<Key> {
        // A key of nobody's lane: it has more bits than a hash.
        self.use_slot(Key::MAX)
    }

    fn use_slot(&mut self, key: Key) -> Option<Key> {
        let position = self.scanned;
        let slot = (position & self.mask) as usize;
        let mut forgotten = None;
        // What had the slot is settled, or the slot would not have been used again.
        if position > self.base + self.mask {
            let old = self.links[slot].key;
            if self.head(old) == Some(position - self.mask - 1) {
                self.drop_head(old);
                forgotten = Some(old);
            }
        }
        self.links[slot] = Link { next: 0, key };
        self.scanned = position + 1;
        forgotten
    }

    /// Forgets everything before `from`, which is all there is to know of it: that it is settled.
    pub(crate) fn restart(&mut self, from: Position) {
        for lane in self.lanes.values().filter(|lane| lane.out) {
            self.strays.insert(lane.head, ());
        }
        self.lanes.clear();
        self.ready.clear();
        self.parked.clear();
        (self.scanned, self.base) = (from, from);
    }

    /// The record of a lane that those behind it wait for.
    #[inline]
    pub(crate) fn head(&self, key: Key) -> Option<Position> {
        self.lanes.get(key.into()).map(|lane| lane.head)
    }

    /// The head is settled; the record that takes its place.
    #[inline]
    pub(crate) fn drop_head(&mut self, key: Key) -> Option<Position> {
        let mut next = None;
        let Self { lanes, links, mask, strays, .. } = self;
        lanes.change(key.into(), |lane| {
            if std::mem::take(&mut lane.out) {
                strays.insert(lane.head, ());
            }
            next = lane.step(links, *mask);
            next.is_some()
        });
        next
    }

    /// The head is out with this member from now on.
    #[inline]
    pub(crate) fn take_head(&mut self, key: Key) {
        if let Some(lane) = self.lanes.get_mut(key.into()) {
            (lane.place, lane.out) = (Place::Own, true);
        }
    }

    /// A record that was out with this member came back settled; what is behind it may be looked at.
    #[inline]
    pub(crate) fn pass(&mut self, position: Position, key: Key) {
        let (mut was_head, mut is_ready) = (false, false);
        let Self { lanes, links, mask, .. } = self;
        lanes.change(key.into(), |lane| {
            was_head = lane.head == position;
            if was_head {
                lane.out = false;
                if lane.step(links, *mask).is_none() {
                    return false;
                }
            }
            is_ready = lane.place == Place::Own;
            if is_ready {
                lane.place = Place::Ready;
            }
            true
        });
        if !was_head {
            self.strays.remove(position);
        }
        if is_ready {
            self.ready.push_back(key);
        }
    }

    /// A record that was out with this member came back and is to be given again; whether it is the head of its
    /// lane still.
    pub(crate) fn give_back(&mut self, position: Position, key: Key) -> bool {
        match self.lanes.get_mut(key.into()) {
            Some(lane) if lane.head == position => {
                lane.out = false;
                true
            }
            _ => {
                self.strays.remove(position);
                false
            }
        }
    }

    /// Whether a record is out with this member.
    pub(crate) fn is_out(&self, position: Position) -> bool {
        let lane = self.key_of(position).and_then(|key| self.lanes.get(key.into()));
        lane.is_some_and(|lane| lane.head == position && lane.out) || self.strays.contains(position)
    }

    /// The lane to look at next, the oldest, and its head; it is in no queue then.
    #[inline]
    pub(crate) fn pop_ready(&mut self) -> Option<(Key, Position)> {
        while let Some(key) = self.ready.pop_front() {
            if let Some(lane) = self.lanes.get(key.into())
                && lane.place == Place::Ready
            {
                return Some((key, lane.head));
            }
        }
        None
    }

    /// A parked lane, the one parked longest, and its head; it is in no queue then.
    pub(crate) fn pop_parked(&mut self) -> Option<(Key, Position)> {
        while let Some(key) = self.parked.pop_front() {
            if let Some(lane) = self.lanes.get(key.into())
                && lane.place == Place::Parked
            {
                return Some((key, lane.head));
            }
        }
        None
    }

    pub(crate) fn parked(&self) -> usize {
        self.parked.len()
    }

    /// Whether some lane waits to be looked at.
    pub(crate) fn is_any_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Records of a lane, in order.
    pub(crate) fn records(&self, key: Key) -> impl Iterator<Item = Position> + '_ {
        let lane = self.lanes.get(key.into());
        std::iter::successors(lane.map(|lane| lane.head), move |&at| {
            let last = lane.is_none_or(|lane| at == lane.last);
            let distance = self.links[(at & self.mask) as usize].next;
            (!last && distance != 0).then(|| at + u64::from(distance))
        })
    }

    /// The key of a record that was shown and whose slot was not used since.
    pub(crate) fn key_of(&self, position: Position) -> Option<Key> {
        let known = position >= self.base.max(self.scanned.saturating_sub(self.mask + 1));
        (known && position < self.scanned).then(|| self.links[(position & self.mask) as usize].key)
    }

    pub(crate) fn ready_last(&mut self, key: Key) {
        if self.move_to(key, Place::Ready) {
            self.ready.push_back(key);
        }
    }

    pub(crate) fn ready_first(&mut self, key: Key) {
        if self.move_to(key, Place::Ready) {
            self.ready.push_front(key);
        }
    }

    pub(crate) fn park(&mut self, key: Key) {
        if self.move_to(key, Place::Parked) {
            self.parked.push_back(key);
        }
    }

    pub(crate) fn own(&mut self, key: Key) {
        self.move_to(key, Place::Own);
    }

    pub(crate) fn place(&self, key: Key) -> Option<Place> {
        self.lanes.get(key.into()).map(|lane| lane.place)
    }

    fn move_to(&mut self, key: Key, place: Place) -> bool {
        self.lanes.get_mut(key.into()).map(|lane| lane.place = place).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_gives_its_records_in_order_and_ends() {
        let mut lanes = Lanes::new(8, 100);
        for key in [1, 2, 1, 1, 2] {
            lanes.push(key);
        }
        assert_eq!(lanes.records(1).collect::<Vec<_>>(), [100, 102, 103]);
        assert_eq!((lanes.pop_ready(), lanes.pop_ready()), (Some((1, 100)), Some((2, 101))));
        assert_eq!(lanes.drop_head(1), Some(102));
        assert_eq!(lanes.head(1), Some(102));
        assert_eq!((lanes.drop_head(1), lanes.drop_head(1)), (Some(103), None));
        assert_eq!((lanes.head(1), lanes.head(2)), (None, Some(101)));
    }

    #[test]
    fn a_record_whose_slot_is_used_again_is_gone() {
        let mut lanes = Lanes::new(4, 0);
        for key in [7, 7, 8, 9] {
            lanes.push(key);
        }
        lanes.push(8);
        assert_eq!(lanes.records(7).collect::<Vec<_>>(), [1]);
        lanes.push(8);
        assert_eq!(lanes.head(7), None);
        assert_eq!(lanes.records(8).collect::<Vec<_>>(), [2, 4, 5]);
        assert_eq!(lanes.key_of(1), None);
        assert_eq!(lanes.key_of(5), Some(8));
    }

    #[test]
    fn a_lane_is_in_one_queue_at_a_time() {
        let mut lanes = Lanes::new(8, 0);
        lanes.push(1);
        lanes.ready_last(1);
        assert_eq!(lanes.pop_ready(), Some((1, 0)));
        lanes.park(1);
        assert_eq!(lanes.pop_ready(), None);
        assert_eq!(lanes.pop_parked(), Some((1, 0)));
        lanes.own(1);
        lanes.park(2);
        assert_eq!(lanes.pop_parked(), None, "there is no such lane");
    }

    #[test]
    fn what_is_out_is_known_until_it_comes_back_also_when_its_lane_goes_on_without_it() {
        let mut lanes = Lanes::new(4, 0);
        for key in [7, 7, 8] {
            lanes.push(key);
        }
        for key in [7, 8] {
            lanes.take_head(key);
        }
        assert_eq!([0, 1, 2].map(|at| lanes.is_out(at)), [true, false, true]);
        assert_eq!(lanes.drop_head(7), Some(1), "set aside");
        assert_eq!([0, 1, 2].map(|at| lanes.is_out(at)), [true, false, true]);
        lanes.restart(2);
        assert_eq!([0, 1, 2].map(|at| lanes.is_out(at)), [true, false, true]);
        lanes.pass(0, 7);
        assert!(!lanes.give_back(2, 8));
        assert_eq!([0, 1, 2].map(|at| lanes.is_out(at)), [false; 3]);
    }
}
