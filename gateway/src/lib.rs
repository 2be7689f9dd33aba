//! Process 1 of Mixcord: holds the websockets to Discord and writes what they send into one ring
//! per shard.
//!
//! * [`session`]: the life of a session, without I/O.
//! * [`wire`]: URLs, compression, sockets.
//! * [`shard`]: the shell around a session: socket, clock and ring.
//! * [`checkpoint`]: what a ring remembers of its session.
//! * [`commands`]: what consumers ask of the shards.
//! * [`identify`]: who may identify when.
//! * [`tenure`]: whether this machine may have sessions, where another may take its shards over.
//! * [`config`]: what the operator decides.
//! * [`app`]: the process; [`Failure`]: how it may end.

mod alone;
pub mod app;
mod asking;
pub mod backoff;
mod census;
mod change;
pub mod checkpoint;
mod closing;
pub mod commands;
pub mod config;
pub mod discovery;
mod failure;
mod files;
pub mod gateway;
mod household;
pub mod identify;
pub mod limiter;
pub mod random;
mod recommendation;
pub mod rhythm;
mod rings;
pub mod session;
mod set;
pub mod shard;
mod survey;
mod takeover;
pub mod tenure;
mod voice;
pub mod wire;

pub use failure::Failure;
