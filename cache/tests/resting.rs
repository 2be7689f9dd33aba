//! Messages that rest are compressed while no record waits, and nobody sees it but by the memory.

mod common;

use std::time::Duration;

use common::instance::{Instance, Out, receive, send, settle};
use mixcord_cache::engine::Engine;
use mixcord_ring::Producer;
use mixcord_state::{Resource, State};
use serde_json::{Value as Json, json};

const MESSAGES: u64 = 60;

fn message(id: u64, text: &str) -> Json {
    json!({
        "id": id.to_string(), "channel_id": "200", "guild_id": "100", "type": 0, "tts": false, "pinned": false,
        "timestamp": "2026-11-19T09:14:21.412000+00:00", "edited_timestamp": null, "mention_everyone": false,
        "content": format!("do you know what everybody is doing today? {text}"), "embeds": [], "flags": 0,
        "author": {"id": "1", "username": "ann", "avatar": null, "discriminator": "0", "global_name": null},
    })
}

/// An instance whose messages are compressed at once, with some.
fn chatting(name: &str) -> (Instance, Producer) {
    let mut instance = Instance::new(name);
    instance.settings.compress_messages_after = Some(Duration::ZERO);
    instance.declare();
    let mut shard = instance.shard(0, 1);
    send(&mut shard, (0, 1), &[("GUILD_CREATE", json!({"id": "100", "name": "g"}))]);
    for id in 1..=MESSAGES {
        let event = ("MESSAGE_CREATE", message(id, &"and what then? ".repeat((id % 7) as usize)));
        send(&mut shard, (0, 1), &[event]);
    }
    (instance, shard)
}

fn stored_bytes(instance: &Instance) -> u64 {
    let state = State::open(&instance.state_dir()).unwrap();
    let sizes = state.sizes().unwrap();
    sizes.iter().find(|of| of.resource == Resource::Messages).unwrap().stored_bytes
}

/// Rounds until the messages take less than so much.
fn rest(engine: &mut Engine, instance: &Instance, bytes: u64) {
    for _ in 0..1_000_000 {
        settle(engine);
        if stored_bytes(instance) < bytes {
            return;
        }
    }
    panic!("{} bytes, and not less than {bytes}", stored_bytes(instance));
}

#[test]
fn messages_that_rest_take_less_and_are_what_they_were() {
    let (mut instance, mut shard) = chatting("resting");
    instance.settings.compress_messages_after = None;
    let mut engine = instance.engine();
    settle(&mut engine);
    let mut consumer = instance.consumer();
    receive(&mut consumer);
    let before = stored_bytes(&instance);
    settle(&mut engine);
    assert_eq!(stored_bytes(&instance), before, "nobody asked for it");
    drop(engine);

    instance.settings.compress_messages_after = Some(Duration::from_secs(100 * 365 * 86_400));
    settle(&mut instance.engine());
    assert_eq!(stored_bytes(&instance), before, "they came a moment ago");

    instance.settings.compress_messages_after = Some(Duration::ZERO);
    let mut engine = instance.engine();
    rest(&mut engine, &instance, before * 2 / 3);
    let state = State::open(&instance.state_dir()).unwrap();
    for id in 1..=MESSAGES {
        let held = state.entity(Resource::Messages, 200, id).unwrap().unwrap();
        let held: Json = serde_json::from_str(&held.to_json()).unwrap();
        assert_eq!(held, message(id, &"and what then? ".repeat((id % 7) as usize)));
    }
    let edit = json!({"id": "9", "channel_id": "200", "guild_id": "100", "content": "edited"});
    let delete = json!({"id": "8", "channel_id": "200", "guild_id": "100"});
    send(&mut shard, (0, 1), &[("MESSAGE_UPDATE", edit), ("MESSAGE_DELETE", delete)]);
    settle(&mut engine);
    let seen: Vec<Out> = receive(&mut consumer);
    assert_eq!(seen[0].old, message(9, &"and what then? ".repeat(2)));
    assert_eq!(
        (&seen[0].data["content"], &seen[0].data["author"]["username"]),
        (&json!("edited"), &json!("ann"))
    );
    assert_eq!(seen[1].old, message(8, "and what then? "));
    drop(engine);
    instance.check_state();
}
