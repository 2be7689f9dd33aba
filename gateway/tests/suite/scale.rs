//! Many shards and many events in one process; the long form runs on request.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::harness::{Fake, Instance, Reader, resident};

/// Nothing takes this long, whatever else the machine does.
const LONGEST: Duration = Duration::from_secs(500);

fn flows(shards: usize, events: u64) {
    let fake = Fake::start(|config| {
        config.shards = shards;
        config.guilds = shards;
        config.members = 3;
        config.events = Some(events);
        config.journal_max = 0;
        config.max_concurrency = 1024;
    });
    let instance = Instance::new();
    let gateway = instance.start(
        &fake.api_url(),
        &[
            "--compression",
            "none",
            "--intents",
            "ALL",
            "--ring-bytes",
            "256KiB",
            "--ring-slots",
            "1024",
            // Full where the reader below gets no time; with room for more it would look like growth.
            "--buffer-bytes",
            "64KiB",
        ],
    );
    let mut reader = Reader::new(&instance);
    // Order within each shard is all there is to keep: the payloads have tests of their own.
    let mut last: BTreeMap<u16, u64> = BTreeMap::new();
    let (mut seen, mut memory) = (0, None);
    let mut sent = None;
    let start = Instant::now();
    // What was sent and is not in the rings yet is on its way.
    while sent.is_none_or(|sent| seen < sent) {
        while reader.read_heads(|shard, seq, gap| {
            assert!(!gap);
            let before = last.insert(shard, seq).unwrap_or(0);
            assert_eq!(seq, before + 1, "shard {shard}");
            seen += 1;
        }) {}
        if memory.is_none() && seen > events / 4 {
            memory = Some(resident(&gateway));
        }
        if sent.is_none() && fake.is_drained() {
            sent = Some(fake.last_seqs().values().sum::<u64>());
        }
        assert!(start.elapsed() < LONGEST, "{seen} events of {sent:?} after {LONGEST:?}");
    }
    assert_eq!(last.len(), shards);
    assert_eq!(Some(seen), sent);
    let (before, after) = (memory.expect("measured"), resident(&gateway));
    println!(
        "{seen} events over {shards} shards; resident {before} KiB after a quarter, {after} KiB at the end"
    );
    assert!(after < before + before / 4 + (8 << 10), "memory grew from {before} to {after} KiB");
}

#[test]
fn sixteen_shards_in_one_process() {
    flows(16, 20_000);
}

/// One million events over 64 shards, memory flat.
#[test]
fn a_million_events_over_sixty_four_shards() {
    flows(64, 1_000_000);
}
