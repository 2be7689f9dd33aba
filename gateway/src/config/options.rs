//! The command line. Every option may also come from its environment variable, and below that from
//! the file given with `--config`.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use mixcord_event::send::{Activity, PresenceUpdate};
use mixcord_event::topology::{self, is_instance_name};
use mixcord_process::command_line::{self, ConfigFile};
use mixcord_process::log::LogOptions;
use mixcord_ring::Pace;
use serde::Deserialize;

use super::intents::Intents;
use super::shards::Shards;
use crate::wire::Compression;

/// Holds the websockets to Discord and writes their events into one shared-memory ring per shard.
///
/// The token comes from the environment variable DISCORD_TOKEN or from --token-file. What wins, from
/// strongest to weakest: option, environment variable, --config file, default.
#[derive(Debug, Parser)]
#[command(name = "mixcord-gateway", version = version(), max_term_width = 100)]
pub struct Options {
    /// Name of the instance: what gateway, cache and consumers of one bot have in common
    #[arg(long, value_name = "NAME", env = "MIXCORD_INSTANCE", default_value = "mixcord", value_parser = instance)]
    pub instance: String,

    /// Where Discord's API is
    #[arg(long, value_name = "URL", env = "MIXCORD_API_URL", default_value = "https://discord.com/api/v10", value_parser = api_url)]
    pub api_url: String,

    /// Shards to run: auto (as many as Discord recommends), N, or A..B/N (A to B, both included, of N)
    #[arg(long, value_name = "auto|N|A..B/N", env = "MIXCORD_SHARDS", default_value = "auto")]
    pub shards: Shards,

    /// Run these shards beside those of another count, while `mixcord reshard --to N` changes the count to theirs. A
    /// gateway with all shards of a count does that by itself
    #[arg(long, env = "MIXCORD_BESIDE")]
    pub beside: bool,

    /// Change the shard count without a pause, to what Discord recommends, as soon as a shard has this part of the
    /// 2,500 guilds that it may have (0.8, say). Without it only `mixcord reshard` does
    #[arg(long, value_name = "FRACTION", env = "MIXCORD_RESHARD_AT", value_parser = fraction)]
    pub reshard_at: Option<f64>,

