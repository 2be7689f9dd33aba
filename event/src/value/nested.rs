//! Values for people, as deep as a document may nest: bytes that nobody checked may nest deeper.

use std::fmt;

use super::Value;
use crate::format::DEPTH_MAX;

/// A value and how many containers it stands in.
pub(super) struct Nested<'a>(pub(super) Value<'a>, pub(super) usize);

impl fmt::Debug for Nested<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value, depth) = *self;
        if depth > DEPTH_MAX {
            return f.write_str("…");
        }
        match value {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => value.fmt(f),
            Value::Int(value) => value.fmt(f),
            Value::Uint(value) => value.fmt(f),
            Value::Float(value) => value.fmt(f),
            Value::Id(value) => write!(f, "#{value}"),
            Value::Str(value) => value.fmt(f),
            Value::List(list) => {
                f.debug_list().entries(list.iter().map(|value| Self(value, depth + 1))).finish()
            }
            Value::Map(map) => {
                let members = map.iter().map(|(key, value)| (key.as_str(), Self(value, depth + 1)));
                f.debug_map().entries(members).finish()
            }
        }
    }
}
