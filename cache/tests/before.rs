//! A store of a version before: it is gone on with, and what is put into it is read by programs that know no later version
//! (P11). The table is of today's layout: how one of the layout before is gone on with
//! is in `table/src/coarse_tests.rs`.

mod common;

use std::fs::{DirBuilder, File, write};
use std::os::unix::fs::DirBuilderExt;

use common::instance::{Instance, receive, send, settle};
use mixcord_cache::engine::Progress;
use mixcord_cache::store::CopyFrom;
use mixcord_event::atoms;
use mixcord_state::format::{self, FORMAT_FILE, TABLE_FILE};
use mixcord_state::tables::VOICE_STATES;
use mixcord_state::{Arena, Read, Resource, Scan, State, Table, compose};
use mixcord_table::{FileWriter, Limits};
use serde_json::{Value as Json, json};

/// The versions that releases before know.
const BEFORE: [u32; 2] = [4, 5];

fn make_table(instance: &Instance, version: u32) {
    if !BEFORE.contains(&version) {
        return;
    }
    let dir = instance.state_dir();
    DirBuilder::new().recursive(true).mode(0o700).create(&dir).unwrap();
    let limits = Limits { bytes_max: instance.state_bytes_max, step_bytes: 1 << 20 };
    // The table's own word.
    let format = u64::from_le_bytes(*b"mixcord\0") + (u64::from(version) << 56);
    drop(FileWriter::create(&dir.join(TABLE_FILE), format, limits).unwrap());
    write(dir.join(FORMAT_FILE), format::text(version).unwrap()).unwrap();
}

/// An instance whose store is of a version.
fn of_version(name: &str, version: u32) -> Instance {
    let instance = Instance::new(&format!("{name}-{version}"));
    make_table(&instance, version);
    instance.declare();
    instance
}

fn versions() -> [u32; 3] {
    [BEFORE[0], BEFORE[1], format::version()]
}

/// The first of these releases gives voice states as they are stored.
#[test]
fn p11_a_voice_state_keeps_its_member_where_that_release_reads_it() {
    for version in versions() {
        let instance = of_version("before", version);
        let mut shard = instance.shard(0, 1);
        let member =
            |nick: &str| json!({"user": {"id": "1", "username": "a"}, "nick": nick, "roles": []});
        let state = |nick: &str, muted: bool| json!({"guild_id": "100", "user_id": "1", "channel_id": "201", "mute": muted, "member": member(nick)});
        let guild = json!({"id": "100", "name": "g", "members": [member("n")], "voice_states": [state("n", false)]});
        let events = [("GUILD_CREATE", guild), ("VOICE_STATE_UPDATE", state("m", true))];
        let mut engine = instance.engine();
        for event in events {
            send(&mut shard, (0, 1), &[event]);
            settle(&mut engine);
            let state = State::open(&instance.state_dir()).unwrap();
            let found = state.entity(Resource::VoiceStates, 100, 1).unwrap().unwrap();
            assert!(found.get(atoms::MEMBER).is_some(), "composed");
        }
        let seen = receive(&mut instance.consumer());
        assert_eq!(seen[1].old["member"]["nick"], "n", "{seen:?}");
        drop(engine);
        let (disk, arena) = (instance.disk(), Arena::default());
        assert_eq!(disk.writer().version(), version);
        let view = disk.view(&arena);
        let stored = view.get(VOICE_STATES.at(100, 1)).unwrap().unwrap();
        let has_member = compose::stored_map(stored).contains(atoms::MEMBER);
        assert_eq!(has_member, version == BEFORE[0], "{version}");
    }
}

const HASH: &str = "3d1c0f4e8b5a2f6e9d7c1b0a4f8e2d6c";

