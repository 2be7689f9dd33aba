//! Records as twilight-model's typed events (feature `twilight`).
//!
//! ```
//! use mixcord_event::twilight::twilight_model::gateway::event::{DispatchEvent, Event};
//! use mixcord_event::{Decoder, Limits, Record, RecordMeta};
//!
//! let payload = br#"{"op":0,"s":7,"t":"MESSAGE_DELETE","d":{"id":"41","channel_id":"5"}}"#;
//! let mut decoder = Decoder::new(Limits::default());
//! let mut frame = decoder.json(payload)?;
//! let record = Record::parse(frame.record(&RecordMeta::default()))?;
//! let event = record.to_twilight()?;
//! assert!(matches!(&event, DispatchEvent::MessageDelete(deleted) if deleted.id.get() == 41));
//! // What twilight's own caches and standbys take:
//! let event = Event::from(event);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Single entities, such as [`Record::old`], are read with [`from_value`]:
//! `from_value::<twilight_model::guild::Role>(old)`.
//!
//! twilight-model is strict: where Discord adds a field it ignores it, where Discord leaves one out that it
//! requires, the whole event is refused. So keep a way for events that do not fit, for example
//! [`Record::data`], which reads all of them.

use serde::{Deserialize, de::DeserializeSeed as _};
/// The version these functions give values of.
pub use twilight_model;
use twilight_model::{
    gateway::{
        OpCode,
        event::{DispatchEvent, DispatchEventWithTypeDeserializer},
        payload::incoming::{RateLimited, rate_limited::RateLimitMetadata},
    },
    id::{Id, marker::GuildMarker},
};

use crate::{
    de::{ReadError, from_value},
    record::Record,
    value::Value,
};

/// Why a record is none of twilight-model's events.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TwilightError {
    /// twilight-model has no type for this event: it is newer, undocumented, or Mixcord's own.
    #[error("twilight-model has no type for {name}: read the record's data instead")]
    Unknown {
        /// The event's name.
        name: Box<str>,
    },
    /// The event does not fit twilight-model's type for it.
    #[error("{name} does not fit twilight-model's type for it: {source}")]
    Mismatch {
        /// The event's name.
        name: Box<str>,
        /// What does not fit.
        source: ReadError,
    },
}

impl Record<'_> {
    /// The record as twilight-model's event, made from [`Record::data`] without JSON between.
    ///
    /// After an update that is the whole entity, not only what changed.
    pub fn to_twilight(&self) -> Result<DispatchEvent, TwilightError> {
        dispatch_event(self.kind_name(), self.data())
    }
}

/// The dispatch with this name and data as twilight-model's event.
pub fn dispatch_event(name: &str, data: Value<'_>) -> Result<DispatchEvent, TwilightError> {
    let event = match name {
        "RATE_LIMITED" => rate_limited(data).map(DispatchEvent::RateLimited),
        _ => DispatchEventWithTypeDeserializer::new(name).deserialize(data),
    };
    event.map_err(|source| {
        // Its list of types (`EventType`) lacks some that it reads, so only trying tells.
        if source.to_string().starts_with(&format!("unknown variant `{name}`")) {
            return TwilightError::Unknown { name: name.into() };
        }
        TwilightError::Mismatch { name: name.into(), source }
    })
}

/// twilight-model reads `meta` only as Rust tags its enums. Discord sends the metadata bare, and `opcode`
/// says whose they are.
fn rate_limited(data: Value<'_>) -> Result<RateLimited, ReadError> {
    #[derive(Deserialize)]
    struct Bare {
        opcode: OpCode,
        retry_after: f32,
        meta: Members,
    }
    #[derive(Deserialize)]
    struct Members {
        guild_id: Id<GuildMarker>,
        nonce: Option<String>,
    }
    let Bare { opcode, retry_after, meta: Members { guild_id, nonce } } = from_value(data)?;
    let meta = RateLimitMetadata::RequestGuildMembers { guild_id, nonce };
    Ok(RateLimited { opcode, retry_after, meta })
}
