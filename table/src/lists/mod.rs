//! The order of a table's keys: sorted ids in chunks, one list for each owner and one of the owners.
//!
//! A chunk names the one behind it and where that begins, so a reader that came by an older head finds
//! what a split moved on.

mod edit;
mod format;

use edit::merged;
pub(crate) use edit::write;
use format::{Chunk, Head};

use crate::batch::Edit;
use crate::error::ReadError;
use crate::key::{Key, Part, TableId};

/// Ids of a chunk at most: with its head, 2,048 bytes.
pub(crate) const CHUNK_IDS: usize = if cfg!(loom) { 2 } else { 248 };
/// Chunks that a reader looks at for one page before it gives up.
const TRIES: u32 = 10_000;

/// Values by key, of the writer or of a reader.
pub(crate) trait Get {
    /// Copies the value under `key` to the end of `into`; false where there is none.
    fn get(&self, table: TableId, key: Key, into: &mut Vec<u8>) -> Result<bool, ReadError>;
}

/// Which list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct List {
    head: TableId,
    chunk: TableId,
    owner: u64,
}

impl List {
    pub(crate) const fn of_ids(table: TableId, owner: u64) -> Self {
        Self { head: table.list(Part::IdHead), chunk: table.list(Part::IdChunk), owner }
    }

    pub(crate) const fn of_owners(table: TableId) -> Self {
        Self { head: table.list(Part::OwnerHead), chunk: table.list(Part::OwnerChunk), owner: 0 }
    }

    fn read_head(self, values: &dyn Get) -> Result<Option<Head>, ReadError> {
        let mut bytes = Vec::new();
        let found = values.get(self.head, Key::new(self.owner, 0), &mut bytes)?;
        Ok(if found { Some(Head::from_bytes(&bytes)?) } else { None })
    }

    fn read_chunk(self, values: &dyn Get, number: u64) -> Result<Option<Chunk>, ReadError> {
        let mut bytes = Vec::new();
        let found = values.get(self.chunk, Key::new(self.owner, number), &mut bytes)?;
        Ok(if found { Some(Chunk::from_bytes(&bytes)?) } else { None })
    }

    /// Adds ids from `from` on to `into`, in order: some, if there are any. Gives where the next call is
    /// to begin, or `None` at the end.
    ///
    /// What is in the list from the first call to the last comes exactly once.
    pub(crate) fn page(
        self,
        values: &dyn Get,
        from: u64,
        into: &mut Vec<u64>,
    ) -> Result<Option<u64>, ReadError> {
        let mut from = from;
        let mut number = None;
        for _ in 0..TRIES {
            let at = match number {
                Some(number) => number,
                None => {
                    let Some(head) = self.read_head(values)? else { return Ok(None) };
                    head.chunks[head.place(from)].number
                }
            };
            // A chunk that is gone was emptied or joined to another after the head was read.
            let Some(chunk) = self.read_chunk(values, at)? else {
                number = None;
                continue;
            };
            let before = into.len();
            into.extend(chunk.ids.iter().filter(|id| **id >= from));
            let Some(next) = chunk.behind else { return Ok(None) };
            // Where a split moved on what is looked for, nothing was found, and `from` stays.
            from = from.max(next.first);
            if into.len() > before {
                return Ok(Some(from));
            }
            number = Some(next.number);
        }
        Err(ReadError::Unsettled)
    }

    /// The same with edits over it that are in no list yet.
    pub(crate) fn page_with(
        self,
        values: &dyn Get,
        edits: &[Edit],
        mut from: u64,
        into: &mut Vec<u64>,
    ) -> Result<Option<u64>, ReadError> {
        loop {
            let begin = into.len();
            let next = self.page(values, from, into)?;
            let first = edits.partition_point(|(id, _)| *id < from);
            let behind = next.map_or(edits.len(), |next| edits.partition_point(|e| e.0 < next));
            if first < behind {
                let merged = merged(&into[begin..], &edits[first..behind]);
                into.truncate(begin);
                into.extend(merged);
            }
            match next {
                Some(next) if into.len() == begin => from = next,
                _ => return Ok(next),
            }
        }
    }
}
