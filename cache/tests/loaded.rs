//! A state that begins with a copy of another instance's.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::instance::{Instance, receive, send, settle};
use mixcord_cache::engine::{Engine, EngineError};
use mixcord_cache::store::{CopyFrom, DiskStore};
use mixcord_event::topology;
use mixcord_state::{Arena, Key, Read, StoreError, Table};
use serde_json::{Value as Json, json};

fn guild(id: u64) -> (&'static str, Json) {
    let channel = json!({"id": (id * 10).to_string(), "name": "c"});
    let member = json!({"user": {"id": (id * 100).to_string(), "username": "u"}, "nick": "n"});
    let id = id.to_string();
    let payload = json!({"id": id, "name": "g", "channels": [channel], "members": [member]});
    ("GUILD_CREATE", payload)
}

fn nick(id: u64, nick: &str) -> (&'static str, Json) {
    let user = json!({"id": (id * 100).to_string(), "username": "u"});
    ("GUILD_MEMBER_UPDATE", json!({"guild_id": id.to_string(), "user": user, "nick": nick}))
}

/// An instance that has seen something, and a copy of what it knows.
fn donor(name: &str) -> (Instance, tempfile::TempDir, PathBuf) {
    let instance = Instance::new(&format!("{name}-donor"));
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let guilds: Vec<_> = (1..40).map(guild).collect();
    send(&mut shard, (0, 1), &guilds);
    settle(&mut instance.engine());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy");
    let sink = std::fs::File::create(&file).unwrap();
    mixcord_copy::write(&instance.state_dir(), sink, &mut |_| {}).unwrap();
    (instance, folder, file)
}

fn from(name: &str, file: &Path) -> Instance {
    let mut instance = Instance::new(name);
    instance.state_from = Some(CopyFrom::File(file.into()));
    instance
}

/// All that a store holds but where its inputs stand.
fn everything(instance: &Instance) -> BTreeMap<Key, Vec<u8>> {
    let (disk, arena, mut all) = (instance.disk(), Arena::default(), BTreeMap::new());
    for table in Table::ALL.into_iter().filter(|table| *table != Table::Meta) {
        disk.view(&arena)
            .scan(table.all(), &mut |key, value| {
                all.insert(key, value.to_vec());
                true
            })
            .unwrap();
    }
    all
}

#[test]
fn it_knows_what_the_donor_knew_and_loses_nothing_twice() {
    let (donor, _folder, file) = donor("loaded");
    let instance = from("loaded-other", &file);
    instance.declare();
    settle(&mut instance.engine());
    let mut consumer = instance.consumer();
    assert_eq!(receive(&mut consumer), [], "nobody here has lost anything");
    // What comes from then on has its old entity; its ring is another one than the donor's.
    let mut shard = instance.shard(0, 1);
    send(&mut shard, (0, 1), &[nick(7, "new")]);
    settle(&mut instance.engine());
    let seen = receive(&mut consumer);
    let seen: Vec<_> = seen.iter().map(|out| (&*out.kind, out.reason, &out.old["nick"])).collect();
    let update = ("GUILD_MEMBER_UPDATE", None, &json!("n"));
    assert_eq!(seen, [("GAP", Some("ring_lost"), &Json::Null), update]);
    // The donor's own ring says the same, and both know the same then.
    let mut shard = donor.shard(0, 1);
    send(&mut shard, (0, 1), &[nick(7, "new")]);
    settle(&mut donor.engine());
    assert!(everything(&donor) == everything(&instance));
    instance.check_state();
    // The next start finds a state, and does not read the copy again.
    settle(&mut instance.engine());
    assert_eq!(receive(&mut consumer), []);
}

#[test]
fn a_copy_is_not_read_where_there_is_a_state_or_events_have_passed() {
    let (_donor, _folder, file) = donor("kept");
    let mut instance = Instance::new("kept-other");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    send(&mut shard, (0, 1), &[guild(1_000)]);
    settle(&mut instance.engine());
    let own = everything(&instance);
    instance.state_from = Some(CopyFrom::File(file));
    settle(&mut instance.engine());
    assert!(everything(&instance) == own);
    // It was lost: what the copy knows is older than what consumers were told.
    std::fs::remove_dir_all(instance.state_dir()).unwrap();
    settle(&mut instance.engine());
    assert!(everything(&instance).is_empty());
    assert_eq!(shard.asked_anew(), 1, "the gateway fills it");
}

