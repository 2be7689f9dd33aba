//! A server of websockets that sends what was encoded before. It plays every shard of a bot: each connection gets
//! HELLO, after IDENTIFY its shard's READY and GUILD_CREATEs, and, once told to begin, its share of the events.
//!
//! It knows no RESUME, and answers no heartbeat: the first one is due after the measurement.

mod frames;
mod http;
mod server;

use serde::{Deserialize, Serialize};

pub use self::frames::Streams;
pub(crate) use self::server::digits;
pub use self::server::{Server, Status};
use crate::workload::Blend;

/// Discord's encodings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// JSON text.
    Json,
    /// Erlang's external term format.
    Etf,
}

/// Discord's compressions, each over the whole connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// None.
    None,
    /// `zlib-stream`
    Zlib,
    /// `zstd-stream`
    Zstd,
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Load {
    /// Which events.
    pub blend: Blend,
    /// How many, over all shards.
    pub events: u64,
    /// Guilds, over all shards.
    pub guilds: u64,
    /// Shards.
    pub shards: u16,
    /// How messages are written.
    pub encoding: Encoding,
    /// How they are compressed.
    pub compression: Compression,
}

impl Encoding {
    /// As options spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Etf => "etf",
        }
    }
}

impl Compression {
    /// Short.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Zlib => "zlib",
            Self::Zstd => "zstd",
        }
    }

    /// As the gateway's option spells it.
    #[must_use]
    pub const fn stream(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Zlib => "zlib-stream",
            Self::Zstd => "zstd-stream",
        }
    }
}
