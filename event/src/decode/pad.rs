//! The document being written. Both decoders write through this: the same rules give the same
//! document (P6).
//!
//! The buffer is a slice of fixed length, so that a write is one bounds check and one or two stores.
//! Where it is too small, decoding stops and begins again with a larger one; buffers are kept, so
//! that happens to the first payloads of a connection only. Short writes store a fixed number of
//! bytes, more than they need: what stands behind the position means nothing.

use std::borrow::Cow;

use super::{
    DecodeErrorKind,
    notes::{Entry, Notes, Stop, Warning},
};
use crate::{
    atom::{ATOMS, Atom, Ids, Slot, atoms},
    format::{self, KEY_LEN_MAX, RawKey, TEXT_KEY},
    put::{self, Integer},
};

/// Words of a set of atoms; a power of two, so that an index is cut to it by a mask.
const WORDS: usize = ATOMS.div_ceil(64).next_power_of_two();
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
    #[inline]
    const fn scalar(self) -> bool {
        matches!(self, Self::Element | Self::Value)
    }

    /// For the elements of the list that the value is.
    #[inline]
    pub(crate) const fn in_list(self) -> Self {
        match self {
            Self::Value => Self::Element,
            Self::Plain => Self::Plain,
            _ => Self::None,
        }
    }
}

/// A container being written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    start: usize,
    content: usize,
}

/// A map being written.
#[derive(Debug)]
pub(crate) struct OpenMap {
    open: Open,
    /// Which atoms it has.
    atoms: [u64; WORDS],
    /// Not 0 when an atom came twice.
    twice: u64,
    /// How many keys outside the table it has.
    texts: u32,
    /// What the values under those are.
    unlisted: Ids,
    /// The key whose flag does not count here; no key's number where all do.
    plain: u16,
}

impl OpenMap {
    /// Notes a key of the table. Gives what its value is.
    #[inline(always)]
    pub(crate) fn mark(&mut self, slot: &Slot) -> Ids {
        let word = &mut self.atoms[usize::from(slot.index / 64) % WORDS];
        let bit = 1 << (slot.index % 64);
        self.twice |= *word & bit;
        *word |= bit;
        if slot.index == self.plain { Ids::None } else { slot.ids }
    }
}

