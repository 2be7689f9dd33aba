//! What is broken around the cache stops as little as can be, and is told.

mod common;

use std::os::unix::fs::FileExt;
use std::time::Duration;

use common::instance::{Instance, gaps, guild, kinds, receive, send, settle, typing, until};
use mixcord_cache::engine::Engine;
use mixcord_event::topology;
use mixcord_ring::{Geometry, GroupSpec, Meta, Namespace, Producer, Start};
use mixcord_state::meta;
use mixcord_state::tables::{GUILD_FACTS, MEMBERS};
use serde_json::{Value as Json, json};

/// Overwrites the descriptor that carries this source.
fn damage(instance: &Instance, ring: &str, source: u64) {
    let path = Namespace::directory().join(format!("{}.{ring}", instance.namespace.prefix()));
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(8).position(|window| window == source.to_le_bytes()).unwrap();
    bytes[at - 32..at + 8].fill(0xFF);
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&bytes[at - 32..at + 8], at as u64 - 32).unwrap();
}

/// Rounds until `holds`; rings are looked for now and then only.
fn run_until(engine: &mut Engine, what: &str, mut holds: impl FnMut() -> bool) {
    until(what, || {
        let progress = engine.round().unwrap();
        engine.wait(progress, Duration::from_millis(20));
        holds()
    });
}

#[test]
fn a_damaged_ring_stops_its_own_shard_until_it_is_made_anew() {
    let instance = Instance::new("damaged");
    instance.declare();
    let mut sound = instance.shard(0, 2);
    let mut broken = instance.shard(1, 2);
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    send(&mut broken, (1, 2), &[typing(1)]);
    settle(&mut engine);
    let source = 0x5EED_0FDA_4A6E_0001;
    broken.stage(&Meta { key: 0, tag: 0, source, ..Meta::default() }, &[b"x"]).unwrap();
    damage(&instance, &topology::shard_ring(1, 2), source);
    broken.publish();
    send(&mut sound, (0, 2), &[typing(2), typing(3)]);
    settle(&mut engine);
    assert_eq!(kinds(&receive(&mut consumer)), ["TYPING_START"; 3]);

    // The operator removes it, which the cache does not hinder, and the gateway makes it anew.
    drop(broken);
    instance.namespace.remove_ring(&topology::shard_ring(1, 2)).unwrap();
    let mut anew = instance.shard(1, 2);
    send(&mut anew, (1, 2), &[typing(4)]);
    let mut seen = Vec::new();
    run_until(&mut engine, "the new ring is read", || {
        seen.extend(receive(&mut consumer));
        seen.len() == 2
    });
    assert_eq!(gaps(&seen), [(1, "ring_lost")]);
    assert_eq!((seen[1].origin, &seen[1].data), ((anew.id().0, 0), &json!({"n": 4})));
}

#[test]
fn a_ring_without_a_place_for_the_cache_stops_its_own_shard() {
    let instance = Instance::new("no-place");
    instance.declare();
    let geometry = Geometry::new(256, 1 << 18, 1, 1, 4).unwrap();
    let other = GroupSpec::durable("other").from(Start::Earliest);
    let name = topology::shard_ring(1, 2);
    let full =
        Producer::create(&instance.namespace, &name, geometry, &[other], &instance.bell).unwrap();
    let mut sound = instance.shard(0, 2);
    send(&mut sound, (0, 2), &[typing(1)]);
    let mut engine = instance.engine();
    settle(&mut engine);
    let mut consumer = instance.consumer();
    assert_eq!(kinds(&receive(&mut consumer)), ["TYPING_START"]);
    // Once there is room it is joined.
    let mut full = full;
    send(&mut full, (1, 2), &[typing(2)]);
    full.ring().remove_group("other").unwrap();
    run_until(&mut engine, "the ring is joined", || !receive(&mut consumer).is_empty());
}

#[test]
fn records_that_the_group_lost_are_a_gap() {
    let instance = Instance::new("evicted");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    send(&mut shard, (0, 1), &[typing(0)]);
    settle(&mut instance.engine());
    // Nobody holds the ring: it overwrites what the cache has not seen.
    shard.ring().remove_group(topology::CACHE_GROUP).unwrap();
    for n in 1..=600 {
        send(&mut shard, (0, 1), &[typing(n)]);
    }
    settle(&mut instance.engine());
    let seen = receive(&mut instance.consumer());
    assert_eq!(gaps(&seen), [(0, "records_lost")]);
    assert_eq!((seen[0].kind.as_str(), seen[1].kind.as_str()), ("TYPING_START", "GAP"));
    let first = seen[2].origin.1;
    assert!(first > 1 && seen.len() as u64 == 2 + 601 - first, "from {first} on all are there");
}

