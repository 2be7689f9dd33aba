//! Which record is next: a member's private memory of what waits, in lanes of one order key each.
//!
//! Every record between the group's cursor and the tail is linked into the lane of its key once, when it is
//! first seen, and unlinked once. Of a lane only the head matters: those behind it wait for it. Lanes whose
//! head may be had are in a queue, oldest first; lanes whose head somebody else has are parked. So to find a
//! record takes constant time, whatever the number of those that are out, and nothing here is larger than
//! the ring. It is a hint: words decide, and what is remembered of them is never wrong, only late.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use super::super::Position;

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
    lanes: HashMap<Key, Lane, BuildHasherDefault<AsIs>>,
    /// Keys to be looked at, oldest first. One whose lane is elsewhere by now is passed over.
    ready: VecDeque<Key>,
    /// Keys whose head somebody else had.
    parked: VecDeque<Key>,
}

/// Where a lane is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the queue of those to be looked at.
    Ready,
    /// Behind somebody else's record.
    Parked,
    /// Its head is with this member: out, or waiting for another try.
    Own,
}

#[derive(Debug, Clone, Copy)]
struct Lane {
    head: Position,
    last: Position,
    place: Place,
}

#[derive(Debug, Clone, Copy, Default)]
struct Link {
    /// Distance to the next record of the lane, 0 at its end.
    next: u32,
    key: Key,
}

impl Lanes {
    pub(crate) fn new(slots: u32, from: Position) -> Self {
        Self {
            scanned: from,
            base: from,
            links: vec![Link::default(); slots as usize].into(),
            mask: u64::from(slots) - 1,
            lanes: HashMap::default(),
            ready: VecDeque::new(),
            parked: VecDeque::new(),
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
        match self.lanes.entry(key) {
            Entry::Occupied(mut lane) => {
                let lane = lane.get_mut();
                let before = (lane.last & self.mask) as usize;
                self.links[before].next = (position - lane.last) as u32;
                lane.last = position;
            }
            Entry::Vacant(place) => {
                place.insert(Lane { head: position, last: position, place: Place::Ready });
                self.ready.push_back(key);
            }
        }
        forgotten
    }

    /// Forgets everything before `from`, which is all there is to know of it: that it is settled.
    pub(crate) fn restart(&mut self, from: Position) {
        self.lanes.clear();
        self.ready.clear();
        self.parked.clear();
        (self.scanned, self.base) = (from, from);
    }

    /// The record of a lane that those behind it wait for.
    #[inline]
    pub(crate) fn head(&self, key: Key) -> Option<Position> {
        self.lanes.get(&key).map(|lane| lane.head)
    }

    /// The head is settled; whether another record takes its place.
    pub(crate) fn drop_head(&mut self, key: Key) -> bool {
        let Some(lane) = self.lanes.get_mut(&key) else { return false };
        match self.links[(lane.head & self.mask) as usize].next {
            _ if lane.head == lane.last => {
                self.lanes.remove(&key);
                false
            }
            distance => {
                lane.head += u64::from(distance);
                true
            }
        }
    }

    /// The lane to look at next, the oldest; it is in no queue then.
    pub(crate) fn pop_ready(&mut self) -> Option<Key> {
        while let Some(key) = self.ready.pop_front() {
            if self.place(key) == Some(Place::Ready) {
                return Some(key);
            }
        }
        None
    }

    /// A parked lane, the one parked longest; it is in no queue then.
    pub(crate) fn pop_parked(&mut self) -> Option<Key> {
        while let Some(key) = self.parked.pop_front() {
            if self.place(key) == Some(Place::Parked) {
                return Some(key);
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
        let lane = self.lanes.get(&key).copied();
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
        self.lanes.get(&key).map(|lane| lane.place)
    }

    fn move_to(&mut self, key: Key, place: Place) -> bool {
        self.lanes.get_mut(&key).map(|lane| lane.place = place).is_some()
    }
}

/// Spreads what is spread well already: hashes, and numbers in a row.
#[derive(Debug, Default)]
pub(crate) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0 << 8 | u64::from(byte);
        }
    }

    fn write_u32(&mut self, key: u32) {
        self.write_u64(key.into());
    }

    fn write_u64(&mut self, number: u64) {
        // The map takes its place from the low bits and its tag from the high ones.
        let product = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = product ^ (product >> 32);
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
        assert_eq!((lanes.pop_ready(), lanes.pop_ready()), (Some(1), Some(2)));
        assert!(lanes.drop_head(1));
        assert_eq!(lanes.head(1), Some(102));
        assert!(lanes.drop_head(1) && !lanes.drop_head(1));
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
        assert_eq!(lanes.pop_ready(), Some(1));
        lanes.park(1);
        assert_eq!(lanes.pop_ready(), None);
        assert_eq!(lanes.pop_parked(), Some(1));
        lanes.own(1);
        lanes.park(2);
        assert_eq!(lanes.pop_parked(), None, "there is no such lane");
    }
}
