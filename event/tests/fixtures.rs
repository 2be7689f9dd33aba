//! An event of every documented kind, written from the documented fields (`fixtures.jsonl`).

mod tree;

use std::collections::BTreeSet;

use mixcord_event::{Atom, Decoder, Document, Kind, Limits, Record, RecordMeta, Value, Warning};
use serde_json::Value as Json;

const FIXTURES: &str = include_str!("fixtures.jsonl");

fn fixtures() -> impl Iterator<Item = (&'static str, Json)> {
    FIXTURES.lines().map(|line| (line, serde_json::from_str(line).expect(line)))
}

#[test]
fn every_documented_kind_has_a_fixture() {
    let names: BTreeSet<String> =
        fixtures().map(|(_, json)| json["t"].as_str().unwrap().to_owned()).collect();
    let known: BTreeSet<String> = (1..=79)
        .map(|number| Kind::from_number(number).expect("79 kinds").name().to_owned())
        .collect();
    assert_eq!(names, known);
    assert!(Kind::from_number(80).is_none_or(|kind| !known.contains(kind.name())));
}

/// The table has every key of every fixture, so that none of them travels as text.
#[test]
fn the_key_table_has_every_key_of_the_fixtures() {
    let mut decoder = Decoder::new(Limits::default());
    for (line, json) in fixtures() {
        let mut frame = decoder.json(line.as_bytes()).unwrap();
        assert_eq!(frame.name(), json["t"].as_str());
        assert_eq!(frame.seq(), json["s"].as_u64());
        let record = Record::parse(frame.record(&RecordMeta::default())).unwrap();
        assert_eq!(record.kind().name(), json["t"].as_str().unwrap());
    }
    assert_eq!(decoder.take_warnings(), []);
}

/// And it has no key twice, finds each, and says which hold snowflakes.
#[test]
fn the_key_table_is_its_own_inverse() {
    let names: BTreeSet<&str> = Atom::all().map(Atom::as_str).collect();
    assert_eq!(names.len(), Atom::all().count());
    for atom in Atom::all() {
        assert_eq!(Atom::lookup(atom.as_str().as_bytes()), Some(atom));
        assert_eq!(Atom::from_number(atom.number()), Some(atom).filter(|atom| !atom.is_later()));
        let longer = format!("{atom}x");
        assert!(Atom::lookup(longer.as_bytes()).is_none_or(|found| found.as_str() == longer));
        let shorter = &atom.as_str()[1..];
        assert!(Atom::lookup(shorter.as_bytes()).is_none_or(|found| found.as_str() == shorter));
    }
    let is_id = |key: &str| Atom::lookup(key.as_bytes()).expect(key).is_snowflake();
    for key in [
        "id",
        "guild_id",
        "channel_id",
        "user_id",
        "roles",
        "mention_roles",
        "applied_tags",
        "ids",
        "not_found",
        "role_ids",
        "sku_ids",
        "removed_member_ids",
        "sound_id",
        "target_id",
    ] {
        assert!(is_id(key), "{key}");
    }
    for key in [
        "nonce",
        "custom_id",
        "session_id",
        "code",
        "permissions",
        "answer_id",
        "token",
        "animation_id",
        "value",
        "sync_id",
        "d",
        "application",
        "user",
    ] {
        assert!(!is_id(key), "{key}");
    }
}

/// All fixtures, in Discord's shape of ETF and in others, are what they are in JSON.
#[test]
fn etf_and_json_give_equal_records() {
    for (line, json) in fixtures() {
        let data = tree::Tree::of(&json["d"]);
        for seed in 0..20 {
            let settled = data.clone().settle(tree::Place::Plain);
            let name = json["t"].as_str().unwrap();
            let seq = json["s"].as_u64().unwrap();
            let term = tree::etf::message(name, seq, &settled, &mut tree::Dice::new(seed * 7919));
            let (mut one, mut two) =
                (Decoder::new(Limits::default()), Decoder::new(Limits::default()));
            let mut etf = one.etf(&term).unwrap();
            let mut json = two.json(line.as_bytes()).unwrap();
            let meta = RecordMeta::default();
            let (etf, json) = (etf.record(&meta), json.record(&meta));
            let (etf, json) = (Record::parse(etf).unwrap(), Record::parse(json).unwrap());
            assert_eq!(etf.data(), json.data(), "{name}");
            assert_eq!(etf.header(), json.header(), "{name}");
            assert!(settled.is(etf.data()), "{name}");
        }
    }
}

