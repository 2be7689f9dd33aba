//! Guilds that come and leave again, until the store holds much less than its file.

use mixcord_ring::{Limits, Member};
use mixcord_state::{Resource, Scan, State};
use serde_json::{Value as Json, json};

use super::instance::{Instance, send, settle};

/// Guilds that come, and those of them that stay.
pub(crate) const CAME: u64 = 230;
pub(crate) const STAYED: u64 = 12;

fn id(guild: u64) -> String {
    (1000 + guild).to_string()
}

fn guild(number: u64) -> Json {
    let channel = (5000 + number).to_string();
    json!({"id": id(number), "name": format!("g{number}"), "description": "d".repeat(170_000),
        "channels": [{"id": channel, "name": "c"}], "members": [{"user": {"id": "1", "username": "a"}, "roles": []}]})
}

/// They came and left, and their consumer has seen it all. The cache had no moment to rest since.
pub(crate) fn come_and_leave(instance: &Instance) {
    instance.declare();
    let (mut ring, mut consumer) = (instance.shard(0, 1), instance.consumer());
    let mut engine = instance.engine();
    for number in 0..CAME {
        send(&mut ring, (0, 1), &[("GUILD_CREATE", guild(number))]);
        settle(&mut engine);
        assert_eq!(pass_over(&mut consumer), 1);
    }
    let leave = |number| ("GUILD_DELETE", json!({"id": id(number)}));
    send(&mut ring, (0, 1), &(STAYED..CAME).map(leave).collect::<Vec<_>>());
    let mut left = CAME - STAYED;
    while left > 0 {
        engine.round().expect("a round");
        left -= pass_over(&mut consumer);
    }
}

/// Takes what the consumer has not seen, and looks at none of it: it is long.
fn pass_over(consumer: &mut Member) -> u64 {
    let mut seen = 0;
    while let Some(batch) = consumer.take(Limits { records: 64, bytes: 1 << 20 }).expect("a batch")
    {
        seen += batch.len() as u64;
        batch.ack();
    }
    seen
}

/// A change of a channel of a guild that stayed.
pub(crate) fn renamed(name: &str) -> (&'static str, Json) {
    ("CHANNEL_UPDATE", json!({"id": "5003", "guild_id": id(3), "name": name}))
}

/// Everything that is cached.
pub(crate) fn everything(state: &State) -> Vec<(Resource, u64, u64, String)> {
    let mut all = Vec::new();
    for &resource in Resource::ALL {
        let mut scan = Scan::all(resource);
        while !scan.is_done() {
            for found in state.page(&mut scan).expect("a page") {
                all.push((resource, found.owner, found.id, found.document.to_json()));
            }
        }
    }
    all
}
