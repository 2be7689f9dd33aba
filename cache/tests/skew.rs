//! P11: a gateway, or a cache, of another release. What this build cannot read is not damaged: it stays
//! where it is until somebody comes who can.

mod common;

use common::instance::{Instance, receive, send, settle};
use common::{At, record_bytes};
use mixcord_cache::store::{DiskError, DiskStore, Fate};
use mixcord_event::record::{KEYS, KINDS};
use mixcord_event::topology;
use mixcord_ring::{Meta, Producer};
use serde_json::json;

fn guild() -> (&'static str, serde_json::Value) {
    ("GUILD_CREATE", json!({"id": "100", "name": "g", "channels": [{"id": "200"}]}))
}

fn message(id: u64) -> (&'static str, serde_json::Value) {
    let id = id.to_string();
    ("MESSAGE_CREATE", json!({"id": id, "channel_id": "200", "guild_id": "100", "tts": true}))
}

/// A record as another release may write it.
fn foreign(how: &str) -> Vec<u8> {
    let (kind, data) = message(5);
    let mut bytes = record_bytes(kind, &data, At::default());
    match how {
        "layout" => bytes[0] = 2,
        "kind" => bytes[2..4].copy_from_slice(&(KINDS as u16 + 1).to_le_bytes()),
        _ => {
            let tts = mixcord_event::atoms::TTS.number().to_le_bytes();
            let at = bytes.windows(3).rposition(|word| word[..2] == tts && word[2] == 2).unwrap();
            bytes[at..at + 2].copy_from_slice(&(KEYS as u16).to_le_bytes());
        }
    }
    bytes
}

fn publish(shard: &mut Producer, bytes: &[u8]) {
    let source = shard.staged_tail() + 1;
    shard.stage(&Meta { key: 100, order: 100, tag: 0, source }, &[bytes]).unwrap();
    shard.publish();
}

fn lag(shard: &Producer) -> u64 {
    shard.ring().groups()[0].lag
}

