//! The store of the release before the table, in LMDB: the first start copies it, and nobody notices.

mod common;

use std::fs;
use std::path::Path;

use common::instance::{Instance, receive, send, settle};
use common::small_shm::in_a_small_shm;
use heed::types::Bytes;
use heed::{CommitOrAbort, EnvOpenOptions};
use mixcord_cache::engine::Progress;
use mixcord_event::{Value, atoms, topology};
use mixcord_ring::Ring;
use mixcord_state::tables::CHANNEL_FACTS;
use mixcord_state::{Arena, ChannelFacts, Checkpoint, Key, Read, Resource, State, Table};
use serde_json::{Value as Json, json};

type Event = (&'static str, Json);

fn guild() -> Event {
    let members: Vec<Json> = (1..=3000)
        .map(|id| json!({"user": {"id": id.to_string(), "username": "u"}, "roles": [], "joined_at": null}))
        .collect();
    let channel = json!({"id": "200", "type": 0, "name": "c0"});
    (
        "GUILD_CREATE",
        json!({"id": "100", "name": "g", "member_count": 3000, "members": members, "channels": [channel]}),
    )
}

fn message(id: u64, content: &str) -> Event {
    let message =
        json!({"id": id.to_string(), "channel_id": "200", "guild_id": "100", "content": content});
    ("MESSAGE_CREATE", message)
}

fn edit(id: u64, content: &str) -> Event {
    ("MESSAGE_UPDATE", message(id, content).1)
}

/// The keys of LMDB: big-endian numbers, as many as the table's keys have. Messages stood under the time of
/// their receipt and their id.
fn key_in_lmdb(key: Key) -> Vec<u8> {
    let (owner, id) = (key.owner(), key.id());
    let pair = |one: u64, other: u64| [one.to_be_bytes(), other.to_be_bytes()].concat();
    match key.table() {
        Table::Messages => {
            let low = u64::MAX >> 26;
            pair(owner >> 26 << 26 | id >> 38, (owner & ((1 << 26) - 1)) << 38 | id & low)
        }
        table if table.key(0, 1).id() == 1 => pair(owner, id),
        _ => owner.to_be_bytes().to_vec(),
    }
}

/// Makes of the table in `dir` what the release before had there.
#[allow(unsafe_code)]
fn into_lmdb(instance: &Instance, dir: &Path) {
    let disk = instance.disk();
    let arena = Arena::default();
    let mut entries = Vec::new();
    for table in Table::ALL {
        let read = disk.view(&arena).scan(table.all(), &mut |key, value| {
            let mut put = |key: Key, value: &[u8]| {
                entries.push((key.table(), key_in_lmdb(key), value.to_vec()));
            };
            match table {
                // In two values there, of which one alone says the guild.
                Table::ChannelFacts => {}
                Table::ChannelMap => {
                    let facts = ChannelFacts::from_bytes(value).unwrap();
                    let (guild, rest) = facts.parts();
                    put(key, guild);
                    put(CHANNEL_FACTS.at(facts.guild(), key.owner()), rest);
                }
                _ => put(key, value),
            }
            true
        });
        read.unwrap();
    }
    let pair = |one: u64, other: u64| [one.to_be_bytes(), other.to_be_bytes()].concat();
    let (ring, tail) = disk.writer().output();
    entries.push((Table::Meta, pair(0, 0), disk.id().to_le_bytes().to_vec()));
    let output = [ring.to_le_bytes(), tail.to_le_bytes()].concat();
    entries.push((Table::Meta, pair(1, 0), output));
    drop(disk);
    fs::remove_file(dir.join("table")).unwrap();
    let mut options = EnvOpenOptions::new();
    options.map_size(64 << 20).max_dbs(64);
    // SAFETY: nobody else has the file.
    let env = unsafe { options.open(dir) }.unwrap();
    let made = env.create_databases_and_commit(env.write_txn().unwrap(), |opener, txn| {
        for table in Table::ALL {
            let database = opener.create_database::<Bytes, Bytes>(txn, Some(table.name()))?;
            for (_, key, value) in entries.iter().filter(|(of, ..)| *of == table) {
                database.put(txn, key, value)?;
            }
        }
        Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(()))
    });
    made.unwrap();
    drop(env);
    let format =
        mixcord_state::format::text(4).unwrap().replacen("mixcord-state 4", "mixcord-state 3", 1);
    fs::write(dir.join("format"), format).unwrap();
}

fn store_in_ring(instance: &Instance) -> u64 {
    let ring = Ring::attach(&instance.namespace, topology::OUTPUT_RING).unwrap();
    Checkpoint::store_in(&ring.checkpoint().unwrap()).unwrap()
}

