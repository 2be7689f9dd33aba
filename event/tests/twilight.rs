//! twilight-model, the strictest typed reader of Discord's payloads, reads our records directly:
//! what it makes of a record is what it makes of the JSON text.

use std::collections::BTreeSet;

mod tree;

use mixcord_event::{
    Decoder, Document, Header, Kind, Limits, Record, RecordMeta, from_value, record,
    twilight::{
        TwilightError, dispatch_event,
        twilight_model::{
            gateway::{
                event::{DispatchEvent, DispatchEventWithTypeDeserializer, Event},
                payload::incoming::rate_limited::RateLimitMetadata,
            },
            guild::Role,
        },
    },
};
use serde::de::DeserializeSeed as _;
use serde_json::Value as Json;

/// Names twilight-model 0.18 does not know.
const UNKNOWN_TO_TWILIGHT: &[&str] = &[
    "CHANNEL_INFO",
    "ENTITLEMENT_DELETE",
    "ENTITLEMENT_UPDATE",
    "GUILD_SOUNDBOARD_SOUNDS_UPDATE",
    "GUILD_SOUNDBOARD_SOUND_CREATE",
    "GUILD_SOUNDBOARD_SOUND_DELETE",
    "GUILD_SOUNDBOARD_SOUND_UPDATE",
    "SOUNDBOARD_SOUNDS",
    "VOICE_CHANNEL_EFFECT_SEND",
    "VOICE_CHANNEL_START_TIME_UPDATE",
    "VOICE_CHANNEL_STATUS_UPDATE",
];

/// The fixtures, each as (text of the message, message).
fn fixtures() -> impl Iterator<Item = (&'static str, Json)> {
    include_str!("fixtures.jsonl").lines().map(|line| (line, serde_json::from_str(line).unwrap()))
}

/// What twilight-model makes of JSON, from text, since only there it may borrow.
fn from_text(name: &str, data: &Json) -> Result<DispatchEvent, serde_json::Error> {
    let seed = DispatchEventWithTypeDeserializer::new(name);
    seed.deserialize(&mut serde_json::Deserializer::from_str(&data.to_string()))
}

#[test]
fn every_fixture_is_to_twilight_what_its_json_is() {
    let mut decoder = Decoder::new(Limits::default());
    let mut unknown = BTreeSet::new();
    for (line, json) in fixtures() {
        let name = json["t"].as_str().unwrap();
        let data = tree::Tree::of(&json["d"]).settle(tree::Place::Plain);
        let term = tree::etf::discords_message(name, 1, &data, tree::etf::Names::Atoms);
        for is_etf in [false, true] {
            let frame = if is_etf { decoder.etf(&term) } else { decoder.json(line.as_bytes()) };
            let mut frame = frame.unwrap();
            let record = Record::parse(frame.record(&RecordMeta::default())).unwrap();
            match record.to_twilight() {
                // What it should be is below.
                Ok(_) if name == "RATE_LIMITED" => {}
                Ok(event) => assert_eq!(event, from_text(name, &json["d"]).unwrap(), "{name}"),
                Err(TwilightError::Unknown { name: unknown_name }) => {
                    assert_eq!(&*unknown_name, name);
                    assert!(from_text(name, &json["d"]).is_err(), "{name}");
                    unknown.insert(name.to_owned());
                }
                Err(error) => panic!("{name}: {error}"),
            }
        }
    }
    assert!(
        unknown.iter().map(String::as_str).eq(UNKNOWN_TO_TWILIGHT.iter().copied()),
        "{unknown:?}"
    );
}

/// The one event that twilight-model cannot read from Discord's JSON, and can from ours.
#[test]
fn rate_limited_is_read() {
    let (_, json) = fixtures().find(|(_, json)| json["t"] == "RATE_LIMITED").unwrap();
    assert!(
        from_text("RATE_LIMITED", &json["d"]).is_err(),
        "twilight-model learnt it: drop our way"
    );
    let document = Document::from_json(&json["d"].to_string()).unwrap();
    let event = dispatch_event("RATE_LIMITED", document.value()).unwrap();
    let DispatchEvent::RateLimited(event) = event else { panic!("{event:?}") };
    let RateLimitMetadata::RequestGuildMembers { guild_id, nonce } = event.meta else {
        panic!("{event:?}")
    };
    assert_eq!(Some(guild_id.to_string().as_str()), json["d"]["meta"]["guild_id"].as_str());
    assert_eq!(nonce.as_deref(), json["d"]["meta"]["nonce"].as_str());
    assert_eq!(Some(f64::from(event.retry_after)), json["d"]["retry_after"].as_f64());
}

/// Real payloads, when they are at hand: what twilight-model reads from their JSON, it reads from records,
/// and where it refuses the one it refuses the other.
#[test]
fn real_events_are_to_twilight_what_their_json_is() {
    let mut decoder = Decoder::new(Limits::default());
    for (line, json) in tree::corpus::payloads() {
        let name = json["t"].as_str().unwrap();
        let mut frame = decoder.json(line.as_bytes()).unwrap();
        let record = Record::parse(frame.record(&RecordMeta::default())).unwrap();
        match (record.to_twilight(), from_text(name, &json["d"])) {
            (Ok(event), Ok(expected)) => assert_eq!(event, expected, "{}", json["name"]),
            (Ok(_), Err(error)) => {
                assert_eq!(name, "RATE_LIMITED", "{}: {error}", json["name"]);
            }
            (Err(error), Ok(_)) => panic!("{}: {error}", json["name"]),
            (Err(_), Err(_)) => {}
        }
    }
}

#[test]
fn what_does_not_fit_is_said() {
    let null = Document::from_json("null").unwrap();
    let error = dispatch_event("MESSAGE_CREATE", null.value()).unwrap_err();
    assert!(matches!(&error, TwilightError::Mismatch { name, .. } if &**name == "MESSAGE_CREATE"));
    assert!(error.to_string().contains("MESSAGE_CREATE"), "{error}");
    for kind in [Kind::GAP, Kind::SHARD_STATE] {
        let mut bytes = Vec::new();
        let header = Header { kind, ..Header::default() };
        record::encode(&header, None, null.as_bytes(), None, &mut bytes);
        let error = Record::parse(&bytes).unwrap().to_twilight().unwrap_err();
        assert!(matches!(&error, TwilightError::Unknown { name } if **name == *kind.name()));
    }
}

/// The entity before an event, and the event as the enum that twilight's other crates take.
#[test]
fn entities_and_events_of_twilight() {
    let (line, json) = fixtures().find(|(_, json)| json["t"] == "GUILD_ROLE_UPDATE").unwrap();
    let mut decoder = Decoder::new(Limits::default());
    let mut frame = decoder.json(line.as_bytes()).unwrap();
    let record = Record::parse(frame.record(&RecordMeta::default())).unwrap();
    let role: Role = from_value(record.data().get_str("role").unwrap()).unwrap();
    assert_eq!(role, serde_json::from_value(json["d"]["role"].clone()).unwrap());
    let event = Event::from(record.to_twilight().unwrap());
    assert!(matches!(event, Event::RoleUpdate(update) if update.role == role));
}
