//! From rings into a file and back, in memory.

use std::cell::Cell;

use mixcord_event::{Document, Header, Kind, Record, Shard, Value, atoms, record, topology};
use mixcord_recording::{
    Player, Progress, Reader, Recorder, Redactor, ReplayError, Speed, Wanted, Writer,
};
use mixcord_ring::{Geometry, GroupSpec, Limits, Meta, Namespace, Observed, Producer, Ring, Start};

fn ring(namespace: &Namespace, shard: u16, slots: u32) -> Producer {
    let bell = namespace.bell().expect("a bell");
    let geometry = Geometry::new(slots, 1 << 18, 4, 1, 4).expect("a geometry");
    let name = topology::shard_ring(shard, 2);
    Producer::create(namespace, &name, geometry, &[], &bell).expect("a ring")
}

fn publish(out: &mut Producer, kind: Kind, shard: u16, seq: u64, json: &str) {
    let data = Document::from_json(json).expect("JSON");
    let key = mixcord_event::partition_key(kind, data.value());
    let shard = Shard { id: shard, count: 2 };
    let header =
        Header { kind, shard, seq, key, received_us: 1_000_000 + seq, ..Header::default() };
    let mut bytes = Vec::new();
    record::encode(&header, None, data.as_bytes(), None, &mut bytes);
    let meta = Meta { key, tag: kind.number().into(), source: seq, order: 0 };
    out.stage(&meta, &[&bytes]).expect("room");
    out.publish();
}

/// All that a ring holds.
fn held(namespace: &Namespace, shard: u16) -> Vec<(u64, Meta, Vec<u8>)> {
    let ring = Ring::attach(namespace, &topology::shard_ring(shard, 2)).expect("a ring");
    let mut seen = Observed::default();
    ring.glance(0, Limits { records: 1 << 16, bytes: 1 << 24 }, &mut seen).expect("whole");
    let all = seen.entries().map(|entry| {
        let meta =
            Meta { key: entry.key, tag: entry.tag, source: entry.source, order: entry.order };
        (entry.position, meta, entry.payload.to_vec())
    });
    all.collect()
}

fn record_all(namespace: &Namespace, wanted: Wanted, redact: bool) -> (Vec<u8>, u64) {
    let writer = Writer::new(Vec::new(), 1, redact).expect("it is memory");
    let redactor = redact.then(Redactor::new);
    let mut recorder =
        Recorder::new(namespace.clone(), writer, wanted, redactor, true).expect("a bell");
    while recorder.round().expect("no error") {}
    let (bytes, recorded) = recorder.finish().expect("it is memory");
    assert_eq!(recorded.bytes, bytes.len() as u64);
    (bytes, recorded.lost)
}

fn replay(bytes: &[u8], into: &Namespace) -> Result<mixcord_recording::Played, ReplayError> {
    let reader = Reader::open(bytes).expect("a recording");
    Player::new(into.clone(), Speed::Max)?.play(reader, || false, |_: Progress| {})
}

#[test]
fn rings_come_back_as_they_were() {
    let (from, into) = (Namespace::private(), Namespace::private());
    let mut rings = [ring(&from, 0, 256), ring(&from, 1, 1024)];
    for seq in 1..100 {
        let shard = (seq % 2) as u16;
        publish(
            &mut rings[shard as usize],
            Kind::MESSAGE_CREATE,
            shard,
            seq,
            r#"{"id":"1","guild_id":"9"}"#,
        );
    }
    let (bytes, lost) = record_all(&from, Wanted::default(), false);
    let played = replay(&bytes, &into).expect("replayed");
    assert_eq!((played.records, played.lost, played.whole, lost), (99, 0, true, 0));
    for shard in 0..2 {
        assert_eq!(held(&into, shard), held(&from, shard));
        let attach =
            |namespace| Ring::attach(namespace, &topology::shard_ring(shard, 2)).expect("a ring");
        assert_eq!(attach(&into).geometry(), attach(&from).geometry());
        let groups = attach(&into).groups();
        assert!(
            groups.iter().any(|group| group.name == "cache" && group.floor == 0),
            "the cache misses nothing"
        );
    }
    assert!(matches!(replay(&bytes, &into), Err(ReplayError::Exists { .. })));
}

