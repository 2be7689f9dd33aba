//! ETF to document, in one pass.
//!
//! The unread input is a slice that goes from hand to hand. Keys and scalars in the form that Discord
//! gives them are read from one word and written into a room checked once; all else goes the longer
//! way, which knows every term.

use super::{
    DecodeErrorKind as Kind,
    notes::Stop,
    pad::{HIGH_BITS, OpenMap, Pad, Position, ROOM},
};
use crate::{
    atom::{Atom, Ids, Slot},
    format,
    ser::Decimal,
};

pub(crate) const VERSION: u8 = 131;
pub(crate) const COMPRESSED: u8 = 80;
const NEW_FLOAT: u8 = 70;
const BIT_BINARY: u8 = 77;
const SMALL_INTEGER: u8 = 97;
const INTEGER: u8 = 98;
const FLOAT: u8 = 99;
const ATOM: u8 = 100;
const SMALL_TUPLE: u8 = 104;
const LARGE_TUPLE: u8 = 105;
const NIL: u8 = 106;
const STRING: u8 = 107;
const LIST: u8 = 108;
const BINARY: u8 = 109;
const SMALL_BIG: u8 = 110;
const LARGE_BIG: u8 = 111;
const SMALL_ATOM: u8 = 115;
const MAP: u8 = 116;
const ATOM_UTF8: u8 = 118;
const SMALL_ATOM_UTF8: u8 = 119;

/// Reads terms and writes what they mean.
#[derive(Debug)]
pub(crate) struct Etf<'o> {
    pub(crate) pad: Pad<'o>,
}

/// The unread input, and the position behind what was written.
type Progress<'i> = Result<(&'i [u8], usize), Stop>;

/// What a key says about its value, where that begins, and the position behind the key.
type Member<'i> = (Ids, &'i [u8], usize);

