//! Events as serenity's.

use mixcord_event::Value;
use serde::Deserialize;
use serde::de::value::{MapDeserializer, StrDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::extract::{FromEvent, Mismatch};
use crate::Event;

/// The event as serenity's, an argument of handlers. Single entities need no wrapper: a parameter of a type such as
/// `serenity::model::channel::Message`, or `Change<serenity::model::guild::Role>`, will do.
///
/// ```
/// # use mixcord::{Kind, Router, Serenity};
/// use mixcord::serenity::model::event::Event;
///
/// let router = Router::new().on(Kind::MESSAGE_CREATE, |Serenity(event): Serenity| async move {
///     if let Event::MessageCreate(created) = event {
///         println!("{}: {}", created.message.author.name, created.message.content);
///     }
/// });
/// ```
#[derive(Debug, Clone)]
pub struct Serenity(pub serenity::model::event::Event);

impl<S> FromEvent<S> for Serenity {
    fn from_event(event: &Event, _: &S) -> Result<Self, Mismatch> {
        let made = event.to_serenity();
        made.map(Self).map_err(|why| Mismatch::new("event of serenity", why))
    }
}

impl Event {
    /// The event as serenity's, made from [`data`](Self::data) without JSON between. One that serenity has no type
    /// for is its `Event::Unknown`.
    ///
    /// # Errors
    /// When serenity requires what Discord left out.
    pub fn to_serenity(&self) -> Result<serenity::model::event::Event, mixcord_event::ReadError> {
        let members = [("t", Part::Name(self.name())), ("d", Part::Data(self.data()))];
        Deserialize::deserialize(MapDeserializer::new(members.into_iter()))
    }
}

/// What serenity finds in a dispatch.
enum Part<'a> {
    Name(&'a str),
    Data(Value<'a>),
}

impl<'de> IntoDeserializer<'de, mixcord_event::ReadError> for Part<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Part<'de> {
    type Error = mixcord_event::ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self {
            Self::Name(name) => StrDeserializer::new(name).deserialize_any(visitor),
            Self::Data(data) => data.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        match self {
            Self::Name(text) => {
                StrDeserializer::new(text).deserialize_enum(name, variants, visitor)
            }
            Self::Data(data) => data.deserialize_enum(name, variants, visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self {
            Self::Name(name) => StrDeserializer::new(name).deserialize_option(visitor),
            Self::Data(data) => data.deserialize_option(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
