//! Full rings: the socket is no longer read, everything else goes on (DESIGN §7).

use mixcord_event::status::ShardStatus;
use mixcord_ring::Ring;

use crate::harness::{Fake, Instance, Reader, SIGKILL, resident, until};
use crate::journal::compare;

const SMALL: [&str; 6] =
    ["--ring-bytes", "64KiB", "--buffer-bytes", "32KiB", "--compression", "none"];

/// §15 lines 2 and 27: heartbeats go on while nobody reads, nothing is lost, memory is bounded.
#[test]
fn g6_a_full_ring_stops_reading_and_nothing_else() {
    let fake = Fake::start(|config| {
        config.shards = 1;
        // More than the kernel keeps for a socket that is not read.
        config.events = Some(30_000);
        config.heartbeat_ms = 500;
    });
    let instance = Instance::new();
    let mut gateway = instance.start(&fake.api_url(), &SMALL);
    until("the stream to stop", || {
        let sent = |status: serde_json::Value| status["sessions"][0]["sent_seq"].as_u64();
        let before = sent(fake.status());
        std::thread::sleep(std::time::Duration::from_millis(300));
        before.is_some()
            && before == sent(fake.status())
            && status(&instance).stalled_since_us.is_some()
    });
    assert!(!fake.is_drained(), "the fake could send all it had");
    let stalled = status(&instance);
    assert_eq!(stalled.stalls, 1);
    let since = stalled.stalled_since_us.expect("seen while it lasts");
    let before = fake.logged("heartbeat").len();
    let memory = resident(&gateway);
    until("six more heartbeats", || fake.logged("heartbeat").len() > before + 6);
    assert_eq!(fake.logged("connect").len(), 1, "the connection was kept");
    assert!(resident(&gateway) < memory + (4 << 10), "memory grew while nothing was read");
    assert!(gateway.is_running());

    let mut reader = Reader::new(&instance);
    reader.until_all(&fake);
    compare(&fake, &reader.events());
    assert!(reader.gaps().is_empty());
    assert_eq!(fake.logged("identify").len(), 1);
    let after = status(&instance);
    assert_eq!(after.stalled_since_us, None);
    assert!(after.stalled_ms > 0 && since > 0);
}

fn status(instance: &Instance) -> ShardStatus {
    let ring = Ring::attach(&instance.namespace(), "shard-0-1").expect("a ring");
    ShardStatus::decode(&ring.checkpoint().expect("a checkpoint")).expect("a status")
}

/// P2 with a full ring: what was decoded and not yet in the ring comes again after SIGKILL.
#[test]
fn p2_sigkill_with_a_full_ring_loses_nothing() {
    let fake = Fake::start(|config| {
        config.shards = 1;
        config.events = Some(3_000);
        config.heartbeat_ms = 150;
        config.forget_acked = true;
    });
    let instance = Instance::new();
    let mut reader = Reader::new(&instance);
    for _ in 0..3 {
        let mut gateway = instance.start(&fake.api_url(), &SMALL);
        let before = fake.logged("heartbeat").len();
        until("heartbeats", || fake.logged("heartbeat").len() > before + 3);
        gateway.signal(SIGKILL);
        gateway.wait();
        reader.read();
    }
    let gateway = instance.start(&fake.api_url(), &SMALL);
    reader.until_all(&fake);
    compare(&fake, &reader.events());
    assert!(reader.gaps().is_empty(), "{:?}", reader.gaps());
    drop(gateway);
}

/// A connection lost while the ring is full: what waits for the ring is not asked for twice.
#[test]
fn p2_a_cut_with_a_full_ring_repeats_nothing() {
    let fake = Fake::start(|config| {
        config.shards = 1;
        config.events = Some(3_000);
        config.heartbeat_ms = 150;
    });
    let instance = Instance::new();
    let gateway = instance.start(&fake.api_url(), &SMALL);
    let mut reader = Reader::new(&instance);
    for _ in 0..3 {
        let before = fake.logged("heartbeat").len();
        until("heartbeats", || fake.logged("heartbeat").len() > before + 3);
        fake.post("/fake/disconnect?how=cut");
        let resumes = fake.logged("resume").len();
        reader.until("the next connection", |_| fake.logged("resume").len() > resumes);
    }
    reader.until_all(&fake);
    compare(&fake, &reader.events());
    assert!(reader.gaps().is_empty(), "{:?}", reader.gaps());
    drop(gateway);
}
