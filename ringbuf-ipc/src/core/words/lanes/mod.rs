//! Which record is next: a member's private memory of what waits, in lanes of one order key each.
//!
//! Every record between the group's cursor and the tail is linked into the lane of its key once, when it is
//! first seen, and unlinked once. Of a lane only the head matters: those behind it wait for it. Lanes whose
//! head may be had are in a queue, oldest first; lanes whose head somebody else has are parked. So to find a
//! record takes constant time, whatever the number of those that are out, and nothing here is larger than
//! the ring. It is a hint: words decide, and what is remembered of them is never wrong, only late.
//!
//! The table of keys is asked once for each record, when that is shown; from then on its link says which lane it
//! is in. A lane that came to its end stays for the next record of its key, until the table of [`keys`] is full.

mod keys;
mod lane;
#[cfg(test)]
mod tests;

use std::collections::{HashSet, VecDeque};

use self::keys::Keys;
pub(crate) use self::lane::Place;
use self::lane::{Lane, Link};
use super::super::Position;

/// Hash of an order key: what lies beside the descriptors. Two keys of one hash are one lane.
pub(crate) type Key = u32;

/// All lanes that have a record, or had one.
#[derive(Debug)]
pub(crate) struct Lanes {
    /// Every record before it was seen.
    scanned: Position,
    /// The first record seen since the last restart.
    base: Position,
    /// By slot.
    links: Box<[Link]>,
    mask: u64,
    keys: Keys,
    /// By number.
    lanes: Vec<Lane>,
    /// Numbers of those that are no key's.
    spare: Vec<u32>,
    /// Lanes to be looked at, oldest first. One that is elsewhere by now is passed over.
    ready: VecDeque<u32>,
    /// Lanes whose head somebody else had.
    parked: VecDeque<u32>,
    /// Records that are out with this member and no head any more: they were set aside meanwhile.
    strays: HashSet<Position>,
}

/// The number of no lane.
const NOWHERE: u32 = u32::MAX;