/// Somebody removed the file of an event too long for its ring: that event alone is a gap, in its place.
#[test]
fn an_event_whose_file_is_gone_is_a_gap_in_its_place() {
    let instance = Instance::new("gone");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let mut consumer = instance.consumer();
    send(&mut shard, (0, 1), &[typing(0), guild(100, &"x".repeat(70_000)), typing(2)]);
    let (prefix, id) = (instance.namespace.prefix(), shard.id().0);
    let name = format!("{prefix}.{}.blob-{id:016x}-1", topology::shard_ring(0, 1));
    std::fs::remove_file(Namespace::directory().join(name)).unwrap();
    settle(&mut instance.engine());
    let seen = receive(&mut consumer);
    assert_eq!(kinds(&seen), ["TYPING_START", "GAP", "TYPING_START"]);
    assert_eq!((gaps(&seen), seen[1].origin), (vec![(0, "records_lost")], (id, 1)));
    // Told once, and nothing stands in the way of what comes.
    send(&mut shard, (0, 1), &[typing(3)]);
    settle(&mut instance.engine());
    let seen = receive(&mut consumer);
    assert_eq!((kinds(&seen), seen[0].origin), (vec!["TYPING_START"], (id, 3)));
}

#[test]
fn a_damaged_entry_begins_the_state_anew_after_a_gap() {
    let instance = Instance::new("entry");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    send(&mut shard, (0, 1), &[guild(100, "")]);
    settle(&mut instance.engine());
    instance.edit(GUILD_FACTS.at(100), b"?");
    send(&mut shard, (0, 1), &[("GUILD_UPDATE", json!({"id": "100", "name": "h"}))]);
    settle(&mut instance.engine());
    let seen = receive(&mut instance.consumer());
    assert_eq!(kinds(&seen), ["GUILD_CREATE", "GAP", "GUILD_UPDATE"]);
    assert_eq!((gaps(&seen), &seen[2].old), (vec![(0, "state_lost")], &Json::Null));
}

/// P8: a newer cache gives a store with other forms another version; in this one such a byte is damage.
#[test]
fn a_form_that_nobody_wrote_begins_the_state_anew_after_a_gap() {
    let instance = Instance::new("form");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let member = json!({"guild_id": "100", "user": {"id": "1", "username": "a"}, "nick": "n"});
    send(&mut shard, (0, 1), &[guild(100, ""), ("GUILD_MEMBER_ADD", member.clone())]);
    settle(&mut instance.engine());
    for form in [0x12, 0x15, 0x1D] {
        let mut disk = instance.disk();
        disk.writer_mut().put_stored(MEMBERS.at(100, 1), &[form]).unwrap();
        let output = disk.writer().output();
        disk.writer_mut().commit(output).unwrap();
        drop(disk);
        let mut consumer = instance.consumer();
        receive(&mut consumer);
        let remove = ("GUILD_MEMBER_REMOVE", member.clone());
        let again = [remove, guild(100, ""), ("GUILD_MEMBER_ADD", member.clone())];
        send(&mut shard, (0, 1), &again);
        settle(&mut instance.engine());
        let seen = receive(&mut consumer);
        assert_eq!(gaps(&seen), [(0, "state_lost")], "{form:#x}");
        assert_eq!((&*seen[1].kind, &seen[1].old), ("GUILD_MEMBER_REMOVE", &Json::Null));
    }
}

#[test]
fn damage_that_is_met_at_the_start_begins_the_state_anew_after_a_gap() {
    let instance = Instance::new("start");
    instance.declare();
    let mut shards = [instance.shard(0, 2), instance.shard(1, 2)];
    for (id, shard) in (0..).zip(&mut shards) {
        send(shard, (id, 2), &[typing(1)]);
    }
    settle(&mut instance.engine());
    let mut consumer = instance.consumer();
    assert_eq!(receive(&mut consumer).len(), 2);
    // The list of the shards whose positions are kept.
    let ids = [0, 1].map(|shard| meta::input(shard, 2).id().to_le_bytes());
    let (sound, damaged) = ([ids[0], ids[1]].concat(), [ids[1], ids[0]].concat());
    let path = instance.state_dir().join("table");
    let bytes = std::fs::read(&path).unwrap();
    let places = bytes.chunks_exact(8).zip((0..).step_by(8)).filter(|(word, _)| *word == ids[0]);
    let places: Vec<usize> = places.map(|(_, at)| at).collect();
    let table = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let mut changed = 0;
    for at in places.into_iter().filter(|&at| bytes[at..].starts_with(&sound)) {
        table.write_all_at(&damaged, at as u64).unwrap();
        changed += 1;
    }
    assert!(changed > 0, "the list is not where it was");
    send(&mut shards[0], (0, 2), &[typing(2)]);
    settle(&mut instance.engine());
    let seen = receive(&mut consumer);
    assert_eq!(gaps(&seen), [(0, "state_lost"), (1, "state_lost")]);
    assert_eq!(seen.last().unwrap().kind, "TYPING_START");
}
