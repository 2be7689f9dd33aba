//! The event record: one form for what Discord sends in ETF and in JSON.
//!
//! A [`Decoder`] turns a payload of the gateway into a [`Record`]: a fixed [`Header`], a document
//! with the event's data and, once the cache has seen it, one with the entity before. A document is
//! read in place as [`Value`]s, deserialised into any type by serde, printed as Discord's JSON,
//! and edited into new documents ([`edit`]). With the feature `twilight` a record is also one of
//! twilight-model's events: `Record::to_twilight`.
//!
//! ```
//! use mixcord_event::{Decoder, Kind, Limits, Record, RecordMeta, atoms};
//!
//! let payload = br#"{"op":0,"s":7,"t":"MESSAGE_CREATE","d":{"id":"41","content":"hi"}}"#;
//! let mut decoder = Decoder::new(Limits::default());
//! let mut frame = decoder.json(payload)?;
//! let record = Record::parse(frame.record(&RecordMeta::default()))?;
//! assert_eq!(record.kind(), Kind::MESSAGE_CREATE);
//! assert_eq!(record.data().get(atoms::ID).unwrap().as_id(), Some(41));
//! assert_eq!(record.data().get(atoms::CONTENT).unwrap().as_str(), Some("hi"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod atom;
mod board;
pub mod bridge;
pub mod command;
mod compare;
mod de;
pub mod decode;
mod document;
pub mod edit;
mod entity;
pub mod figures;
mod format;
mod header;
mod key;
mod keyhash;
mod kind;
pub mod kinds;
mod names;
pub mod pauses;
pub mod permit;
pub mod presence;
pub mod proxy;
mod put;
pub mod record;
pub mod reshard;
pub mod seal;
pub mod sections;
pub mod send;
mod ser;
pub mod shape;
pub mod status;
pub mod takeover;
pub mod time;
pub mod topology;
#[cfg(feature = "twilight")]
pub mod twilight;
mod validate;
mod value;
mod writer;

pub use atom::{Atom, atoms};
pub use de::{ReadError, from_value};
pub use decode::{
    DecodeError, DecodeErrorKind, Decoder, Frame, Limits, RecordMeta, Warning, partition_key,
};
pub use document::Document;
pub use entity::{Entity, EntityChange};
pub use format::DEPTH_MAX;
pub use header::{Flags, Header, Origin, Reason, Shard};
pub use key::{Key, Step};
pub use kind::Kind;
pub use record::{Record, RecordError};
pub use seal::Seal;
pub use send::{Encoding, Outgoing};
pub use validate::DocumentError;
pub use value::{List, ListIter, Map, MapIter, Unread, Value};
pub use writer::{ListWriter, MapWriter, Writer};
