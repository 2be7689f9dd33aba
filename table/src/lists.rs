//! The order of a table's keys: sorted ids in chunks, one list for each owner and one of the owners.
//!
//! A chunk names the one behind it and where that begins, so a reader that came by an older head finds
//! what a split moved on. A batch's entries are in such an order that what is named is there: new chunks
//! from the last to the first, then those that were there, then the head, then what goes.

use crate::error::{CommitError, Damage, ReadError};
use crate::key::{Key, Part, TableId};
use crate::writer::Writer;

/// Ids of a chunk at most: with its head, 2,048 bytes.
pub(crate) const CHUNK_IDS: usize = if cfg!(loom) { 2 } else { 248 };
/// A chunk with so few goes into the one before it.
const FEW_IDS: usize = CHUNK_IDS / 8;
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

    /// Adds and removes ids, sorted; gives whether the list came to be or vanished.
    fn edit(self, writer: &mut Writer, edits: &[(u64, Edit)]) -> Result<Fate, CommitError> {
        let head = self.read_head(writer).map_err(unread)?;
        let existed = head.is_some();
        let mut head = head.unwrap_or_default();
        let numbers_before = head.next_number;
        let chunks = std::mem::take(&mut head.chunks);
        let mut pieces: Vec<Piece> = Vec::with_capacity(chunks.len() + 1);
        let mut gone = Vec::new();
        let mut edits = edits;
        for (place, at) in chunks.iter().enumerate() {
            let behind = chunks.get(place + 1).copied();
            let of_chunk = edits.partition_point(|(id, _)| behind.is_none_or(|b| *id < b.first));
            let (own, rest) = edits.split_at(of_chunk);
            edits = rest;
            let mut piece = Piece { at: *at, behind, ids: None, new: !existed };
            if own.is_empty() {
                pieces.push(piece);
                continue;
            }
            let ids = if existed { self.ids(writer, at.number)? } else { Vec::new() };
            let at_end = behind.is_none() && own.first().is_some_and(|f| ids.last() < Some(&f.0));
            let mut ids = merged(&ids, own);
            if ids.len() <= FEW_IDS && !pieces.is_empty() {
                self.join(writer, &mut pieces, &mut ids)?;
                if ids.is_empty() {
                    gone.push(at.number);
                    continue;
                }
            }
            if ids.is_empty() {
                gone.push(at.number);
                continue;
            }
            let mut parts = parts(ids, at_end).into_iter();
            piece.ids = parts.next();
            pieces.push(piece);
            for ids in parts {
                let at = At { first: ids[0], number: head.next_number };
                head.next_number += 1;
                pieces.push(Piece { at, behind: None, ids: Some(ids), new: true });
            }
        }
        self.write(writer, head, pieces, &gone, (existed, numbers_before, &chunks))
    }

    /// Takes `ids` into the last of the pieces, if they fit there.
    fn join(
        self,
        writer: &Writer,
        pieces: &mut [Piece],
        ids: &mut Vec<u64>,
    ) -> Result<(), CommitError> {
        let Some(last) = pieces.last_mut() else { return Ok(()) };
        let mut before = match last.ids.take() {
            Some(ids) => ids,
            None => self.ids(writer, last.at.number)?,
        };
        if before.len() + ids.len() <= CHUNK_IDS * 3 / 4 {
            before.append(ids);
        }
        last.ids = Some(before);
        Ok(())
    }

    fn write(
        self,
        writer: &mut Writer,
        mut head: Head,
        mut pieces: Vec<Piece>,
        gone: &[u64],
        (existed, numbers_before, chunks): (bool, u64, &[At]),
    ) -> Result<Fate, CommitError> {
        let Some(first) = pieces.first_mut() else {
            if existed {
                writer.delete(self.head, Key::new(self.owner, 0))?;
                self.delete(writer, gone)?;
            }
            return Ok(if existed { Fate::Vanished } else { Fate::AsItWas });
        };
        first.at.first = 0;
        head.chunks.extend(pieces.iter().map(|piece| piece.at));
        for new in [true, false] {
            for place in (0..pieces.len()).rev() {
                let behind = head.chunks.get(place + 1).copied();
                let piece = &mut pieces[place];
                let moved = piece.behind != behind && !piece.new;
                if piece.new != new || (piece.ids.is_none() && !moved) {
                    continue;
                }
                let ids = match piece.ids.take() {
                    Some(ids) => ids,
                    None => self.ids(writer, piece.at.number)?,
                };
                let bytes = Chunk { behind, ids }.to_bytes();
                writer.put(self.chunk, Key::new(self.owner, piece.at.number), &bytes)?;
            }
        }
        if !existed || head.next_number != numbers_before || head.chunks != chunks {
            writer.put(self.head, Key::new(self.owner, 0), &head.to_bytes())?;
        }
        self.delete(writer, gone)?;
        Ok(if existed { Fate::AsItWas } else { Fate::CameToBe })
    }

    fn delete(self, writer: &mut Writer, numbers: &[u64]) -> Result<(), CommitError> {
        for &number in numbers {
            writer.delete(self.chunk, Key::new(self.owner, number))?;
        }
        Ok(())
    }

    fn ids(self, writer: &Writer, number: u64) -> Result<Vec<u64>, CommitError> {
        let chunk = self.read_chunk(writer, number).map_err(unread)?;
        let missing = Damage { what: "a chunk of a list is missing, of owner", at: self.owner };
        Ok(chunk.ok_or(missing)?.ids)
    }
}

