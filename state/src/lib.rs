//! The cache's store: what lies where, and how another process reads it.
//!
//! The store is a table in shared memory ([`mixcord_table`]), one file in a directory. Every resource has a
//! table of its own in it; keys are one id ([`Singles`]) or an owner's and an own ([`Pairs`]), so that the
//! members of a guild are a range; messages of all channels stand in the order of their receipt, and
//! [`ChannelFacts`] list a channel's. Values are documents of [`mixcord_event`], as Discord sent them,
//! merged. What grows or changes alone stands in a table of its own and is composed when read
//! (see [`compose`]): a join rewrites no guild.
//!
//! `mixcord-cache` writes it; everybody else opens it with [`State`] and asks. A query copies what it needs
//! and returns it; nobody has to know of those who read.

mod archived;
mod channel_facts;
mod checkpoint;
pub mod compose;
mod error;
mod facts;
mod form;
#[cfg(test)]
mod form_tests;
pub mod format;
mod joining;
mod key;
pub mod meta;
mod packed;
mod packing;
mod place;
mod pour;
mod query;
mod read;
mod resource;
mod scan;
mod settle;
mod shapes;
mod shrinking;
mod sizes;
mod snapshot;
mod source;
mod stats;
mod table;
mod view;
mod writer;

pub use archived::Archived;
pub use channel_facts::{Cached, ChannelFacts, LastMessage};
pub use checkpoint::{Checkpoint, CheckpointError, InputPosition, Inputs};
pub use error::{OpenError, StoreError};
pub use facts::{GuildFacts, Tally};
pub use key::{Key, Range};
pub use mixcord_table::VALUE_MAX;
pub use packing::Packing;
pub use place::{directory, elsewhere};
pub use pour::{PourError, Poured, Sink};
pub use query::{Found, State};
pub use read::Read;
pub use resource::{Resource, UnknownResource};
pub use scan::Scan;
pub use sizes::ResourceSizes;
pub use snapshot::GuildSnapshot;
pub use stats::{ResourceStats, StateStats};
pub use table::{Pairs, Singles, Table, tables};
pub use view::{Arena, Values, View};
pub use writer::Writer;