/// A guild with whatever times and hashes there may be, in members and users of many shapes.
fn guild(id: u64) -> (&'static str, Json) {
    let times = [
        json!(null),
        json!("2020-01-11T10:00:21.008000+00:00"),
        json!("2020-01-11T10:00:21+00:00"),
        json!("2020-01-11T10:00:21.008+00:00"),
        json!("2020-01-11T10:00:21.008000+02:00"),
        json!(""),
    ];
    let hashes = [
        json!(null),
        json!(HASH),
        json!(format!("a_{HASH}")),
        json!(HASH.to_uppercase()),
        json!("g".repeat(32)),
    ];
    let members: Vec<Json> = (0..120)
        .map(|n| {
            let (time, hash) = (&times[n % times.len()], &hashes[n % hashes.len()]);
            let user = json!({"id": (id * 1000 + n as u64).to_string(), "username": format!("user {n}"),
                "global_name": "Somebody", "avatar": hash, "banner": hashes[n / 5 % hashes.len()], "bot": false,
                "accent_color": null, "collectibles": null, "primary_guild": null, "public_flags": 64});
            json!({"user": user, "nick": "nick", "roles": ["30", "31"], "joined_at": time, "avatar": hash,
                "premium_since": times[n / 6 % times.len()], "deaf": false, "mute": false, "pending": false, "flags": 2})
        })
        .collect();
    let channel = |id: u64| {
        json!({"id": id.to_string(), "type": 0, "name": "c", "last_message_id": null,
        "last_pin_timestamp": "2026-10-01T08:00:00+00:00", "nsfw": false, "theme_color": null, "icon_emoji": null})
    };
    let channels: Vec<Json> = (0..4).map(|n| channel(id * 10 + n)).collect();
    let thread = json!({"id": (id * 10 + 5).to_string(), "type": 11, "name": "t", "parent_id": (id * 10).to_string()});
    let data = json!({"id": id.to_string(), "name": "g", "icon": HASH, "joined_at": times[1], "member_count": 120,
        "members": members, "channels": channels, "threads": [thread]});
    ("GUILD_CREATE", data)
}

fn message(kind: &'static str, guild: u64, channel: u64, id: u64) -> (&'static str, Json) {
    let data = json!({"id": id.to_string(), "channel_id": channel.to_string(), "guild_id": guild.to_string(),
        "content": format!("{kind} {id}"), "timestamp": "2026-11-19T09:14:21.412000+00:00",
        "author": {"id": (guild * 1000 + 1).to_string(), "username": "user 1", "avatar": HASH}});
    (kind, data)
}

