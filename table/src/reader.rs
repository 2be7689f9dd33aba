//! Reading a table from any process and any number of threads.

use crate::error::{OpenError, ReadError};
use crate::key::{Key, TableId};
use crate::layout::Fixed;
use crate::lists::{Get, List};
use crate::look;
use crate::space::Space;
use crate::writer::Note;

/// A table, open for reading. Nothing says to anybody that it is.
#[derive(Debug)]
pub struct Reader {
    pub(crate) space: Space,
    pub(crate) fixed: Fixed,
}

impl Reader {
    pub(crate) fn over(space: Space, format: u64) -> Result<Self, OpenError> {
        let fixed = space.fixed().ok_or(OpenError::Foreign)?;
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
