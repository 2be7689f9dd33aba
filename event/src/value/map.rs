//! Maps in a document.

use std::fmt;

use super::{Value, nested::Nested};
use crate::{
    atom::Atom,
    format::{self, RawKey},
    key::Key,
};

/// A map; borrows the document's bytes.
#[derive(Clone, Copy)]
pub struct Map<'a> {
    /// Tag, length and content.
    pub(super) raw: &'a [u8],
}

impl<'a> Map<'a> {
    /// The map without members.
    pub const EMPTY: Map<'static> = Map { raw: &[format::EMPTY_MAP] };

    /// The member under `key`.
    #[inline]
    pub fn get(self, key: Atom) -> Option<Value<'a>> {
        if key.is_later() {
            return self.get_raw(key.raw());
        }
        let mut rest = format::content(self.raw);
        loop {
            let (word, after) = rest.split_first_chunk::<2>()?;
            let word = u16::from_le_bytes(*word);
            rest = match word.checked_sub(format::TEXT_KEY) {
                None => after,
                Some(len) => after.get(usize::from(len)..)?,
            };
            let len = format::value_len(rest)?;
            if word == key.number() {
                return Some(Value::from_raw(&rest[..len]));
            }
            rest = &rest[len..];
        }
    }

    /// The member under `key`, documented or not.
    pub fn get_named(self, key: &str) -> Option<Value<'a>> {
        match Atom::lookup(key.as_bytes()) {
            Some(atom) => self.get(atom),
            None => self.get_raw(RawKey::Text(key.as_bytes())),
        }
    }

    #[cold]
    #[inline(never)]
    fn get_raw(self, key: RawKey<'_>) -> Option<Value<'a>> {
        let found = self.raw_entries().find(|(candidate, _)| *candidate == key);
        found.map(|(_, value)| Value::from_raw(value))
    }

    /// The member under a key of this or another map.
    pub fn get_key(self, key: Key<'_>) -> Option<Value<'a>> {
        match key {
            Key::Atom(atom) => self.get(atom),
            Key::Text(text) => self.get_named(text),
            Key::Unknown(number) => self.get_raw(RawKey::Atom(number)),
        }
    }

    /// Whether there is a member under `key`, null or not.
    pub fn contains(self, key: Atom) -> bool {
        self.get(key).is_some()
    }

    /// Its members, in the order of the wire.
    #[inline]
    pub fn iter(self) -> MapIter<'a> {
        MapIter { entries: self.raw_entries() }
    }

    /// Its members as bytes, key and value together: equal bytes are equal members. With each the
    /// atom of a documented key.
    #[inline]
    pub fn iter_bytes(self) -> impl Iterator<Item = (Option<Atom>, &'a [u8])> {
        let mut entries = self.raw_entries();
        std::iter::from_fn(move || {
            let all = entries.rest;
            let (key, _) = entries.next()?;
            Some((atom_of(key), &all[..all.len() - entries.rest.len()]))
        })
    }

    /// Its members under documented keys, in the order of the wire: none is read but by who wants it.
    #[inline]
    pub fn unread(self) -> impl Iterator<Item = (Atom, Unread<'a>)> {
        self.raw_entries().filter_map(|(key, value)| Some((atom_of(key)?, Unread(value))))
    }

    /// Shows the bytes of its members but those under `except`, in the order of the wire, in as few pieces as they
    /// lie in.
    #[inline]
    pub fn pieces(self, except: &[Atom], mut visit: impl FnMut(&'a [u8])) {
        let mut entries = self.raw_entries();
        let mut piece = entries.rest;
        if except.is_empty() {
            return visit(piece);
        }
        loop {
            let before = entries.rest;
            let Some((key, _)) = entries.next() else {
                return visit(&piece[..piece.len() - before.len()]);
            };
            if atom_of(key).is_some_and(|key| except.contains(&key)) {
                visit(&piece[..piece.len() - before.len()]);
                piece = entries.rest;
            }
        }
    }

    /// How many members it has; counts them.
    pub fn len(self) -> usize {
        self.raw_entries().count()
    }

    /// Whether it has no members.
    pub fn is_empty(self) -> bool {
        self.raw_entries().next().is_none()
    }

    /// Its bytes: a document of its own.
    #[inline]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.raw
    }

    #[inline]
    pub(crate) fn raw_entries(self) -> RawEntries<'a> {
        RawEntries { rest: format::content(self.raw) }
    }
}

impl<'a> IntoIterator for Map<'a> {
    type Item = (Key<'a>, Value<'a>);
    type IntoIter = MapIter<'a>;

    fn into_iter(self) -> MapIter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Map<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Nested(Value::Map(*self), 0).fmt(f)
    }
}

/// The atom of a documented key.
#[inline]
fn atom_of(key: RawKey<'_>) -> Option<Atom> {
    match key {
        RawKey::Atom(number) => Atom::from_number(number),
        RawKey::Text(name) => Atom::later(name),
    }
}

/// A value of a document that was not looked at.
#[derive(Clone, Copy, Debug)]
pub struct Unread<'a>(&'a [u8]);

impl<'a> Unread<'a> {
    /// Looks at it.
    #[inline]
    pub fn read(self) -> Value<'a> {
        Value::from_raw(self.0)
    }
}

/// The members of a [`Map`].
#[derive(Clone, Debug)]
pub struct MapIter<'a> {
    entries: RawEntries<'a>,
}

impl<'a> Iterator for MapIter<'a> {
    type Item = (Key<'a>, Value<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = self.entries.next()?;
        Some((Key::of(key), Value::from_raw(value)))
    }
}

/// The members of a map as bytes.
#[derive(Clone, Debug)]
pub(crate) struct RawEntries<'a> {
    rest: &'a [u8],
}

impl<'a> RawEntries<'a> {
    /// The bytes of those that are left.
    #[inline]
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for RawEntries<'a> {
    type Item = (RawKey<'a>, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (key, rest) = format::split_key(self.rest)?;
        let (value, rest) = format::split_value(rest)?;
        self.rest = rest;
        Some((key, value))
    }
}
