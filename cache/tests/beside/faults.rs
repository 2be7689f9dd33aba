//! What goes wrong while the shard count changes: it is told, and nothing stands still.

use crate::common::instance::{Instance, Out, receive, send, send_at, settle};
use crate::common::{At, record_bytes};
use crate::world::{begin, guild, message, ready, stage, start_us, tell_new, tell_old, until};
use mixcord_cache::engine::Engine;
use mixcord_cache::overlap::{Stage, Times};
use mixcord_event::{Origin, record, topology};
use mixcord_ring::Meta;
use mixcord_state::tables::GUILD_FACTS;
use mixcord_state::{Arena, GuildFacts, Key, Read, meta};
use serde_json::json;

/// Why something was lost, and of which shard count.
fn losses(seen: &[Out]) -> Vec<(&str, u16)> {
    let gaps = seen.iter().filter(|out| out.kind == "GAP");
    gaps.map(|out| (out.reason.expect("a reason"), out.shard.1)).collect()
}

/// Rows of a kind, while no engine runs.
fn rows(instance: &Instance, kind: u8) -> Vec<(Key, Vec<u8>)> {
    let mut rows = Vec::new();
    let disk = instance.disk();
    let looked = disk.view(&Arena::default()).scan(meta::RESHARD, &mut |key, bytes| {
        rows.extend((meta::reshard_of(key).0 == kind).then(|| (key, bytes.to_vec())));
        true
    });
    looked.expect("a store");
    rows
}

fn waits(engine: &Engine) -> u64 {
    engine.resharding().map_or(0, |of| of.waiting.0)
}

/// What waited, and no store takes, is told as lost when its turn comes.
#[test]
fn what_waited_may_be_too_much_for_the_store() {
    let instance = Instance::new("beside-too-much");
    let us = start_us() + 3_600_000_000;
    let mut old = begin(&instance, us);
    tell_old(&mut old, us, 0..1);
    let mut new = instance.shard(0, 2);
    let id = 5 << 23;
    let sounds: Vec<_> = (1..=30_000).map(|id: u64| json!({"sound_id": id.to_string()})).collect();
    let (kind, mut crowd) = guild(id, 2022);
    crowd["soundboard_sounds"] = json!(sounds);
    send_at(&mut new, (0, 2), &[ready(&[id]), (kind, crowd)], us);
    let mut engine = instance.engine();
    until(&mut engine, |engine| waits(engine) > 0);
    // Its window is over.
    let later = message(4).1;
    send_at(&mut old, (0, 1), std::slice::from_ref(&later), us + 10_000_000);
    send_at(&mut old, (0, 1), &[later], us + 20_000_000);
    until(&mut engine, |engine| waits(engine) == 0);
    drop(engine);
    let mut engine = instance.engine();
    settle(&mut engine);
    drop(engine);
    let seen = receive(&mut instance.consumer());
    assert_eq!(losses(&seen), [("undeliverable", 2)]);
}

/// Rings of the new count, of a gateway that ran long ago, are no copies of what comes.
#[test]
fn rings_from_before_are_not_begun_over() {
    let instance = Instance::new("beside-before");
    instance.declare();
    let us = start_us();
    let (mut old, mut new) = (instance.shard(0, 1), instance.shard(0, 2));
    send_at(&mut new, (0, 2), &[message(3).1], us - 1);
    send_at(&mut old, (0, 1), &[message(3).1], us - 2);
    send_at(&mut old, (0, 1), &[message(7).1], us);
    let mut engine = instance.engine();
    settle(&mut engine);
    assert!(!engine.reshard(2, Times::default(), 1 << 20));
    assert!(engine.resharding().is_none());
    assert!(engine.reshard(3, Times::default(), 1 << 20), "which has no rings");
}

/// Nobody knows what waited: the state is begun anew, and that is told.
#[test]
fn damaged_rows_begin_the_state_anew() {
    let instance = Instance::new("beside-damaged");
    let us = start_us();
    drop(begin(&instance, us));
    let mut consumer = instance.consumer();
    receive(&mut consumer);
    instance.edit(meta::reshard(0, 0), &[0xff; 9]);
    let mut engine = instance.engine();
    settle(&mut engine);
    assert!(engine.resharding().is_none());
    drop(engine);
    assert_eq!(losses(&receive(&mut consumer)), [("state_lost", 1)]);
    assert!(rows(&instance, 0).is_empty());
}

