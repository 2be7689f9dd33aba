//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use mixcord_bridge::names::{self, Shards};
use mixcord_event::topology;
use mixcord_process::command_line::{self, ConfigFile};
use mixcord_process::log::LogOptions;

/// Carries the shard rings of an instance to other machines, through NATS JetStream.
///
/// Where the gateway runs: `mixcord-bridge send`, and mixcord-gateway with `--feeds cache,bridge`, or `--feeds
/// bridge` where no cache runs. On every other machine: `mixcord-bridge receive`, mixcord-cache, and consumers.
#[derive(Debug, Parser)]
#[command(name = "mixcord-bridge", version = version(), max_term_width = 100)]
pub(crate) struct Options {
    /// Name of the instance on this machine
    #[arg(long, value_name = "NAME", env = "MIXCORD_INSTANCE", default_value = "mixcord", global = true, value_parser = instance)]
    pub(crate) instance: String,
    /// Name under which the machines of one bot meet at the broker [default: that of the instance]
    #[arg(long, value_name = "NAME", env = "MIXCORD_BRIDGE_BOT", global = true, value_parser = instance)]
    pub(crate) bot: Option<String>,
    #[command(flatten)]
    pub(crate) broker: BrokerOptions,
    /// Options from a file
    #[command(flatten)]
    config: ConfigFile,
    /// What is logged, and how
    #[command(flatten)]
    pub(crate) log: LogOptions,
    #[command(subcommand)]
    pub(crate) what: What,
}

/// What it does.
#[derive(Debug, Subcommand)]
pub(crate) enum What {
    /// Sends the records of this machine's shard rings
    Send(SendOptions),
    /// Writes what other machines send into shard rings here
    Receive(ReceiveOptions),
    /// Shows streams, lanes and receivers
    Status(StatusOptions),
}

/// Where the broker is, and who we are there.
#[derive(Clone, Debug, Args)]
pub(crate) struct BrokerOptions {
    /// Servers of one NATS cluster, 2.11 or newer, with JetStream
    #[arg(
        long,
        value_name = "URL,URL",
        env = "MIXCORD_NATS",
        value_delimiter = ',',
        default_value = "nats://127.0.0.1:4222",
        global = true
    )]
    pub(crate) nats: Vec<String>,
    /// File with credentials, as `nsc` makes them
    #[arg(long, value_name = "FILE", env = "MIXCORD_NATS_CREDS", global = true)]
    pub(crate) nats_creds: Option<PathBuf>,
    /// File with `USER:PASSWORD` in its first line
    #[arg(
        long,
        value_name = "FILE",
        env = "MIXCORD_NATS_PASSWORD_FILE",
        conflicts_with = "nats_creds",
        global = true
    )]
    pub(crate) nats_password_file: Option<PathBuf>,
    /// PEM file with certificates to trust beside the system's
    #[arg(long, value_name = "FILE", env = "MIXCORD_NATS_CA_FILE", global = true)]
    pub(crate) nats_ca_file: Option<PathBuf>,
    /// Goes without TLS to servers on other machines, such as in a tunnel: events hold what people wrote, and tokens
    /// of interactions
    #[arg(long, env = "MIXCORD_NATS_WITHOUT_TLS", global = true)]
    pub(crate) nats_without_tls: bool,
}

const COPY_DIR: &str = "/var/tmp";
/// No instance's state.
pub(crate) const NOBODY: &str = "none";

/// Options of `send`.
#[derive(Clone, Debug, Args)]
pub(crate) struct SendOptions {
    /// Name of this sender's streams: each machine with gateways has its own
    #[arg(long, value_name = "NAME", env = "MIXCORD_BRIDGE_STREAM", default_value = "main", value_parser = stream)]
    pub(crate) stream: String,
    /// Bytes a stream of 16 shards may hold; when it is full, the rings fill, then the sockets are not read
    #[arg(long, value_name = "BYTES", env = "MIXCORD_BRIDGE_STREAM_BYTES", default_value = "1GiB", value_parser = command_line::bytes)]
    pub(crate) stream_bytes: u64,
    /// Bytes that are kept where nobody receives
    #[arg(long, value_name = "BYTES", env = "MIXCORD_BRIDGE_RETAIN", default_value = "256MiB", value_parser = command_line::bytes)]
    pub(crate) retain: u64,
    /// Servers that keep a stream: 1, 3 or 5
    #[arg(long, value_name = "N", env = "MIXCORD_BRIDGE_REPLICAS", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    pub(crate) replicas: u8,
    /// How long a receiver that is silent, or stands still with work waiting, holds the stream
    #[arg(long, value_name = "DURATION", env = "MIXCORD_BRIDGE_MAX_ABSENCE", default_value = "15m", value_parser = command_line::duration)]
    pub(crate) max_absence: Duration,
    /// Messages under way at once, in each stream
    #[arg(long, value_name = "N", env = "MIXCORD_BRIDGE_WINDOW", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) window: u16,
    /// Where a copy of the state lies while another machine fetches it: a file without a name
    #[arg(long, value_name = "DIR", env = "MIXCORD_BRIDGE_COPY_DIR", default_value = COPY_DIR)]
    pub(crate) copy_dir: PathBuf,
    /// Bytes of records in a message, before compression
    #[arg(long, value_name = "BYTES", env = "MIXCORD_BRIDGE_PACK_BYTES", default_value = "64KiB", value_parser = command_line::bytes)]
    pub(crate) pack_bytes: u64,
}

