//! Changing a list: whole chunks are written anew, and of the head only what changed.

use super::format::{At, Chunk, Head};
use super::{CHUNK_IDS, List};
use crate::batch::{Edit, Group};
use crate::error::{CommitError, Damage, ReadError};
use crate::key::Key;
use crate::writer::Writer;

/// A chunk with so few goes into the one before it.
const FEW_IDS: usize = CHUNK_IDS / 8;

/// What became of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    AsItWas,
    CameToBe,
    Vanished,
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

impl List {
    /// Adds and removes ids, sorted; gives whether the list came to be or vanished.
    pub(crate) fn edit(self, writer: &mut Writer, edits: &[Edit]) -> Result<Fate, CommitError> {
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
            let of_chunk = match behind {
                Some(behind) => edits.partition_point(|(id, _)| *id < behind.first),
                None => edits.len(),
            };
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
            }
            if ids.is_empty() {
                if existed {
                    gone.push(at.number);
                }
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

    /// New chunks from the last to the first, then those that were there, then the head, then what goes:
    /// whatever is named is there.
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
                writer.delete_unlisted(self.head, Key::new(self.owner, 0))?;
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
                writer.put_unlisted(
                    self.chunk,
                    Key::new(self.owner, piece.at.number),
                    &[&bytes],
                )?;
            }
        }
        if !existed || head.next_number != numbers_before || head.chunks != chunks {
            let bytes = head.to_bytes();
            writer.put_unlisted(self.head, Key::new(self.owner, 0), &[&bytes])?;
        }
        self.delete(writer, gone)?;
        Ok(if existed { Fate::AsItWas } else { Fate::CameToBe })
    }

    fn delete(self, writer: &mut Writer, numbers: &[u64]) -> Result<(), CommitError> {
        for &number in numbers {
            writer.delete_unlisted(self.chunk, Key::new(self.owner, number))?;
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
        _ => Damage { what: "a list", at: 0 }.into(),
    }
}

/// `ids` with sorted edits.
pub(super) fn merged(ids: &[u64], edits: &[Edit]) -> Vec<u64> {
    let mut merged = Vec::with_capacity(ids.len() + edits.len());
    let mut ids = ids;
    for &(id, comes) in edits {
        let (before, rest) = ids.split_at(ids.partition_point(|other| *other < id));
        merged.extend_from_slice(before);
        ids = rest.strip_prefix(&[id]).unwrap_or(rest);
        if comes {
            merged.push(id);
        }
    }
    merged.extend_from_slice(ids);
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

/// Lists before its turn at which a list's values are sent for, and twice as many at which their places are.
const AHEAD: usize = 4;

/// Sends for what the lists of some groups further on will want: mostly their heads and first chunks.
fn expect(writer: &Writer, groups: &[Group]) {
    let keys = |group: &Group| {
        let list = List::of_ids(group.table, group.owner);
        [(list.head, Key::new(group.owner, 0)), (list.chunk, Key::new(group.owner, 0))]
    };
    for (table, key) in groups.get(AHEAD * 2).map(keys).into_iter().flatten() {
        writer.expect(table, key);
    }
    for (table, key) in groups.get(AHEAD).map(keys).into_iter().flatten() {
        writer.expect_value(table, key);
    }
}

/// Writes what comes to and goes from the lists in the open batch.
pub(crate) fn write(writer: &mut Writer) -> Result<(), CommitError> {
    let groups = writer.current.groups();
    for of_table in groups.chunk_by(|a, b| a.table == b.table) {
        let table = of_table[0].table;
        if !table.is_of_pairs() {
            let edits = writer.current.edits(of_table[0]);
            if !edits.is_empty() {
                List::of_owners(table).edit(writer, &edits)?;
            }
            continue;
        }
        let mut owners: Vec<Edit> = Vec::new();
        for (place, group) in of_table.iter().enumerate() {
            expect(writer, &of_table[place..]);
            let edits = writer.current.edits(*group);
            if edits.is_empty() {
                continue;
            }
            match List::of_ids(table, group.owner).edit(writer, &edits)? {
                Fate::AsItWas => {}
                Fate::CameToBe => owners.push((group.owner, true)),
                Fate::Vanished => owners.push((group.owner, false)),
            }
        }
        if !owners.is_empty() {
            List::of_owners(table).edit(writer, &owners)?;
        }
    }
    Ok(())
}
