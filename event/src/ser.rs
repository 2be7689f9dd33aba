//! Values as Discord's own JSON, or in any other format of serde.

use serde::{
    Serialize, Serializer,
    ser::{Error, SerializeMap, SerializeSeq},
};

use crate::{
    document::Document,
    format::DEPTH_MAX,
    value::{List, Map, Value},
};

impl Serialize for Value<'_> {
    /// Snowflakes become text.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Nested(*self, 0).serialize(serializer)
    }
}

impl Serialize for Map<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Nested(Value::Map(*self), 0).serialize(serializer)
    }
}

impl Serialize for List<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Nested(Value::List(*self), 0).serialize(serializer)
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

/// A value and how many containers it stands in.
struct Nested<'a>(Value<'a>, usize);

impl Serialize for Nested<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(value, depth) = *self;
        if depth > DEPTH_MAX {
            return Err(S::Error::custom("document nests too deep"));
        }
        match value {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(value),
            Value::Int(value) => serializer.serialize_i64(value),
            Value::Uint(value) => serializer.serialize_u64(value),
            Value::Float(value) => serializer.serialize_f64(value),
            Value::Id(id) => serializer.serialize_str(Decimal::new(id).as_str()),
            Value::Str(text) => serializer.serialize_str(text),
            Value::List(list) => {
                let mut seq = serializer.serialize_seq(None)?;
                for value in list {
                    seq.serialize_element(&Nested(value, depth + 1))?;
                }
                seq.end()
            }
            Value::Map(map) => {
                let mut entries = serializer.serialize_map(None)?;
                for (key, value) in map {
                    entries.serialize_entry(key.as_str(), &Nested(value, depth + 1))?;
                }
                entries.end()
            }
        }
    }
}

/// A snowflake as text, without the heap.
pub(crate) struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    pub(crate) fn new(mut value: u64) -> Self {
        let mut digits = [b'0'; 20];
        let mut start = 20;
        loop {
            start -= 1;
            digits[start] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                return Self { digits, start };
            }
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.digits[self.start..]).unwrap_or_default()
    }
}