/// A key outside the table.
enum Key<'i> {
    /// It was written.
    Member(Member<'i>),
    /// The member was left out; this follows it.
    Skipped(&'i [u8]),
}

/// A term where a key is expected.
enum KeyTerm<'i> {
    Text(&'i [u8]),
    Latin1(&'i [u8]),
    Signed(i64),
    Unsigned(u64),
}

impl Etf<'_> {
    /// One term, whose key says about ids what `ids` says, inside `depth` containers.
    #[inline(never)]
    pub(crate) fn value<'i>(
        &mut self,
        input: &'i [u8],
        position: usize,
        ids: Ids,
        depth: usize,
    ) -> Progress<'i> {
        let word = load(input);
        match word as u8 {
            BINARY => {
                let len = long(word);
                let (_, rest) = self.take(input, 5, len)?;
                Ok((rest, self.pad.text(position, &input[5..], len, ids)?))
            }
            MAP => self.map(input, position, ids, depth),
            LIST => {
                let (_, rest) = self.take(input, 5, 0)?;
                self.list(rest, position, long(word), ids, depth, true)
            }
            INTEGER => {
                let (_, rest) = self.take(input, 5, 0)?;
                let value = long(word) as u32 as i32;
                Ok((rest, self.pad.int(position, i64::from(value), ids)?))
            }
            SMALL_INTEGER => {
                let (_, rest) = self.take(input, 2, 0)?;
                Ok((rest, self.pad.uint(position, word >> 8 & 0xFF, ids)?))
            }
            NIL if !input.is_empty() => {
                Ok((&input[1..], self.pad.tag(position, format::EMPTY_LIST)?))
            }
            _ => self.other(input, position, ids, depth),
        }
    }

    /// Terms that Discord sends seldom or never.
    #[cold]
    #[inline(never)]
    fn other<'i>(
        &mut self,
        input: &'i [u8],
        position: usize,
        ids: Ids,
        depth: usize,
    ) -> Progress<'i> {
        let word = load(input);
        let Some(&tag) = input.first() else {
            return Err(self.pad.notes.refuse(Kind::Truncated, input));
        };
        match tag {
            SMALL_ATOM_UTF8 | ATOM_UTF8 => {
                let (name, rest) = self.atom_name(input, tag)?;
                Ok((rest, self.atom(position, name, ids)?))
            }
            ATOM | SMALL_ATOM => {
                let (name, rest) = self.atom_name(input, tag)?;
                Ok((rest, self.latin1(position, name, ids)?))
            }
            SMALL_BIG | LARGE_BIG => {
                let (big, rest) = self.big(input, tag)?;
                let position = match big {
                    Big::Unsigned(value) => self.pad.uint(position, value, ids)?,
                    Big::Signed(value) => self.pad.int(position, value, ids)?,
                    Big::Float(value) => self.pad.float(position, value, ids)?,
                };
                Ok((rest, position))
            }
            STRING => {
                let (bytes, rest) = self.take(input, 3, short(word))?;
                self.check(rest, bytes.len(), 0, depth)?;
                let (open, mut position) = self.pad.open(position, bytes.len());
                for byte in bytes {
                    position = self.pad.uint(position, u64::from(*byte), ids.in_list())?;
                }
                Ok((rest, self.pad.close_list(open, position)?))
            }
            NEW_FLOAT => {
                let (_, rest) = self.take(input, 9, 0)?;
                let bits = input[1..].first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
                Ok((rest, self.float(input, position, Some(f64::from_bits(bits)), ids)?))
            }
            FLOAT => {
                let (text, rest) = self.take(input, 1, 31)?;
                let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
                let text = std::str::from_utf8(&text[..end]).ok();
                let value = text.and_then(|text| text.trim().parse::<f64>().ok());
                Ok((rest, self.float(input, position, value, ids)?))
            }
            SMALL_TUPLE => {
                let (_, rest) = self.take(input, 2, 0)?;
                self.list(rest, position, usize::from(word as u16 >> 8), ids, depth, false)
            }
            LARGE_TUPLE => {
                let (_, rest) = self.take(input, 5, 0)?;
                self.list(rest, position, long(word), ids, depth, false)
            }
            // Atom cache, fun, reference, port, pid, export, bit string, nested compressed, local.
            68
            | BIT_BINARY
            | COMPRESSED
            | 82
            | 88..=90
            | 101..=103
            | 112..=114
            | 117
            | 120
            | 121 => Err(self.pad.notes.refuse(Kind::Term(tag), input)),
            _ => Err(self.pad.notes.refuse(Kind::UnknownTag(tag), input)),
        }
    }

    /// The header of the payload's map: how many members it has, and what follows.
    pub(crate) fn open_envelope<'i>(&mut self, input: &'i [u8]) -> Result<(usize, &'i [u8]), Stop> {
        if input.first().is_some_and(|tag| *tag != MAP) {
            return Err(self.pad.notes.refuse(Kind::Envelope("no map"), input));
        }
        let (_, rest) = self.take(input, 5, 0)?;
        let len = long(load(input));
        self.check(rest, len, 2, 0)?;
        Ok((len, rest))
    }

    /// A key of the payload's map, as `read` sees it, and what follows.
    #[inline]
    pub(crate) fn envelope_key<'i, T>(
        &mut self,
        input: &'i [u8],
        read: impl Fn(&[u8]) -> T,
    ) -> Result<(T, &'i [u8]), Stop> {
        let word = load(input);
        if word as u8 == ATOM {
            let (name, rest) = self.take(input, 3, short(word))?;
            return Ok((read(name), rest));
        }
        let (key, rest) = self.key_term(input)?;
        let field = match key {
            KeyTerm::Text(key) => read(key),
            KeyTerm::Latin1(_) | KeyTerm::Signed(_) | KeyTerm::Unsigned(_) => read(b""),
        };
        Ok((field, rest))
    }

    /// A small number as Discord sends `op` and `s`, and what follows; `None` for anything else.
    #[inline]
    pub(crate) fn plain_number<'i>(&self, input: &'i [u8]) -> Option<(u32, &'i [u8])> {
        match input {
            [SMALL_INTEGER, value, rest @ ..] => Some((u32::from(*value), rest)),
            [INTEGER, a @ 0..=0x7F, b, c, d, rest @ ..] => {
                Some((u32::from_be_bytes([*a, *b, *c, *d]), rest))
            }
            _ => None,
        }
    }

    /// An atom as Discord sends `t`, and what follows; `None` for anything else.
    #[inline]
    pub(crate) fn plain_atom<'i>(&self, input: &'i [u8]) -> Option<(&'i [u8], &'i [u8])> {
        let word = load(input);
        if word as u8 != ATOM {
            return None;
        }
        input.get(3..)?.split_at_checked(short(word))
    }

    #[inline(never)]
    fn map<'i>(
        &mut self,
        input: &'i [u8],
        position: usize,
        ids: Ids,
        depth: usize,
    ) -> Progress<'i> {
        let (_, mut rest) = self.take(input, 5, 0)?;
        let len = long(load(input));
        self.check(rest, len, 2, depth)?;
        let (mut map, mut position) = self.pad.open_map(position, rest.len(), ids);
        for _ in 0..len {
            let before = rest;
            let (ids, after, key_end) = match self.pad.room(position).zip(listed_key(rest)) {
                Some((room, (slot, after))) => {
                    let ids = map.mark(slot);
                    [room[0], room[1]] = slot.index.to_le_bytes();
                    if let Some((after, used)) = plain::<2>(room, after, ids) {
                        rest = after;
                        position += used;
                        continue;
                    }
                    (ids, after, position + 2)
                }
                None => match self.other_key(rest, position, &mut map, depth)? {
                    Key::Member(found) => found,
                    Key::Skipped(skipped) => {
                        rest = skipped;
                        continue;
                    }
                },
            };
            match self.value(after, key_end, ids, depth + 1) {
                Ok(progress) => (rest, position) = progress,
                Err(stop) => {
                    self.note_key(before);
                    return Err(stop);
                }
            }
        }
        Ok((rest, self.pad.close_map(&map, position)?))
    }

    /// Writes any other key.
    #[cold]
    #[inline(never)]
    fn other_key<'i>(
        &mut self,
        input: &'i [u8],
        position: usize,
        map: &mut OpenMap,
        depth: usize,
    ) -> Result<Key<'i>, Stop> {
        let (key, rest) = self.key_term(input)?;
        let (ids, position) = match key {
            KeyTerm::Text(b"__struct__") => {
                let (rest, _) = self.value(rest, position, Ids::None, depth + 1)?;
                return Ok(Key::Skipped(rest));
            }
            KeyTerm::Text(key) => self.pad.key(map, position, key, input)?,
            KeyTerm::Latin1(key) => {
                self.pad.key(map, position, latin1_text(key).as_bytes(), input)?
            }
            KeyTerm::Signed(key) => {
                self.pad.key(map, position, key.to_string().as_bytes(), input)?
            }
            KeyTerm::Unsigned(key) => {
                self.pad.key(map, position, Decimal::new(key).as_str().as_bytes(), input)?
            }
        };
        Ok(Key::Member((ids, rest, position)))
    }

    fn key_term<'i>(&mut self, input: &'i [u8]) -> Result<(KeyTerm<'i>, &'i [u8]), Stop> {
        let word = load(input);
        let Some(&tag) = input.first() else {
            return Err(self.pad.notes.refuse(Kind::Truncated, input));
        };
        Ok(match tag {
            BINARY => {
                let (key, rest) = self.take(input, 5, long(word))?;
                (KeyTerm::Text(key), rest)
            }
            SMALL_ATOM_UTF8 | ATOM_UTF8 => {
                let (key, rest) = self.atom_name(input, tag)?;
                (KeyTerm::Text(key), rest)
            }
            SMALL_ATOM | ATOM => {
                let (key, rest) = self.atom_name(input, tag)?;
                let key = if key.is_ascii() { KeyTerm::Text(key) } else { KeyTerm::Latin1(key) };
                (key, rest)
            }
            SMALL_INTEGER => {
                let (_, rest) = self.take(input, 2, 0)?;
                (KeyTerm::Unsigned(word >> 8 & 0xFF), rest)
            }
            INTEGER => {
                let (_, rest) = self.take(input, 5, 0)?;
                (KeyTerm::Signed(i64::from(long(word) as u32 as i32)), rest)
            }
            SMALL_BIG => match self.big(input, tag)? {
                (Big::Unsigned(key), rest) => (KeyTerm::Unsigned(key), rest),
                (Big::Signed(key), rest) => (KeyTerm::Signed(key), rest),
                (Big::Float(_), _) => return Err(self.pad.notes.refuse(Kind::Key(tag), input)),
            },
            tag => return Err(self.pad.notes.refuse(Kind::Key(tag), input)),
        })
    }

    /// Adds the key that begins `input` to an error's path.
    #[cold]
    #[inline(never)]
    fn note_key(&mut self, input: &[u8]) {
        let fault = self.pad.notes.fault.take();
        let key = self.key_term(input);
        self.pad.notes.fault = fault;
        let Ok((key, _)) = key else { return };
        self.pad.notes.step(|| match key {
            KeyTerm::Text(key) => String::from_utf8_lossy(key).into_owned(),
            KeyTerm::Latin1(key) => latin1_text(key),
            KeyTerm::Signed(key) => key.to_string(),
            KeyTerm::Unsigned(key) => key.to_string(),
        });
    }

    #[inline(never)]
    fn list<'i>(
        &mut self,
        input: &'i [u8],
        position: usize,
        len: usize,
        ids: Ids,
        depth: usize,
        tail: bool,
    ) -> Progress<'i> {
        self.check(input, len, 1, depth)?;
        let ids = ids.in_list();
        let (open, mut position) = self.pad.open(position, input.len());
        let mut rest = input;
        for index in 0..len {
            if let Some((after, used)) =
                self.pad.room(position).and_then(|room| plain::<0>(room, rest, ids))
            {
                rest = after;
                position += used;
                continue;
            }
            match self.value(rest, position, ids, depth + 1) {
                Ok(progress) => (rest, position) = progress,
                Err(stop) => {
                    self.pad.notes.step(|| format!("[{index}]"));
                    return Err(stop);
                }
            }
        }
        if tail {
            match rest.split_first() {
                Some((&NIL, after)) => rest = after,
                Some(_) => return Err(self.pad.notes.refuse(Kind::ImproperList, rest)),
                None => return Err(self.pad.notes.refuse(Kind::Truncated, rest)),
            }
        }
        Ok((rest, self.pad.close_list(open, position)?))
    }

    #[inline(never)]
    fn atom(&mut self, position: usize, name: &[u8], ids: Ids) -> Position {
        match name {
            b"nil" | b"null" => self.pad.tag(position, format::NULL),
            b"true" => self.pad.bool(position, true),
            b"false" => self.pad.bool(position, false),
            name => self.pad.text(position, name, name.len(), ids),
        }
    }

    #[inline(never)]
    fn latin1(&mut self, position: usize, name: &[u8], ids: Ids) -> Position {
        if name.is_ascii() {
            return self.atom(position, name, ids);
        }
        let text = latin1_text(name);
        self.pad.text(position, text.as_bytes(), text.len(), ids)
    }

    fn float(&mut self, input: &[u8], position: usize, value: Option<f64>, ids: Ids) -> Position {
        match value {
            Some(value) if value.is_finite() => self.pad.float(position, value, ids),
            _ => Err(self.pad.notes.refuse(Kind::NotFinite, input)),
        }
    }

    /// The name of an atom, whatever its tag.
    fn atom_name<'i>(&mut self, input: &'i [u8], tag: u8) -> Result<(&'i [u8], &'i [u8]), Stop> {
        let word = load(input);
        match tag {
            ATOM | ATOM_UTF8 => self.take(input, 3, short(word)),
            _ => self.take(input, 2, usize::from(word as u16 >> 8)),
        }
    }

    /// A big integer, small or large.
    fn big<'i>(&mut self, input: &'i [u8], tag: u8) -> Result<(Big, &'i [u8]), Stop> {
        let word = load(input);
        let (header, len, sign) = match tag {
            SMALL_BIG => (3, usize::from(word as u16 >> 8), word >> 16),
            _ => (6, long(word), word >> 40),
        };
        let (magnitude, rest) = self.take(input, header, len)?;
        let negative = match sign as u8 {
            0 => false,
            1 => true,
            sign => return Err(self.pad.notes.refuse(Kind::Sign(sign), input)),
        };
        match large(magnitude, negative) {
            Some(big) => Ok((big, rest)),
            None => Err(self.pad.notes.refuse(Kind::NotFinite, input)),
        }
    }

    /// Checks that `len` elements can still come, and may, and that one more container may open.
    #[inline]
    fn check(&mut self, rest: &[u8], len: usize, each: usize, depth: usize) -> Result<(), Stop> {
        let limits = &self.pad.notes.limits;
        // Every term takes a byte at least.
        let kind = if len.saturating_mul(each) > rest.len() {
            Kind::Truncated
        } else if len > limits.elements {
            Kind::TooMany { len, limit: limits.elements }
        } else if depth >= limits.depth {
            Kind::Depth(limits.depth)
        } else {
            return Ok(());
        };
        Err(self.pad.notes.refuse(kind, rest))
    }

    /// The `len` bytes behind a header, and what follows them.
    #[inline(always)]
    fn take<'i>(
        &mut self,
        input: &'i [u8],
        header: usize,
        len: usize,
    ) -> Result<(&'i [u8], &'i [u8]), Stop> {
        match input.get(header..).and_then(|rest| rest.split_at_checked(len)) {
            Some(parts) => Ok(parts),
            None => Err(self.pad.notes.refuse(Kind::Truncated, input)),
        }
    }
}

