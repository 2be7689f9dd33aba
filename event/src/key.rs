//! Keys of maps, and paths.

use std::fmt;

use crate::{atom::Atom, format::RawKey};

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
}

impl<'a> Key<'a> {
    /// The key as Discord spells it.
    pub fn as_str(self) -> &'a str {
        match self {
            Self::Atom(atom) => atom.as_str(),
            Self::Text(text) => text,
        }
    }

    /// The key as it stands in a map.
    pub(crate) const fn raw(self) -> RawKey<'a> {
        match self {
            Self::Atom(atom) => RawKey::Atom(atom.number()),
            Self::Text(text) => RawKey::Text(text.as_bytes()),
        }
    }

    /// The atom of a documented key.
    pub const fn atom(self) -> Option<Atom> {
        match self {
            Self::Atom(atom) => Some(atom),
            Self::Text(_) => None,
        }
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
