//! The document being written. Both decoders write through this: the same rules give the same
//! document (P6).
//!
//! The buffer is a slice of fixed length, so that a write is one bounds check and one or two stores.
//! Where it is too small, decoding stops and begins again with a larger one; buffers are kept, so
//! that happens to the first payloads of a connection only. Short writes store a fixed number of
//! bytes, more than they need: what stands behind the position means nothing.

mod scalar;
mod text;

use std::borrow::Cow;

pub(crate) use text::{HIGH_BITS, digits_value};

use super::{
    DecodeErrorKind,
    notes::{Entry, Notes, Stop, Warning},
};
use crate::{
    atom::{ATOMS_ALL, Atom, Ids, atoms},
    format::{self, KEY_LEN_MAX, RawKey, TEXT_KEY},
};

/// Words of a set of atoms; a power of two, so that an index is cut to it by a mask.
const WORDS: usize = ATOMS_ALL.div_ceil(64).next_power_of_two();
/// The last bit is no atom's.
const _: () = assert!(ATOMS_ALL < 64 * WORDS);
/// From how many bytes of input on containers are guessed to need the wide header.
const WIDE_FROM: usize = 48 * 1024;

/// Bytes that a key and a short value take at most, with what their stores touch behind them.
pub(crate) const ROOM: usize = 64;

/// A position in the buffer, behind what has been written.
pub(crate) type Position = Result<usize, Stop>;

#[derive(Debug)]
pub(crate) struct Pad<'o> {
    pub(crate) out: &'o mut [u8],
    pub(crate) notes: &'o mut Notes,
}

impl Ids {
    /// Whether a scalar here is a snowflake.
    #[inline(always)]
    pub(crate) const fn scalar(self) -> bool {
        matches!(self, Self::Element | Self::Value)
    }

    /// Of a map: whether its member `id` is a number.
    #[inline(always)]
    pub(crate) const fn numbers_own_id(self) -> bool {
        matches!(self, Self::Plain)
    }

    /// Of a map: what its member under the key with this number is, which by itself is `ids`.
    #[inline(always)]
    pub(crate) const fn of_member(self, number: u16, ids: Self) -> Self {
        if self.numbers_own_id() && number == atoms::ID.number() { Self::None } else { ids }
    }

    /// Of a map: what its members under keys outside the table are.
    pub(crate) const fn of_unlisted(self) -> Self {
        if matches!(self, Self::Members) { Self::Value } else { Self::None }
    }

    /// For the elements of the list that the value is.
    #[inline(always)]
    pub(crate) const fn in_list(self) -> Self {
        // As a table it costs a load instead of branches.
        const ALL: [Ids; 5] = {
            let mut all = [Ids::None; 5];
            all[Ids::Value as usize] = Ids::Element;
            all[Ids::Plain as usize] = Ids::Plain;
            all
        };
        ALL[self as usize]
    }
}

/// A container being written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    start: usize,
    content: usize,
}

/// The keys of a map being written.
#[derive(Debug)]
pub(crate) struct Keys {
    /// Which atoms there are, and in the last bit whether there is a key outside the table.
    atoms: [u64; WORDS],
    /// Not 0 when a key came twice, or two came that are outside the table.
    twice: u64,
}

impl Keys {
    #[inline(always)]
    pub(crate) const fn new() -> Self {
        Self { atoms: [0; WORDS], twice: 0 }
    }

    /// Notes the atom with this number.
    #[inline(always)]
    pub(crate) const fn add(&mut self, number: u16) {
        self.mark((number / 64) as u8, 1 << (number % 64));
    }

    /// Notes a key outside the table.
    const fn add_text(&mut self) {
        self.mark(WORDS as u8 - 1, 1 << 63);
    }

    /// Notes the atom that has this bit of this word.
    #[inline(always)]
    pub(crate) const fn mark(&mut self, word: u8, bit: u64) {
        let word = &mut self.atoms[word as usize % WORDS];
        self.twice |= *word & bit;
        *word |= bit;
    }
}