/// A record that waited, and is none any more, is one loss of the shard that brought it.
#[test]
fn what_waited_may_be_damaged() {
    let instance = Instance::new("beside-damaged-wait");
    let us = start_us() + 3_600_000_000;
    let mut old = begin(&instance, us);
    tell_old(&mut old, us, 0..12);
    tell_new(&instance, us);
    let mut engine = instance.engine();
    until(&mut engine, |engine| waits(engine) > 10);
    drop(engine);
    let mut consumer = instance.consumer();
    assert_eq!(losses(&receive(&mut consumer)), []);
    let (key, mut bytes) = rows(&instance, 6).swap_remove(0);
    // Behind what the overlap says of it.
    bytes.truncate(40 + 3);
    instance.edit(key, &bytes);
    for seconds in [10, 20, 30] {
        let later = message(4).1;
        send_at(&mut old, (0, 1), &[later], us + seconds * 1_000_000);
    }
    let mut engine = instance.engine();
    until(&mut engine, |_| {
        let seen = receive(&mut consumer);
        let losses = losses(&seen);
        assert!(losses.iter().all(|loss| *loss == ("undecodable", 2)), "{losses:?}");
        !losses.is_empty()
    });
}

/// It is the same event on every machine (P2), though it was kept for a while.
#[test]
fn what_waited_keeps_the_name_that_it_came_over_a_bridge_with() {
    let instance = Instance::new("beside-bridged");
    let us = start_us() + 3_600_000_000;
    let mut old = begin(&instance, us);
    tell_old(&mut old, us, 0..1);
    let mut new = instance.shard(0, 2);
    let (id, (kind, data)) = message(8);
    send_at(&mut new, (0, 2), &[ready(&[id])], us);
    let mut bytes = record_bytes(kind, &data, At { shards: 2, us, ..At::default() });
    let origin = Origin { ring: 0xabc, position: 77 };
    record::set_origin(&mut bytes, origin);
    new.stage(&Meta { source: 2, ..Meta::default() }, &[&bytes]).expect("room");
    new.publish();
    let mut engine = instance.engine();
    until(&mut engine, |engine| waits(engine) > 0);
    // Its window is over.
    let later = message(4).1;
    send_at(&mut old, (0, 1), std::slice::from_ref(&later), us + 10_000_000);
    send_at(&mut old, (0, 1), &[later], us + 20_000_000);
    until(&mut engine, |engine| waits(engine) == 0);
    drop(engine);
    settle(&mut instance.engine());
    let seen = receive(&mut instance.consumer());
    let kept: Vec<_> = seen.iter().filter(|out| out.data["id"] == data["id"]).collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].origin, (origin.ring, origin.position));
}

/// P7: what a ring is to bring that is not there is not expected for ever.
#[test]
fn nothing_is_expected_of_rings_that_never_come() {
    let instance = Instance::new("beside-alone");
    let us = start_us();
    let mut old = begin(&instance, us);
    tell_old(&mut old, us, 0..12);
    let mut engine = instance.engine();
    until(&mut engine, |engine| engine.resharding().is_some_and(|of| of.counted == 0));
    let seen = receive(&mut instance.consumer());
    assert_eq!(seen.iter().filter(|out| out.kind == "MESSAGE_CREATE").count(), 12);
}

/// Of more guilds than are listed at once none may be one that the overlap is to know.
#[test]
fn guilds_that_are_left_out_do_not_hold_it_up() {
    let instance = Instance::new("beside-left-out");
    instance.declare();
    let mut old = instance.shard(0, 1);
    send(&mut old, (0, 1), &[("TYPING_START", json!({}))]);
    let mut engine = instance.engine();
    settle(&mut engine);
    drop(engine);
    let mut disk = instance.disk();
    for id in 1..=5000 {
        disk.writer_mut()
            .put(GUILD_FACTS.at(id), &[&GuildFacts::default().to_bytes()])
            .expect("room");
    }
    let output = disk.writer().output();
    disk.writer_mut().commit(output).expect("room");
    drop(disk);
    let mut engine = instance.engine();
    settle(&mut engine);
    assert!(engine.reshard(2, Times::default(), 1 << 20));
    until(&mut engine, |engine| stage(engine) == Some(Stage::Overlapping));
}

/// A ring whose next record is of a newer release has something to come: the change is not over.
#[test]
fn a_ring_that_cannot_be_read_for_now_is_waited_for() {
    let instance = Instance::new("beside-newer");
    let us = start_us();
    let old = begin(&instance, us);
    let mut new = instance.shard(0, 2);
    let (kind, data) = message(3).1;
    let mut bytes = record_bytes(kind, &data, At { shards: 2, us, ..At::default() });
    bytes[0] = 2;
    new.stage(&Meta { source: 1, ..Meta::default() }, &[&bytes]).expect("room");
    new.publish();
    let mut engine = instance.engine();
    // It is met, and left alone for a while.
    let mut rounds = 0;
    let mut pass = |_: &mut Engine| {
        rounds += 1;
        rounds % 60 == 0
    };
    until(&mut engine, &mut pass);
    drop((old, new));
    assert!(engine.call_off());
    until(&mut engine, &mut pass);
    assert_eq!(stage(&engine), Some(Stage::CalledOff));
    // Of a ring that is gone nothing comes.
    instance.namespace.unlink_ring(&topology::shard_ring(0, 2)).expect("it is there");
    until(&mut engine, |engine| engine.resharding().is_none());
}
