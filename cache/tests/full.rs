//! A store that may not grow: what is missed least makes room, and then it stops.

mod common;

use common::instance::{Instance, receive, send, settle};
use mixcord_cache::engine::Progress;
use mixcord_ring::Geometry;
use mixcord_state::{Resource, State};
use serde_json::{Value as Json, json};

fn guild() -> (&'static str, Json) {
    ("GUILD_CREATE", json!({"id": "100", "name": "g", "channels": [{"id": "200", "name": "c0"}]}))
}

/// Messages of 3 kB each, over a hundred channels.
fn long_message(id: u64) -> (&'static str, Json) {
    let channel = (1000 + id % 100).to_string();
    let text = "x".repeat(3000);
    let message =
        json!({"id": id.to_string(), "channel_id": channel, "guild_id": "100", "content": text});
    ("MESSAGE_CREATE", message)
}

#[test]
fn in_a_full_store_the_oldest_messages_go_then_presences_and_then_it_stops() {
    let mut instance = Instance::new("store-full");
    instance.state_bytes_max = 2 << 20;
    instance.output = Geometry::new(4096, 1 << 20, 4, 1, 4).unwrap();
    instance.declare();
    let mut shard = instance.shard(0, 1);
    send(&mut shard, (0, 1), &[guild()]);
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    settle(&mut engine);
    let presence = |user: u64| {
        let activity = json!([{"name": "x".repeat(1000)}]);
        let user = json!({"id": user.to_string()});
        (
            "PRESENCE_UPDATE",
            json!({"guild_id": "100", "user": user, "status": "online", "activities": activity}),
        )
    };
    for id in 1..3000 {
        send(&mut shard, (0, 1), &[long_message(id)]);
        if id < 100 {
            send(&mut shard, (0, 1), &[presence(id)]);
        }
        assert_eq!(settle(&mut engine), Progress::Idle, "at message {id}");
        receive(&mut consumer);
    }
    let state = State::open(&instance.state_dir()).unwrap();
    let count = |resource| state.count(resource).unwrap();
    assert!((10..1000).contains(&count(Resource::Messages)));
    assert_eq!(count(Resource::Presences), 99);
    assert!(state.entity(Resource::Messages, 1099, 2999).unwrap().is_some(), "the newest stays");
    assert!(state.entity(Resource::Messages, 1001, 1).unwrap().is_none());
    // What nobody would forget.
    let mut full = None;
    for id in 1..1000_u64 {
        let channel = json!({"id": (5000 + id).to_string(), "guild_id": "100", "type": 0, "topic": "x".repeat(3000)});
        send(&mut shard, (0, 1), &[("CHANNEL_CREATE", channel)]);
        match settle(&mut engine) {
            Progress::Idle => drop(receive(&mut consumer)),
            other => {
                full = Some(other);
                break;
            }
        }
    }
    assert_eq!(full, Some(Progress::StoreFull));
    assert_eq!((count(Resource::Messages), count(Resource::Presences)), (0, 0));
    drop(engine);
    instance.check_state();
    // With more space it goes on where it stopped.
    instance.state_bytes_max = 8 << 20;
    let mut engine = instance.engine();
    assert_eq!(settle(&mut engine), Progress::Idle);
    assert_eq!(receive(&mut consumer).len(), 1);
}

/// Each entry of another owner is a list of its own: a small store takes few of them at once.
#[test]
fn a_small_store_of_many_guilds_makes_room_and_forgets_in_parts_that_it_takes() {
    let mut instance = Instance::new("small-store");
    instance.state_bytes_max = 8 << 20;
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    let activity = json!([{"name": "x".repeat(2500)}]);
    let presence = json!({"user": {"id": "1"}, "status": "online", "activities": activity});
    let guild = |id: u64| {
        let id = id.to_string();
        ("GUILD_CREATE", json!({"id": id, "presences": [presence]}))
    };
    let count = |instance: &Instance| {
        State::open(&instance.state_dir()).unwrap().count(Resource::Presences).unwrap()
    };
    let mut most = 0;
    for first in (1..3000).step_by(50) {
        let some: Vec<_> = (first..first + 50).map(guild).collect();
        send(&mut shard, (0, 1), &some);
        assert_eq!(
            settle(&mut engine),
            Progress::Idle,
            "at guild {first}, {} of {most}",
            count(&instance)
        );
        receive(&mut consumer);
        most = most.max(count(&instance));
    }
    assert!((1024..2900).contains(&most), "{most} at once");
    drop(engine);
    instance.settings = instance.settings.clone().without(Resource::Presences);
    drop(instance.engine());
    assert_eq!(count(&instance), 0);
    instance.check_state();
}
