//! ETF to document, in one pass.
//!
//! The unread input is a slice that goes from hand to hand. Keys and scalars in the form that Discord
//! gives them are read from one word and written into a room checked once; all else goes the longer
//! way, which knows every term.

use super::{
    DecodeErrorKind as Kind,
    notes::Stop,
    pad::{OpenMap, Pad, Position},
    terms::{
        ATOM, ATOM_UTF8, BINARY, BIT_BINARY, Big, COMPRESSED, FLOAT, INTEGER, LARGE_BIG,
        LARGE_TUPLE, LIST, MAP, NEW_FLOAT, NIL, SMALL_ATOM, SMALL_ATOM_UTF8, SMALL_BIG,
        SMALL_INTEGER, SMALL_TUPLE, STRING, large, latin1_text, listed_key, load, long, plain,
        short,
    },
};
use crate::{atom::Ids, format, ser::Decimal};

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
