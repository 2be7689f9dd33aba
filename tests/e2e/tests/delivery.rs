//! P1, P2: in every encoding × compression, what a consumer was given equals what was sent.

use std::time::Duration;

use anyhow::Result;
use mixcord_e2e::{Fake, FakeOptions, Follower, Order, Stack, compare};

const EVENTS: u64 = 105_000;
const DEADLINE: Duration = Duration::from_secs(240);

fn everything_arrives(encoding: &str, compression: &str) -> Result<()> {
    let stack = Stack::new()?;
    let fake = Fake::start(
        stack.folder(),
        &FakeOptions { shards: 4, events: EVENTS, ..FakeOptions::default() },
    )?;
    let tail = stack.tail(&["--group", "journal", "--from", "earliest"])?;
    let mut follower = Follower::new(&tail, &[])?;
    let _cache = stack.cache(&[])?;
    let _gateway =
        stack.gateway(&fake, "auto", &["--encoding", encoding, "--compression", compression])?;

    let sent = follower.read_all(&fake, DEADLINE)?;
    // A few events of the world are for nobody's shard or intents.
    assert!(sent.len() >= 100_000, "{} sent", sent.len());
    compare(&sent, &follower.delivered, Order::Shard)
}

#[test]
fn json_uncompressed() -> Result<()> {
    everything_arrives("json", "none")
}

#[test]
fn json_zstd() -> Result<()> {
    everything_arrives("json", "zstd-stream")
}

#[test]
fn etf_uncompressed() -> Result<()> {
    everything_arrives("etf", "none")
}

#[test]
fn etf_zstd() -> Result<()> {
    everything_arrives("etf", "zstd-stream")
}
