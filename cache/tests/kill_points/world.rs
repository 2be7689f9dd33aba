//! What each kind of kill point is about: an instance, and what waits for its cache.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::Duration;

use mixcord_cache::engine::{Engine, Plan};
use mixcord_cache::settings::Settings;
use mixcord_cache::store::CopyFrom;
use mixcord_event::{Origin, record, topology};
use mixcord_ring::{Geometry, Meta, Namespace, Producer};
use mixcord_state::Resource;
use serde_json::{Value as Json, json};

use crate::common::instance::{Instance, receive, send, settle};
use crate::common::leaving::{come_and_leave, renamed};
use crate::common::{At, record_bytes};

/// The log that records of other machines were written to first.
const LOG: u64 = 0xabcd;

/// Events that write, overwrite and delete, over two rings.
pub(crate) fn events(shard: u16) -> Vec<(&'static str, Json)> {
    let id = (100 + u64::from(shard)).to_string();
    let channel = (200 + u64::from(shard)).to_string();
    let member = |nick: &str| json!({"guild_id": id, "user": {"id": "1", "username": nick}, "nick": nick, "roles": [], "joined_at": null});
    vec![
        ("READY", json!({"user": {"id": "1"}, "guilds": [{"id": id}]})),
        (
            "GUILD_CREATE",
            json!({"id": id, "name": "g", "channels": [{"id": channel, "name": "c0"}]}),
        ),
        ("CHANNEL_UPDATE", json!({"id": channel, "guild_id": id, "name": "c1"})),
        ("GUILD_MEMBER_ADD", member("a")),
        // Two outputs, where the user changes too.
        ("GUILD_MEMBER_UPDATE", member("b")),
        ("CHANNEL_UPDATE", json!({"id": channel, "guild_id": id, "name": "c2"})),
        ("CHANNEL_DELETE", json!({"id": channel, "guild_id": id})),
    ]
}

pub(crate) fn set_up(instance: &Instance) {
    if instance.name.contains("-loaded-") {
        return set_up_loaded(instance);
    }
    if instance.name.contains("-brought-") {
        return set_up_brought(instance);
    }
    if instance.name.contains("-shrink-") {
        return set_up_shrink(instance);
    }
    if instance.name.contains("-rest-") {
        return set_up_rest(instance);
    }
    if instance.name.contains("-spill-") {
        return set_up_spill(instance);
    }
    if instance.name.contains("-gone-") {
        return set_up_gone(instance);
    }
    if instance.name.contains("-off-") {
        return set_up_off(instance);
    }
    if instance.name.contains("-many-") {
        return set_up_many(instance);
    }
    instance.declare();
    for shard in 0..2 {
        let mut ring = instance.shard(shard, 2);
        send(&mut ring, (shard, 2), &events(shard));
    }
}

/// Slices need a ring that cannot hold everything at once, and yet, without a reader, all of it.
pub(crate) fn sized(mut instance: Instance) -> Instance {
    if instance.name.contains("-off-") {
        instance.settings = Settings::default().without(Resource::Users);
    }
    if instance.name.contains("-rest-") {
        instance.settings.compress_messages_after = Some(Duration::ZERO);
    }
    if instance.name.contains("-loaded-") {
        instance.state_from = Some(CopyFrom::File(copy_for(&instance)));
    }
    if instance.name.contains("-shrink-") {
        instance.state_bytes_max = 256 << 20;
    }
    if instance.name.contains("-many-") {
        instance.output = Geometry::new(256, 1 << 16, 4, 1, 4).expect("a geometry");
    }
    instance
}

/// A session in which several guilds are gone: more than one batch of the small output ring takes.
fn set_up_many(instance: &Instance) {
    instance.declare();
    let mut ring = instance.shard(0, 1);
    let id = |n: u64| (1000 + n).to_string();
    let text = "d".repeat(2000);
    for n in 0..15 {
        let guild = json!({"id": id(n), "name": "g", "description": text});
        send(&mut ring, (0, 1), &[("GUILD_CREATE", guild)]);
    }
    settle(&mut instance.engine());
    assert_eq!(receive(&mut instance.consumer()).len(), 15);
    let ready = json!({"user": {"id": "1"}, "guilds": [{"id": id(14)}]});
    send(&mut ring, (0, 1), &[("READY", ready), ("TYPING_START", json!({"after": true}))]);
}

/// Makes of an instance what another one is, which nobody runs.
pub(crate) fn copy(from: &Instance, to: &Instance) {
    let named = |of: &Instance| format!("{}.", of.namespace.prefix());
    for entry in fs::read_dir(Namespace::directory()).expect("a folder").flatten() {
        let name = entry.file_name();
        let part = name.to_str().and_then(|name| name.strip_prefix(&named(from)));
        // Its own it has already.
        let Some(part) = part.filter(|part| *part != "bells") else { continue };
        let path = Namespace::directory().join(named(to) + part);
        if !entry.path().is_dir() {
            fs::copy(entry.path(), path).expect("room");
            continue;
        }
        fs::DirBuilder::new().mode(0o700).create(&path).expect("a folder");
        for file in fs::read_dir(entry.path()).expect("a folder").flatten() {
            fs::copy(file.path(), path.join(file.file_name())).expect("room");
        }
    }
}

