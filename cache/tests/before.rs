//! A store of the version before, whose documents lie as they are: it is gone on with, and what is put into it is read by
//! programs that know no other version (P11). The table is of today's layout: how one of the layout before is gone on with
//! is in `table/src/coarse_tests.rs`.

mod common;

use std::fs::{DirBuilder, write};
use std::os::unix::fs::DirBuilderExt;

use common::instance::{Instance, receive, send, settle};
use mixcord_event::atoms;
use mixcord_state::format::{self, FORMAT_FILE, TABLE_FILE};
use mixcord_state::tables::VOICE_STATES;
use mixcord_state::{Arena, Read, Resource, State, compose};
use mixcord_table::{FileWriter, Limits};
use serde_json::json;

/// The version that the release before knows, and its table's own word.
const BEFORE: u32 = 4;
const FORMAT: u64 = u64::from_le_bytes(*b"mixcord\0") + ((BEFORE as u64) << 56);

fn make_table(instance: &Instance, version: u32) {
    if version != BEFORE {
        return;
    }
    let dir = instance.state_dir();
    DirBuilder::new().recursive(true).mode(0o700).create(&dir).unwrap();
    let limits = Limits { bytes_max: instance.state_bytes_max, step_bytes: 1 << 20 };
    drop(FileWriter::create(&dir.join(TABLE_FILE), FORMAT, limits).unwrap());
    write(dir.join(FORMAT_FILE), format::text(BEFORE).unwrap()).unwrap();
}

/// That release gives voice states as they are stored.
#[test]
fn p11_a_voice_state_keeps_its_member_where_that_release_reads_it() {
    for version in [BEFORE, format::version()] {
        let instance = Instance::new(&format!("before-{version}"));
        make_table(&instance, version);
        instance.declare();
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
        assert_eq!(has_member, version == BEFORE, "{version}");
    }
}
