//! The output ring is full: whoever waits costs nothing, and shards are served in turn.

mod common;

use std::time::{Duration, Instant};

use common::instance::{Instance, guild, kinds, receive, send, settle, typing};
use mixcord_cache::engine::Progress;
use mixcord_event::topology;
use mixcord_ring::Geometry;
use serde_json::json;

#[test]
fn a_record_that_waits_long_for_room_costs_nothing() {
    let mut instance = Instance::new("long");
    instance.output = Geometry::new(16, 1 << 16, 4, 1, 4).unwrap();
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let mut engine = instance.engine();
    for n in 0..16 {
        send(&mut shard, (0, 1), &[typing(n)]);
    }
    // Begun again so often, it would have filled what a batch may change.
    send(&mut shard, (0, 1), &[guild(100, &"d".repeat(14_000))]);
    settle(&mut engine);
    for _ in 0..1500 {
        let progress = engine.round().unwrap();
        assert!(matches!(progress, Progress::OutputFull(_)), "{progress:?}");
    }
    let mut consumer = instance.consumer();
    receive(&mut consumer);
    settle(&mut engine);
    assert_eq!(kinds(&receive(&mut consumer)), ["GUILD_CREATE"]);
}

#[test]
fn under_back_pressure_shards_are_served_in_turn() {
    let mut instance = Instance::new("turns");
    instance.output = Geometry::new(16, 1 << 16, 4, 1, 4).unwrap();
    instance.declare();
    let mut shards = [instance.shard(0, 2), instance.shard(1, 2)];
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    let mut served = [0, 0];
    for n in 0..40 {
        for (shard, ring) in (0..).zip(&mut shards) {
            while ring.has_space(4096) && ring.ring().groups()[0].lag < 64 {
                send(ring, (shard, 2), &[typing(n)]);
            }
        }
        settle(&mut engine);
        for out in receive(&mut consumer) {
            served[usize::from(out.shard.0)] += 1;
        }
    }
    let least = served[0].min(served[1]);
    assert!(least * 3 >= served[0].max(served[1]), "{served:?}");
}

#[test]
fn a_full_output_ring_is_not_looked_at_without_a_pause() {
    let mut instance = Instance::new("pause");
    instance.output = Geometry::new(16, 1 << 16, 4, 1, 4).unwrap();
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let mut engine = instance.engine();
    let member = |name: &str| json!({"guild_id": "100", "user": {"id": "1", "username": name}, "roles": [], "joined_at": null});
    send(&mut shard, (0, 1), &[guild(100, ""), ("GUILD_MEMBER_ADD", member("a"))]);
    settle(&mut engine);
    // One place is left, and the next event has two outputs: there seems to be room.
    for n in 2.. {
        if consumer_room(&instance) == 1 {
            break;
        }
        send(&mut shard, (0, 1), &[typing(n)]);
        settle(&mut engine);
    }
    send(&mut shard, (0, 1), &[("GUILD_MEMBER_UPDATE", member("b"))]);
    let (begun, looks) = (Instant::now(), 50);
    for _ in 0..looks {
        let progress = engine.round().unwrap();
        assert!(matches!(progress, Progress::OutputFull(_)), "{progress:?}");
        engine.wait(progress, Duration::from_secs(1));
    }
    assert!(begun.elapsed() >= Duration::from_millis(looks), "{:?}", begun.elapsed());
}

/// Records for which the output ring has room.
fn consumer_room(instance: &Instance) -> u64 {
    let ring = mixcord_ring::Ring::attach(&instance.namespace, topology::OUTPUT_RING).unwrap();
    16 - ring.groups()[0].lag
}
