//! Reading a document without copying it.

use std::fmt;

mod list;
mod map;
mod nested;

pub use list::{List, ListIter};
pub(crate) use map::RawEntries;
pub use map::{Map, MapIter, Unread};
use nested::Nested;

use crate::{
    atom::Atom,
    format,
    key::Step,
    put,
    validate::{self, DocumentError},
};

/// A value of a document; borrows the document's bytes.
///
/// Integers that fit are [`Value::Int`], only larger ones [`Value::Uint`]; a number without a
/// fraction is never a [`Value::Float`] while it fits 64 bits.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// JSON's null.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer in `i64`'s range.
    Int(i64),
    /// An integer above `i64::MAX`.
    Uint(u64),
    /// Any other number; finite.
    Float(f64),
    /// A snowflake; text in Discord's JSON.
    Id(u64),
    /// Text.
    Str(&'a str),
    /// A list.
    List(List<'a>),
    /// A map.
    Map(Map<'a>),
}

impl<'a> Value<'a> {
    /// Reads a document from anywhere, after checking all of it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DocumentError> {
        validate::document(bytes)?;
        Ok(Self::trusted(bytes))
    }

    /// Reads a document that was checked before, when it was written or by [`Value::parse`].
    ///
    /// Safe on any bytes: what cannot be read there is null, empty or missing.
    #[inline]
    pub fn trusted(bytes: &'a [u8]) -> Self {
        format::split_value(bytes).map_or(Self::Null, |(value, _)| Self::from_raw(value))
    }

    /// The value that takes exactly `raw`.
    #[inline]
    pub(crate) fn from_raw(raw: &'a [u8]) -> Self {
        let Some((&tag, rest)) = raw.split_first() else { return Self::Null };
        match tag {
            format::SHORT_TEXT.. => Self::Str(text(rest)),
            format::SMALL_INT.. => Self::Int(i64::from(tag - format::SMALL_INT)),
            format::ID => Self::Id(u64::from_le_bytes(array(rest))),
            format::FALSE => Self::Bool(false),
            format::TRUE => Self::Bool(true),
            format::I8 => Self::Int(i64::from(i8::from_le_bytes(array(rest)))),
            format::I16 => Self::Int(i64::from(i16::from_le_bytes(array(rest)))),
            format::I32 => Self::Int(i64::from(i32::from_le_bytes(array(rest)))),
            format::I64 => Self::Int(i64::from_le_bytes(array(rest))),
            format::U64 => Self::unsigned(u64::from_le_bytes(array(rest))),
            format::FLOAT => Self::Float(f64::from_le_bytes(array(rest))),
            format::TEXT16 | format::TEXT32 => Self::Str(text(format::content(raw))),
            format::EMPTY_LIST | format::LIST16 | format::LIST32 => Self::List(List { raw }),
            format::EMPTY_MAP | format::MAP16 | format::MAP32 => Self::Map(Map { raw }),
            _ => Self::Null,
        }
    }

    /// The integer as [`Value::Int`] if it fits, else as [`Value::Uint`].
    pub fn unsigned(value: u64) -> Self {
        i64::try_from(value).map_or(Self::Uint(value), Self::Int)
    }

    /// The member under `key`, if this is a map that has it.
    #[inline]
    pub fn get(self, key: Atom) -> Option<Self> {
        self.as_map()?.get(key)
    }

    /// The member under `key`, documented or not.
    pub fn get_str(self, key: &str) -> Option<Self> {
        self.as_map()?.get_named(key)
    }

    /// Follows `steps` down from here.
    pub fn path(self, steps: &[Step<'_>]) -> Option<Self> {
        steps.iter().try_fold(self, |value, step| match *step {
            Step::Key(key) => value.get(key),
            Step::Name(name) => value.get_str(name),
            Step::Index(index) => value.as_list()?.get(index),
        })
    }

    /// Whether it is null.
    pub const fn is_null(self) -> bool {
        matches!(self, Self::Null)
    }

    /// The snowflake.
    #[inline]
    pub const fn as_id(self) -> Option<u64> {
        match self {
            Self::Id(id) => Some(id),
            _ => None,
        }
    }

    /// The integer or snowflake, if it is not negative.
    #[inline]
    pub const fn as_u64(self) -> Option<u64> {
        match self {
            Self::Id(value) | Self::Uint(value) => Some(value),
            Self::Int(value) if value >= 0 => Some(value as u64),
            _ => None,
        }
    }

    /// The integer, if it fits.
    #[inline]
    pub const fn as_i64(self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(value),
            _ => None,
        }
    }

    /// The number, rounded if it is a large integer.
    pub const fn as_f64(self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(value),
            Self::Int(value) => Some(value as f64),
            Self::Uint(value) => Some(value as f64),
            _ => None,
        }
    }

    /// The truth value.
    #[inline]
    pub const fn as_bool(self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The text.
    #[inline]
    pub const fn as_str(self) -> Option<&'a str> {
        match self {
            Self::Str(value) => Some(value),
            _ => None,
        }
    }

    /// The map.
    #[inline]
    pub const fn as_map(self) -> Option<Map<'a>> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The list.
    #[inline]
    pub const fn as_list(self) -> Option<List<'a>> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// Appends it to `out` as a document.
    pub fn write_to(self, out: &mut Vec<u8>) {
        match self {
            Self::Null => put::null(out),
            Self::Bool(value) => put::bool(out, value),
            Self::Int(value) => put::int(out, value),
            Self::Uint(value) => put::uint(out, value),
            Self::Float(value) => put::float(out, value),
            Self::Id(value) => put::id(out, value),
            Self::Str(value) => put::text(out, value.as_bytes()),
            Self::List(List { raw }) | Self::Map(Map { raw }) => out.extend_from_slice(raw),
        }
    }
}

impl fmt::Debug for Value<'_> {
    /// What nests deeper than any document that was checked is shown as `…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Nested(*self, 0).fmt(f)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Value<'_> {
    /// An integer, not a snowflake: that is [`Value::Id`].
    fn from(value: u64) -> Self {
        Self::unsigned(value)
    }
}

impl From<f64> for Value<'_> {
    /// The integer, where there is no fraction; null for what is no number, or not finite.
    fn from(value: f64) -> Self {
        match put::integer(value) {
            Some(put::Integer::Signed(value)) => Self::Int(value),
            Some(put::Integer::Unsigned(value)) => Self::unsigned(value),
            None if value.is_finite() => Self::Float(value),
            None => Self::Null,
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Str(value)
    }
}

impl<'a> From<Map<'a>> for Value<'a> {
    fn from(value: Map<'a>) -> Self {
        Self::Map(value)
    }
}

impl<'a> From<List<'a>> for Value<'a> {
    fn from(value: List<'a>) -> Self {
        Self::List(value)
    }
}

/// The first bytes of a scalar; zeros where they are missing.
#[inline]
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}

/// Text that was checked before; empty where it is not UTF-8 after all.
#[inline]
pub(crate) fn text(bytes: &[u8]) -> &str {
    simdutf8::basic::from_utf8(bytes).unwrap_or_default()
}
