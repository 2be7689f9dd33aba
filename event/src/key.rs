//! Keys of maps, and paths.

use std::fmt;

use crate::{atom::Atom, format::RawKey, put, value};

/// One step of a path through a document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step<'a> {
    /// Into the member under a documented key.
    Key(Atom),
    /// Into the member under any key.
    Name(&'a str),
    /// Into the element at this place of a list.
    Index(usize),
}

impl From<Atom> for Step<'_> {
    fn from(key: Atom) -> Self {
        Self::Key(key)
    }
}

impl<'a> From<&'a str> for Step<'a> {
    fn from(name: &'a str) -> Self {
        Self::Name(name)
    }
}

impl From<usize> for Step<'_> {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// A key of a map.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Key<'a> {
    /// A documented key.
    Atom(Atom),
    /// Any other.
    Text(&'a str),
    /// A number that the record layout does not have: who wrote the document follows another layout.
    /// [`Record::parse`](crate::Record::parse) and the cache's store refuse such documents before.
    Unknown(u16),
}

impl<'a> Key<'a> {
    /// The key of this name: the documented one, where there is one. Cut where a document would cut it, at 32,767
    /// bytes.
    pub fn named(name: &'a str) -> Self {
        Atom::lookup(name.as_bytes()).map_or_else(|| Self::Text(put::cut_key(name)), Self::Atom)
    }

    /// The key as Discord spells it; `"?"` for [`Key::Unknown`].
    pub fn as_str(self) -> &'a str {
        match self {
            Self::Atom(atom) => atom.as_str(),
            Self::Text(text) => text,
            Self::Unknown(_) => "?",
        }
    }

    /// The key as it stands in a map.
    pub(crate) fn raw(self) -> RawKey<'a> {
        match self {
            Self::Atom(atom) => atom.raw(),
            Self::Text(text) => RawKey::Text(text.as_bytes()),
            Self::Unknown(number) => RawKey::Atom(number),
        }
    }

    /// What stands in a map as this.
    #[inline]
    pub(crate) fn of(raw: RawKey<'a>) -> Self {
        match raw {
            RawKey::Atom(number) => {
                Atom::from_number(number).map_or(Self::Unknown(number), Self::Atom)
            }
            RawKey::Text(name) => match Atom::later(name) {
                Some(later) => Self::Atom(later),
                None => Self::Text(value::text(name)),
            },
        }
    }

    /// The atom of a documented key.
    pub const fn atom(self) -> Option<Atom> {
        match self {
            Self::Atom(atom) => Some(atom),
            Self::Text(_) | Self::Unknown(_) => None,
        }
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