#[test]
fn p8_a_copy_that_is_none_ends_the_start_and_leaves_no_state() {
    let (_donor, folder, file) = donor("damaged");
    let bytes = std::fs::read(&file).unwrap();
    let damaged = folder.path().join("damaged");
    let instance = from("damaged-other", &damaged);
    for at in [0, bytes.len() / 2, bytes.len() - 1] {
        let mut bytes = bytes.clone();
        bytes[at] ^= 4;
        std::fs::write(&damaged, bytes).unwrap();
        let error = Engine::start(&instance.plan()).unwrap_err();
        assert!(error.is_configuration(), "{error}");
        assert!(error.to_string().contains("--state-from"), "{error}");
        assert!(!instance.state_dir().join("table").exists());
        assert!(!instance.state_dir().join("format").exists());
    }
    std::fs::remove_file(&damaged).unwrap();
    let error: EngineError = Engine::start(&instance.plan()).unwrap_err();
    assert!(error.is_configuration() && error.to_string().contains("No such file"), "{error}");
    // Cut in the middle, killed in the middle: no store is there, and the next start begins.
    std::fs::write(instance.state_dir().join("table"), &bytes[..100]).unwrap();
    std::fs::write(&damaged, &bytes).unwrap();
    settle(&mut instance.engine());
    assert_eq!(everything(&instance).keys().filter(|key| key.table() == Table::Guilds).count(), 39);
    assert!(Path::new(&topology::state_dir(&instance.name)).is_dir());
}

/// P3: a loss that was none is not told, whenever the first process ends.
#[test]
fn a_start_that_ends_before_it_has_its_output_ring_loses_nothing() {
    let (donor, _folder, file) = donor("early");
    let instance = from("early-other", &file);
    for _ in 0..2 {
        let (dir, copy) = (instance.state_dir(), instance.state_from.as_ref());
        drop(DiskStore::open_or_load(&dir, instance.state_bytes_max, copy).unwrap());
    }
    instance.declare();
    let mut consumer = instance.consumer();
    settle(&mut instance.engine());
    assert_eq!(receive(&mut consumer), []);
    assert_eq!(everything(&instance), everything(&donor));
    // From then on it is this instance's own, which can lose something.
    drop(consumer);
    instance.namespace.remove_ring(topology::OUTPUT_RING).unwrap();
    instance.declare();
    settle(&mut instance.engine());
    let seen = receive(&mut instance.consumer());
    let seen: Vec<_> = seen.iter().map(|out| (&*out.kind, out.reason)).collect();
    assert_eq!(seen, [("GAP", Some("output_lost"))]);
}

/// What no other try will change is for whoever started it, and it is said what to change.
#[test]
fn a_copy_that_does_not_fit_ends_the_start_and_says_so() {
    let donor = Instance::new("large-donor");
    donor.declare();
    let mut shard = donor.shard(0, 1);
    let mut engine = donor.engine();
    for id in 1..=8 {
        let sounds: Vec<_> =
            (1..=4000).map(|id: u64| json!({"sound_id": id.to_string()})).collect();
        let guild = json!({"id": id.to_string(), "name": "g", "soundboard_sounds": sounds});
        send(&mut shard, (0, 1), &[("GUILD_CREATE", guild)]);
        settle(&mut engine);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy");
    mixcord_copy::write(&donor.state_dir(), std::fs::File::create(&file).unwrap(), &mut |_| {})
        .unwrap();
    let mut instance = from("large-other", &file);
    instance.state_bytes_max = 1 << 20;
    let error = Engine::start(&instance.plan()).unwrap_err();
    assert!(error.is_configuration(), "{error}");
    let text = error.to_string();
    assert!(text.contains("--state-from") && text.contains("raise --state-max"), "{text}");
    assert!(!instance.state_dir().join("table").exists());
    // The batches of a small store are short.
    let (_small, _folder, file) = donor_of("small");
    let mut instance = from("small-other", &file);
    instance.state_bytes_max = 2 << 20;
    settle(&mut instance.engine());
    assert!(everything(&instance).len() > 1000);
}

/// Nor will another try change that the store does not take what is to be made of it.
#[test]
fn a_copy_of_which_no_state_can_be_made_here_is_a_matter_of_configuration() {
    let (_donor, _folder, file) = donor("refused");
    let instance = Instance::new("refused-other");
    let mut disk = instance.disk();
    let changed = disk.load(&CopyFrom::File(file), |_| {
        Err::<(), _>(StoreError::TooMany { changes: 2, changes_max: 1 })
    });
    let error = changed.map_err(EngineError::from).unwrap_err();
    assert!(error.is_configuration() && error.to_string().contains("--state-max"), "{error}");
    drop(disk);
    assert!(everything(&instance).is_empty(), "nothing is left of it");
}

/// An instance with more values than a batch of a small store takes, and a copy of them.
fn donor_of(name: &str) -> (Instance, tempfile::TempDir, PathBuf) {
    let instance = Instance::new(&format!("{name}-donor"));
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let sounds: Vec<_> = (1..=1000).map(|id: u64| json!({"sound_id": id.to_string()})).collect();
    let guild = json!({"id": "1", "name": "g", "soundboard_sounds": sounds});
    send(&mut shard, (0, 1), &[("GUILD_CREATE", guild)]);
    settle(&mut instance.engine());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy");
    mixcord_copy::write(&instance.state_dir(), std::fs::File::create(&file).unwrap(), &mut |_| {})
        .unwrap();
    (instance, folder, file)
}
