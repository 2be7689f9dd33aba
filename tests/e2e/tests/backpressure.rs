//! P7 and DESIGN §7: a consumer that stops slows the socket, never the heartbeats, and costs no memory.

use std::time::Duration;

use anyhow::{Result, ensure};
use mixcord_e2e::{Fake, FakeOptions, Follower, Order, Stack, compare, until};
use nix::sys::signal::Signal;

const DEADLINE: Duration = Duration::from_secs(120);

#[test]
fn a_stopped_consumer_stops_the_socket_and_nothing_else() -> Result<()> {
    let stack = Stack::new()?;
    let fake = Fake::start(
        stack.folder(),
        &FakeOptions {
            shards: 2,
            events: 60_000,
            more: vec!["--heartbeat-ms".into(), "1000".into()],
            ..FakeOptions::default()
        },
    )?;
    let tail = stack.tail(&["--group", "slow", "--from", "earliest"])?;
    let mut follower = Follower::new(&tail, &[])?;
    let cache = stack.cache(&["--output-bytes", "2MiB"])?;
    let gateway = stack.gateway(&fake, "auto", &["--ring-bytes", "1MiB"])?;
    follower.read_until(500, DEADLINE)?;
    tail.signal(Signal::SIGSTOP)?;

    // The rings fill, the socket is no longer read: the server cannot send any more.
    let sent = |fake: &Fake| fake.status().map(|s| s.iter().map(|s| s.sent).sum::<u64>());
    let beats =
        |fake: &Fake| fake.status().map(|s| s.iter().map(|s| s.heartbeats).min().unwrap_or(0));
    let mut last = (0, 0);
    until("the server to be held back over three heartbeats of each shard", DEADLINE, || {
        let (Ok(sent), Ok(beats)) = (sent(&fake), beats(&fake)) else { return false };
        if sent != last.0 {
            last = (sent, beats);
        }
        beats >= last.1 + 3
    })?;
    let held_at = sent(&fake)?;
    ensure!(held_at < 60_000, "all {held_at} events fit: the test proves nothing");

    // Heartbeats go on, memory stays flat, the connection is not given up.
    let memory = (gateway.resident_bytes(), cache.resident_bytes());
    let beats_before = beats(&fake)?;
    until("four more heartbeats of each shard", DEADLINE, || {
        beats(&fake).is_ok_and(|now| now >= beats_before + 4)
    })?;
    assert_eq!(sent(&fake)?, held_at, "the server went on sending");
    let grown = (
        gateway.resident_bytes().saturating_sub(memory.0),
        cache.resident_bytes().saturating_sub(memory.1),
    );
    ensure!(grown.0 < 4 << 20 && grown.1 < 4 << 20, "memory grew by {grown:?} bytes while held");
    let status = fake.status()?;
    ensure!(status.iter().all(|s| s.connected && s.identifies == 1), "{status:?}");

    tail.signal(Signal::SIGCONT)?;
    let sent = follower.read_all(&fake, DEADLINE)?;
    compare(&sent, &follower.delivered, Order::Shard)
}
