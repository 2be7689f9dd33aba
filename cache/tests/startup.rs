//! The comparison at the start: whose state it is, and what is told.

mod common;

use common::instance::{Instance, Out, gaps, receive, send, settle};
use mixcord_cache::engine::Progress;
use mixcord_cache::settings::Settings;
use mixcord_event::topology;
use mixcord_ring::{Geometry, Ring};
use mixcord_state::tables::GUILD_FACTS;
use mixcord_state::{Checkpoint, meta};
use serde_json::{Value as Json, json};

fn guild(name: &str) -> (&'static str, Json) {
    let channel = json!({"id": "200", "name": name});
    ("GUILD_CREATE", json!({"id": "100", "name": "g", "channels": [channel]}))
}

fn rename(n: u64) -> (&'static str, Json) {
    ("CHANNEL_UPDATE", json!({"id": "200", "guild_id": "100", "name": format!("c{n}")}))
}

fn typing() -> (&'static str, Json) {
    ("TYPING_START", json!({}))
}

/// Names before and after of each channel update.
fn names(seen: &[Out]) -> Vec<(Option<&str>, &str)> {
    let updates = seen.iter().filter(|out| out.kind == "CHANNEL_UPDATE");
    updates.map(|out| (out.old["name"].as_str(), out.data["name"].as_str().unwrap())).collect()
}

/// The operator removes the output ring.
fn replace_output(instance: &Instance) {
    instance.namespace.remove_ring(topology::OUTPUT_RING).unwrap();
    instance.declare();
}

/// A channel that another run renamed and made anew has no `old` in a store that did not see it.
#[test]
fn a_store_that_another_took_the_place_of_in_between_begins_anew() {
    for other in ["none", "another"] {
        for replaced in [true, false] {
            let mut instance = Instance::new(&format!("turns-{other}-{replaced}"));
            instance.declare();
            let mut shard = instance.shard(0, 1);
            send(&mut shard, (0, 1), &[guild("c0"), rename(1)]);
            settle(&mut instance.engine());
            if replaced {
                replace_output(&instance);
            } else {
                receive(&mut instance.consumer());
            }
            let (held, saved) =
                (instance.state_dir(), instance.state_dir().with_extension("saved"));
            let settings = instance.settings.clone();
            if other == "none" {
                (instance.store, instance.settings) = (false, Settings::none());
            } else {
                std::fs::rename(&held, &saved).unwrap();
            }
            let delete = ("GUILD_DELETE", json!({"id": "100"}));
            send(&mut shard, (0, 1), &[rename(2), delete, guild("fresh")]);
            settle(&mut instance.engine());
            receive(&mut instance.consumer());
            if other == "none" {
                (instance.store, instance.settings) = (true, settings);
            } else {
                std::fs::remove_dir_all(&held).unwrap();
                std::fs::rename(&saved, &held).unwrap();
            }
            send(&mut shard, (0, 1), &[rename(3), rename(4)]);
            settle(&mut instance.engine());
            let seen = receive(&mut instance.consumer());
            assert_eq!(gaps(&seen), [(0, "state_lost")], "{other} {replaced}");
            assert_eq!(names(&seen), [(None, "c3"), (None, "c4")], "{other} {replaced}");
        }
    }
}

#[test]
fn what_was_committed_and_cannot_be_published_is_told() {
    let instance = Instance::new("restage");
    instance.declare();
    let mut shards = [instance.shard(0, 2), instance.shard(1, 2)];
    for (shard, ring) in (0..).zip(&mut shards) {
        send(ring, (shard, 2), &[typing()]);
    }
    settle(&mut instance.engine());
    let mut consumer = instance.consumer();
    assert_eq!(receive(&mut consumer).len(), 2);
    // As after a death between commit and publish, and a ring that lost the descriptor.
    let ring = Ring::attach(&instance.namespace, topology::OUTPUT_RING).unwrap();
    instance.disk().writer_mut().commit((ring.id().0, 3)).unwrap();
    send(&mut shards[0], (0, 2), &[typing()]);
    settle(&mut instance.engine());
    let seen = receive(&mut consumer);
    assert_eq!(gaps(&seen), [(0, "output_lost"), (1, "output_lost")]);
    assert_eq!(seen.len(), 3, "and it goes on");
}

