//! A run that was recorded and is replayed gives the same output ring, byte for byte but for the ids of rings.

mod common;

use common::instance::{Instance, send, settle, until};
use mixcord_event::{Kind, Record, topology};
use mixcord_recording::{Played, Player, Reader, Recorder, Speed, Wanted, Writer};
use mixcord_ring::{Limits, Namespace, Observed, Ring};
use serde_json::{Value as Json, json};

/// The ring of the origin in a record of the output ring.
const ORIGIN_RING: std::ops::Range<usize> = 40..48;

/// Entities that come, change and go, with old values, derived events, and a kind that nobody knows.
fn events(shard: u16, round: u64) -> Vec<(&'static str, Json)> {
    let id = |n: u64| (n * 10 + u64::from(shard)).to_string();
    let (guild, channel, message) = (id(1), id(2), id(100 + round));
    let user = json!({"id": id(3), "username": format!("name {}", round / 2)});
    let mut events = vec![
        (
            "GUILD_MEMBER_UPDATE",
            json!({"guild_id": guild, "user": user, "roles": [], "nick": round.to_string(), "joined_at": null}),
        ),
        (
            "MESSAGE_CREATE",
            json!({"id": message, "channel_id": channel, "guild_id": guild, "author": user, "content": "x".repeat(round as usize * 7)}),
        ),
        (
            "MESSAGE_UPDATE",
            json!({"id": message, "channel_id": channel, "guild_id": guild, "content": "edited"}),
        ),
        (
            "CHANNEL_UPDATE",
            json!({"id": channel, "guild_id": guild, "name": round.to_string(), "type": 0}),
        ),
        ("NEW_OF_DISCORD", json!({"guild_id": guild, "deep": [{"round": round}]})),
    ];
    match round % 10 {
        3 => events.push((
            "MESSAGE_DELETE",
            json!({"id": message, "channel_id": channel, "guild_id": guild}),
        )),
        5 => events.push(("GUILD_DELETE", json!({"id": guild, "unavailable": true}))),
        6 => events.push(create(shard)),
        _ => {}
    }
    events
}

fn create(shard: u16) -> (&'static str, Json) {
    let id = |n: u64| (n * 10 + u64::from(shard)).to_string();
    (
        "GUILD_CREATE",
        json!({"id": id(1), "name": "g", "channels": [{"id": id(2), "name": "c", "type": 0}], "members": [], "roles": []}),
    )
}

/// The output ring, shard by shard: how shards lie in each other is nobody's promise.
fn output(instance: &Instance) -> [Vec<Vec<u8>>; 2] {
    let ring = Ring::attach(&instance.namespace, topology::OUTPUT_RING).expect("the output ring");
    assert_eq!(ring.earliest(), 0, "the ring is too small for this test");
    let mut seen = Observed::default();
    ring.glance(0, Limits { records: 4096, bytes: 8 << 20 }, &mut seen).expect("whole");
    let mut shards = [Vec::new(), Vec::new()];
    for entry in seen.entries() {
        let record = Record::parse(entry.payload).expect("a record");
        let header = record.header();
        let mut bytes = entry.payload.to_vec();
        bytes[ORIGIN_RING].fill(0);
        // What the cache itself tells it tells at its own time.
        if header.kind == Kind::GAP {
            let reason = header.reason.as_str().unwrap_or("none");
            bytes = format!("GAP {reason} before {}", header.origin.position).into();
        }
        shards[usize::from(header.shard.id)].push(bytes);
    }
    shards
}