/// More than is read at a time, and a ring that nobody looked for yet.
#[test]
fn what_is_in_the_rings_when_it_ends_is_recorded() {
    let from = Namespace::private();
    let mut first = ring(&from, 0, 1024);
    let writer = Writer::new(Vec::new(), 1, false).expect("it is memory");
    let mut recorder =
        Recorder::new(from.clone(), writer, Wanted::default(), None, true).expect("a bell");
    (0..700).for_each(|seq| publish(&mut first, Kind::MESSAGE_CREATE, 0, seq, "{}"));
    assert!(recorder.round().expect("no error"));
    let mut second = ring(&from, 1, 64);
    (0..10).for_each(|seq| publish(&mut second, Kind::MESSAGE_CREATE, 1, seq, "{}"));
    let (bytes, recorded) = recorder.finish().expect("it is memory");
    assert_eq!((recorded.rings, recorded.records, recorded.lost), (2, 710, 0));
    let into = Namespace::private();
    replay(&bytes, &into).expect("replayed");
    assert_eq!((held(&into, 0), held(&into, 1)), (held(&from, 0), held(&from, 1)));
}

/// Rings in /dev/shm, where one may take the place of another; removed with it.
struct Rings(Namespace);

impl Rings {
    fn new(name: &str) -> Self {
        let name = format!("t{}-recording-{name}", std::process::id());
        Self(Namespace::new(&topology::namespace(&name)).expect("a name"))
    }
}

impl Drop for Rings {
    fn drop(&mut self) {
        for name in self.0.rings().unwrap_or_default() {
            let _ = self.0.unlink_ring(&name);
        }
        let _ = self.0.remove_all();
    }
}

/// The other one is not looked for before the first is read to its end.
#[test]
fn a_ring_that_took_the_place_of_another_before_the_end_is_recorded() {
    let rings = Rings::new("successor");
    let from = &rings.0;
    let mut first = ring(from, 0, 64);
    let writer = Writer::new(Vec::new(), 1, false).expect("it is memory");
    let recorder =
        Recorder::new(from.clone(), writer, Wanted::default(), None, true).expect("a bell");
    (0..5).for_each(|seq| publish(&mut first, Kind::MESSAGE_CREATE, 0, seq, "{}"));
    from.unlink_ring(&topology::shard_ring(0, 2)).expect("it is there");
    let mut second = ring(from, 0, 64);
    (0..7).for_each(|seq| publish(&mut second, Kind::MESSAGE_CREATE, 0, seq, "{}"));
    let (_, recorded) = recorder.finish().expect("it is memory");
    assert_eq!((recorded.rings, recorded.records, recorded.lost), (2, 12, 0));
}

