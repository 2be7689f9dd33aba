//! Looking at what was published: into which lane each record goes, and what passes unwanted.

use std::sync::Arc;

use super::{TagFn, Worker};
use crate::core::descriptor::{Descriptor, Hashes};
use crate::core::errors::TakeError;
use crate::core::geometry::hash_of;
use crate::core::group_spec::Order;
use crate::core::memory::{Ordering, fence};
use crate::core::reader::seat::Seat;
use crate::core::words::lanes::Key;
use crate::core::words::peers::Peers;
use crate::core::words::word::{Counts, State};
use crate::core::{Core, Position};

impl Worker {
    /// Looks at what was published since.
    pub(super) fn scan(&mut self) -> Result<(), TakeError> {
        let tail = self.post.seat.core.tail();
        if self.desk.lanes.scanned() == tail {
            return Ok(());
        }
        let (core, index) = (Arc::clone(&self.post.seat.core), self.post.seat.group);
        while self.desk.lanes.scanned() < tail {
            let position = self.desk.lanes.scanned();
            if self.pass_unwanted(position) {
                continue;
            }
            match self.key_of(&core, position) {
                Some(key) => self.desk.show(key),
                None => {
                    fence(Ordering::Acquire);
                    let floor = core.group_floor(index);
                    if floor > core.tail() {
                        return Err(TakeError::Corrupt { position });
                    }
                    if floor > position {
                        self.desk.lanes.restart(floor);
                        self.asides.forget();
                        continue;
                    }
                    // Its hash is damaged. What its descriptor says is as good; where that is damaged too, it waits
                    // for nobody, and its take says so.
                    let key =
                        Descriptor::load(&core, position).and_then(|entry| self.key_by(&entry));
                    self.desk.show(key.unwrap_or(position as Key));
                }
            }
        }
        Ok(())
    }

    /// Settles a record that is not wanted where it lies: it is neither copied nor given, and waits for nothing.
    fn pass_unwanted(&mut self, position: Position) -> bool {
        let Some(wants) = &self.tags else { return false };
        if !self.post.seat.skip(wants, position) {
            return false;
        }
        self.desk.show_none();
        self.unswept += 1;
        true
    }

    /// The same of a record whose hashes are damaged.
    fn key_by(&self, entry: &Descriptor) -> Option<Key> {
        match self.order {
            Order::Key | Order::Own(_) => Some(hash_of(entry.key)),
            Order::Finer if entry.order != 0 => Some(hash_of(entry.order)),
            Order::Finer => Some(hash_of(entry.key)),
            Order::None => None,
            Order::Ring => Some(0),
        }
    }

    /// Hash of the order key of a record; `None` when another record stands there.
    fn key_of(&mut self, core: &Core, position: Position) -> Option<Key> {
        let hashes = Hashes::load(core, position)?;
        Some(match self.order {
            Order::Key => hashes.key(),
            Order::Finer => hashes.order(),
            Order::None => position as Key,
            Order::Ring => 0,
            Order::Own(_) => {
                let key = self.key.as_ref()?;
                let Some(entry) = Descriptor::load(core, position) else {
                    // Damaged: its take says so, whatever its key.
                    return Some(hashes.key());
                };
                self.scratch.resize(entry.length as usize, 0);
                let there = entry.is_there(core).unwrap_or(false);
                if !there || entry.copy(core, &mut self.scratch).is_err() {
                    return Some(hashes.key());
                }
                hash_of(key(&entry, &self.scratch))
            }
        })
    }
}

impl Seat {
    /// Settles what is not wanted from `floor` on, before a death is judged by what else is there: what nobody is to
    /// handle is no other record.
    pub(super) fn skip_unwanted(&self, wants: Option<&TagFn>, floor: Position, peers: &impl Peers) {
        let Some(wants) = wants.filter(|_| peers.fear().is_any()) else { return };
        for position in floor..self.core.tail() {
            self.skip(wants, position);
        }
    }

    /// Whether the record is not wanted, and settled.
    fn skip(&self, wants: &TagFn, position: Position) -> bool {
        let core = &self.core;
        match Descriptor::load(core, position) {
            // A loss is told, whatever was lost.
            Some(entry) if !wants(entry.tag) && entry.is_there(core).unwrap_or(false) => {}
            _ => return false,
        }
        let words = core.words(self.group, self.epoch);
        let seen = words.look(position);
        let untouched = seen.word.state() == State::Free && seen.counts() == Counts::default();
        // Else somebody wants it, or did the same just now.
        let settled = seen.word.is_past() || untouched && words.skip(position, seen);
        settled && seen.word.state() != State::Aside
    }
}
