//! Reading a table from any process and any number of threads.

use mixcord_memory::{Ordering, fence};

use crate::error::{OpenError, ReadError};
use crate::key::{Key, TableId};
use crate::layout::{AT_APPLIED, AT_COMMITTED, Fixed, bucket_of};
use crate::lists::{Get, List};
use crate::look;
use crate::space::Space;
use crate::totals::{self, Totals};
use crate::writer::{LINES_AHEAD, Note};

/// How far the writer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Batches {
    /// The last batch of which all is stored where readers find it.
    pub applied: u64,
    /// The last batch that counts: this one, or the one before it.
    pub committed: u64,
}

impl Batches {
    /// Whether nothing is being stored.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.applied == self.committed
    }
}

/// A table, open for reading. Nothing says to anybody that it is.
#[derive(Debug)]
pub struct Reader {
    pub(crate) space: Space,
    pub(crate) fixed: Fixed,
}

impl Reader {
    pub(crate) fn over(space: Space, format: u64) -> Result<Self, OpenError> {
        let fixed = space.fixed().ok_or(OpenError::Foreign)?;
        let space = space.of(&fixed);
        if fixed.format != format {
            return Err(OpenError::OtherFormat { found: fixed.format, expected: format });
        }
        Ok(Self { space, fixed })
    }

    /// The table's id: another one means that the table was made anew.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.fixed.id
    }

    /// The last batch, and what its writer noted with it.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] if the table's bytes cannot be.
    pub fn last_batch(&self) -> Result<(u64, Note), ReadError> {
        let point = self.point()?;
        Ok((point.batch, point.note))
    }

    /// How far the writer is: what is read between two equal answers that are settled is of one moment.
    #[must_use]
    pub fn batches(&self) -> Batches {
        // What was read before this is not from after it.
        fence(Ordering::Acquire);
        let applied = self.space.memory().load(AT_APPLIED, Ordering::Acquire);
        let committed = self.space.memory().load(AT_COMMITTED, Ordering::Acquire);
        Batches { applied, committed }
    }

    /// How much a table holds, of the first 64 of its width.
    #[must_use]
    pub fn totals_of(&self, table: TableId) -> Totals {
        totals::told(&self.space, table)
    }

    /// Bytes of the file.
    #[must_use]
    pub fn allocated_bytes(&self) -> u64 {
        // Asks the system.
        self.space.holds(0, u64::MAX);
        self.space.allocated()
    }

    /// Copies the value under `key` to the end of `into`; false where there is none.
    ///
    /// Sees what was committed before something the caller knows of, or later.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] if the table's bytes cannot be, [`ReadError::Unsettled`] if the value kept
    /// changing.
    pub fn get(&self, table: TableId, key: Key, into: &mut Vec<u8>) -> Result<bool, ReadError> {
        look::get(&self.space, &self.fixed, table, key, into)
    }

    /// Says that these keys are asked for next: has the lines come that say where their values lie, all at once, then the
    /// values, all at once. Whoever asks for several so waits for two lines, and not for two of each. A hint, which never
    /// fails.
    #[inline]
    pub fn expect_values<const COUNT: usize>(&self, keys: [(TableId, Key); COUNT]) {
        let Self { space, fixed, .. } = self;
        let lines = keys.map(|(table, key)| {
            let hash = fixed.hash.of(table, key);
            let all = space.buckets().ok()?;
            let at = space.bucket(fixed, bucket_of(hash, all)).ok()? as usize;
            space.memory().expect_read(at);
            Some((hash, at))
        });
        for (hash, at) in lines.into_iter().flatten() {
            let line = space.memory().load_words::<8>(at);
            for slot in [1, 3, 5].into_iter().filter(|slot| line[*slot] == hash) {
                for at in space.grain.place(line[slot + 1]).lines(LINES_AHEAD) {
                    space.memory().expect_read(at as usize);
                }
            }
        }
    }

    /// Adds ids of `owner`'s keys in a table of pairs to `into`, in order, from `from` on: some, if there
    /// are any. Gives where the next page begins, or `None` at the end. What is there from the first page
    /// to the last comes exactly once.
    ///
    /// # Errors
    /// As for [`Reader::get`].
    pub fn ids(
        &self,
        table: TableId,
        owner: u64,
        from: u64,
        into: &mut Vec<u64>,
    ) -> Result<Option<u64>, ReadError> {
        List::of_ids(table, owner).page(self, from, into)
    }

    /// The same of the owners of a table; of a table of single ids, of those.
    ///
    /// # Errors
    /// As for [`Reader::get`].
    pub fn owners(
        &self,
        table: TableId,
        from: u64,
        into: &mut Vec<u64>,
    ) -> Result<Option<u64>, ReadError> {
        List::of_owners(table).page(self, from, into)
    }
}

impl Get for Reader {
    fn get(&self, table: TableId, key: Key, into: &mut Vec<u8>) -> Result<bool, ReadError> {
        Self::get(self, table, key, into)
    }
}