/// C-1: nothing is acknowledged away, nothing is told as lost, and the other shards go on.
#[test]
fn a_record_of_a_newer_gateway_stops_its_shard_alone_and_is_not_lost() {
    for how in ["layout", "kind", "key"] {
        let instance = Instance::new(&format!("newer-{how}"));
        instance.declare();
        let mut consumer = instance.consumer();
        let (mut first, mut second) = (instance.shard(0, 2), instance.shard(1, 2));
        send(&mut first, (0, 2), &[guild(), message(1)]);
        publish(&mut first, &foreign(how));
        send(&mut first, (0, 2), &[message(6)]);
        send(&mut second, (1, 2), &[message(2)]);
        {
            let mut engine = instance.engine();
            settle(&mut engine);
            send(&mut second, (1, 2), &[message(3)]);
            settle(&mut engine);
        }
        // Started again it does not think otherwise.
        let mut engine = instance.engine();
        send(&mut second, (1, 2), &[message(4)]);
        settle(&mut engine);
        let seen = receive(&mut consumer);
        let kinds = |shard| {
            let of_shard = seen.iter().filter(move |out| out.shard.0 == shard);
            of_shard.map(|out| out.kind.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(kinds(0), ["GUILD_CREATE", "MESSAGE_CREATE"], "{how}");
        assert_eq!(kinds(1), ["MESSAGE_CREATE"; 3], "{how}");
        assert_eq!((lag(&first), lag(&second)), (2, 0), "{how}");
    }
}

/// No release has a layout so far from ours: it is damage, told as a gap, and the shard goes on.
#[test]
fn a_record_whose_layout_byte_is_damaged_stops_nothing() {
    let instance = Instance::new("far-layout");
    instance.declare();
    let mut consumer = instance.consumer();
    let mut shard = instance.shard(0, 1);
    send(&mut shard, (0, 1), &[guild()]);
    let mut bytes = foreign("layout");
    bytes[0] = 0x81;
    publish(&mut shard, &bytes);
    send(&mut shard, (0, 1), &[message(6)]);
    settle(&mut instance.engine());
    let seen = receive(&mut consumer);
    let kinds: Vec<_> = seen.iter().map(|out| out.kind.as_str()).collect();
    assert_eq!(kinds, ["GUILD_CREATE", "GAP", "MESSAGE_CREATE"]);
    assert_eq!((seen[1].reason, lag(&shard)), (Some("undecodable"), 0));
}

/// The release that can read it finds everything there: here one that, as its own, has the record in a
/// form this build reads.
#[test]
fn what_stopped_a_cache_is_read_by_the_next_one() {
    let instance = Instance::new("next");
    instance.declare();
    let mut consumer = instance.consumer();
    let mut shard = instance.shard(0, 1);
    send(&mut shard, (0, 1), &[guild()]);
    publish(&mut shard, &foreign("key"));
    settle(&mut instance.engine());
    assert_eq!((receive(&mut consumer).len(), lag(&shard)), (1, 1));

    // The same place in the ring, read by another build, has another meaning. Only its bytes can be
    // changed here.
    let path = mixcord_ring::Namespace::directory().join(format!(
        "{}.{}",
        instance.namespace.prefix(),
        topology::shard_ring(0, 1)
    ));
    let wanted = foreign("key");
    let mut segment = std::fs::read(&path).unwrap();
    let at = segment.windows(wanted.len()).position(|bytes| bytes == wanted).unwrap();
    let readable = record_bytes(message(5).0, &message(5).1, At::default());
    segment[at..at + wanted.len()].copy_from_slice(&readable);
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &readable, at as u64).unwrap();

    settle(&mut instance.engine());
    let seen = receive(&mut consumer);
    assert_eq!((seen.len(), seen[0].kind.as_str(), lag(&shard)), (1, "MESSAGE_CREATE", 0));
}

/// A restart would say the same again: the line says what to do.
#[test]
fn an_output_ring_of_another_layout_is_refused_until_somebody_drains_it() {
    let instance = Instance::new("layout");
    instance.declare();
    let path = mixcord_ring::Namespace::directory().join(format!(
        "{}.{}",
        instance.namespace.prefix(),
        topology::OUTPUT_RING
    ));
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    // The second word of a segment, after the magic number.
    std::os::unix::fs::FileExt::write_all_at(&file, &2_u64.to_le_bytes(), 8).unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = mixcord_cache::engine::Engine::start(&instance.plan()).unwrap_err();
    assert!(error.is_configuration(), "{error}");
    assert!(error.to_string().contains("layout version 2"), "{error}");
    assert!(std::fs::read(&path).unwrap() == before, "it was touched");
}

/// C-3: a downgraded cache refuses a newer store, and leaves it as it is.
#[test]
fn a_store_of_a_newer_cache_is_kept_and_refused() {
    let instance = Instance::new("newer-store");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    send(&mut shard, (0, 1), &[guild()]);
    settle(&mut instance.engine());
    let dir = instance.state_dir();
    let data = std::fs::read(dir.join("table")).unwrap();
    let signed = std::fs::read_to_string(dir.join("written-by")).unwrap();

    let newer = format!("mixcord-cache 9.8.7\nlayout 1\nkeys {}\nkinds {KINDS}\n", KEYS + 1);
    std::fs::write(dir.join("written-by"), &newer).unwrap();
    let error = mixcord_cache::engine::Engine::start(&instance.plan()).unwrap_err();
    assert!(
        error.is_configuration() && error.to_string().contains("mixcord-cache 9.8.7"),
        "{error}"
    );
    assert!(!error.to_string().contains('\n'), "{error}");
    assert!(matches!(DiskStore::open(&dir, 64 << 20), Err(DiskError::Newer { .. })));
    assert!(std::fs::read(dir.join("table")).unwrap() == data, "it was touched");
    assert_eq!(std::fs::read_to_string(dir.join("written-by")).unwrap(), newer);

    // One of another release that has nothing this one does not know goes on, and is signed anew. So does
    // one from before stores were signed.
    for other in ["mixcord-cache 0.0.9\nlayout 1\n", ""] {
        match other {
            "" => std::fs::remove_file(dir.join("written-by")).unwrap(),
            other => std::fs::write(dir.join("written-by"), other).unwrap(),
        }
        let (store, fate) = DiskStore::open(&dir, 64 << 20).unwrap();
        assert_eq!(fate, Fate::Kept);
        drop(store);
        assert_eq!(std::fs::read_to_string(dir.join("written-by")).unwrap(), signed);
    }
}