impl Lanes {
    pub(crate) fn new(slots: u32, from: Position) -> Self {
        Self {
            scanned: from,
            base: from,
            links: vec![Link::default(); slots as usize].into(),
            mask: u64::from(slots) - 1,
            keys: Keys::new(),
            lanes: Vec::new(),
            spare: Vec::new(),
            ready: VecDeque::new(),
            parked: VecDeque::new(),
            strays: HashSet::new(),
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
        let forgotten = self.forget_slot();
        let number = self.lane_for(key);
        let lane = &mut self.lanes[number as usize];
        if lane.place == Place::Ended {
            *lane = Lane { head: position, last: position, key, place: Place::Ready, out: false };
            self.ready.push_back(number);
        } else {
            let before = (lane.last & self.mask) as usize;
            self.links[before].next = (position - lane.last) as u32;
            lane.last = position;
        }
        self.use_slot(number);
        forgotten
    }

    /// Passes the next record: it is in no lane. Gives the same.
    pub(crate) fn skip(&mut self) -> Option<Key> {
        let forgotten = self.forget_slot();
        self.use_slot(NOWHERE);
        forgotten
    }

    #[inline]
    fn forget_slot(&mut self) -> Option<Key> {
        // What had the slot is settled, or the slot would not have been used again.
        let old = self.scanned.checked_sub(self.mask + 1).filter(|&old| old >= self.base)?;
        let number = self.links[(old & self.mask) as usize].lane;
        let lane = self.lanes.get(number as usize)?;
        (lane.place != Place::Ended && lane.head == old).then_some(())?;
        let key = lane.key;
        self.drop_head_of(number);
        Some(key)
    }

    #[inline]
    fn use_slot(&mut self, lane: u32) {
        self.links[(self.scanned & self.mask) as usize] = Link { next: 0, lane };
        self.scanned += 1;
    }

    /// The lane of a key, made if there is none.
    #[inline]
    fn lane_for(&mut self, key: Key) -> u32 {
        if let Some(number) = self.keys.get(key) { number } else { self.make(key) }
    }

    fn make(&mut self, key: Key) -> u32 {
        if self.keys.is_full() {
            self.drop_ended();
        }
        let number = self.spare.pop().unwrap_or_else(|| {
            self.lanes.push(Lane::default());
            self.lanes.len() as u32 - 1
        });
        self.lanes[number as usize] = Lane { key, ..Lane::default() };
        self.keys.insert(key, number);
        number
    }

    /// Lanes without records are no key's any more.
    #[cold]
    fn drop_ended(&mut self) {
        let numbered = || (0..).zip(&self.lanes);
        let ended = |lane: &Lane| lane.place == Place::Ended;
        self.spare.clear();
        self.spare.extend(numbered().filter(|(_, lane)| ended(lane)).map(|(number, _)| number));
        let left = numbered().filter(|(_, lane)| !ended(lane));
        let left = left.map(|(number, lane)| (lane.key, number));
        self.keys.rebuild(self.lanes.len() - self.spare.len(), left);
    }

    /// The number of the lane of a key that has records.
    fn find(&self, key: Key) -> Option<u32> {
        self.keys.get(key).filter(|&at| self.lanes[at as usize].place != Place::Ended)
    }

    fn lane(&self, key: Key) -> Option<&Lane> {
        self.find(key).map(|number| &self.lanes[number as usize])
    }

    /// The same of a record of that key, without a look at the table as long as its link stands.
    #[inline]
    fn find_by(&self, position: Position, key: Key) -> Option<u32> {
        let number = self.links[(position & self.mask) as usize].lane;
        let lane = self.lanes.get(number as usize);
        if lane.is_some_and(|lane| lane.key == key && lane.place != Place::Ended) {
            return Some(number);
        }
        self.find(key)
    }

    /// Forgets everything before `from`, which is all there is to know of it: that it is settled.
    pub(crate) fn restart(&mut self, from: Position) {
        let out = self.lanes.iter().filter(|lane| lane.place != Place::Ended && lane.out);
        self.strays.extend(out.map(|lane| lane.head));
        self.keys.clear();
        self.lanes.clear();
        self.spare.clear();
        self.ready.clear();
        self.parked.clear();
        (self.scanned, self.base) = (from, from);
    }

    /// The record of a lane that those behind it wait for.
    #[inline]
    pub(crate) fn head(&self, key: Key) -> Option<Position> {
        self.lane(key).map(|lane| lane.head)
    }

    /// The head is settled; the record that takes its place.
    #[inline]
    pub(crate) fn drop_head(&mut self, key: Key) -> Option<Position> {
        let number = self.find(key)?;
        self.drop_head_of(number)
    }

    fn drop_head_of(&mut self, number: u32) -> Option<Position> {
        let lane = &mut self.lanes[number as usize];
        if std::mem::take(&mut lane.out) {
            self.strays.insert(lane.head);
        }
        lane.step(&self.links, self.mask)
    }

    /// The head, which is `position`, is out with this member from now on.
    #[inline]
    pub(crate) fn take_head(&mut self, position: Position, key: Key) {
        if let Some(number) = self.find_by(position, key) {
            let lane = &mut self.lanes[number as usize];
            (lane.place, lane.out) = (Place::Own, true);
        }
    }

    /// A record that was out with this member came back settled; what is behind it may be looked at.
    #[inline]
    pub(crate) fn pass(&mut self, position: Position, key: Key) {
        let Some(number) = self.find_by(position, key) else {
            self.strays.remove(&position);
            return;
        };
        let lane = &mut self.lanes[number as usize];
        if lane.head == position {
            lane.out = false;
            if lane.step(&self.links, self.mask).is_none() {
                return;
            }
        } else {
            self.strays.remove(&position);
        }
        if lane.place == Place::Own {
            lane.place = Place::Ready;
            self.ready.push_back(number);
        }
    }

    /// A record that was out with this member came back and is to be given again; whether it is the head of its
    /// lane still.
    pub(crate) fn give_back(&mut self, position: Position, key: Key) -> bool {
        if let Some(number) = self.find_by(position, key)
            && self.lanes[number as usize].head == position
        {
            self.lanes[number as usize].out = false;
            return true;
        }
        self.strays.remove(&position);
        false
    }

    /// Whether a record is out with this member.
    pub(crate) fn is_out(&self, position: Position) -> bool {
        let lane = self.key_of(position).and_then(|key| self.lane(key));
        lane.is_some_and(|lane| lane.head == position && lane.out)
            || self.strays.contains(&position)
    }

    /// The lane to look at next, the oldest, and its head; it is in no queue then.
    #[inline]
    pub(crate) fn pop_ready(&mut self) -> Option<(Key, Position)> {
        while let Some(number) = self.ready.pop_front() {
            if let Some(lane) = self.lanes.get(number as usize)
                && lane.place == Place::Ready
            {
                return Some((lane.key, lane.head));
            }
        }
        None
    }

    /// The same, and it stays where it is.
    #[inline]
    pub(crate) fn first_ready(&mut self) -> Option<(Key, Position)> {
        while let Some(&number) = self.ready.front() {
            if let Some(lane) = self.lanes.get(number as usize)
                && lane.place == Place::Ready
            {
                return Some((lane.key, lane.head));
            }
            self.ready.pop_front();
        }
        None
    }

    /// The head of that lane is out with this member from now on.
    #[inline]
    pub(crate) fn take_first_ready(&mut self) {
        if let Some(number) = self.ready.pop_front()
            && let Some(lane) = self.lanes.get_mut(number as usize)
        {
            (lane.place, lane.out) = (Place::Own, true);
        }
    }

    /// A parked lane, the one parked longest, and its head; it is in no queue then.
    pub(crate) fn pop_parked(&mut self) -> Option<(Key, Position)> {
        while let Some(number) = self.parked.pop_front() {
            if let Some(lane) = self.lanes.get(number as usize)
                && lane.place == Place::Parked
            {
                return Some((lane.key, lane.head));
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
        let lane = self.lane(key);
        std::iter::successors(lane.map(|lane| lane.head), move |&at| {
            let last = lane.is_none_or(|lane| at == lane.last);
            let distance = self.links[(at & self.mask) as usize].next;
            (!last && distance != 0).then(|| at + u64::from(distance))
        })
    }

    /// The key of a record that was shown, whose slot was not used since and whose lane has not passed it.
    pub(crate) fn key_of(&self, position: Position) -> Option<Key> {
        let known = position >= self.base.max(self.scanned.saturating_sub(self.mask + 1));
        if !known || position >= self.scanned {
            return None;
        }
        let number = self.links[(position & self.mask) as usize].lane;
        self.lanes.get(number as usize).filter(|lane| lane.has(position)).map(|lane| lane.key)
    }

    pub(crate) fn ready_last(&mut self, key: Key) {
        if let Some(number) = self.move_to(key, Place::Ready) {
            self.ready.push_back(number);
        }
    }

    pub(crate) fn ready_first(&mut self, key: Key) {
        if let Some(number) = self.move_to(key, Place::Ready) {
            self.ready.push_front(number);
        }
    }

    pub(crate) fn park(&mut self, key: Key) {
        if let Some(number) = self.move_to(key, Place::Parked) {
            self.parked.push_back(number);
        }
    }

    pub(crate) fn own(&mut self, key: Key) {
        self.move_to(key, Place::Own);
    }

    pub(crate) fn place(&self, key: Key) -> Option<Place> {
        self.lane(key).map(|lane| lane.place)
    }

    fn move_to(&mut self, key: Key, place: Place) -> Option<u32> {
        let number = self.find(key)?;
        self.lanes[number as usize].place = place;
        Some(number)
    }
}