/// Printed, an event is what Discord sent. One field differs by design: an id that came as a number
/// (`sound_id`) is printed as text, as Discord prints all other ids.
#[test]
fn printing_gives_discords_json() {
    for (line, json) in fixtures() {
        let data = Document::from_json(&json["d"].to_string()).unwrap();
        let printed: Json = serde_json::from_str(&data.to_json()).unwrap();
        assert_eq!(printed, with_text_ids(json["d"].clone(), tree::Place::Plain), "{line}");
    }
}

#[test]
fn partition_keys_follow_guild_then_channel_then_user() {
    let mut decoder = Decoder::new(Limits::default());
    for (line, json) in fixtures() {
        let frame = decoder.json(line.as_bytes()).unwrap();
        let (name, data) = (json["t"].as_str().unwrap(), &json["d"]);
        let id = |value: &Json| value.as_str().and_then(|text| text.parse::<u64>().ok());
        let expected = match name {
            "GUILD_CREATE" | "GUILD_UPDATE" | "GUILD_DELETE" | "USER_UPDATE" => id(&data["id"]),
            _ => id(&data["guild_id"])
                .or_else(|| id(&data["channel_id"]))
                .or_else(|| id(&data["user_id"]))
                .or_else(|| id(&data["user"]["id"])),
        };
        assert_eq!(frame.partition_key(), expected.unwrap_or(0), "{name}");
    }
    // A private message belongs to its channel, a subscription to its user.
    let key =
        |decoder: &mut Decoder, json: &str| decoder.json(json.as_bytes()).unwrap().partition_key();
    let message =
        r#"{"op":0,"t":"MESSAGE_CREATE","d":{"author":{"id":"3"},"channel_id":"7","id":"5"}}"#;
    assert_eq!(key(&mut decoder, message), 7);
    let subscription = r#"{"op":0,"t":"SUBSCRIPTION_CREATE","d":{"id":"5","user_id":"9"}}"#;
    assert_eq!(key(&mut decoder, subscription), 9);
    assert_eq!(key(&mut decoder, r#"{"op":0,"t":"RESUMED","d":null}"#), 0);
}

/// What nobody documents passes through whole, and is told of once.
#[test]
fn unknown_keys_and_events_pass_and_warn_once() {
    let mut decoder = Decoder::new(Limits::default());
    let message = r#"{"op":0,"s":5,"t":"GUILD_JOIN_REQUEST_CREATE","d":{"guild_id":"7","brand_new":{"id":"8"},"41":1}}"#;
    for round in 0..3 {
        let mut frame = decoder.json(message.as_bytes()).unwrap();
        assert_eq!(frame.kind(), Some(Kind::UNKNOWN));
        assert_eq!(frame.name(), Some("GUILD_JOIN_REQUEST_CREATE"));
        let record = Record::parse(frame.record(&RecordMeta::default())).unwrap();
        assert_eq!(record.kind_name(), "GUILD_JOIN_REQUEST_CREATE");
        assert_eq!(record.header().key, 7);
        let new = record.data().get_str("brand_new").and_then(|new| new.get_str("id"));
        assert_eq!(new, Some(Value::Id(8)));
        let expected: &[Warning] = match round {
            0 => &[
                Warning::Key("brand_new".into()),
                Warning::Event("GUILD_JOIN_REQUEST_CREATE".into()),
            ],
            _ => &[],
        };
        assert_eq!(decoder.take_warnings(), expected);
    }
    // However many there are, what waits is bounded.
    for number in 0..10_000 {
        let message = format!(r#"{{"op":0,"t":"NEW_{number}","d":{{"new_{number}":1}}}}"#);
        decoder.json(message.as_bytes()).unwrap();
    }
    assert!(decoder.take_warnings().len() <= 1024);
    let message = r#"{"op":0,"t":"GUILD_JOIN_REQUEST_CREATE","d":{"brand_new":1}}"#;
    decoder.json(message.as_bytes()).unwrap();
    assert_eq!(decoder.take_warnings(), []);
}

/// Integers that are snowflakes as text.
fn with_text_ids(json: Json, place: tree::Place) -> Json {
    use tree::Place;
    match json {
        Json::Number(number) if matches!(place, Place::Ids | Place::IdList) && number.is_u64() => {
            Json::String(number.to_string())
        }
        Json::Array(items) => {
            items.into_iter().map(|item| with_text_ids(item, place.in_list())).collect()
        }
        Json::Object(members) => {
            let members = members.into_iter().map(|(key, value)| {
                let place = Place::under(&key, place);
                (key, with_text_ids(value, place))
            });
            Json::Object(members.collect())
        }
        other => other,
    }
}
