//! What a batch may take of memory (P7).

mod common;

use common::instance::{Instance, receive, send, settle};
use mixcord_cache::engine::Progress;
use serde_json::json;

/// Deletions take memory until the commit as values do: a batch of them ends in time.
#[test]
fn a_batch_of_deletions_is_bounded() {
    let instance = Instance::new("deletions");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    let guilds = 6;
    for guild in 1..=guilds {
        // Entities apart from the guild, so that its end is a short record.
        let sound = |id: u64| json!({"sound_id": id.to_string()});
        let sounds: Vec<_> = (1..=30_000).map(sound).collect();
        let create = json!({"id": guild.to_string(), "name": "g", "soundboard_sounds": sounds});
        send(&mut shard, (0, 1), &[("GUILD_CREATE", create)]);
        settle(&mut engine);
        receive(&mut consumer);
    }
    for guild in 1..=guilds {
        send(&mut shard, (0, 1), &[("GUILD_DELETE", json!({"id": guild.to_string()}))]);
    }
    let mut rounds = Vec::new();
    while engine.round().unwrap() == Progress::Worked {
        rounds.push(receive(&mut consumer).len());
    }
    assert_eq!(rounds.iter().sum::<usize>(), guilds);
    assert!(rounds.len() > 1, "{rounds:?}");
}
