//! Dead letters: word `dying`, then the entry in the group's file, then word `done`. Whoever finds a word dying
//! finishes that, and calls no handler.

use std::io;

use super::Worker;
use super::post::Post;
use super::take::give_back;
use crate::core::Position;
use crate::core::buffers::{Buffers, Entry};
use crate::core::descriptor::Descriptor;
use crate::core::errors::TakeError;
use crate::core::layout::group;
use crate::core::memory::Ordering;
use crate::core::words::desk::Left;
use crate::core::words::lanes::Key;
use crate::core::words::letter::{Condition, Head, Kept, LetterFile, Parts};
use crate::core::words::table::Settlement;
use crate::core::words::word::{Counts, State, Word};

/// How long until what could not be written down is tried again.
const AGAIN_NS: u64 = 1_000_000_000;

/// A record that this worker wrote down without having been told to: nobody has heard of it yet.
#[derive(Debug)]
pub(crate) struct Buried {
    pub(crate) position: Position,
    /// Empty where its bytes are gone.
    pub(crate) buffers: Buffers,
    pub(crate) reason: String,
    pub(crate) counts: Counts,
    /// Dead letters that had to go for it.
    pub(crate) dropped: Vec<Head>,
}

/// A record to be written down.
pub(super) struct Burial<'a> {
    pub(super) position: Position,
    pub(super) lane: Key,
    pub(super) dying: Word,
    pub(super) entry: &'a Entry<'a>,
    pub(super) reason: &'a str,
}

impl Post {
    /// Writes the record down, and lets the cursor pass it; what had to go for it.
    pub(super) fn bury(&self, burial: &Burial<'_>) -> io::Result<Vec<Head>> {
        let condition = Condition {
            kept: Kept::Dead,
            member: burial.dying.member(),
            counts: burial.dying.counts(),
            epoch: self.epoch(),
            revived: false,
            once: false,
        };
        let mut dropped = Vec::new();
        let mut written = false;
        let outcome = self.with_letters(true, &mut |file| {
            let there = |head: &Head| {
                head.condition.kept == Kept::Dead && head.condition.epoch == condition.epoch
            };
            if file.of(burial.position).iter().any(there) {
                // By one that died before it said so.
                written = true;
                return Ok(());
            }
            let parts = self.letter(burial.entry, burial.lane, condition, burial.reason);
            let Some(appended) = file.append(&parts)? else { return Ok(()) };
            (dropped, written) = (appended, true);
            Ok(())
        });
        let words = self.seat.core.words(self.seat.group, self.seat.epoch);
        let refused = |_| if written || !self.seat.is_current() { Ok(()) } else { Err(no_room()) };
        if let Err(error) = outcome.and_then(refused) {
            words.leave_dying(burial.position, burial.dying);
            return Err(error);
        }
        if !written {
            // The group was moved or ended: it is another's business.
            return Ok(dropped);
        }
        self.count_dead(dropped.len() as u64);
        words.bury(burial.position, burial.dying);
        Ok(dropped)
    }

    pub(super) fn count_dead(&self, dropped: u64) {
        self.seat.core.count(self.seat.group, group::DEAD, 1);
        if dropped != 0 {
            self.seat.core.count(self.seat.group, group::DROPPED, dropped);
        }
    }

    /// What is written of a record.
    pub(super) fn letter<'a>(
        &self,
        entry: &Entry<'a>,
        lane: Key,
        condition: Condition,
        reason: &'a str,
    ) -> Parts<'a> {
        Parts {
            condition,
            position: entry.position,
            key: entry.key,
            order: entry.order,
            tag: entry.tag,
            source: entry.source,
            written_ms: self.seat.core.environment.wall_ms(),
            lane,
            reason,
            payload: entry.payload,
        }
    }

    /// The group's file, with what one that died in the middle left put right; its version is raised after.
    pub(super) fn with_letters(
        &self,
        made: bool,
        change: &mut dyn FnMut(&mut dyn LetterFile) -> io::Result<()>,
    ) -> io::Result<bool> {
        let (core, index) = (&self.seat.core, self.seat.group);
        let mut changed = false;
        let outcome = core.with_letters(index, made, &mut |file| {
            // Who moves or ends a group says so first, and comes to its file afterwards.
            if !self.seat.is_current() {
                return Ok(());
            }
            let setting = core.layout.group(index) + group::SETTING_ASIDE;
            if core.memory.load(setting, Ordering::Acquire) != 0 {
                self.finish_setting_aside(file)?;
            }
            let outcome = change(file);
            changed = file.is_changed();
            outcome
        });
        // Also when it failed half-way.
        if changed || outcome.is_err() {
            core.count(index, group::FILE_VERSION, 1);
        }
        outcome
    }
}

impl Worker {
    /// Writes down a record that is at its limit, or that one who died was writing down.
    pub(super) fn bury_offered(
        &mut self,
        position: Position,
        lane: Key,
        word: Word,
    ) -> Result<(), TakeError> {
        let core = &self.post.seat.core;
        let reason = in_vain(word.counts());
        let mut buffers = Buffers::default();
        let whole = Descriptor::load(core, position)
            .is_some_and(|entry| buffers.push(core, &entry).is_ok());
        let nothing = Buffers::nothing(position);
        let entry = buffers.get(0).filter(|_| whole).unwrap_or(nothing);
        let burial = Burial { position, lane, dying: word, entry: &entry, reason: &reason };
        let buried = self.post.bury(&burial);
        let left = match buried {
            Ok(_) => Left::Past,
            Err(_) => Left::Until(core.environment.now_ns() + AGAIN_NS),
        };
        self.desk.left(position, lane, left);
        let dropped = buried.map_err(|error| TakeError::Letters { position, error })?;
        self.buried.push(Buried { position, buffers, reason, counts: word.counts(), dropped });
        Ok(())
    }

    /// A record that cannot be read is dead; where its file cannot be read only now, it is given back.
    pub(super) fn give_up_damaged(
        &mut self,
        position: Position,
        lane: Key,
        word: Word,
        error: &TakeError,
    ) {
        if matches!(error, TakeError::Blob { .. }) {
            // Anybody's at once, and this worker's in a while: its next take goes on with others.
            give_back(&self.post, position, word);
            let again = self.post.seat.core.environment.now_ns() + AGAIN_NS;
            self.desk.left(position, lane, Left::Until(again));
            return;
        }
        let words = self.post.seat.core.words(self.post.seat.group, self.post.seat.epoch);
        let Some(dying) = words.settle(position, word, Settlement::Dying) else {
            self.desk.left(position, lane, Left::Past);
            return;
        };
        debug_assert_eq!(dying.state(), State::Dying);
        let entry = Buffers::nothing(position);
        let reason = error.to_string();
        let burial = Burial { position, lane, dying, entry: &entry, reason: &reason };
        let left = match self.post.bury(&burial) {
            Ok(dropped) => {
                let (buffers, counts) = (Buffers::default(), word.counts());
                self.buried.push(Buried { position, buffers, reason, counts, dropped });
                Left::Past
            }
            Err(_) => Left::Until(self.post.seat.core.environment.now_ns() + AGAIN_NS),
        };
        self.desk.left(position, lane, left);
    }
}

pub(super) fn in_vain(counts: Counts) -> String {
    let Counts { failures, deaths } = counts;
    let given = counts.given();
    format!(
        "given {given} times in vain: {failures} failures, {deaths} processes that died with it"
    )
}

pub(super) fn no_room() -> io::Error {
    io::Error::new(
        io::ErrorKind::StorageFull,
        "the group's file is full of records that were set aside: handle or drop them",
    )
}
