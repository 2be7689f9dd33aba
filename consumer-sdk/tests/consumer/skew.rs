//! P11: a cache of another release.

use std::time::Duration;

use mixcord::event::record::{self, KEYS, KINDS};
use mixcord::event::{Document, Header, Kind, Shard};
use mixcord::{Error, atoms};
use mixcord_state::Checkpoint;

use super::rig::{Rig, next};

/// A record as another release may write it.
fn foreign(how: &str) -> Vec<u8> {
    let data = Document::from_json(r#"{"id":"5","guild_id":"1","tts":true}"#).expect("JSON");
    let shard = Shard { id: 0, count: 1 };
    let header = Header { kind: Kind::MESSAGE_CREATE, shard, key: 1, ..Header::default() };
    let mut bytes = Vec::new();
    record::encode(&header, None, data.as_bytes(), None, &mut bytes);
    match how {
        "layout" => bytes[0] = 2,
        "kind" => bytes[2..4].copy_from_slice(&(KINDS as u16 + 1).to_le_bytes()),
        _ => {
            let tts = atoms::TTS.number().to_le_bytes();
            let at = bytes.windows(3).rposition(|word| word[..2] == tts && word[2] == 2);
            let at = at.expect("there");
            bytes[at..at + 2].copy_from_slice(&(KEYS as u16).to_le_bytes());
        }
    }
    bytes
}

/// C-2: it is the program that is old; nothing is acknowledged, and nobody is told to remove anything.
#[test]
fn a_record_of_a_newer_cache_says_which_program_to_rebuild() {
    for how in ["layout", "kind", "key"] {
        let mut rig = Rig::new();
        let mut member =
            rig.consumer().group("bot").from_earliest().connect_blocking().expect("joined");
        let mut observer =
            rig.consumer().observer().from_earliest().connect_blocking().expect("looks on");
        rig.message(1, 1);
        next(&mut observer);
        next(&mut member).ack();
        rig.publish_bytes(Kind::MESSAGE_CREATE, 1, &foreign(how));
        for consumer in [&mut member, &mut observer] {
            let error = consumer.next_timeout(Duration::from_secs(20)).expect_err("not readable");
            assert!(matches!(error, Error::Newer { position: 1, .. }), "{how}: {error}");
            assert!(error.is_configuration(), "no restart makes the program newer");
            let said = error.to_string();
            assert!(said.contains("rebuild this program") && !said.contains(" rm "), "{said}");
        }
        assert_eq!(rig.group("bot").lag, 1, "{how}: it waits for the program that can read it");
    }
}

/// A restart would find the same.
#[test]
fn rings_of_another_layout_are_refused_for_good() {
    let rig = Rig::new();
    let prefix = mixcord::event::topology::namespace(&rig.instance);
    let path = format!("/dev/shm/{prefix}.{}", mixcord::event::topology::OUTPUT_RING);
    let file = std::fs::File::options().write(true).open(path).expect("the ring");
    // The second word of a segment, after the magic number.
    std::os::unix::fs::FileExt::write_all_at(&file, &2_u64.to_le_bytes(), 8).expect("written");
    let error = rig.consumer().group("bot").connect_blocking().expect_err("refused");
    assert!(error.is_configuration() && error.to_string().contains("layout version 2"), "{error}");
}

#[test]
fn the_version_to_rebuild_with_is_named_when_the_cache_says_its_own() {
    let mut rig = Rig::new();
    let mut member =
        rig.consumer().group("bot").from_earliest().connect_blocking().expect("joined");
    let mine = Checkpoint::default().to_bytes(4032);
    let (old, new) = (env!("CARGO_PKG_VERSION").as_bytes(), b"7.7.7");
    assert_eq!(old.len(), new.len());
    let at = mine.windows(old.len()).position(|bytes| bytes == old).expect("signed");
    let newer = [&mine[..at], new, &mine[at + new.len()..]].concat();
    rig.producer.as_mut().expect("a producer").set_checkpoint(&newer).expect("it fits");
    rig.publish_bytes(Kind::MESSAGE_CREATE, 1, &foreign("key"));
    let said = member.next_timeout(Duration::from_secs(20)).expect_err("not readable").to_string();
    assert!(said.contains("from mixcord-cache 7.7.7"), "{said}");
    assert!(said.contains("rebuild this program with mixcord 7.7.7 or newer"), "{said}");
}

/// What is damaged is no matter of versions: an observer hears of it.
#[test]
fn a_damaged_record_is_not_taken_for_a_newer_one() {
    let mut rig = Rig::new();
    let mut observer = rig.consumer().observer().from_earliest().connect_blocking().expect("there");
    rig.publish_bytes(Kind::MESSAGE_CREATE, 1, &[0; 99]);
    let error = observer.next_timeout(Duration::from_secs(20)).expect_err("not readable");
    assert!(matches!(error, Error::Record { position: 0, .. }), "{error}");
    assert!(!error.is_configuration());
}