#[test]
fn a_recorded_run_replayed_gives_the_same_output_ring() {
    let first = Instance::new("recorded");
    let mut rings = [first.shard(0, 2), first.shard(1, 2)];
    let writer = Writer::new(Vec::new(), 1, false).expect("it is memory");
    let namespace = first.namespace.clone();
    let recorder = Recorder::new(namespace, writer, Wanted::default(), None, true);
    let mut recorder = recorder.expect("a bell");
    let mut engine = first.engine();
    for (shard, ring) in (0..).zip(&mut rings) {
        let guild = (10 + u64::from(shard)).to_string();
        let ready = json!({"user": {"id": "1", "username": "me"}, "guilds": [{"id": guild}]});
        send(ring, (shard, 2), &[("READY", ready), create(shard)]);
    }
    for round in 0..30 {
        for (shard, ring) in (0..).zip(&mut rings) {
            send(ring, (shard, 2), &events(shard, round));
        }
        // Batches of other lengths than the replay's.
        if round % 3 == 0 {
            settle(&mut engine);
            while recorder.round().expect("no error") {}
        }
    }
    settle(&mut engine);
    while recorder.round().expect("no error") {}
    let (bytes, recorded) = recorder.finish().expect("it is memory");
    assert_eq!((recorded.rings, recorded.lost), (2, 0));

    let second = Instance::new("replayed");
    let player = Player::new(second.namespace.clone(), Speed::Max).expect("a bell");
    let reader = Reader::open(&bytes[..]).expect("a recording");
    // The rings have room for all, so that no cache needs to run beside.
    let played = player.play(reader, || false, |_| {}).expect("replayed");
    assert_eq!((played.records, played.whole), (recorded.records, true));
    settle(&mut second.engine());
    let (recorded, replayed) = (output(&first), output(&second));
    assert!(recorded.iter().all(|shard| shard.len() > 150), "too little to prove anything");
    assert_eq!(recorded, replayed);
}

/// A ring that took another's place while it was recorded: the replay's cache tells the loss as the first one did.
#[test]
fn a_ring_that_was_replaced_is_replaced_in_the_replay() {
    let first = Instance::new("replaced");
    let mut ring = first.shard(0, 2);
    let writer = Writer::new(Vec::new(), 1, false).expect("it is memory");
    let namespace = first.namespace.clone();
    let recorder = Recorder::new(namespace, writer, Wanted::default(), None, true);
    let mut recorder = recorder.expect("a bell");
    let mut engine = first.engine();
    for round in 0..4 {
        if round > 0 {
            // As somebody does who removes files of /dev/shm.
            drop(ring);
            let segment = format!("{}.{}", first.namespace.prefix(), topology::shard_ring(0, 2));
            std::fs::remove_file(Namespace::directory().join(segment)).expect("the ring");
            ring = first.shard(0, 2);
        }
        send(&mut ring, (0, 2), &[create(0)]);
        send(&mut ring, (0, 2), &events(0, round));
        // Out of line, and the last of its ring: no later publish lets go of it.
        send(&mut ring, (0, 2), &[("LARGE", json!({"text": "x".repeat(70 << 10)}))]);
        // Rings are looked for now and then.
        until("the ring to be read and recorded", || {
            settle(&mut engine);
            while recorder.round().expect("no error") {}
            ring.ring().is_drained() && recorder.rings() == round as usize + 1
        });
    }
    let (bytes, recorded) = recorder.finish().expect("it is memory");

    let second = Instance::new("replaced-again");
    let mut engine = second.engine();
    let player = Player::new(second.namespace.clone(), Speed::Max).expect("a bell");
    let reader = Reader::open(&bytes[..]).expect("a recording");
    let played: Played = std::thread::scope(|scope| {
        let playing = scope.spawn(move || player.play(reader, || false, |_| {}));
        while !playing.is_finished() {
            settle(&mut engine);
        }
        playing.join().expect("no panic").expect("replayed")
    });
    until("the last ring to be read", || {
        settle(&mut engine);
        let ring = Ring::attach(&second.namespace, &topology::shard_ring(0, 2));
        ring.is_ok_and(|ring| ring.is_drained())
    });
    assert_eq!((played.records, played.lost, played.whole), (recorded.records, 0, true));
    let (recorded, replayed) = (output(&first), output(&second));
    let gaps = recorded[0].iter().filter(|bytes| bytes.starts_with(b"GAP"));
    assert_eq!(gaps.filter(|gap| gap.starts_with(b"GAP ring_lost ")).count(), 3);
    assert_eq!(recorded, replayed);
    // P7: nothing is left of the rings that another took the place of.
    let large = format!("{}.{}.blob-", second.namespace.prefix(), topology::shard_ring(0, 2));
    let files = std::fs::read_dir(Namespace::directory()).expect("the directory");
    let names = files.filter_map(|file| file.expect("an entry").file_name().into_string().ok());
    let left: Vec<_> = names.filter(|name| name.starts_with(&large)).collect();
    assert_eq!(left.len(), 1, "that of the last ring alone: {left:?}");
}