/// Options of `receive`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReceiveOptions {
    /// Shards to receive: all, or A..B/N (A to B, both included, of N)
    #[arg(long, value_name = "all|A..B/N", env = "MIXCORD_BRIDGE_SHARDS", default_value = "all", value_parser = shards)]
    pub(crate) shards: Shards,
    /// Where there is no ring yet, begin with a copy of the state that the machine with this instance has, and with the log
    /// from where that ends; none begins with what the log has, and no state
    #[arg(long, value_name = "INSTANCE|none", env = "MIXCORD_BRIDGE_STATE_FROM", default_value = NOBODY, value_parser = instance)]
    pub(crate) state_from: String,
    /// Where a copy of the state lies while another machine fetches it: a file without a name
    #[arg(long, value_name = "DIR", env = "MIXCORD_BRIDGE_COPY_DIR", default_value = COPY_DIR)]
    pub(crate) copy_dir: PathBuf,
    /// Groups that are made with each ring, so that nothing is lost to who starts first; bridge is left out, as what is
    /// received is not sent again
    #[arg(long, value_name = "GROUP,GROUP", env = "MIXCORD_FEEDS", value_delimiter = ',', default_value = topology::CACHE_GROUP)]
    pub(crate) feeds: Vec<String>,
    /// Payload space of each shard's ring, a power of two
    #[arg(long, value_name = "BYTES", env = "MIXCORD_RING_BYTES", default_value = "4MiB", value_parser = command_line::bytes)]
    pub(crate) ring_bytes: u64,
    /// Records each shard's ring can hold, a power of two
    #[arg(long, value_name = "N", env = "MIXCORD_RING_SLOTS", default_value_t = 8192)]
    pub(crate) ring_slots: u32,
}

/// Options of `status`.
#[derive(Clone, Debug, Args)]
pub(crate) struct StatusOptions {
    /// Prints JSON
    #[arg(long)]
    pub(crate) json: bool,
}

fn version() -> &'static str {
    let layouts =
        [("ring", mixcord_ring::LAYOUT_VERSION), ("record", mixcord_event::record::LAYOUT.into())];
    command_line::version(env!("CARGO_PKG_VERSION"), &layouts)
}

fn instance(text: &str) -> Result<String, String> {
    name(text, topology::is_instance_name(text))
}

fn stream(text: &str) -> Result<String, String> {
    name(text, names::is_stream_name(text))
}

fn name(text: &str, is_name: bool) -> Result<String, String> {
    let why = "a name has 1 to 32 of a-z, 0-9, - and _, and begins with a letter or digit";
    if is_name { Ok(text.to_owned()) } else { Err(why.to_owned()) }
}

fn shards(text: &str) -> Result<Shards, String> {
    if text == "all" {
        return Ok(Shards::All);
    }
    let parsed = (|| {
        let (range, count) = text.split_once('/')?;
        let (first, last) = range.split_once("..")?;
        let [first, last, count] = [first.parse().ok()?, last.parse().ok()?, count.parse().ok()?];
        (first <= last && last < count).then_some(Shards::Range { first, last, count })
    })();
    parsed.ok_or_else(|| "expected all, or A..B/N with A to B below N".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_a_range_that_can_be() {
        assert_eq!(shards("all"), Ok(Shards::All));
        let range = shards("16..31/32").unwrap();
        assert!(range.has(names::Lane { shard: 31, count: 32 }));
        assert!(!range.has(names::Lane { shard: 15, count: 32 }));
        assert!(!range.has(names::Lane { shard: 16, count: 64 }));
        for wrong in ["", "4", "3..2/4", "0..4/4", "0-3/4"] {
            assert!(shards(wrong).is_err(), "{wrong}");
        }
    }
}