/// The key of the table that begins `input`, and what follows it.
#[inline(always)]
fn listed_key(input: &[u8]) -> Option<(&'static Slot, &[u8])> {
    let word = u64::from_le_bytes(*input.first_chunk()?);
    let (header, len) = match word as u8 {
        ATOM => (3, short(word)),
        _ => key_header(word)?,
    };
    let name = input.get(header..)?;
    let rest = name.get(len..)?;
    Some((Atom::lookup_in(name, len)?, rest))
}

/// The length of a key's header, and of its text; for keys that are no ATOM_EXT.
#[inline(never)]
const fn key_header(word: u64) -> Option<(usize, usize)> {
    match word as u8 {
        BINARY => Some((5, long(word))),
        SMALL_ATOM | SMALL_ATOM_UTF8 => Some((2, (word as u16 >> 8) as usize)),
        ATOM_UTF8 => Some((3, short(word))),
        _ => None,
    }
}

/// Writes the term that begins `input` from `room[AT]` on, if it is one of the frequent scalars in
/// the form that Discord gives them. Gives what follows it, and how much of the room is used.
#[inline(always)]
fn plain<'i, const AT: usize>(
    room: &mut [u8; ROOM],
    input: &'i [u8],
    ids: Ids,
) -> Option<(&'i [u8], usize)> {
    let word = u64::from_le_bytes(*input.first_chunk()?);
    match word as u8 {
        ATOM => {
            let (tag, len) = if word & 0xFFFF_FFFF_FFFF == NIL_ATOM {
                (format::NULL, 6)
            } else if word == FALSE_ATOM {
                (format::FALSE, 8)
            } else if word & 0xFF_FFFF_FFFF_FFFF == TRUE_ATOM {
                (format::TRUE, 7)
            } else {
                return None;
            };
            room[AT] = tag;
            Some((&input[len..], AT + 1))
        }
        BINARY => {
            let len = long(word);
            let text = input.get(5..)?;
            let rest = text.get(len..)?;
            if is_id(ids) || len > 32 {
                return None;
            }
            if len > 16 {
                let (first, last) = (text.first_chunk::<16>()?, text[..len].last_chunk::<16>()?);
                let both = u128::from_le_bytes(*first) | u128::from_le_bytes(*last);
                if both & HIGH_BITS[16] != 0 {
                    return None;
                }
                *room[AT + 1..].first_chunk_mut()? = *first;
                *room[AT + 1 + len - 16..].first_chunk_mut()? = *last;
            } else {
                let chunk = text.first_chunk::<16>()?;
                if u128::from_le_bytes(*chunk) & HIGH_BITS[len] != 0 {
                    return None;
                }
                *room[AT + 1..].first_chunk_mut()? = *chunk;
            }
            room[AT] = format::SHORT_TEXT + len as u8;
            Some((rest, AT + 1 + len))
        }
        SMALL_BIG => {
            let len = word as u16 >> 8;
            // One byte of length, one of sign, which must be 0.
            if word >> 16 & 0xFF != 0 || !(1..=8).contains(&len) {
                return None;
            }
            let bytes = u64::from_le_bytes(*input[3..].first_chunk()?);
            let value = bytes & (u64::MAX >> (64 - 8 * len));
            room[AT] = if is_id(ids) {
                format::ID
            } else if (0x8000_0000..0x8000_0000_0000_0000).contains(&value) {
                format::I64
            } else {
                return None;
            };
            *room[AT + 1..].first_chunk_mut()? = value.to_le_bytes();
            Some((input.get(3 + usize::from(len)..)?, AT + 9))
        }
        SMALL_INTEGER => {
            let value = (word >> 8) as u8;
            if is_id(ids) {
                return None;
            }
            let (bytes, used) = match value {
                0..=95 => ([format::SMALL_INT + value, 0, 0], 1),
                96..=127 => ([format::I8, value, 0], 2),
                128.. => ([format::I16, value, 0], 3),
            };
            *room[AT..].first_chunk_mut()? = bytes;
            Some((&input[2..], AT + used))
        }
        INTEGER => {
            let value = long(word) as u32;
            if is_id(ids) || !(0x8000..0x8000_0000).contains(&value) {
                return None;
            }
            room[AT] = format::I32;
            *room[AT + 1..].first_chunk_mut()? = value.to_le_bytes();
            Some((&input[5..], AT + 5))
        }
        NIL => {
            room[AT] = format::EMPTY_LIST;
            Some((&input[1..], AT + 1))
        }
        _ => None,
    }
}

