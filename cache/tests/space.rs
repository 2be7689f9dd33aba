//! Space: what a guild takes, that it is given back, and that the file stops growing.

mod common;

use common::{At, feed};
use mixcord_cache::settings::Settings;
use mixcord_cache::store::{DiskStore, Fate, OpenBatch, Tables};
use mixcord_state::{Arena, Resource, State, StateStats};
use std::path::PathBuf;

use serde_json::{Value as Json, json};

/// A guild of many members, channels, roles, emojis and presences; `n` keeps ids apart.
fn guild(n: u64, members: u64) -> Json {
    let base = n << 32;
    let id = |offset: u64| (base + offset).to_string();
    let list = |count: u64, make: &dyn Fn(u64) -> Json| (0..count).map(make).collect::<Vec<_>>();
    let half = members / 2;
    json!({
        "id": id(0), "name": format!("guild {n}"), "owner_id": id(1000), "member_count": members,
        "description": null, "features": ["COMMUNITY", "NEWS"], "preferred_locale": "en-US",
        "roles": list(half / 2, &|i| json!({"id": id(1 + i), "name": format!("role {i}"), "color": 1, "permissions": "2248473465835073", "position": i, "hoist": false, "managed": false, "mentionable": false, "flags": 0})),
        "emojis": list(half / 2, &|i| json!({"id": id(200 + i), "name": format!("emoji{i}"), "roles": [], "require_colons": true, "managed": false, "animated": false, "available": true})),
        "stickers": [],
        "channels": list(half, &|i| json!({"id": id(400 + i), "type": 0, "name": format!("channel-{i}"), "position": i, "topic": "what this is about", "parent_id": null, "nsfw": false, "rate_limit_per_user": 0, "permission_overwrites": [{"id": id(1), "type": 0, "allow": "0", "deny": "1024"}], "last_message_id": id(900), "flags": 0})),
        "threads": [],
        "members": list(members, &|i| json!({"user": {"id": id(1000 + i), "username": format!("user{i}"), "global_name": format!("User {i}"), "avatar": "a_0123456789abcdef0123456789abcdef", "discriminator": "0", "public_flags": 0, "bot": false}, "nick": null, "avatar": null, "roles": [id(1), id(2)], "joined_at": "2023-01-01T00:00:00.000000+00:00", "premium_since": null, "deaf": false, "mute": false, "pending": false, "flags": 0})),
        "presences": list(half / 2, &|i| json!({"user": {"id": id(1000 + i)}, "status": "online", "activities": [{"name": "Custom", "type": 4, "state": "busy", "id": "custom", "created_at": 1_700_000_000_000_u64}], "client_status": {"desktop": "online"}})),
        "voice_states": [],
    })
}

struct Disk {
    store: DiskStore,
    settings: Settings,
    dir: PathBuf,
}

impl Disk {
    /// Applies events in one batch.
    fn apply(&mut self, events: &[(&str, Json)]) {
        let mut arena = Arena::default();
        let mut batch = OpenBatch::new(self.store.writer_mut(), &mut arena);
        for (kind, payload) in events {
            batch.begin_record();
            feed(&mut batch, &self.settings, kind, payload, At::default());
        }
        batch.settle().unwrap();
    }

    fn stats(&self) -> StateStats {
        State::open(&self.dir).unwrap().stats().unwrap()
    }
}

fn disk(dir: &std::path::Path) -> Disk {
    let (store, fate) = DiskStore::open(dir, 1 << 30).unwrap();
    assert_eq!(fate, Fate::New);
    Disk { store, settings: Settings::default(), dir: dir.to_owned() }
}

fn disk_id(dir: &std::path::Path) -> u64 {
    DiskStore::open(dir, 1 << 26).unwrap().0.id()
}

fn private_dir() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    // A name that scripts/test.sh sweeps.
    let prefix = format!("mixcord-table-{}-", std::process::id());
    let dir = tempfile::Builder::new().prefix(&prefix).tempdir_in("/dev/shm").unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    dir
}