    /// Intents, as a number or as names: GUILDS,GUILD_MESSAGES; ALL; UNPRIVILEGED
    #[arg(
        long,
        value_name = "NUMBER|NAME,NAME",
        env = "MIXCORD_INTENTS",
        default_value = "UNPRIVILEGED"
    )]
    pub intents: Intents,

    /// What Discord sends: etf or json
    #[arg(long, value_name = "etf|json", env = "MIXCORD_ENCODING", default_value = "etf", value_parser = encoding)]
    pub encoding: mixcord_event::Encoding,

    /// How it is compressed
    #[arg(
        long,
        value_name = "zstd-stream|zlib-stream|none",
        env = "MIXCORD_COMPRESSION",
        default_value = "zstd-stream"
    )]
    pub compression: Compression,

    /// File that holds the token, instead of DISCORD_TOKEN
    #[arg(long, value_name = "FILE", env = "MIXCORD_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,

    /// PEM file with certificates to trust beside the built-in roots
    #[arg(long, value_name = "FILE", env = "MIXCORD_CA_FILE")]
    pub ca_file: Option<PathBuf>,

    /// Proxy for all connections (HTTP CONNECT), but to the hosts in NO_PROXY; one with a password is better put
    /// into the variable [default: HTTPS_PROXY or ALL_PROXY, for encrypted connections]
    #[arg(long, value_name = "http://HOST:PORT", env = "MIXCORD_PROXY", hide_env_values = true)]
    pub proxy: Option<String>,

    /// Options from a file
    #[command(flatten)]
    pub config: ConfigFile,

    /// Presence to begin with, as the JSON of Discord's update-presence structure. One that a command sets
    /// stays, over restarts as well, until this option changes
    #[arg(long, value_name = "JSON", env = "MIXCORD_PRESENCE", value_parser = presence)]
    pub presence: Option<PresenceUpdate>,

    /// Bits of what the bot can do beside what intents say, as a number: 32768 (CHANNEL_OBFUSCATION) has Discord
    /// send channels that the bot cannot see without their names and topics. Another value begins new sessions
    #[arg(long, value_name = "NUMBER", env = "MIXCORD_CAPABILITIES")]
    pub capabilities: Option<u64>,

    /// Above this many members a guild comes without its offline members (50 to 250)
    #[arg(long, value_name = "N", env = "MIXCORD_LARGE_THRESHOLD", value_parser = clap::value_parser!(u8).range(50..=250))]
    pub large_threshold: Option<u8>,

    /// Begin no new sessions where the cache lost its state. Without this they are begun one shard at a time, out of
    /// identifies that are to spare, since nothing else makes Discord send all guilds again
    #[arg(long, env = "MIXCORD_NO_REFILL")]
    pub no_refill: bool,

    /// Payload space of each shard's ring, a power of two
    #[arg(long, value_name = "BYTES", env = "MIXCORD_RING_BYTES", default_value = "4MiB", value_parser = command_line::bytes)]
    pub ring_bytes: u64,

    /// Records each shard's ring can hold, a power of two
    #[arg(long, value_name = "N", env = "MIXCORD_RING_SLOTS", default_value_t = 8192)]
    pub ring_slots: u32,

    /// Groups that are made with each shard's ring, so that nothing is lost to who starts first: cache, bridge, or both.
    /// A group that nobody will join holds the ring once it is full
    #[arg(long, value_name = "GROUP,GROUP", env = "MIXCORD_FEEDS", value_delimiter = ',', default_value = topology::CACHE_GROUP, value_parser = feed)]
    pub feeds: Vec<String>,

    /// Decoded events each shard keeps while its ring is full, before it stops reading the socket
    #[arg(long, value_name = "BYTES", env = "MIXCORD_BUFFER_BYTES", default_value = "1MiB", value_parser = command_line::bytes)]
    pub buffer_bytes: u64,

    /// No message may be larger once decompressed
    #[arg(long, value_name = "BYTES", env = "MIXCORD_MESSAGE_BYTES_MAX", default_value = "64MiB", value_parser = command_line::bytes)]
    pub message_bytes_max: u64,

    /// Time between two identifies of one rate-limit bucket; Discord asks for 5000
    #[arg(long, value_name = "MS", env = "MIXCORD_IDENTIFY_SPACING_MS", default_value_t = 5_500)]
    pub identify_spacing_ms: u32,

    /// Folder where the gateway processes of one token keep their common identify queue
    /// [default: /dev/shm/mixcord-UID]
    #[arg(long, value_name = "DIR", env = "MIXCORD_IDENTIFY_DIR")]
    pub identify_dir: Option<PathBuf>,

    /// Who gives permits to identify: local, a queue of the gateways on this machine, or bridge, where gateways of
    /// one token run on several: mixcord-bridge send asks the others
    #[arg(long, value_name = "local|bridge", env = "MIXCORD_PERMITS", value_enum, default_value_t = Permits::Local)]
    pub permits: Permits,

    /// Where a standby may take the shards over. On the machine that runs them: sessions only while mixcord-bridge send says that
    /// nobody else has them. On one that receives them: waits until that machine died, then resumes its sessions
    #[arg(long, env = "MIXCORD_TAKE_OVER", conflicts_with = "beside")]
    pub take_over: bool,

    /// Shortest scale of the delay before a connection is made again
    #[arg(long, value_name = "MS", env = "MIXCORD_RECONNECT_MIN_MS", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub reconnect_min_ms: u32,

    /// Longest delay before a connection is made again
    #[arg(long, value_name = "MS", env = "MIXCORD_RECONNECT_MAX_MS", default_value_t = 60_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub reconnect_max_ms: u32,

    /// How long a new connection may take to say HELLO, and READY after a message that cannot be decoded
    #[arg(long, value_name = "MS", env = "MIXCORD_HELLO_TIMEOUT_MS", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub hello_timeout_ms: u32,

    /// What is weighed more where events come often: low-latency, balanced (up to 1.6 ms later, for a fraction of
    /// the wakes) or low-cpu (up to 6 ms later)
    #[arg(long, value_name = "PACE", env = "MIXCORD_PACE", default_value_t = Pace::Balanced)]
    pub pace: Pace,

    /// Threads that read sockets (1 to 64). One reads some 200,000 events a second; with more, shards are read side
    /// by side, and events that come seldom cost more wakes
    #[arg(long, value_name = "N", env = "MIXCORD_THREADS", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub threads: u8,

    /// Reads sockets this often at most, in milliseconds (1 to 50): at a trickle of events most of the CPU goes
    /// into wakes. Heartbeats and commands are as late; --pace does not count then
    #[arg(long, value_name = "MS", env = "MIXCORD_COALESCE_MS", value_parser = clap::value_parser!(u8).range(1..=50))]
    pub coalesce_ms: Option<u8>,

    /// What is logged, and how
    #[command(flatten)]
    pub log: LogOptions,
}

