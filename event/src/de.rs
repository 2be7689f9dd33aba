//! The user's own types straight from a document, without a tree between.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{
        self, DeserializeSeed, EnumAccess, IntoDeserializer, VariantAccess, Visitor,
        value::{BorrowedStrDeserializer, MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};

use crate::{format::DEPTH_MAX, ser::Decimal, value::Value};

/// Reads a `T` out of `value`; text is borrowed from the document where `T` borrows.
pub fn from_value<'de, T: Deserialize<'de>>(value: Value<'de>) -> Result<T, ReadError> {
    T::deserialize(value)
}

/// Why a value does not fit a type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadError(Box<str>);

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string().into())
    }
}

/// A value and how many containers it stands in.
#[derive(Clone, Copy)]
struct Nested<'de>(Value<'de>, usize);

impl Nested<'_> {
    /// No deeper than a document that was checked: whose bytes nobody checked may nest deeper than the stack is.
    fn check_depth(&self) -> Result<(), ReadError> {
        if self.1 > DEPTH_MAX {
            return Err(de::Error::custom("document nests too deep"));
        }
        Ok(())
    }
}

/// Integers and floats: a snowflake is given as the integer it is.
macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            match self.0 {
                Value::Id(id) => visitor.visit_u64(id),
                _ => self.deserialize_any(visitor),
            }
        }
    )*};
}

/// Hands a method of [`Value`] on to [`Nested`], which counts the depth.
macro_rules! hand_on {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            Nested(self, 0).$method(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Nested<'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.check_depth()?;
        let Self(value, depth) = self;
        match value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Int(value) => match u64::try_from(value) {
                Ok(value) => visitor.visit_u64(value),
                Err(_) => visitor.visit_i64(value),
            },
            Value::Uint(value) => visitor.visit_u64(value),
            Value::Float(value) => visitor.visit_f64(value),
            Value::Id(id) => visitor.visit_str(Decimal::new(id).as_str()),
            Value::Str(text) => visitor.visit_borrowed_str(text),
            Value::List(list) => {
                let elements = list.iter().map(|value| Self(value, depth + 1));
                let mut elements = SeqDeserializer::new(elements);
                let result = visitor.visit_seq(&mut elements)?;
                elements.end()?;
                Ok(result)
            }
            Value::Map(map) => {
                let members = map.iter();
                visitor.visit_map(MapDeserializer::new(
                    members.map(|(key, value)| (MapKey(key.as_str()), Self(value, depth + 1))),
                ))
            }
        }
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.check_depth()?;
        match self.0 {
            Value::Str(text) => visitor.visit_enum(text.into_deserializer()),
            Value::Id(id) => visitor.visit_enum(Decimal::new(id).as_str().into_deserializer()),
            Value::Map(map) => {
                let mut members = map.iter();
                match (members.next(), members.next()) {
                    (Some((key, value)), None) => visitor
                        .visit_enum(Variant { name: key.as_str(), value: Self(value, self.1 + 1) }),
                    _ => Err(de::Error::custom("an enum is a map with exactly one member")),
                }
            }
            _ => Err(de::Error::custom("an enum is text or a map with one member")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier
    }
}

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        Nested(self, 0).deserialize_any(visitor)
    }

    hand_on! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_option deserialize_ignored_any
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        Nested(self, 0).deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        Nested(self, 0).deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier
    }
}

/// What is its own deserializer.
macro_rules! own_deserializer {
    ($($name:ident)*) => {$(
        impl<'de> IntoDeserializer<'de, ReadError> for $name<'de> {
            type Deserializer = Self;

            fn into_deserializer(self) -> Self {
                self
            }
        }
    )*};
}

own_deserializer! { Value Nested MapKey }

/// A key of a map: text, or the number its text says, where a number is asked for.
struct MapKey<'de>(&'de str);

/// Keys of maps whose type is a number, as serde_json reads them.
macro_rules! number_keys {
    ($($method:ident $visit:ident $type:ty)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            match self.0.parse::<$type>() {
                Ok(number) => visitor.$visit(number),
                Err(_) => visitor.visit_borrowed_str(self.0),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for MapKey<'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_borrowed_str(self.0)
    }

    number_keys! {
        deserialize_i8 visit_i64 i64 deserialize_i16 visit_i64 i64 deserialize_i32 visit_i64 i64
        deserialize_i64 visit_i64 i64 deserialize_u8 visit_u64 u64 deserialize_u16 visit_u64 u64
        deserialize_u32 visit_u64 u64 deserialize_u64 visit_u64 u64
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        BorrowedStrDeserializer::new(self.0).deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

struct Variant<'de> {
    name: &'de str,
    value: Nested<'de>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = ReadError;
    type Variant = Nested<'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Nested<'de>), ReadError> {
        Ok((seed.deserialize(MapKey(self.name))?, self.value))
    }
}

impl<'de> VariantAccess<'de> for Nested<'de> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        Deserialize::deserialize(self)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, ReadError> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_any(visitor)
    }
}