#[test]
fn what_leaves_is_given_back_and_the_file_stops_growing() {
    let guilds: u64 = 300;
    let dir = private_dir();
    let mut disk = disk(dir.path());
    disk.apply(&[("READY", json!({"user": {"id": "1"}, "guilds": []}))]);
    let empty = disk.stats();
    let mut files = Vec::new();
    for _ in 0..6 {
        let ids: Vec<u64> = (1..=guilds).collect();
        for some in ids.chunks(50) {
            let events: Vec<_> = some.iter().map(|&n| ("GUILD_CREATE", guild(n, 20))).collect();
            disk.apply(&events);
        }
        let loaded = disk.stats();
        let entities = |resource| {
            let stats = loaded.resources.iter().find(|stats| stats.resource == resource);
            stats.unwrap().entities
        };
        assert_eq!(entities(Resource::Guilds), guilds);
        assert_eq!(
            (entities(Resource::Members), entities(Resource::Users)),
            (guilds * 20, guilds * 20)
        );
        assert_eq!(entities(Resource::Emojis), guilds * 5);
        for some in ids.chunks(50) {
            let gone = |n: &u64| ("GUILD_DELETE", json!({"id": (n << 32).to_string()}));
            disk.apply(&some.iter().map(gone).collect::<Vec<_>>());
        }
        let left = disk.stats();
        // The shapes of documents stay: they are few.
        let shapes = left.bytes().saturating_sub(empty.bytes());
        assert!(shapes < 16 << 10, "{left:?}");
        files.push((left.file_bytes, shapes));
    }
    assert!(files[2..].iter().all(|&file| file <= files[1]), "{files:?}");
}

#[test]
fn a_guild_of_200_members_takes_less_than_150_kb() {
    let dir = private_dir();
    let mut disk = disk(dir.path());
    let before = disk.stats().bytes();
    let guilds = 20;
    for n in 1..=guilds {
        disk.apply(&[("GUILD_CREATE", guild(n, 200))]);
    }
    let each = (disk.stats().bytes() - before) / guilds;
    println!("{each} bytes a guild, {} as JSON", guild(1, 200).to_string().len());
    assert!(each <= 150_000, "{each}");
}

#[test]
fn a_store_of_another_boot_or_version_is_discarded() {
    let dir = private_dir();
    let first = disk(dir.path()).store.id();
    let (store, fate) = DiskStore::open(dir.path(), 1 << 26).unwrap();
    assert_eq!((store.id(), fate), (first, Fate::Kept));
    drop(store);
    let format = mixcord_state::format::text(5).unwrap();
    let (version, boot) = format.split_once('\n').unwrap();
    let this = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert!(format.contains(this.trim()), "{format}");
    for foreign in [format!("{version}\nanother-boot\n"), format!("mixcord-state 0\n{boot}")] {
        let before = disk_id(dir.path());
        std::fs::write(dir.path().join("format"), foreign).unwrap();
        let (store, fate) = DiskStore::open(dir.path(), 1 << 26).unwrap();
        assert_eq!(fate, Fate::Discarded);
        assert_ne!(store.id(), before);
    }
}

#[test]
fn a_data_file_that_is_no_store_is_discarded() {
    use std::os::unix::fs::FileExt;
    for bytes in [[0; 8192], [0xA5; 8192]] {
        let dir = private_dir();
        let first = disk(dir.path()).store.id();
        let file = std::fs::File::options().write(true).open(dir.path().join("table")).unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        let (store, fate) = DiskStore::open(dir.path(), 1 << 26).unwrap();
        assert_eq!(fate, Fate::Discarded);
        assert_ne!(store.id(), first);
    }
}

#[test]
fn a_directory_that_others_may_enter_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = private_dir();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let error = DiskStore::open(dir.path(), 1 << 26).unwrap_err();
    assert!(error.to_string().contains("0700"), "{error}");
}

#[test]
fn nobody_else_may_read_a_file_of_it() {
    use std::os::unix::fs::PermissionsExt;
    let dir = private_dir();
    drop(disk(dir.path()));
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
    }
}

#[test]
fn two_writers_are_one_too_many() {
    let dir = private_dir();
    let _first = disk(dir.path());
    let error = DiskStore::open(dir.path(), 1 << 26).unwrap_err();
    assert!(error.to_string().contains("another mixcord-cache"), "{error}");
}

#[test]
fn every_byte_of_the_file_is_allocated() {
    use std::os::unix::fs::MetadataExt;
    let dir = private_dir();
    let mut disk = disk(dir.path());
    for n in 1..=4 {
        // It grows ahead of need, in a thread beside this one: length and blocks are not of one moment.
        let mut before = 0;
        common::instance::until("no hole that a full tmpfs could refuse", || {
            let file = std::fs::metadata(dir.path().join("table")).unwrap();
            before = file.len();
            file.blocks() * 512 == file.len()
        });
        for m in 0.. {
            disk.apply(&[("GUILD_CREATE", guild(n * 1000 + m, 200))]);
            if disk.stats().file_bytes > before {
                break;
            }
        }
    }
}
