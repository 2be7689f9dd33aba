//! Process 1 of Mixcord: holds the websockets to Discord and writes what they send into one ring
//! per shard.
//!
//! * [`session`]: the life of a session, without I/O.
//! * [`wire`]: URLs, compression, sockets.
//! * [`config`]: what the operator decides.

pub mod backoff;
pub mod config;
pub mod identify;
pub mod limiter;
pub mod random;
pub mod session;
pub mod wire;
