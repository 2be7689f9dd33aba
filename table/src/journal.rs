//! What changed since a batch: the redo ring, read by others than its writer.
//!
//! Who needs several values of one moment copies them one by one, then looks what changed meanwhile, and
//! copies that again, until nothing did. Nobody waits for anybody.

use mixcord_memory::{Ordering, fence};

use crate::error::{Damage, ReadError};
use crate::layout::{AT_APPLIED, AT_COMMITTED, AT_META, COUNT_MAX, META_WORDS};
use crate::reader::Reader;
use crate::redo::{self, Entry, What};
use crate::space::checksum;
use crate::writer::Note;

/// Looks at the last batch before [`ReadError::Unsettled`].
const TRIES: u32 = 10_000;

/// A batch that is committed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Point {
    pub(crate) batch: u64,
    pub(crate) note: Note,
    /// Position behind its last redo entry.
    pub(crate) behind: u64,
    /// Whoever looks at the table from now on sees all entries before this position.
    pub(crate) seen: u64,
}

/// The journal does not go back so far any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Overrun;

impl Reader {
    /// The last batch.
    pub(crate) fn point(&self) -> Result<Point, ReadError> {
        let memory = self.space.memory();
        for _ in 0..TRIES {
            let batch = memory.load(AT_COMMITTED, Ordering::Acquire);
            let applied = memory.load(AT_APPLIED, Ordering::Acquire);
            if batch > COUNT_MAX {
                return Err(
                    Damage { what: "the number of a batch", at: AT_COMMITTED as u64 }.into()
                );
            }
            if batch == 0 {
                return Ok(Point { batch, note: Note::default(), behind: 0, seen: 0 });
            }
            let at = AT_META[(batch % 2) as usize];
            let words = memory.load_words::<META_WORDS>(at);
            fence(Ordering::Acquire);
            // The batch after the next writes the block anew, its number first: it is begun when the next
            // one is committed, and whoever sees more of it than the number sees that.
            let last = memory.load(AT_COMMITTED, Ordering::Relaxed);
            let [found, first, behind, _, note, more, sum] = words;
            let sound = found == batch && sum == checksum(&words[..META_WORDS - 1]);
            let entries = behind.checked_sub(first).is_some_and(|n| n <= self.fixed.redo_entries);
            if sound && entries && behind <= COUNT_MAX {
                let seen = if applied >= batch { behind } else { first };
                return Ok(Point { batch, note: [note, more], behind, seen });
            }
            if last == batch && found != batch + 2 {
                return Err(Damage { what: "a meta block", at: at as u64 }.into());
            }
            std::hint::spin_loop();
        }
        Err(ReadError::Unsettled)
    }

    /// Shows the entries from position `from` to `to`, links left out.
    pub(crate) fn entries(
        &self,
        from: u64,
        to: u64,
        mut visit: impl FnMut(&Entry),
    ) -> Result<(), Overrun> {
        if to.saturating_sub(from) > self.fixed.redo_entries {
            return Err(Overrun);
        }
        for position in from..to {
            let entry = redo::read(&self.space, &self.fixed, position).ok_or(Overrun)?;
            if entry.step.what != What::Link {
                visit(&entry);
            }
        }
        Ok(())
    }
}
