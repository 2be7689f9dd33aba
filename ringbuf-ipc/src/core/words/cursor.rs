//! How far everything is done: one word a group, moved over settled records by whoever comes to it.

use super::super::Position;
use super::super::memory::{Memory, Ordering};
use super::table::Words;
use super::word::{Stand, State};

/// The cursor stands in another epoch: the group was moved, made anew or taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Elsewhere;

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
        if stand.epoch() != words.epoch || raw == u64::MAX {
            return Err(Elsewhere);
        }
        let mut next = stand.position();
        while next < tail {
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

/// Where the cursor stands, if it stands in this epoch.
pub(crate) fn stand(memory: &Memory, at: usize, words: &Words<'_>) -> Result<Position, Elsewhere> {
    let raw = memory.load(at, Ordering::Acquire);
    let stand = Stand(raw);
    if stand.epoch() == words.epoch && raw != u64::MAX {
        Ok(stand.position())
    } else {
        Err(Elsewhere)
    }
}
