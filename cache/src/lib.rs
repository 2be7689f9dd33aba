//! Process 2 of Mixcord: state, and each event with the old entity beside the new.
//!
//! [`annotate`] is a deterministic function over a [`store`]; the [`engine`] around it reads the
//! shard rings, and commits state, positions and outputs together.

pub mod annotate;
pub mod engine;
pub mod kill;
pub mod options;
pub mod overlap;
pub mod settings;
pub mod store;
