//! How much memory a guild takes that was just loaded: that of the benchmark, 200 members and 100 channels.
#![recursion_limit = "256"] // for the guild's JSON

mod common;
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the workload is the benchmark's, which uses more of it"
)]
#[path = "../../tests/pipeline/src/workload/guild.rs"]
mod guild;

use std::path::Path;

use common::{At, feed};
use mixcord_cache::settings::Settings;
use mixcord_cache::store::{DiskStore, OpenBatch, Tables};
use mixcord_state::{Arena, State, StateStats};
use serde_json::Value as Json;

/// Enough of them that what all have in common counts for little.
const GUILDS: u64 = 40;
/// Bytes of each, with what finds its values and keeps their order.
const BYTES_MAX: u64 = 90_000;

fn stats(dir: &Path) -> StateStats {
    State::open(dir).expect("a store").stats().expect("its figures")
}

#[test]
fn a_loaded_guild_takes_no_more_than_it_may() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("state");
    let (mut disk, _) = DiskStore::open(&dir, 1 << 30).expect("a store");
    let before = stats(&dir).bytes();
    let (settings, mut arena) = (Settings::default(), Arena::default());
    for (number, seq) in (0..GUILDS).zip(1..) {
        let message: Json = serde_json::from_str(&guild::create(number)).expect("JSON");
        let mut batch = OpenBatch::new(disk.writer_mut(), &mut arena);
        let at = At { seq, us: At::default().us + seq, ..At::default() };
        feed(&mut batch, &settings, "GUILD_CREATE", &message["d"], at);
        batch.settle().expect("room");
    }
    let after = stats(&dir);
    let guild = (after.bytes() - before) / GUILDS;
    let parts = after.resources.iter().filter(|part| part.entities > 0);
    let parts: Vec<_> = parts.map(|part| (part.resource.name(), part.bytes / GUILDS)).collect();
    println!("{guild} bytes a guild: {parts:?}, other {}", after.other_bytes / GUILDS);
    assert!(
        guild <= BYTES_MAX,
        "{guild} bytes a guild: {parts:?}, other {}",
        after.other_bytes / GUILDS
    );
}