/// A run with everything, before one that does not cache users.
fn set_up_off(instance: &Instance) {
    instance.declare();
    let mut ring = instance.shard(0, 1);
    send(&mut ring, (0, 1), &events(0)[..5]);
    let everything = Plan { settings: Settings::default(), ..instance.plan() };
    settle(&mut Engine::start(&everything).expect("an engine"));
    send(&mut ring, (0, 1), &events(0)[4..]);
}

/// Rings of an old shard count that were read, and are gone when the cache starts again.
fn set_up_gone(instance: &Instance) {
    instance.declare();
    for shard in 0..2 {
        send(&mut instance.shard(shard, 2), (shard, 2), &events(shard)[..2]);
    }
    settle(&mut instance.engine());
    for shard in 0..2 {
        instance.namespace.remove_ring(&topology::shard_ring(shard, 2)).expect("nobody has it");
    }
    send(&mut instance.shard(0, 1), (0, 1), &events(0)[2..]);
}

/// One batch of more records than are moved into the transaction at once, several times over.
fn set_up_spill(instance: &Instance) {
    instance.declare();
    let mut ring = instance.shard(0, 1);
    send(&mut ring, (0, 1), &events(0)[..4]);
    for n in 0..80 {
        let (id, name) = ((900 + n / 8).to_string(), format!("c{n}"));
        let author = json!({"id": "1", "username": name});
        let event = match n % 8 {
            0 => (
                "MESSAGE_CREATE",
                json!({"id": id, "channel_id": "200", "guild_id": "100", "author": author, "content": ""}),
            ),
            7 if n % 3 == 0 => {
                ("MESSAGE_DELETE", json!({"id": id, "channel_id": "200", "guild_id": "100"}))
            }
            _ => ("CHANNEL_UPDATE", json!({"id": "200", "guild_id": "100", "name": name})),
        };
        send(&mut ring, (0, 1), &[event]);
    }
}

/// Messages that are compressed in a round in which nothing waits.
fn set_up_rest(instance: &Instance) {
    instance.declare();
    let mut ring = instance.shard(0, 1);
    send(&mut ring, (0, 1), &events(0)[..4]);
    for id in 900..912 {
        let text = "do you know what everybody is doing today? ".repeat(id % 3 + 4);
        let message = json!({"id": id.to_string(), "channel_id": "200", "guild_id": "100", "content": text, "author": {"id": "1", "username": "a"},
            "type": 0, "tts": false, "pinned": false, "flags": 0, "mention_everyone": false, "edited_timestamp": null});
        send(&mut ring, (0, 1), &[("MESSAGE_CREATE", message)]);
    }
}

/// A copy of another instance's state, in the folder where the store is to be.
fn set_up_loaded(instance: &Instance) {
    let donor = Instance::attach(&format!("{}-donor", instance.name));
    send(&mut donor.shard(0, 1), (0, 1), &events(0)[..5]);
    settle(&mut donor.engine());
    fs::DirBuilder::new().mode(0o700).create(instance.state_dir()).expect("a folder");
    let copy = fs::File::create(copy_for(instance)).expect("a file");
    mixcord_copy::write(&donor.state_dir(), copy, &mut |_| {}).expect("a copy");
    // What the cache says itself is named by this ring, which has one name in all instances then.
    instance.declare();
    send(&mut instance.shard(0, 1), (0, 1), &events(0)[4..]);
}

fn copy_for(instance: &Instance) -> PathBuf {
    instance.state_dir().join("copy")
}

/// A copy of another machine's state, of whose shards one is wanted, and the ring of that one, made here.
fn set_up_brought(instance: &Instance) {
    let donor = Instance::attach(&format!("{}-donor", instance.name));
    mirror(&mut donor.shard(0, 1), &events(0)[..5]);
    settle(&mut donor.engine());
    let dir = PathBuf::from(topology::copy_dir(&instance.name));
    fs::DirBuilder::new().mode(0o700).create(&dir).expect("a folder");
    let copy = fs::File::create(dir.join(topology::copy_file(Some((0, 0, 1))))).expect("a file");
    mixcord_copy::write(&donor.state_dir(), copy, &mut |_| {}).expect("a copy");
    instance.declare();
    mirror(&mut instance.shard(0, 1), &events(0));
}

/// Whether there is a copy of another machine's state that is to be taken.
pub(crate) fn has_copy(instance: &Instance) -> bool {
    let files = fs::read_dir(topology::copy_dir(&instance.name));
    files.is_ok_and(|mut files| files.next().is_some())
}

/// Writes records of the log, from its first on, as a receiver does.
fn mirror(producer: &mut Producer, events: &[(&str, Json)]) {
    for ((kind, payload), position) in events.iter().zip(0..) {
        let mut bytes = record_bytes(kind, payload, At { seq: position + 1, ..At::default() });
        record::set_origin(&mut bytes, Origin { ring: LOG, position });
        producer.stage(&Meta::default(), &[&bytes]).expect("room");
    }
    producer.publish();
}

/// A store that guilds left, and one event more.
fn set_up_shrink(instance: &Instance) {
    come_and_leave(instance);
    send(&mut instance.shard(0, 1), (0, 1), &[renamed("other")]);
}