/// What is told to two caches, one after the other.
fn events() -> [Vec<(&'static str, Json)>; 2] {
    // In channels that are cached, in a thread, and in one that nobody told of.
    let said = |guild: u64| {
        let channels = [guild * 10, guild * 10 + 1, guild * 10 + 5, guild * 10 + 7];
        channels.into_iter().enumerate().flat_map(move |(n, channel)| {
            (0..3).map(move |of| {
                message("MESSAGE_CREATE", guild, channel, guild * 100 + n as u64 * 10 + of)
            })
        })
    };
    let first = [guild(100), guild(200)].into_iter().chain(said(100)).chain(said(200)).collect();
    let gone =
        |kind: &'static str, id: u64| (kind, json!({"id": id.to_string(), "guild_id": "100"}));
    let mut moved = message("MESSAGE_CREATE", 200, 1007, 90_000);
    moved.1["content"] = json!("its channel is another guild's");
    let second = vec![
        message("MESSAGE_UPDATE", 100, 1000, 10_001),
        message("MESSAGE_DELETE", 100, 1001, 10_010),
        message("MESSAGE_UPDATE", 100, 1007, 10_031),
        moved,
        message("MESSAGE_DELETE", 100, 1007, 10_030),
        message("MESSAGE_DELETE", 100, 1005, 10_022),
        ("CHANNEL_UPDATE", json!({"id": "1001", "guild_id": "100", "type": 0, "name": "d"})),
        ("CHANNEL_CREATE", json!({"id": "1007", "guild_id": "100", "type": 0, "name": "e"})),
        (
            "CHANNEL_PINS_UPDATE",
            json!({"channel_id": "1002", "last_pin_timestamp": "2026-10-02T08:00:00+00:00"}),
        ),
        gone("CHANNEL_DELETE", 1002),
        gone("CHANNEL_DELETE", 1000),
        (
            "GUILD_MEMBER_UPDATE",
            json!({"guild_id": "100", "user": {"id": "100001", "username": "u", "avatar": null},
            "nick": "new", "roles": [], "joined_at": "2021-01-11T10:00:21.008000+00:00"}),
        ),
        ("GUILD_DELETE", json!({"id": "200"})),
    ];
    [first, second]
}

/// All entities of all resources, as a consumer sees them.
fn composed(instance: &Instance) -> Vec<(Resource, u64, u64, String)> {
    let state = State::open(&instance.state_dir()).unwrap();
    let mut all = Vec::new();
    for &resource in Resource::ALL {
        let mut scan = Scan::all(resource);
        while !scan.is_done() {
            let page = state.page(&mut scan).unwrap().into_iter();
            all.extend(page.map(|it| (resource, it.owner, it.id, it.document.to_json())));
        }
    }
    all
}

/// Whatever the version of its store, a cache says the same, and its state is the same; and one of before is kept as the
/// programs of before know it.
#[test]
fn p11_a_store_of_before_says_the_same_and_stays_what_it_is() {
    let mut seen = Vec::new();
    for version in versions() {
        let instance = of_version("same", version);
        let mut shard = instance.shard(0, 1);
        let mut consumer = instance.consumer();
        let mut states = Vec::new();
        let mut outputs = Vec::new();
        for events in events() {
            let mut engine = instance.engine();
            for event in events {
                send(&mut shard, (0, 1), &[event]);
                settle(&mut engine);
                let out = receive(&mut consumer);
                outputs.extend(
                    out.into_iter()
                        .map(|out| (out.kind, out.data.to_string(), out.old.to_string())),
                );
            }
            drop(engine);
            instance.check_state();
            states.push(composed(&instance));
        }
        assert!(states[0].len() > 250 && outputs.iter().all(|(kind, ..)| kind != "GAP"));
        seen.push((states, outputs));

        let (disk, arena) = (instance.disk(), Arena::default());
        assert_eq!(disk.writer().version(), version);
        let (mut channels, mut apart) = (0, 0);
        let look = disk.view(&arena).scan(Table::ChannelMap.all(), &mut |_, value| {
            channels += 1;
            apart += usize::from(value.len() == size_of::<u64>());
            true
        });
        look.unwrap();
        let expected = if BEFORE.contains(&version) { channels } else { 0 };
        assert!(channels > 0 && apart == expected, "{version}: {apart} of {channels}");
    }
    assert_eq!(seen[0], seen[2]);
    assert_eq!(seen[1], seen[2]);
}

/// A copy of a store of before is what a new store has from its beginning.
#[test]
fn p11_a_copy_of_a_store_of_before_is_a_store_of_this_release() {
    for version in versions() {
        let donor = of_version("copy-of", version);
        let mut donor_shard = donor.shard(0, 1);
        let [first, second] = events();
        send(&mut donor_shard, (0, 1), &first);
        settle(&mut donor.engine());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("copy");
        let sink = File::create(&file).unwrap();
        mixcord_copy::write(&donor.state_dir(), sink, &mut |_| {}).unwrap();

        let mut instance = Instance::new(&format!("copy-of-{version}-to"));
        instance.state_from = Some(CopyFrom::File(file));
        instance.declare();
        let mut shard = instance.shard(0, 1);
        drop(instance.engine());
        assert_eq!(instance.disk().writer().version(), format::version());
        instance.check_state();
        assert_eq!(composed(&instance), composed(&donor), "{version}");

        for (instance, shard) in [(&donor, &mut donor_shard), (&instance, &mut shard)] {
            let mut engine = instance.engine();
            send(shard, (0, 1), &second);
            assert_eq!(settle(&mut engine), Progress::Idle);
            drop(engine);
            instance.check_state();
        }
        assert_eq!(composed(&instance), composed(&donor), "{version}, later");
    }
}
