//! A READY that tells of more lost guilds than the output ring holds comes in slices, and each guild with its `old`.

mod common;

use common::instance::{Instance, gaps, guild, kinds, receive, send, settle, typing, until};
use mixcord_cache::engine::Progress;
use mixcord_ring::Geometry;
use mixcord_state::tables::USERS;
use serde_json::json;

#[test]
fn a_ready_with_more_lost_guilds_than_the_ring_holds_tells_each_with_its_old() {
    for restarts in [false, true] {
        let mut instance = Instance::new(if restarts { "slices-restart" } else { "slices" });
        instance.output = Geometry::new(64, 1 << 17, 4, 1, 4).unwrap();
        instance.declare();
        let mut shard = instance.shard(0, 1);
        let mut engine = instance.engine();
        let mut consumer = instance.consumer();
        let guilds = 60;
        for id in 1..=guilds {
            send(&mut shard, (0, 1), &[guild(id, &"d".repeat(3000))]);
            settle(&mut engine);
            receive(&mut consumer);
        }
        let ready = json!({"user": {"id": "7"}, "guilds": [{"id": "60"}]});
        send(&mut shard, (0, 1), &[("READY", ready), typing(1)]);
        let mut seen = Vec::new();
        until("all is delivered", || {
            engine.round().unwrap();
            if restarts {
                drop(std::mem::replace(&mut engine, {
                    // One cache at a time.
                    let spare = Instance::new("slices-spare");
                    spare.engine()
                }));
                engine = instance.engine();
            }
            seen.extend(receive(&mut consumer));
            seen.last().is_some_and(|out| out.kind == "TYPING_START")
        });
        assert_eq!(seen.len() as u64, guilds + 1);
        assert_eq!(seen[0].kind, "READY");
        for (index, out) in seen[..guilds as usize].iter().enumerate() {
            assert_eq!((out.index as usize, out.origin.1), (index, guilds));
            if index > 0 {
                let expected = (json!({"id": index.to_string()}), Some("derived"));
                assert_eq!((out.data.clone(), out.reason), expected);
                assert_eq!(out.old["description"].as_str().map(str::len), Some(3000));
            }
        }
    }
}

#[test]
fn such_a_ready_of_one_shard_does_not_begin_that_of_another_again() {
    let mut instance = Instance::new("slices-two");
    instance.output = Geometry::new(64, 1 << 17, 4, 1, 4).unwrap();
    instance.declare();
    let mut shards = [instance.shard(0, 2), instance.shard(1, 2)];
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    let guilds = 40;
    for (shard, ring) in (0..).zip(&mut shards) {
        for n in 1..=guilds {
            let id = (n << 23) | (u64::from(shard) << 22);
            send(ring, (shard, 2), &[guild(id, &"d".repeat(3000))]);
            settle(&mut engine);
            receive(&mut consumer);
        }
    }
    let ready = json!({"user": {"id": "7"}, "guilds": []});
    for (shard, ring) in (0..).zip(&mut shards) {
        // Something before READY: a shard that was served in part lets the next one go first.
        send(ring, (shard, 2), &[typing(1), ("READY", ready.clone()), typing(2)]);
    }
    let mut seen = Vec::new();
    until("all is delivered", || {
        engine.round().unwrap();
        seen.extend(receive(&mut consumer));
        seen.iter().filter(|out| out.kind == "TYPING_START").count() == 4
    });
    for shard in 0..2 {
        let mut own: Vec<_> = seen.iter().filter(|out| out.shard.0 == shard).collect();
        own.retain(|out| out.kind != "TYPING_START");
        let indices: Vec<_> = own.iter().map(|out| u64::from(out.index)).collect();
        assert_eq!(indices, (0..=guilds).collect::<Vec<_>>(), "shard {shard}");
    }
}

/// P2: the outputs that were delivered are not delivered again, and the rest went with the state, which
/// is told.
#[test]
fn a_store_that_is_lost_between_two_slices_repeats_none_of_them() {
    for removed in [true, false] {
        let mut instance = Instance::new(if removed { "slices-removed" } else { "slices-damaged" });
        instance.output = Geometry::new(64, 1 << 17, 4, 1, 4).unwrap();
        instance.declare();
        let mut shard = instance.shard(0, 1);
        let mut engine = instance.engine();
        let mut consumer = instance.consumer();
        for id in 1..=40 {
            send(&mut shard, (0, 1), &[guild(id, &"d".repeat(3000))]);
            settle(&mut engine);
            receive(&mut consumer);
        }
        let ready = json!({"user": {"id": "7", "username": "a"}, "guilds": []});
        send(&mut shard, (0, 1), &[("READY", ready), typing(1)]);
        assert_eq!(engine.round().unwrap(), Progress::Worked);
        drop(engine);
        let slice = receive(&mut consumer).len();
        assert!((2..40).contains(&slice), "{slice}");
        if removed {
            std::fs::remove_dir_all(instance.state_dir()).unwrap();
        } else {
            // READY has the bot's own user.
            instance.edit(USERS.at(7), b"?");
        }
        let mut engine = instance.engine();
        settle(&mut engine);
        let seen = receive(&mut consumer);
        assert_eq!(kinds(&seen), ["GAP", "TYPING_START"]);
        assert_eq!(gaps(&seen), [(0, "state_lost")]);
        // It is not begun again later either.
        drop(engine);
        send(&mut shard, (0, 1), &[typing(2)]);
        settle(&mut instance.engine());
        assert_eq!(kinds(&receive(&mut consumer)), ["TYPING_START"]);
    }
}