#[test]
fn a_store_that_is_lost_has_the_positions_of_idle_shards_too() {
    let instance = Instance::new("idle");
    instance.declare();
    let mut shards = [instance.shard(0, 2), instance.shard(1, 2)];
    for (shard, ring) in (0..).zip(&mut shards) {
        send(ring, (shard, 2), &[typing()]);
    }
    send(&mut shards[0], (0, 2), &[guild("c0")]);
    settle(&mut instance.engine());
    instance.edit(GUILD_FACTS.at(100), b"?");
    send(&mut shards[0], (0, 2), &[rename(1)]);
    settle(&mut instance.engine());
    let seen = receive(&mut instance.consumer());
    assert_eq!(gaps(&seen), [(0, "state_lost"), (1, "state_lost")]);
    assert!(instance.has(meta::input(1, 2)));
}

/// A note of who was stored would say of an empty store that they are still there.
#[test]
fn nobody_is_known_any_more_where_the_state_was_lost() {
    let instance = Instance::new("unknown");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let user = json!({"id": "1", "username": "ann"});
    let member = json!({"nick": "a", "roles": [], "joined_at": "2020"});
    let message = json!({"id": "900", "channel_id": "200", "guild_id": "100", "content": "",
                         "author": user, "member": member});
    let of_other = ("GUILD_UPDATE", json!({"id": "101", "name": "h"}));
    send(&mut shard, (0, 1), &[guild("c0"), ("GUILD_CREATE", json!({"id": "101", "name": "h"}))]);
    settle(&mut instance.engine());
    instance.edit(GUILD_FACTS.at(101), b"?");
    let mut engine = instance.engine();
    send(&mut shard, (0, 1), &[("MESSAGE_CREATE", message.clone())]);
    settle(&mut engine);
    send(&mut shard, (0, 1), &[of_other, guild("c0"), ("MESSAGE_CREATE", message)]);
    settle(&mut engine);
    let mut renamed = member;
    renamed["nick"] = json!("b");
    (renamed["guild_id"], renamed["user"]) = (json!("100"), user);
    send(&mut shard, (0, 1), &[("GUILD_MEMBER_UPDATE", renamed)]);
    settle(&mut engine);
    let seen = receive(&mut instance.consumer());
    assert_eq!(gaps(&seen), [(0, "state_lost")]);
    assert_eq!(seen.last().unwrap().old["nick"], "a");
}

/// I13: before anything is read.
#[test]
fn the_output_ring_says_at_once_which_store_belongs_to_it() {
    let mut instance = Instance::new("says");
    for store in [true, false] {
        instance.store = store;
        let engine = instance.engine();
        let ring = Ring::attach(&instance.namespace, topology::OUTPUT_RING).unwrap();
        let says = Checkpoint::store_in(&ring.checkpoint().unwrap()).unwrap();
        drop(engine);
        assert_eq!(says, if store { instance.disk().id() } else { 0 });
    }
}

/// With more shards than the output ring has places, all of them are told, also over a restart.
#[test]
fn more_losses_than_the_output_ring_has_places_are_told_once_each() {
    for store in [true, false] {
        for restarts in [false, true] {
            let mut instance = Instance::new(&format!("gaps-{store}-{restarts}"));
            instance.store = store;
            if !store {
                instance.settings = Settings::none();
            }
            instance.output = Geometry::new(16, 1 << 16, 4, 1, 4).unwrap();
            instance.declare();
            let shards = 20;
            let mut consumer = instance.consumer();
            let mut engine = instance.engine();
            let ring = |shard| instance.shard(shard, shards);
            let mut rings: Vec<_> = (0..shards).map(ring).collect();
            for (id, ring) in (0..).zip(&mut rings) {
                send(ring, (id, shards), &[typing()]);
                settle(&mut engine);
                receive(&mut consumer);
            }
            drop((engine, rings));
            let lost = if store {
                std::fs::remove_dir_all(instance.state_dir()).unwrap();
                "state_lost"
            } else {
                for shard in 0..shards {
                    instance.namespace.remove_ring(&topology::shard_ring(shard, shards)).unwrap();
                }
                "ring_lost"
            };
            let mut rings: Vec<_> = (0..shards).map(ring).collect();
            for (id, ring) in (0..).zip(&mut rings) {
                send(ring, (id, shards), &[typing()]);
            }
            let mut seen = Vec::new();
            let mut engine = instance.engine();
            for _ in 0..100 {
                let progress = engine.round().unwrap();
                if restarts {
                    drop(engine);
                    engine = instance.engine();
                }
                seen.extend(receive(&mut consumer));
                if progress == Progress::Idle && seen.len() >= 2 * usize::from(shards) {
                    break;
                }
            }
            let expected: Vec<_> = (0..shards).map(|shard| (shard, lost)).collect();
            let mut told = gaps(&seen);
            told.sort_unstable();
            assert_eq!(told, expected, "{store} {restarts}");
            assert_eq!(seen.len(), 2 * usize::from(shards), "{store} {restarts}");
        }
    }
}