impl Pad<'_> {
    /// Room for a key and a short value, if there is so much left.
    #[inline(always)]
    pub(crate) fn room(&mut self, position: usize) -> Option<&mut [u8; ROOM]> {
        self.out.get_mut(position..)?.first_chunk_mut()
    }

    /// Begins a container that at most `input_left` bytes fill. Its content goes to the position.
    #[inline(always)]
    pub(crate) const fn open(&self, position: usize, input_left: usize) -> (Open, usize) {
        let content = position + if input_left >= WIDE_FROM { 5 } else { 3 };
        (Open { start: position, content }, content)
    }

    #[inline]
    pub(crate) const fn open_map(
        &self,
        position: usize,
        input_left: usize,
        ids: Ids,
    ) -> (OpenMap, usize) {
        let (open, content) = self.open(position, input_left);
        let unlisted = if matches!(ids, Ids::Members) { Ids::Value } else { Ids::None };
        let plain = if matches!(ids, Ids::Plain) { atoms::ID.number() } else { u16::MAX };
        (OpenMap { open, atoms: [0; WORDS], twice: 0, texts: 0, unlisted, plain }, content)
    }

    #[inline]
    pub(crate) fn close_list(&mut self, open: Open, position: usize) -> Position {
        self.close(open, position, [format::EMPTY_LIST, format::LIST16, format::LIST32])
    }

    #[inline(always)]
    pub(crate) fn close_map(&mut self, map: &OpenMap, mut position: usize) -> Position {
        if map.twice != 0 || map.texts > 1 {
            position = self.keep_last(map.open.content, position);
        }
        self.close(map.open, position, [format::EMPTY_MAP, format::MAP16, format::MAP32])
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

    /// Writes the key that the first `len` bytes of `bytes` are, if the table has it.
    #[inline(always)]
    pub(crate) fn listed_key(
        &mut self,
        map: &mut OpenMap,
        position: usize,
        bytes: &[u8],
        len: usize,
    ) -> Option<(Ids, usize)> {
        let slot = Atom::lookup_in(bytes, len)?;
        let ids = map.mark(slot);
        *self.out.get_mut(position..)?.first_chunk_mut()? = slot.index.to_le_bytes();
        Some((ids, position + 2))
    }

    /// Writes any key.
    #[cold]
    #[inline(never)]
    pub(crate) fn key(
        &mut self,
        map: &mut OpenMap,
        position: usize,
        key: &[u8],
        rest: &[u8],
    ) -> Result<(Ids, usize), Stop> {
        if let Some(done) = self.listed_key(map, position, key, key.len()) {
            return Ok(done);
        }
        let text = String::from_utf8_lossy(key);
        self.notes.not_utf8 |= matches!(text, Cow::Owned(_));
        if text.len() > KEY_LEN_MAX {
            return Err(self.notes.refuse(DecodeErrorKind::KeyTooLong(text.len()), rest));
        }
        let Some(room) = self.out.get_mut(position..position + 2 + text.len()) else {
            return Err(self.notes.full());
        };
        // No key of the table holds U+FFFD, so a repaired key is still outside.
        room[..2].copy_from_slice(&(TEXT_KEY | text.len() as u16).to_le_bytes());
        room[2..].copy_from_slice(text.as_bytes());
        let position = position + 2 + text.len();
        map.texts += 1;
        if !key.iter().all(u8::is_ascii_digit) && Atom::lookup(key).is_none() {
            self.notes.warn_once(key, || Warning::Key(text.into()));
        }
        Ok((map.unlisted, position))
    }

    /// Writes a value that is no more than its tag.
    #[inline(always)]
    pub(crate) fn tag(&mut self, position: usize, tag: u8) -> Position {
        match self.out.get_mut(position) {
            Some(byte) => *byte = tag,
            None => return Err(self.notes.full()),
        }
        Ok(position + 1)
    }

    #[inline]
    pub(crate) fn bool(&mut self, position: usize, value: bool) -> Position {
        self.tag(position, if value { format::TRUE } else { format::FALSE })
    }

    #[inline(always)]
    pub(crate) fn uint(&mut self, position: usize, value: u64, ids: Ids) -> Position {
        if ids.scalar() {
            return self.word(position, format::ID, value, 9);
        }
        if value <= format::SMALL_INT_MAX {
            return self.tag(position, format::SMALL_INT + value as u8);
        }
        let (tag, len) = match value {
            ..0x80 => (format::I8, 2),
            0x80..0x8000 => (format::I16, 3),
            0x8000..0x8000_0000 => (format::I32, 5),
            0x8000_0000..0x8000_0000_0000_0000 => (format::I64, 9),
            _ => (format::U64, 9),
        };
        self.word(position, tag, value, len)
    }

    #[inline]
    pub(crate) fn int(&mut self, position: usize, value: i64, ids: Ids) -> Position {
        if let Ok(value) = u64::try_from(value) {
            return self.uint(position, value, ids);
        }
        let (tag, len) = match value {
            -0x80.. => (format::I8, 2),
            -0x8000.. => (format::I16, 3),
            -0x8000_0000.. => (format::I32, 5),
            _ => (format::I64, 9),
        };
        self.word(position, tag, value as u64, len)
    }

    /// A finite number: the integer it equals, if there is one.
    pub(crate) fn float(&mut self, position: usize, value: f64, ids: Ids) -> Position {
        match put::integer(value) {
            Some(Integer::Unsigned(value)) => self.uint(position, value, ids),
            Some(Integer::Signed(value)) => self.int(position, value, ids),
            None => self.word(position, format::FLOAT, value.to_bits(), 9),
        }
    }

    /// Writes `len` bytes of a tag and a little-endian word.
    #[inline(always)]
    fn word(&mut self, position: usize, tag: u8, word: u64, len: usize) -> Position {
        let Some(room) = self.out.get_mut(position..).and_then(<[u8]>::first_chunk_mut::<9>) else {
            return Err(self.notes.full());
        };
        room[0] = tag;
        room[1..].copy_from_slice(&word.to_le_bytes());
        Ok(position + len)
    }

    /// Text: the first `len` bytes of `bytes`, which are no fewer. A snowflake where its key says
    /// so and it is one.
    #[inline(always)]
    pub(crate) fn text(&mut self, position: usize, bytes: &[u8], len: usize, ids: Ids) -> Position {
        let text = &bytes[..len];
        if ids.scalar()
            && let Some(id) = parse_id(text)
        {
            return self.word(position, format::ID, id, 9);
        }
        if let (Some(high), Some(chunk)) = (HIGH_BITS.get(len), bytes.first_chunk::<16>())
            && u128::from_le_bytes(*chunk) & high == 0
            && let Some(room) = self.out.get_mut(position..).and_then(<[u8]>::first_chunk_mut::<17>)
        {
            room[0] = format::SHORT_TEXT + len as u8;
            room[1..].copy_from_slice(chunk);
            return Ok(position + 1 + len);
        }
        self.long_text(position, text)
    }

    #[inline(never)]
    fn long_text(&mut self, position: usize, text: &[u8]) -> Position {
        if let (17..=32, Some(first), Some(last)) =
            (text.len(), text.first_chunk::<16>(), text.last_chunk::<16>())
            && (u128::from_le_bytes(*first) | u128::from_le_bytes(*last)) & HIGH_BITS[16] == 0
            && let Some(room) = self.out.get_mut(position..position + 1 + text.len())
            && let Some((tag, room)) = room.split_first_mut()
        {
            *tag = format::SHORT_TEXT + text.len() as u8;
            if let Some(start) = room.first_chunk_mut() {
                *start = *first;
            }
            if let Some(end) = room.last_chunk_mut() {
                *end = *last;
            }
            return Ok(position + 1 + text.len());
        }
        if text.is_ascii() {
            return self.whole_text(position, text);
        }
        if simdutf8::basic::from_utf8(text).is_ok() {
            return self.whole_text(position, text);
        }
        self.notes.not_utf8 = true;
        self.whole_text(position, String::from_utf8_lossy(text).as_bytes())
    }

    /// Text that is UTF-8, of any length.
    fn whole_text(&mut self, position: usize, text: &[u8]) -> Position {
        let len = text.len();
        let [a, b, c, d, ..] = len.to_le_bytes();
        let (header, used) = match len {
            ..=format::SHORT_TEXT_MAX => ([format::SHORT_TEXT + a, 0, 0, 0, 0], 1),
            128..=0xFFFF => ([format::TEXT16, a, b, 0, 0], 3),
            _ => ([format::TEXT32, a, b, c, d], 5),
        };
        let Some(room) = self.out.get_mut(position..position + used + len) else {
            return Err(self.notes.full());
        };
        room[..used].copy_from_slice(&header[..used]);
        room[used..].copy_from_slice(text);
        Ok(position + used + len)
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

/// The number that decimal text is: 1 to 20 digits, no leading zero, within 64 bits.
#[inline(always)]
pub(crate) fn parse_id(text: &[u8]) -> Option<u64> {
    if text.len() > 20 || *text.first()? == b'0' && text.len() > 1 {
        return None;
    }
    let mut rest = text;
    let mut value = 0_u64;
    while let Some((eight, tail)) = rest.split_first_chunk::<8>() {
        value = value * 100_000_000 + eight_digits(*eight)?;
        rest = tail;
    }
    let (rest, last) = if text.len() == 20 { rest.split_at(3) } else { (rest, &[][..]) };
    for byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // 19 digits stay below 2^64.
        value = value * 10 + u64::from(digit);
    }
    match last {
        [] => Some(value),
        [byte, ..] if byte.is_ascii_digit() => {
            value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))
        }
        _ => None,
    }
}

/// The number that eight digits are.
#[inline(always)]
fn eight_digits(text: [u8; 8]) -> Option<u64> {
    let digits = u64::from_le_bytes(text).wrapping_sub(0x3030_3030_3030_3030);
    // A byte below '0' borrows and shows its high bit; one above '9' passes 0x7F when 0x76 is added.
    if (digits | digits.wrapping_add(0x7676_7676_7676_7676)) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00FF_00FF_00FF_00FF;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_FFFF_0000_FFFF;
    Some(fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xFFFF_FFFF)
}

/// The high bit of each of the first so many bytes.
pub(crate) const HIGH_BITS: [u128; 17] = {
    let mut masks = [0x8080_8080_8080_8080_8080_8080_8080_8080; 17];
    let mut len = 0;
    while len < 16 {
        masks[len] &= (1 << (8 * len)) - 1;
        len += 1;
    }
    masks
};
