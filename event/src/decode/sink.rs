//! What both decoders write through: the same rules give the same document (P6).

use std::hash::{BuildHasher, RandomState};

use super::{DecodeErrorKind, Limits};
use crate::{
    atom::{ATOMS, Atom},
    format::{self, KEY_LEN_MAX, RawKey},
    put::{self, Open},
};

const WORDS: usize = ATOMS.div_ceil(64);
/// From how many bytes of input on containers are guessed to need the wide header.
const WIDE_FROM: usize = 48 * 1024;
/// How many names a decoder remembers having warned about.
const SEEN_MAX: usize = 512;
/// How many warnings wait for being taken.
const WARNINGS_MAX: usize = 64;

/// Something met for the first time.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Warning {
    /// A key outside the table.
    Key(Box<str>),
    /// A dispatch outside the table.
    Event(Box<str>),
}

/// The document being written, and what is kept from one to the next.
#[derive(Debug)]
pub(crate) struct Sink {
    pub(crate) out: Vec<u8>,
    pub(crate) limits: Limits,
    /// Whether bytes that were not UTF-8 have been replaced in this document.
    pub(crate) not_utf8: bool,
    /// Where an error is, from the innermost step outwards; empty while all is well.
    pub(crate) path: Vec<String>,
    entries: Vec<Entry>,
    hasher: RandomState,
    seen: Vec<u64>,
    pub(crate) warnings: Vec<Warning>,
}

/// Which values around here are snowflakes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Ids {
    /// None.
    None,
    /// This one, if it is a scalar.
    Element,
    /// This one, or the scalars of the list that it is.
    Value,
    /// The members of the map that it is, under keys outside the table.
    Members,
}

impl Ids {
    /// What `keys.txt` says about the value under `key`.
    #[inline]
    fn under(key: Atom) -> Self {
        match key.flag() {
            0 => Self::None,
            1 => Self::Value,
            _ => Self::Members,
        }
    }

    #[inline]
    fn scalar(self) -> bool {
        matches!(self, Self::Element | Self::Value)
    }

    /// For the elements of the list that the value is.
    #[inline]
    pub(crate) fn in_list(self) -> Self {
        if self == Self::Value { Self::Element } else { Self::None }
    }
}

/// A member of a map that is searched for duplicates.
#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u32,
    len: u32,
    dead: bool,
}

/// A map being written.
#[derive(Debug)]
pub(crate) struct OpenMap {
    open: Open,
    /// Which atoms it has.
    atoms: [u64; WORDS],
    /// How many keys outside the table it has.
    texts: u32,
    /// Whether an atom came twice.
    twice: bool,
    /// What the values under keys outside the table are.
    unlisted: Ids,
}

impl Sink {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            out: Vec::new(),
            limits,
            not_utf8: false,
            path: Vec::new(),
            entries: Vec::new(),
            hasher: RandomState::new(),
            seen: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Begins a map; `input_left` bytes at most will fill it.
    #[inline]
    pub(crate) fn open_map(&mut self, input_left: usize, ids: Ids) -> OpenMap {
        let open = put::open(&mut self.out, input_left >= WIDE_FROM);
        let unlisted = if ids == Ids::Members { Ids::Value } else { Ids::None };
        OpenMap { open, atoms: [0; WORDS], texts: 0, twice: false, unlisted }
    }

    #[inline]
    pub(crate) fn open_list(&mut self, input_left: usize) -> Open {
        put::open(&mut self.out, input_left >= WIDE_FROM)
    }

    #[inline]
    pub(crate) fn close_list(&mut self, open: Open) -> Result<(), DecodeErrorKind> {
        put::close_list(&mut self.out, open);
        self.check_size()
    }

    #[inline]
    pub(crate) fn close_map(&mut self, map: &OpenMap) -> Result<(), DecodeErrorKind> {
        if map.twice || map.texts > 1 {
            self.keep_last(map);
        }
        put::close_map(&mut self.out, map.open);
        self.check_size()
    }

    /// Writes a key. Gives whether its scalars are snowflakes.
    #[inline]
    pub(crate) fn key(&mut self, map: &mut OpenMap, key: &[u8]) -> Result<Ids, DecodeErrorKind> {
        match Atom::lookup(key) {
            Some(atom) => {
                let number = usize::from(atom.number());
                let bit = 1 << (number % 64);
                map.twice |= map.atoms[number / 64] & bit != 0;
                map.atoms[number / 64] |= bit;
                put::atom_key(&mut self.out, atom);
                Ok(Ids::under(atom))
            }
            None => self.text_key(map, key),
        }
    }

