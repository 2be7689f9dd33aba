//! The commit: lists, buckets, redo entries, one store, then the slots.

use mixcord_memory::Ordering;

use crate::batch::Entry as Changed;
use crate::error::{CommitError, Damage};
use crate::key::{Key, TableId};
use crate::layout::{
    AT_APPLIED, AT_COMMITTED, AT_LINK, AT_META, AT_SLOTS, BUCKET, BUCKET_UNITS, CHAIN_MAX,
    META_WORDS, Place, SLOT, SLOTS,
};
use crate::lists;
use crate::redo::{self, Entry, Step, What};
use crate::space::checksum;
use crate::writer::{Note, Writer};

/// Changes whose lines are sent for before they are come to.
const AHEAD: usize = 8;
/// Values to a bucket before there are more buckets; three have room without overflow.
pub(crate) const VALUES_PER_BUCKET: u64 = 2;

impl Writer {
    /// Commits the open batch: all of it or nothing. Gives its number.
    ///
    /// `note` is the caller's, and belongs to the batch: who needs several values of one moment is told
    /// the note of that moment.
    ///
    /// A reader may see some of a batch before the rest until this returns; no reader sees any of a batch
    /// that is not committed, and after a kill the next writer stores what is missing.
    ///
    /// # Errors
    /// The batch stays open, and whole: with more room, or less in it, it can be committed later.
    pub fn commit(&mut self, note: Note) -> Result<u64, CommitError> {
        self.mark();
        let mut steps = std::mem::take(&mut self.steps);
        steps.clear();
        let done = match self.stage(&mut steps) {
            Ok(()) => {
                self.publish(note, &steps);
                Ok(self.batch)
            }
            Err(error) => {
                self.unstage();
                Err(error)
            }
        };
        self.steps = steps;
        done
    }

    /// What can fail: places for lists and overflow buckets. What it writes means nothing to anybody.
    fn stage(&mut self, steps: &mut Vec<Step>) -> Result<(), CommitError> {
        lists::write(self)?;
        let before = self.index.buckets();
        self.split_buckets(self.current.more);
        // A try that came to nothing leaves its splits, and the entries do not know of them either.
        self.current.moved |= self.index.buckets() != before;
        let moved = self.current.moved;
        for number in 0..self.current.entries().len() {
            if let Some(later) = self.current.entries().get(number + AHEAD) {
                self.expect_slot(later);
            }
            let entry = self.current.entries()[number];
            if let Some(step) = self.step_of(&entry, steps, moved)? {
                self.plan(entry.table, entry.key, step, steps)?;
            }
        }
        Ok(())
    }

    fn expect_slot(&self, entry: &Changed) {
        let known = entry.before != Place::NONE;
        let at = if known { entry.at } else { self.index.of(entry.hash) };
        self.space.memory().expect_write(at as usize);
    }

    /// What a changed key's slot becomes; `None` where nothing is left to be changed.
    fn step_of(
        &mut self,
        entry: &Changed,
        steps: &mut Vec<Step>,
        moved: bool,
    ) -> Result<Option<Step>, CommitError> {
        let Changed { hash, before, now, .. } = *entry;
        let at = match (before, now) {
            (Place::NONE, Place::NONE) => return Ok(None),
            (Place::NONE, _) => self.empty_slot(entry, steps)?,
            _ if moved => self.slot_of(hash, before)?,
            _ => entry.at,
        };
        let what = if now == Place::NONE { What::Delete } else { What::Put };
        Ok(Some(Step { what, at, hash, place: now }))
    }

    /// Where the slot is by now that names a place.
    fn slot_of(&self, hash: u64, place: Place) -> Result<u64, Damage> {
        let bucket = self.index.of(hash);
        let mut found = None;
        self.space.chain(bucket, |slot| {
            found = (slot.place == place).then_some(slot.at);
            found.is_none()
        })?;
        found.ok_or(Damage { what: "a slot is gone from bucket", at: bucket })
    }

