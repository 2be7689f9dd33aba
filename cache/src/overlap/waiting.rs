//! Records that wait, and those whose turn it is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::guild::{Brief, Count};
use super::stand::Step;
use super::{Overlap, Row, Side};

/// A record that the side which does not deliver brought first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wait {
    pub(super) guild: u64,
    pub(super) side: Side,
    pub(super) at_us: u64,
    /// As its guild knows it.
    pub(super) brief: Brief,
    /// Its turn has come.
    pub(super) is_due: bool,
    /// Outputs before this index are delivered.
    pub(super) part: u16,
    pub(super) bytes: Vec<u8>,
}

/// What a record that waits takes beside its bytes.
const OVERHEAD: usize = 160;

/// All of them.
#[derive(Default, Debug)]
pub(super) struct Waits {
    all: BTreeMap<u64, Wait>,
    due: VecDeque<u64>,
    /// Shards of the new set whose READY is to be shown.
    ready: BTreeSet<u16>,
    next: u64,
    bytes: usize,
}

impl Waits {
    pub(super) fn insert(&mut self, wait: Wait) {
        let number = wait.brief.number;
        self.bytes += wait.bytes.len() + OVERHEAD;
        self.next = self.next.max(number + 1);
        self.all.insert(number, wait);
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Wait> {
        let wait = self.all.remove(&number)?;
        self.bytes -= wait.bytes.len() + OVERHEAD;
        // Mostly it is the one whose turn it was.
        if wait.is_due && self.due.front() == Some(&number) {
            self.due.pop_front();
        } else if wait.is_due {
            self.due.retain(|due| *due != number);
        }
        Some(wait)
    }

    pub(super) fn get(&self, number: u64) -> Option<&Wait> {
        self.all.get(&number)
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none, and no READY that is to be shown.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty() && self.ready.is_empty()
    }

    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn set_next(&mut self, number: u64) {
        self.next = self.next.max(number);
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Its turn has come.
    pub(super) fn set_due(&mut self, number: u64) {
        if let Some(wait) = self.all.get_mut(&number)
            && !wait.is_due
        {
            wait.is_due = true;
            self.due.push_back(number);
        }
    }

    /// What its guild knows of it is otherwise.
    pub(super) fn set_brief(&mut self, brief: Brief) {
        if let Some(wait) = self.all.get_mut(&brief.number) {
            wait.brief = brief;
        }
    }

    pub(super) fn show(&mut self, shard: u16) {
        self.ready.insert(shard);
    }

    /// After a start: those whose turn has come, in order.
    pub(super) fn queue(&mut self) {
        self.due = self.all.iter().filter(|(_, wait)| wait.is_due).map(|(n, _)| *n).collect();
    }
}

/// Which record is to be delivered next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DueId {
    /// READY of a shard of the new set.
    Ready(u16),
    /// A record that waited.
    Wait(u64),
}

/// A record whose turn it is, before any other.
#[derive(Clone, Copy, Debug)]
pub struct Due<'a> {
    /// Which one.
    pub id: DueId,
    /// The side that brought it.
    pub side: Side,
    /// Shard count and shard that brought it.
    pub shard: (u16, u16),
    /// The record, with its origin.
    pub bytes: &'a [u8],
    /// Outputs before this index are delivered.
    pub part: u16,
    /// It is shown as it is, and changes no state.
    pub is_shown: bool,
}

impl Overlap {
    /// The record that is to be delivered before any other is read.
    #[must_use]
    pub fn due(&self) -> Option<Due<'_>> {
        if let Some(&shard) = self.waits.ready.first() {
            let bytes = self.shards[Side::New].get(shard).and_then(|shard| shard.ready.as_deref());
            let bytes = bytes.unwrap_or_default();
            let id = DueId::Ready(shard);
            let (side, shard) = (Side::New, (self.request.counts[Side::New], shard));
            return Some(Due { id, side, shard, bytes, part: 0, is_shown: true });
        }
        let &number = self.waits.due.front()?;
        let &Wait { side, guild, part, ref bytes, .. } = self.waits.get(number)?;
        let (id, shard) =
            (DueId::Wait(number), (self.request.counts[side], self.shard_of(side, guild)));
        Some(Due { id, side, shard, bytes, part, is_shown: false })
    }

    /// It is delivered up to the output of this index.
    pub fn partly(&mut self, id: DueId, index: u16) {
        let DueId::Wait(number) = id else { return };
        if let Some(wait) = self.waits.all.get_mut(&number) {
            wait.part = index;
            self.changed.insert(Row::Wait(number));
        }
    }

    /// The turn of a record has come.
    pub(super) fn set_due(&mut self, number: u64) {
        self.waits.set_due(number);
        self.changed.insert(Row::Wait(number));
    }

    /// Forgets a record that waits: what it says is known.
    pub(super) fn drop_waiting(&mut self, number: u64) {
        self.changed.extend([Row::Wait(number), Row::Head]);
        self.figures.cancelled += u64::from(self.take(number).is_some());
    }

    fn take(&mut self, number: u64) -> Option<Wait> {
        let wait = self.waits.remove(number)?;
        if let Some(guild) = self.guilds.get_mut(&wait.guild) {
            let waiting = &mut guild.waiting[wait.side];
            if let Some(at) = waiting.iter().position(|brief| brief.number == number) {
                waiting.remove(at);
            }
        }
        Some(wait)
    }

    /// It is delivered.
    pub fn released(&mut self, id: DueId) {
        match id {
            DueId::Ready(shard) => {
                self.waits.ready.remove(&shard);
                if let Some(of) = self.shards[Side::New].get_mut(shard) {
                    of.ready = None;
                }
                self.changed.insert(Row::Ready(shard));
            }
            DueId::Wait(number) => {
                let Some(wait) = self.take(number) else { return };
                self.changed.insert(Row::Wait(number));
                let Brief { print, of, step, .. } = wait.brief;
                let (id, other) = (wait.guild, wait.side.other());
                let outages = self.outages(id, other);
                if let Some(step) = step {
                    self.change(id, |guild| guild.stand.go(step, of));
                    self.drop_old(id);
                }
                let is_known = step == Some(Step::Away) && self.outages(id, other) < outages;
                let known = self.guilds.get_mut(&id).filter(|_| step.is_none());
                match known.and_then(|guild| guild.take_waiting(other, print, of)) {
                    Some(number) => self.met_waiting(id, other, number),
                    None if is_known => {}
                    None if matches!(step, None | Some(Step::Away)) => {
                        let count = Count::new(print, wait.at_us, of, step.is_some());
                        self.expect(id, other, count);
                    }
                    None => {}
                }
            }
        }
    }
}
