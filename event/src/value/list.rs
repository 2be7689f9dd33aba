//! Lists in a document.

use std::fmt;

use super::{Value, nested::Nested};
use crate::format;

/// A list; borrows the document's bytes.
#[derive(Clone, Copy)]
pub struct List<'a> {
    /// Tag, length and content.
    pub(super) raw: &'a [u8],
}

impl<'a> List<'a> {
    /// The list without elements.
    pub const EMPTY: List<'static> = List { raw: &[format::EMPTY_LIST] };

    /// Its elements.
    #[inline]
    pub fn iter(self) -> ListIter<'a> {
        ListIter { rest: format::content(self.raw) }
    }

    /// The element at `index`; skips those before it.
    pub fn get(self, index: usize) -> Option<Value<'a>> {
        self.iter().nth(index)
    }

    /// How many elements it has; counts them.
    pub fn len(self) -> usize {
        self.iter().raw().count()
    }

    /// Whether it has no elements.
    pub fn is_empty(self) -> bool {
        self.iter().raw().next().is_none()
    }

    /// Its bytes: a document of its own.
    #[inline]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.raw
    }
}

impl<'a> IntoIterator for List<'a> {
    type Item = Value<'a>;
    type IntoIter = ListIter<'a>;

    fn into_iter(self) -> ListIter<'a> {
        self.iter()
    }
}

impl fmt::Debug for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Nested(Value::List(*self), 0).fmt(f)
    }
}

/// The elements of a [`List`].
#[derive(Clone, Debug)]
pub struct ListIter<'a> {
    rest: &'a [u8],
}

impl<'a> ListIter<'a> {
    /// The elements as bytes.
    pub(crate) fn raw(mut self) -> impl Iterator<Item = &'a [u8]> {
        std::iter::from_fn(move || {
            let (value, rest) = format::split_value(self.rest)?;
            self.rest = rest;
            Some(value)
        })
    }
}

impl<'a> Iterator for ListIter<'a> {
    type Item = Value<'a>;

    #[inline]
    fn next(&mut self) -> Option<Value<'a>> {
        let (value, rest) = format::split_value(self.rest)?;
        self.rest = rest;
        Some(Value::from_raw(value))
    }
}
