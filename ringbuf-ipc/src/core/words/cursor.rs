//! Cursors: positions that only grow within an epoch of their group, and are moved by CAS alone.

use super::super::Position;
use super::super::memory::{Memory, Ordering};
use super::table::Words;
use super::word::{Epoch, Stand, State};

/// The cursor is not of this epoch: the group was moved, made anew or taken away, or the word is damaged. The
/// next look at it says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Elsewhere;

/// Moves the cursor at `at` to `position`, unless it is there already. A word of an earlier epoch is damage, which
/// who moves it, and so knows how far all is done, puts right.
#[inline]
pub(crate) fn raise(
    memory: &Memory,
    at: usize,
    epoch: Epoch,
    position: Position,
) -> Result<(), Elsewhere> {
    loop {
        let raw = memory.load(at, Ordering::Acquire);
        let stand = Stand(raw);
        if stand == Stand::NOTHING || stand.epoch().is_later_than(epoch) {
            return Err(Elsewhere);
        }
        let is_there = stand.is_of(epoch) && stand.position() >= position;
        if is_there || memory.cas(at, raw, Stand::new(epoch, position).0) {
            return Ok(());
        }
    }
}

/// Moves the cursor at `at` over what is settled, up to `tail`; where it stands then. `hold_asides` keeps it
/// before records that are being set aside, until that is finished.
///
/// Killable anywhere, and done by any number at once: that a record is settled is true for good within the
/// epoch, and the CAS carries it.
pub(crate) fn advance(
    memory: &Memory,
    at: usize,
    words: &Words<'_>,
    tail: Position,
    hold_asides: impl Fn() -> bool,
) -> Result<Position, Elsewhere> {
    loop {
        let raw = memory.load(at, Ordering::Acquire);
        let stand = Stand(raw);
        if !stand.is_of(words.epoch) {
            return Err(Elsewhere);
        }
        let mut next = stand.position();
        loop {
            next = words.first_undone(next, tail.max(next));
            if next >= tail {
                break;
            }
            let word = words.look(next).word;
            // Looked at after the word: an aside that is seen has said that it is under way before.
            if !word.is_past() || (word.state() == State::Aside && hold_asides()) {
                break;
            }
            next += 1;
        }
        if next == stand.position() || memory.cas(at, raw, Stand::new(words.epoch, next).0) {
            return Ok(next);
        }
    }
}
