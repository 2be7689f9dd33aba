//! The cache's store: what lies where, and how another process reads it.
//!
//! The store is an LMDB environment in one directory. Every resource has a table of its own; keys
//! are ids as fixed-width big-endian numbers, so the members of a guild are a range; messages of all
//! channels stand in the order of their receipt, and [`ChannelFacts`] list a channel's. Values are documents of [`mixcord_event`], as Discord sent them,
//! merged. What grows or changes alone stands in a table of its own and is composed when read
//! (see [`compose`]): a join rewrites no guild.
//!
//! `mixcord-cache` writes it; everybody else opens it with [`State`] and asks. A query takes a
//! read transaction for one call, or for one page of a [`Scan`], and returns owned copies.

mod channel_facts;
mod checkpoint;
pub mod compose;
mod env;
mod error;
mod facts;
pub mod format;
mod key;
mod place;
mod populate;
mod query;
mod read;
mod readers;
mod scan;
mod stats;
mod table;

pub use channel_facts::{Cached, ChannelFacts, LastMessage};
pub use checkpoint::{Checkpoint, CheckpointError, InputPosition, Inputs};
pub use env::{Env, PAGE_BYTES, PreparedEnv, Txn, WriteTxn};
pub use error::{OpenError, StoreError};
pub use facts::{GuildFacts, Tally};
pub use key::Key;
pub use place::{directory, elsewhere};
pub use query::{Found, State};
pub use read::Read;
pub use readers::ReaderSlot;
pub use scan::Scan;
pub use stats::{ResourceStats, StateStats};
pub use table::{Resource, Table, UnknownResource, meta};