/// A writer reads what only it changes.
fn unread(error: ReadError) -> CommitError {
    match error {
        ReadError::Damaged(damage) => damage.into(),
        ReadError::Unsettled => Damage { what: "a list", at: 0 }.into(),
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Edit {
    Add,
    Remove,
}

/// What became of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    AsItWas,
    CameToBe,
    Vanished,
}

/// Where a chunk begins, and its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct At {
    first: u64,
    number: u64,
}

/// A chunk in an edit; `ids` only where they were looked at or changed.
#[derive(Debug)]
struct Piece {
    at: At,
    /// What it says of the chunk behind it now.
    behind: Option<At>,
    ids: Option<Vec<u64>>,
    new: bool,
}

/// Where each chunk begins. There is at least one, and the first begins at 0.
#[derive(Debug)]
struct Head {
    next_number: u64,
    chunks: Vec<At>,
}

impl Default for Head {
    fn default() -> Self {
        Self { next_number: 1, chunks: vec![At { first: 0, number: 0 }] }
    }
}

impl Head {
    fn from_bytes(bytes: &[u8]) -> Result<Self, Damage> {
        let wrong = Damage { what: "the head of a list", at: 0 };
        let (next, rest) = bytes.split_first_chunk::<8>().ok_or(wrong)?;
        let (pairs, []) = rest.as_chunks::<16>() else { return Err(wrong) };
        let chunks = pairs.iter().map(|pair| At {
            first: u64::from_le_bytes([
                pair[0], pair[1], pair[2], pair[3], pair[4], pair[5], pair[6], pair[7],
            ]),
            number: u64::from_le_bytes([
                pair[8], pair[9], pair[10], pair[11], pair[12], pair[13], pair[14], pair[15],
            ]),
        });
        let chunks: Vec<At> = chunks.collect();
        let sorted = chunks.is_sorted_by(|a, b| a.first < b.first);
        if !sorted || chunks.first().is_none_or(|at| at.first != 0) {
            return Err(wrong);
        }
        Ok(Self { next_number: u64::from_le_bytes(*next), chunks })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let words = self.chunks.iter().flat_map(|at| [at.first, at.number]);
        std::iter::once(self.next_number).chain(words).flat_map(u64::to_le_bytes).collect()
    }

    /// Which chunk an id belongs to.
    fn place(&self, id: u64) -> usize {
        self.chunks.partition_point(|at| at.first <= id) - 1
    }
}