/// A ring that was read to its end is nobody's before another takes its place.
#[test]
fn a_ring_that_somebody_took_away_is_replaced() {
    let rings = Rings::new("taken");
    let (from, into) = (&rings.0, Namespace::private());
    let name = topology::shard_ring(0, 2);
    let mut first = ring(from, 0, 64);
    let writer = Writer::new(Vec::new(), 1, false).expect("it is memory");
    let mut recorder =
        Recorder::new(from.clone(), writer, Wanted::default(), None, true).expect("a bell");
    publish(&mut first, Kind::MESSAGE_CREATE, 0, 1, "{}");
    while recorder.round().expect("no error") {}
    from.unlink_ring(&name).expect("it is there");
    publish(&mut ring(from, 0, 64), Kind::MESSAGE_CREATE, 0, 2, "{}");
    let (bytes, _) = recorder.finish().expect("it is memory");

    let bell = into.bell().expect("a bell");
    let cache = GroupSpec::durable(topology::CACHE_GROUP).from(Start::Earliest);
    let is_read = Cell::new(false);
    let stopped = || {
        let Ok(made) = Ring::attach(&into, &name) else { return false };
        let mut member = made.join(&cache, &bell).expect("a group");
        let limits = Limits { records: 64, bytes: 1 << 20 };
        if let Some(batch) = member.take(limits).expect("whole")
            && !is_read.replace(true)
        {
            batch.ack();
            into.remove_ring(&name).expect("it is there");
        }
        false
    };
    let player = Player::new(into.clone(), Speed::Max).expect("a bell");
    let reader = Reader::open(&bytes[..]).expect("a recording");
    let played = player.play(reader, stopped, |_| {}).expect("replayed");
    assert_eq!((played.records, played.whole, is_read.get()), (2, true, true));
    assert_eq!(held(&into, 0), held(from, 0));
}

#[test]
fn what_was_overwritten_is_counted() {
    let from = Namespace::private();
    let mut out = ring(&from, 0, 64);
    let writer = Writer::new(Vec::new(), 1, false).expect("it is memory");
    let mut recorder = Recorder::new(from, writer, Wanted::default(), None, true).expect("a bell");
    (0..200).for_each(|seq| publish(&mut out, Kind::MESSAGE_CREATE, 0, seq, "{}"));
    while recorder.round().expect("no error") {}
    let (bytes, recorded) = recorder.finish().expect("it is memory");
    assert!(recorded.lost >= 136 && recorded.records + recorded.lost == 200, "{recorded:?}");
    let played = replay(&bytes, &Namespace::private()).expect("replayed");
    assert_eq!((played.records, played.lost), (recorded.records, recorded.lost));
}