#[test]
fn p11_a_running_store_is_copied_with_its_positions() {
    let instance = Instance::new("copied");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    send(&mut shard, (0, 1), &[guild(), message(900, "a"), message(901, "b")]);
    settle(&mut instance.engine());
    let mut consumer = instance.consumer();
    assert_eq!(receive(&mut consumer).len(), 3);
    let before = store_in_ring(&instance);
    into_lmdb(&instance, &instance.state_dir());

    send(&mut shard, (0, 1), &[edit(900, "c")]);
    let mut engine = instance.engine();
    settle(&mut engine);
    let seen = receive(&mut consumer);
    assert_eq!(seen.len(), 1, "no gap, and nothing twice: {seen:?}");
    assert_eq!((&seen[0].old["content"], &seen[0].data["content"]), (&json!("a"), &json!("c")));
    // Readers find out by the id.
    assert_ne!(store_in_ring(&instance), before);
    let state = State::open(&instance.state_dir()).unwrap();
    assert_eq!(state.count(Resource::Members).unwrap(), 3000);
    assert!(state.entity(Resource::Messages, 200, 901).unwrap().is_some());
    let channel = state.entity(Resource::Channels, 100, 200).unwrap().unwrap();
    assert_eq!(channel.get(atoms::LAST_MESSAGE_ID).and_then(Value::as_id), Some(901));
    for gone in ["data.mdb", "lock.mdb"] {
        assert!(!instance.state_dir().join(gone).exists(), "{gone}");
    }
    drop(engine);
    instance.check_state();

    // And once more, as any store.
    send(&mut shard, (0, 1), &[edit(900, "d"), message(902, "e")]);
    assert_eq!(settle(&mut instance.engine()), Progress::Idle);
    assert_eq!(receive(&mut consumer)[0].old["content"], "c");
    let state = State::open(&instance.state_dir()).unwrap();
    assert!(state.entity(Resource::Messages, 200, 902).unwrap().is_some());
}

#[test]
fn what_was_committed_and_not_published_is_published_from_the_copy() {
    let instance = Instance::new("copied-late");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    send(&mut shard, (0, 1), &[guild()]);
    settle(&mut instance.engine());
    let ring = Ring::attach(&instance.namespace, topology::OUTPUT_RING).unwrap();
    instance.disk().writer_mut().commit((ring.id().0, 2)).unwrap();
    into_lmdb(&instance, &instance.state_dir());
    settle(&mut instance.engine());
    let seen = receive(&mut instance.consumer());
    let reasons: Vec<_> = seen.iter().map(|out| (out.kind.as_str(), out.reason)).collect();
    // There is no such record: only whoever took the tail over can tell.
    assert_eq!(reasons, [("GUILD_CREATE", Some("join")), ("GAP", Some("output_lost"))]);
}

#[test]
fn one_that_cannot_be_read_begins_anew_and_is_told() {
    let instance = Instance::new("copied-broken");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    send(&mut shard, (0, 1), &[guild()]);
    settle(&mut instance.engine());
    let mut consumer = instance.consumer();
    receive(&mut consumer);
    into_lmdb(&instance, &instance.state_dir());
    fs::write(instance.state_dir().join("data.mdb"), [0xA5; 8192]).unwrap();
    send(&mut shard, (0, 1), &[message(900, "a")]);
    settle(&mut instance.engine());
    let seen = receive(&mut consumer);
    assert_eq!(seen[0].reason, Some("state_lost"));
    assert!(!instance.state_dir().join("data.mdb").exists());
}

/// Where there is no room for both stores, the old one goes before the new one is made.
#[test]
fn one_for_whose_copy_there_is_no_room_begins_anew_and_is_told() {
    if !in_a_small_shm("one_for_whose_copy_there_is_no_room_begins_anew_and_is_told") {
        return;
    }
    let mut lost = 0;
    for left_mib in 0..8_u64 {
        let instance = Instance::new(&format!("copied-full-{left_mib}"));
        instance.declare();
        let mut shard = instance.shard(0, 1);
        send(&mut shard, (0, 1), &[guild()]);
        settle(&mut instance.engine());
        let mut consumer = instance.consumer();
        receive(&mut consumer);
        let dir = instance.state_dir();
        into_lmdb(&instance, &dir);
        send(&mut shard, (0, 1), &[message(900, "a")]);
        let file = fs::OpenOptions::new().write(true).open(dir.join("data.mdb")).unwrap();
        let free = nix::sys::statvfs::statvfs("/dev/shm").unwrap();
        let free = free.blocks_available() * free.fragment_size();
        let bytes = file.metadata().unwrap().len() + (free - (left_mib << 20));
        nix::fcntl::posix_fallocate(&file, 0, bytes as i64).unwrap();
        drop(file);
        let mut engine = instance.engine();
        assert_eq!(settle(&mut engine), Progress::Idle);
        let seen = receive(&mut consumer);
        lost += u64::from(seen[0].reason == Some("state_lost"));
        assert_eq!(seen.last().unwrap().kind, "MESSAGE_CREATE");
        assert!(!dir.join("data.mdb").exists());
    }
    assert!(lost > 0, "there was always room");
}
