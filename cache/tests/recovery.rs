//! What is broken around the cache stops as little as can be, and is told.

mod common;

use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use common::instance::{Instance, Out, receive, send, settle, until};
use mixcord_cache::engine::{Engine, Progress};
use mixcord_cache::settings::Settings;
use mixcord_event::topology;
use mixcord_ring::{Geometry, GroupSpec, Meta, Namespace, Producer, Start};
use mixcord_state::tables::{GUILD_FACTS, USERS};
use mixcord_state::{Resource, Table, meta};
use serde_json::{Value as Json, json};

fn typing(n: u64) -> (&'static str, Json) {
    ("TYPING_START", json!({"n": n}))
}

fn guild(id: u64, description: &str) -> (&'static str, Json) {
    let description = json!(description);
    ("GUILD_CREATE", json!({"id": id.to_string(), "name": "g", "description": description}))
}

fn kinds(seen: &[Out]) -> Vec<&str> {
    seen.iter().map(|out| out.kind.as_str()).collect()
}

fn gaps(seen: &[Out]) -> Vec<(u16, &'static str)> {
    let gaps = seen.iter().filter(|out| out.kind == "GAP");
    gaps.map(|out| (out.shard.0, out.reason.expect("a reason"))).collect()
}

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

#[test]
fn what_is_switched_off_is_forgotten_at_the_start() {
    let mut instance = Instance::new("off");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let member = json!({"user": {"id": "1", "username": "a"}, "roles": [], "joined_at": null});
    let create = json!({"id": "100", "name": "g", "member_count": 1, "members": [member], "roles": [{"id": "5", "name": "r"}], "channels": [{"id": "200", "type": 0, "name": "c"}]});
    let message = json!({"id": "900", "channel_id": "200", "guild_id": "100", "content": ""});
    send(&mut shard, (0, 1), &[("GUILD_CREATE", create), ("MESSAGE_CREATE", message)]);
    settle(&mut instance.engine());
    instance.settings = Settings::default()
        .without(Resource::Members)
        .without(Resource::Roles)
        .without(Resource::Messages);
    let delete = json!({"id": "900", "channel_id": "200", "guild_id": "100"});
    let role = json!({"guild_id": "100", "role_id": "5"});
    let remove = json!({"guild_id": "100", "user": {"id": "1"}});
    let events = [
        ("MESSAGE_DELETE", delete),
        ("GUILD_ROLE_DELETE", role),
        ("GUILD_MEMBER_REMOVE", remove),
        ("GUILD_UPDATE", json!({"id": "100"})),
    ];
    send(&mut shard, (0, 1), &events);
    settle(&mut instance.engine());
    let seen = receive(&mut instance.consumer());
    for out in &seen[2..5] {
        assert_eq!(out.old, Json::Null, "{}", out.kind);
    }
    assert_eq!(seen[5].old["name"], "g", "what is on stays");
    for table in [Table::Members, Table::Users, Table::Roles, Table::RoleOrder, Table::Messages] {
        assert!(instance.is_empty(table), "{table:?}");
    }
}

/// Members have their users inside where these are not cached, and users count the members that hold
/// them: what an earlier run kept in one form is of no use in the other.
#[test]
fn users_that_are_switched_off_or_on_come_again_with_their_members() {
    let mut instance = Instance::new("users-switched");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let mut consumer = instance.consumer();
    let member = |name: &str| json!({"user": {"id": "1", "username": name}, "roles": [], "joined_at": null, "guild_id": "100"});
    let create = json!({"id": "100", "name": "g", "member_count": 1, "members": [member("a")]});
    let update = |name: &str| ("GUILD_MEMBER_UPDATE", member(name));
    send(&mut shard, (0, 1), &[("GUILD_CREATE", create), update("b")]);
    settle(&mut instance.engine());
    assert_eq!(receive(&mut consumer)[1].old["user"]["username"], "a");
    let runs = [
        (Settings::default().without(Resource::Users), ["c", "d"]),
        (Settings::default(), ["e", "f"]),
    ];
    for (settings, names) in runs {
        instance.settings = settings;
        send(&mut shard, (0, 1), &names.map(update));
        settle(&mut instance.engine());
        let seen = receive(&mut consumer);
        let users = seen.iter().filter(|out| out.kind == "USER_UPDATE").count();
        assert_eq!(users, usize::from(instance.settings.caches(Resource::Users)));
        let members = seen.iter().filter(|out| out.kind == "GUILD_MEMBER_UPDATE");
        let olds: Vec<_> = members.map(|out| out.old["user"]["username"].as_str()).collect();
        assert_eq!(olds, [None, Some(names[0])]);
    }
    // With the settings of before, what there is stays, and the last holder erases the user.
    send(&mut shard, (0, 1), &[("GUILD_MEMBER_REMOVE", member("f"))]);
    settle(&mut instance.engine());
    let seen = receive(&mut consumer);
    assert_eq!(seen[0].old["user"]["username"], "f");
    for table in [Table::Members, Table::Users] {
        assert!(instance.is_empty(table), "{table:?}");
    }
}