#[inline(always)]
const fn is_id(ids: Ids) -> bool {
    matches!(ids, Ids::Value | Ids::Element)
}

/// The first bytes of the constants as ATOM_EXT.
const NIL_ATOM: u64 = u64::from_le_bytes([ATOM, 0, 3, b'n', b'i', b'l', 0, 0]);
const TRUE_ATOM: u64 = u64::from_le_bytes([ATOM, 0, 4, b't', b'r', b'u', b'e', 0]);
const FALSE_ATOM: u64 = u64::from_le_bytes([ATOM, 0, 5, b'f', b'a', b'l', b's', b'e']);

enum Big {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

impl Big {
    fn new(magnitude: u64, negative: bool) -> Self {
        if !negative {
            return Self::Unsigned(magnitude);
        }
        match 0_i64.checked_sub_unsigned(magnitude) {
            Some(value) => Self::Signed(value),
            None => Self::Float(-(magnitude as f64)),
        }
    }
}

/// A big integer: itself if it fits, else the nearest float, if that is finite.
fn large(magnitude: &[u8], negative: bool) -> Option<Big> {
    let len = magnitude.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if len <= 8 {
        return Some(Big::new(little_endian(&magnitude[..len]), negative));
    }
    // f64 ends below 2^1024.
    if len > 128 {
        return None;
    }
    // The top 64 bits decide the rounding, with one bit that stands for all below.
    let (below, top) = magnitude[..len].split_at(len - 8);
    let (top, next) = (little_endian(top), below.last().copied().map_or(0, u64::from));
    let shift = top.leading_zeros();
    let lost = next << shift & 0xFF != 0 || below[..below.len() - 1].iter().any(|byte| *byte != 0);
    let bits = top << shift | next >> (8 - shift) | u64::from(lost);
    let value = bits as f64 * 2_f64.powi(8 * (len as i32 - 8) - shift as i32);
    value.is_finite().then_some(Big::Float(if negative { -value } else { value }))
}

/// A number of at most 8 bytes.
fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// The first 8 bytes, the first one lowest; zeros where there are fewer.
#[inline(always)]
fn load(input: &[u8]) -> u64 {
    match input.first_chunk() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => load_at_the_end(input),
    }
}

#[cold]
#[inline(never)]
fn load_at_the_end(input: &[u8]) -> u64 {
    little_endian(input)
}

/// The u16 behind the tag in a loaded word.
#[inline]
const fn short(word: u64) -> usize {
    ((word >> 8) as u16).swap_bytes() as usize
}

/// The u32 behind the tag in a loaded word.
#[inline]
const fn long(word: u64) -> usize {
    ((word >> 8) as u32).swap_bytes() as usize
}

fn latin1_text(name: &[u8]) -> String {
    name.iter().map(|byte| char::from(*byte)).collect()
}