    /// An empty slot for a key that is new; the chain gets longer if need be.
    fn empty_slot(&mut self, entry: &Changed, steps: &mut Vec<Step>) -> Result<u64, CommitError> {
        let bucket = self.index.of(entry.hash);
        let taken = &self.current.taken;
        let mut free = None;
        let mut last = self.space.chain(bucket, |slot| {
            free = (slot.place == Place::NONE && !taken.contains(&slot.at)).then_some(slot.at);
            free.is_none()
        })?;
        for _ in 0..CHAIN_MAX {
            if let Some(at) = free {
                self.current.taken.insert(at);
                return Ok(at);
            }
            last = match self.current.links.get(&last) {
                None => self.link(last, entry, steps)?,
                Some(next) => next.offset(),
            };
            let mut slots = (0..SLOTS).map(|index| last + AT_SLOTS + index * SLOT);
            free = slots.find(|at| !self.current.taken.contains(at));
        }
        Err(CommitError::Full { bytes_max: self.limits.bytes_max })
    }

    /// Gives the bucket at `before` an overflow bucket; gives where that lies.
    fn link(
        &mut self,
        before: u64,
        entry: &Changed,
        steps: &mut Vec<Step>,
    ) -> Result<u64, CommitError> {
        let place = self.take(BUCKET_UNITS)?;
        self.space.memory().store_words(place.offset() as usize, [0; BUCKET as usize / 8]);
        self.current.links.insert(before, place);
        let step = Step { what: What::Link, at: before + AT_LINK, hash: 0, place };
        self.plan(entry.table, entry.key, step, steps)?;
        Ok(place.offset())
    }

    fn plan(
        &mut self,
        table: TableId,
        key: Key,
        step: Step,
        steps: &mut Vec<Step>,
    ) -> Result<(), CommitError> {
        let number = steps.len() as u64;
        if number == self.fixed.redo_entries {
            let (changes, changes_max) = (self.changes(), self.changes_max());
            return Err(CommitError::TooMany { changes, changes_max });
        }
        let entry = Entry { batch: self.batch + 1, table, key, step };
        redo::write(&self.space, &self.fixed, self.redo_next + number, &entry);
        steps.push(step);
        Ok(())
    }

    /// Takes back what a stage did that came to nothing: the batch is as it was.
    fn unstage(&mut self) {
        for place in self.current.links.values() {
            self.heap.give_back(*place);
        }
        self.current.clear_plan();
        self.take_back();
    }

    /// The commit, and what follows it.
    fn publish(&mut self, note: Note, steps: &[Step]) {
        let batch = self.batch + 1;
        let (first, behind) = (self.redo_next, self.redo_next + steps.len() as u64);
        let values = self.values.saturating_add_signed(self.current.more);
        let mut meta = [batch, first, behind, values, note[0], note[1], 0];
        meta[META_WORDS - 1] = checksum(&meta[..META_WORDS - 1]);
        let memory = self.space.memory();
        // The other block is the one in force.
        memory.store_words(AT_META[(batch % 2) as usize], meta);
        // The commit: before it nothing of the batch is found by anybody, after it a start stores what
        // is missing. Release, so that who sees the number sees the block and its entries.
        memory.store(AT_COMMITTED, batch, Ordering::Release);
        for (number, step) in steps.iter().enumerate() {
            if let Some(later) = steps.get(number + AHEAD) {
                memory.expect_write(later.at as usize);
            }
            step.apply(&self.space);
        }
        for entry in self.current.entries() {
            if entry.before != Place::NONE {
                self.counted.remove(entry.table, entry.before);
            }
            if entry.now != Place::NONE {
                self.counted.add(entry.table, entry.now);
            }
        }
        self.counted.tell(&self.space);
        // Release, so that who sees the number sees what was stored, and how much it is.
        memory.store(AT_APPLIED, batch, Ordering::Release);
        (self.batch, self.redo_next, self.values, self.note) = (batch, behind, values, note);
        let entries = self.current.entries();
        for (number, entry) in entries.iter().enumerate() {
            if let Some(later) = entries.get(number + AHEAD) {
                self.heap.expect(later.before);
            }
            if entry.before != Place::NONE {
                self.heap.give_back(entry.before);
            }
        }
        let bytes = self.current.bytes;
        self.current.clear();
        self.grow_ahead(bytes);
    }

    /// As many buckets as there are values for once there are `more` of them. Ahead of them, since the
    /// values of one batch would all have to lie in the buckets that there were.
    fn split_buckets(&mut self, more: i64) {
        let values = self.values.saturating_add_signed(more);
        // A bucket for which there is no room is a longer chain somewhere, and no more.
        while values > self.index.buckets() * VALUES_PER_BUCKET
            && self.split(self.index.buckets()).is_ok()
        {}
    }
}