/// Who gives permits to identify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Permits {
    /// The queue of this machine.
    Local,
    /// The bridge, which asks other machines.
    Bridge,
}

fn version() -> &'static str {
    let layouts =
        [("ring", mixcord_ring::LAYOUT_VERSION), ("record", mixcord_event::record::LAYOUT.into())];
    command_line::version(env!("CARGO_PKG_VERSION"), &layouts)
}

fn instance(text: &str) -> Result<String, String> {
    if is_instance_name(text) {
        Ok(text.to_owned())
    } else {
        Err("a name has 1 to 32 of a-z, 0-9, - and _, and begins with a letter or digit".into())
    }
}

fn fraction(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| *number > 0.0 && *number <= 1.0);
    number.ok_or_else(|| "expected a number above 0, at most 1".to_owned())
}

fn feed(text: &str) -> Result<String, String> {
    match text {
        topology::CACHE_GROUP | topology::BRIDGE_GROUP => Ok(text.to_owned()),
        _ => Err("expected cache, bridge, or cache,bridge".into()),
    }
}

fn api_url(text: &str) -> Result<String, String> {
    let text = text.trim().trim_end_matches('/');
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest {
        Some(host) if !host.is_empty() && !host.starts_with('/') && !host.contains(['?', '#']) => {
            Ok(text.to_owned())
        }
        _ => Err("expected https://HOST/PATH or http://HOST:PORT/PATH".into()),
    }
}

fn encoding(text: &str) -> Result<mixcord_event::Encoding, String> {
    match text {
        "etf" => Ok(mixcord_event::Encoding::Etf),
        "json" => Ok(mixcord_event::Encoding::Json),
        _ => Err("expected etf or json".into()),
    }
}

/// Discord's update-presence structure, with everything but the status left to its default.
fn presence(text: &str) -> Result<PresenceUpdate, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Presence {
        #[serde(default)]
        since: Option<u64>,
        #[serde(default)]
        activities: Vec<Shown>,
        status: String,
        #[serde(default)]
        afk: bool,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Shown {
        name: String,
        #[serde(rename = "type", default)]
        kind: u8,
        #[serde(default)]
        state: Option<String>,
        #[serde(default)]
        url: Option<String>,
    }
    let Presence { since, activities, status, afk } =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    let activities = activities
        .into_iter()
        .map(|Shown { name, kind, state, url }| Activity { name, kind, state, url })
        .collect();
    let presence = PresenceUpdate { since, activities, status, afk };
    presence.check()?;
    Ok(presence)
}