    #[cold]
    fn text_key(&mut self, map: &mut OpenMap, key: &[u8]) -> Result<Ids, DecodeErrorKind> {
        let text = String::from_utf8_lossy(key);
        self.not_utf8 |= matches!(text, std::borrow::Cow::Owned(_));
        if text.len() > KEY_LEN_MAX {
            return Err(DecodeErrorKind::KeyTooLong(text.len()));
        }
        // No key of the table holds U+FFFD, so a repaired key is still outside.
        put::text_key(&mut self.out, &text);
        map.texts += 1;
        if !key.iter().all(u8::is_ascii_digit) {
            self.warn_once(key, || Warning::Key(text.into()));
        }
        Ok(map.unlisted)
    }

    /// Text: a snowflake where its key says so and it is one.
    #[inline]
    pub(crate) fn text(&mut self, text: &[u8], ids: Ids) {
        if ids.scalar()
            && let Some(id) = parse_id(text)
        {
            return put::id(&mut self.out, id);
        }
        if simdutf8::basic::from_utf8(text).is_ok() {
            put::text(&mut self.out, text);
        } else {
            self.broken_text(text);
        }
    }

    #[cold]
    fn broken_text(&mut self, text: &[u8]) {
        self.not_utf8 = true;
        put::text(&mut self.out, String::from_utf8_lossy(text).as_bytes());
    }

    #[inline]
    pub(crate) fn uint(&mut self, value: u64, ids: Ids) {
        if ids.scalar() {
            put::id(&mut self.out, value);
        } else {
            put::uint(&mut self.out, value);
        }
    }

    #[inline]
    pub(crate) fn int(&mut self, value: i64, ids: Ids) {
        match u64::try_from(value) {
            Ok(value) => self.uint(value, ids),
            Err(_) => put::int(&mut self.out, value),
        }
    }

    pub(crate) fn float(&mut self, value: f64, ids: Ids) -> Result<(), DecodeErrorKind> {
        if !value.is_finite() {
            return Err(DecodeErrorKind::NotFinite);
        }
        match put::integer(value) {
            Some(put::Integer::Unsigned(value)) => self.uint(value, ids),
            Some(put::Integer::Signed(value)) => put::int(&mut self.out, value),
            None => put::float(&mut self.out, value),
        }
        Ok(())
    }

    /// Remembers a name; the first time it becomes a warning.
    #[cold]
    pub(crate) fn warn_once(&mut self, name: &[u8], warning: impl FnOnce() -> Warning) {
        let hash = self.hasher.hash_one(name);
        if self.seen.len() >= SEEN_MAX || self.seen.contains(&hash) {
            return;
        }
        self.seen.push(hash);
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(warning());
        }
    }

    #[inline]
    fn check_size(&self) -> Result<(), DecodeErrorKind> {
        if self.out.len() > self.limits.document_bytes {
            return Err(DecodeErrorKind::DocumentTooLarge(self.limits.document_bytes));
        }
        Ok(())
    }

    /// Removes every member of the map that a later one with the same key replaces.
    #[cold]
    fn keep_last(&mut self, map: &OpenMap) {
        let content = map.open.content();
        self.entries.clear();
        let mut start = content;
        while let Some((_, after)) = self.out.get(start..).and_then(format::split_key) {
            let Some(value) = format::value_len(after) else { break };
            let len = self.out.len() - start - after.len() + value;
            self.entries.push(Entry { start: start as u32, len: len as u32, dead: false });
            start += len;
        }

        let key = |entry: &Entry| key_at(&self.out, entry.start as usize);
        self.entries.sort_unstable_by(|a, b| (key(a), a.start).cmp(&(key(b), b.start)));
        let mut any = false;
        for index in 1..self.entries.len() {
            let replaced = key(&self.entries[index - 1]) == key(&self.entries[index]);
            self.entries[index - 1].dead = replaced;
            any |= replaced;
        }
        if !any {
            return;
        }
        self.entries.sort_unstable_by_key(|entry| entry.start);
        let mut end = content;
        for entry in &self.entries {
            if !entry.dead {
                let start = entry.start as usize;
                self.out.copy_within(start..start + entry.len as usize, end);
                end += entry.len as usize;
            }
        }
        self.out.truncate(end);
    }
}

fn key_at(out: &[u8], start: usize) -> Option<RawKey<'_>> {
    out.get(start..).and_then(format::split_key).map(|(key, _)| key)
}

/// The number that decimal text is: 1 to 20 digits, no leading zero, within 64 bits.
#[inline]
pub(crate) fn parse_id(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 || (text[0] == b'0' && text.len() > 1) {
        return None;
    }
    let (head, last) = if text.len() == 20 { (&text[..19], text.get(19)) } else { (text, None) };
    let mut value = 0_u64;
    for byte in head {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // 19 digits stay below 2^64.
        value = value * 10 + u64::from(digit);
    }
    match last {
        None => Some(value),
        Some(byte) if byte.is_ascii_digit() => {
            value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))
        }
        Some(_) => None,
    }
}
