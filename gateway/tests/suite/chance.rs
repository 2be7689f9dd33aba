//! Faults drawn at random, in every encoding and compression.

use crate::harness::{Fake, Instance, Reader};
use crate::journal::compare;

/// Events flow meanwhile; the journal is the oracle. `FAULT_SEED` in the environment draws others.
fn random_faults(seed: u64, encoding: &str, compression: &str) {
    let other = std::env::var("FAULT_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed + other.unwrap_or(0) * 6;
    println!("seed {seed}");
    let fake = Fake::start(|config| {
        config.rate = 1_200.0;
        config.events = Some(3_000);
        config.heartbeat_ms = 500;
        config.hold_while_away = Some(true);
        config.seed = seed;
    });
    let instance = Instance::new();
    let options = [
        "--encoding",
        encoding,
        "--compression",
        compression,
        "--ring-bytes",
        "256KiB",
        "--buffer-bytes",
        "64KiB",
        "--intents",
        "ALL",
    ];
    let mut gateway = instance.start(&fake.api_url(), &options);
    let mut reader = Reader::new(&instance);
    let mut random = mixcord_gateway::random::Random::seeded(seed);
    while !fake.status()["finished"].as_bool().unwrap_or(false) {
        let shard = random.bits() % 2;
        match random.bits() % 10 {
            0 => fake.post(&format!("/fake/disconnect?how=cut&shard={shard}")),
            1 => fake.post(&format!("/fake/disconnect?how=op7&shard={shard}")),
            2 => fake.post(&format!("/fake/disconnect?how=op9true&shard={shard}")),
            3 => fake.post(&format!("/fake/disconnect?how=close&code=4000&shard={shard}")),
            4 => fake.post(&format!("/fake/fault?how=miss-acks&shard={shard}")),
            5 => fake.post(&format!("/fake/fault?how=stall&ms=40&shard={shard}")),
            6 => fake.post(&format!("/fake/fault?how=duplicate&shard={shard}")),
            7 => {
                gateway.signal(crate::harness::SIGKILL);
                gateway.wait();
                gateway = instance.start(&fake.api_url(), &options);
            }
            _ => {}
        }
        let enough = reader.got.len() + 60;
        reader.until("the next events", |got| got.len() > enough || fake.is_drained());
    }
    // Who comes back after the last event yet is told RESUMED, which is an event as well.
    reader.until("both shards", |_| fake.is_connected(0) && fake.is_connected(1));
    reader.until_all(&fake);
    compare(&fake, &reader.events());
    assert!(reader.gaps().is_empty(), "{:?}", reader.gaps());
    drop(gateway);
}

#[test]
fn random_faults_json() {
    random_faults(1, "json", "none");
}

#[test]
fn random_faults_json_zlib() {
    random_faults(2, "json", "zlib-stream");
}

#[test]
fn random_faults_json_zstd() {
    random_faults(3, "json", "zstd-stream");
}

#[test]
fn random_faults_etf() {
    random_faults(4, "etf", "none");
}

#[test]
fn random_faults_etf_zlib() {
    random_faults(5, "etf", "zlib-stream");
}

#[test]
fn random_faults_etf_zstd() {
    random_faults(6, "etf", "zstd-stream");
}