/// Ids, and the chunk behind them.
#[derive(Debug)]
struct Chunk {
    behind: Option<At>,
    ids: Vec<u64>,
}

impl Chunk {
    fn from_bytes(bytes: &[u8]) -> Result<Self, Damage> {
        let wrong = Damage { what: "a chunk of a list", at: 0 };
        let (words, []) = bytes.as_chunks::<8>() else { return Err(wrong) };
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let (Some(first), Some(number)) = (words.next(), words.next()) else { return Err(wrong) };
        let ids: Vec<u64> = words.collect();
        let behind = (first != 0).then_some(At { first, number });
        let inside = behind.is_none_or(|at| ids.last().is_none_or(|last| *last < at.first));
        if !inside || !ids.is_sorted_by(|a, b| a < b) {
            return Err(wrong);
        }
        Ok(Self { behind, ids })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let At { first, number } = self.behind.unwrap_or(At { first: 0, number: 0 });
        let ids = self.ids.iter().copied();
        [first, number].into_iter().chain(ids).flat_map(u64::to_le_bytes).collect()
    }
}

/// `ids` with sorted edits.
fn merged(ids: &[u64], edits: &[(u64, Edit)]) -> Vec<u64> {
    let mut merged = Vec::with_capacity(ids.len() + edits.len());
    let mut ids = ids.iter().copied().peekable();
    for &(id, edit) in edits {
        while let Some(before) = ids.next_if(|other| *other < id) {
            merged.push(before);
        }
        ids.next_if_eq(&id);
        if edit == Edit::Add {
            merged.push(id);
        }
    }
    merged.extend(ids);
    merged
}

/// Ids in chunks that are not too long: full ones where they only grow at the end, else with room.
fn parts(ids: Vec<u64>, at_end: bool) -> Vec<Vec<u64>> {
    if ids.len() <= CHUNK_IDS {
        return vec![ids];
    }
    let count = ids.len().div_ceil(if at_end { CHUNK_IDS } else { (CHUNK_IDS * 3 / 4).max(1) });
    let size = if at_end { CHUNK_IDS } else { ids.len().div_ceil(count) };
    ids.chunks(size).map(<[u64]>::to_vec).collect()
}

/// The keys that a batch added and removed.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    edits: Vec<(TableId, Key, Edit)>,
}

impl Lists {
    pub(crate) fn clear(&mut self) {
        self.edits.clear();
    }

    /// Notes a key that was not there; keys come sorted.
    pub(crate) fn add(&mut self, table: TableId, key: Key) {
        self.edits.push((table, key, Edit::Add));
    }

    /// Notes a key that is gone.
    pub(crate) fn remove(&mut self, table: TableId, key: Key) {
        self.edits.push((table, key, Edit::Remove));
    }

    /// Writes them into the lists.
    pub(crate) fn write(&self, writer: &mut Writer) -> Result<(), CommitError> {
        for of_table in self.edits.chunk_by(|a, b| a.0 == b.0) {
            let table = of_table[0].0;
            let mut owners: Vec<(u64, Edit)> = Vec::new();
            for of_owner in of_table.chunk_by(|a, b| a.1.owner == b.1.owner) {
                let owner = of_owner[0].1.owner;
                let fate = if table.is_of_pairs() {
                    let edits: Vec<_> =
                        of_owner.iter().map(|(_, key, edit)| (key.id, *edit)).collect();
                    List::of_ids(table, owner).edit(writer, &edits)?
                } else {
                    match of_owner[0].2 {
                        Edit::Add => Fate::CameToBe,
                        Edit::Remove => Fate::Vanished,
                    }
                };
                match fate {
                    Fate::AsItWas => {}
                    Fate::CameToBe => owners.push((owner, Edit::Add)),
                    Fate::Vanished => owners.push((owner, Edit::Remove)),
                }
            }
            if !owners.is_empty() {
                List::of_owners(table).edit(writer, &owners)?;
            }
        }
        Ok(())
    }
}