#[test]
fn only_what_is_wanted_and_what_tells_of_sessions_is_recorded() {
    let from = Namespace::private();
    let mut out = ring(&from, 0, 64);
    publish(&mut out, Kind::READY, 0, 1, r#"{"user":{"id":"1"}}"#);
    publish(&mut out, Kind::MESSAGE_CREATE, 0, 2, r#"{"id":"1","guild_id":"9"}"#);
    publish(&mut out, Kind::MESSAGE_CREATE, 0, 3, r#"{"id":"1","guild_id":"8"}"#);
    publish(&mut out, Kind::TYPING_START, 0, 4, r#"{"guild_id":"9"}"#);
    publish(&mut out, Kind::GAP, 0, 0, r#"{"shard":0}"#);
    let seqs = |wanted: Wanted| {
        let into = Namespace::private();
        replay(&record_all(&from, wanted, false).0, &into).expect("replayed");
        let records = held(&into, 0);
        records.iter().map(|(_, meta, _)| meta.source).collect::<Vec<_>>()
    };
    assert_eq!(seqs(Wanted::default()), [1, 2, 3, 4, 0]);
    assert_eq!(
        seqs(Wanted { kinds: vec!["TYPING_START".to_owned()], ..Wanted::default() }),
        [1, 4, 0]
    );
    assert_eq!(seqs(Wanted { guilds: vec![9], ..Wanted::default() }), [1, 2, 4, 0]);
}

/// Words that no recording may have; what a bot decides by stays, and the same text is the same.
#[test]
fn redacted_texts_are_gone_and_alike_where_they_were_alike() {
    let from = Namespace::private();
    let mut out = ring(&from, 0, 64);
    let author = r#""author":{"id":"5","username":"secretname","global_name":"Secret Name","discriminator":"0"}"#;
    let message = |id: u64| {
        format!(
            r#"{{"id":"{id}","guild_id":"9","content":"secret words","timestamp":"2026-01-01T00:00:00Z",{author},
               "embeds":[{{"type":"rich","title":"secret title","fields":[{{"name":"secret","value":"secret"}}]}}],
               "new_of_discord":{{"deep":["secret list"]}}}}"#
        )
    };
    publish(&mut out, Kind::MESSAGE_CREATE, 0, 1, &message(1));
    publish(&mut out, Kind::MESSAGE_CREATE, 0, 2, &message(2));
    publish(
        &mut out,
        Kind::INTERACTION_CREATE,
        0,
        3,
        r#"{"id":"3","token":"secret token","data":{"name":"config",
        "options":[{"name":"set","value":"secret value"}],"custom_id":"vote:yes","resolved":{"users":{"5":{"username":"secretname"}}}}}"#,
    );
    publish(
        &mut out,
        Kind::PRESENCE_UPDATE,
        0,
        4,
        r#"{"status":"idle","activities":[{"name":"secret game","state":"secret"}]}"#,
    );
    publish(
        &mut out,
        Kind::READY,
        0,
        5,
        r#"{"session_id":"secret session","resume_gateway_url":"wss://secret"}"#,
    );
    let into = Namespace::private();
    replay(&record_all(&from, Wanted::default(), true).0, &into).expect("replayed");
    let records = held(&into, 0);
    let records: Vec<_> =
        records.iter().map(|(_, _, bytes)| Record::parse(bytes).expect("whole")).collect();
    assert!(
        records.iter().all(|record| !record.data().to_json().to_lowercase().contains("secret"))
    );
    let text = |index: usize, path: &[mixcord_event::Step<'_>]| {
        let data: Value<'_> = records[index].data();
        data.path(path).and_then(|value| value.as_str()).map(str::to_owned).expect("a text")
    };
    let name = text(0, &[atoms::AUTHOR.into(), atoms::USERNAME.into()]);
    assert!(name.starts_with("name-"), "{name}");
    assert_eq!(name, text(1, &[atoms::AUTHOR.into(), atoms::USERNAME.into()]));
    assert_eq!(
        name,
        text(2, &["data".into(), "resolved".into(), "users".into(), "5".into(), "username".into()])
    );
    assert_eq!(text(0, &[atoms::CONTENT.into()]), text(1, &[atoms::CONTENT.into()]));
    assert_ne!(text(0, &[atoms::CONTENT.into()]), name);
    assert_eq!(text(0, &["timestamp".into()]), "2026-01-01T00:00:00Z");
    assert_eq!(text(2, &["data".into(), "name".into()]), "config");
    assert_eq!(text(2, &["data".into(), "custom_id".into()]), "vote:yes");
    assert_eq!(text(2, &["data".into(), "options".into(), 0.into(), "name".into()]), "set");
    assert_eq!(text(3, &["status".into()]), "idle");
    let ids = |index: usize| records[index].data().get(atoms::ID).and_then(|id| id.as_u64());
    assert_eq!((ids(0), ids(1), records[0].guild_id()), (Some(1), Some(2), Some(9)));
}

#[test]
fn rings_of_a_file_take_no_more_together_than_they_may() {
    let (from, into) = (Namespace::private(), Namespace::private());
    let rings = [ring(&from, 0, 64), ring(&from, 1, 64)];
    let of_one = rings[0].geometry().segment_bytes();
    let (bytes, _) = record_all(&from, Wanted::default(), false);
    let play = |most| {
        let player = Player::new(into.clone(), Speed::Max).expect("a bell").rings_within(most);
        player.play(Reader::open(&bytes[..]).expect("a recording"), || false, |_| {})
    };
    let Err(ReplayError::TooLarge { bytes: taken, most, .. }) = play(2 * of_one - 1) else {
        panic!("it takes more than it may");
    };
    assert_eq!((taken, most), (2 * of_one, 2 * of_one - 1));
    let made = |shard| Ring::attach(&into, &topology::shard_ring(shard, 2)).is_ok();
    assert_ne!(made(0), made(1), "the first is made, the second is not");
    into.remove_all().expect("gone");
    play(2 * of_one).expect("both");
}