impl Pad<'_> {
    /// Room for a key and a short value, if there is so much left.
    #[inline(always)]
    pub(crate) fn room(&mut self, position: usize) -> Option<&mut [u8; ROOM]> {
        self.out.get_mut(position..position + ROOM)?.first_chunk_mut()
    }

    /// Begins a container that at most `input_left` bytes fill. Its content goes to the position.
    #[inline(always)]
    pub(crate) const fn open(&self, position: usize, input_left: usize) -> (Open, usize) {
        let content = position + if input_left >= WIDE_FROM { 5 } else { 3 };
        (Open { start: position, content }, content)
    }

    #[inline]
    pub(crate) fn close_list(&mut self, open: Open, position: usize) -> Position {
        self.close(open, position, [format::EMPTY_LIST, format::LIST16, format::LIST32])
    }

    #[inline(always)]
    pub(crate) fn close_map(&mut self, open: Open, keys: &Keys, mut position: usize) -> Position {
        if keys.twice != 0 {
            position = self.keep_last(open.content, position);
        }
        self.close(open, position, [format::EMPTY_MAP, format::MAP16, format::MAP32])
    }

    #[inline(always)]
    fn close(&mut self, open: Open, position: usize, [empty, narrow, wide]: [u8; 3]) -> Position {
        let len = position - open.content;
        if len == 0 {
            return self.tag(open.start, empty);
        }
        let Some(header) = self.out.get_mut(open.start..).and_then(<[u8]>::first_chunk_mut) else {
            return Err(self.notes.full());
        };
        if open.content - open.start == 3 {
            if len > usize::from(u16::MAX) {
                return self.widen(open, position, wide);
            }
            let [low, high, ..] = len.to_le_bytes();
            *header = [narrow, low, high];
            return Ok(position);
        }
        let [a, b, c, d, ..] = len.to_le_bytes();
        *header = [wide, a, b];
        self.out[open.start + 3..open.content].copy_from_slice(&[c, d]);
        Ok(position)
    }

    /// Makes room for the wide header that nobody foresaw.
    #[cold]
    fn widen(&mut self, open: Open, position: usize, tag: u8) -> Position {
        if position + 2 > self.out.len() {
            return Err(self.notes.full());
        }
        self.out.copy_within(open.content..position, open.content + 2);
        self.out[open.start] = tag;
        let len = (position - open.content) as u32;
        self.out[open.start + 1..open.start + 5].copy_from_slice(&len.to_le_bytes());
        Ok(position + 2)
    }

    /// Writes the key that the first `len` bytes of `bytes` are, if it has a number. `ids` are the
    /// map's own.
    #[inline(always)]
    pub(crate) fn listed_key(
        &mut self,
        keys: &mut Keys,
        ids: Ids,
        position: usize,
        bytes: &[u8],
        len: usize,
    ) -> Option<(Ids, usize)> {
        let slot = Atom::lookup_in(bytes, len)?;
        keys.add(slot.index);
        let ids = ids.of_member(slot.index, slot.ids);
        *self.out.get_mut(position..)?.first_chunk_mut()? = slot.index.to_le_bytes();
        Some((ids, position + 2))
    }

    /// Writes any key, with which the last `left` bytes of the input begin. `ids` are the map's own.
    #[cold]
    #[inline(never)]
    pub(crate) fn key(
        &mut self,
        keys: &mut Keys,
        ids: Ids,
        position: usize,
        key: &[u8],
        left: usize,
    ) -> Result<(Ids, usize), Stop> {
        if let Some(done) = self.listed_key(keys, ids, position, key, key.len()) {
            return Ok(done);
        }
        let text = String::from_utf8_lossy(key);
        self.notes.not_utf8 |= matches!(text, Cow::Owned(_));
        if text.len() > KEY_LEN_MAX {
            return Err(self.notes.refuse(DecodeErrorKind::KeyTooLong(text.len()), left));
        }
        let Some(room) = self.out.get_mut(position..position + 2 + text.len()) else {
            return Err(self.notes.full());
        };
        // No key of the table holds U+FFFD, so a repaired key is still outside.
        room[..2].copy_from_slice(&(TEXT_KEY | text.len() as u16).to_le_bytes());
        room[2..].copy_from_slice(text.as_bytes());
        let position = position + 2 + text.len();
        if let Some(later) = Atom::later(key) {
            keys.add(later.number());
            return Ok((later.ids(), position));
        }
        keys.add_text();
        if !key.iter().all(u8::is_ascii_digit) {
            self.notes.warn_once(key, || Warning::Key(text.into()));
        }
        Ok((ids.of_unlisted(), position))
    }

    /// Removes every member of a map that a later one with the same key replaces.
    #[cold]
    #[inline(never)]
    fn keep_last(&mut self, content: usize, position: usize) -> usize {
        let entries = &mut self.notes.entries;
        entries.clear();
        let mut start = content;
        while let Some((_, after)) = format::split_key(&self.out[start..position]) {
            let Some(value) = format::value_len(after) else { break };
            let len = position - start - after.len() + value;
            entries.push(Entry { start: start as u32, len: len as u32, replaced: false });
            start += len;
        }

        let out = &*self.out;
        let key = |entry: &Entry| key_at(out, entry.start as usize);
        entries.sort_unstable_by(|a, b| (key(a), a.start).cmp(&(key(b), b.start)));
        let mut any = false;
        for index in 1..entries.len() {
            let replaced = key(&entries[index - 1]) == key(&entries[index]);
            entries[index - 1].replaced = replaced;
            any |= replaced;
        }
        if !any {
            return position;
        }
        entries.sort_unstable_by_key(|entry| entry.start);
        let mut end = content;
        for entry in entries.iter().filter(|entry| !entry.replaced) {
            let (start, len) = (entry.start as usize, entry.len as usize);
            self.out.copy_within(start..start + len, end);
            end += len;
        }
        end
    }
}

fn key_at(out: &[u8], start: usize) -> Option<RawKey<'_>> {
    out.get(start..).and_then(format::split_key).map(|(key, _)| key)
}
