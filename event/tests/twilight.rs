//! twilight-model, the strictest typed reader of Discord's payloads, reads our records directly:
//! what it makes of a record is what it makes of the JSON text.

use mixcord_event::{Decoder, Limits, Record, RecordMeta};
use serde::de::DeserializeSeed as _;
use twilight_model::gateway::event::{DispatchEvent, DispatchEventWithTypeDeserializer};

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

#[test]
fn twilight_reads_every_fixture_from_the_record_as_from_json() {
    let mut decoder = Decoder::new(Limits::default());
    let mut unknown = Vec::new();
    for line in include_str!("fixtures.jsonl").lines() {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        let name = json["t"].as_str().unwrap();
        let seed = || DispatchEventWithTypeDeserializer::new(name);
        let expected = match seed().deserialize(&json["d"]) {
            Ok(event) => event,
            Err(error) if error.to_string().starts_with("unknown variant") => {
                unknown.push(name.to_owned());
                continue;
            }
            // It wants `meta` tagged as Rust tags enums, which Discord does not.
            Err(_) if name == "RATE_LIMITED" => continue,
            Err(error) => panic!("twilight refuses the fixture {name}: {error}"),
        };
        // From text too: only there may it borrow.
        let text = json["d"].to_string();
        let from_text = seed().deserialize(&mut serde_json::Deserializer::from_str(&text)).unwrap();
        assert_eq!(from_text, expected, "{name}");

        let mut frame = decoder.json(line.as_bytes()).unwrap();
        let record = Record::parse(frame.record(&RecordMeta::default())).unwrap();
        let event: DispatchEvent = seed()
            .deserialize(record.data())
            .unwrap_or_else(|error| panic!("from the record, {name}: {error}"));
        assert_eq!(event, expected, "{name}");
    }
    unknown.sort_unstable();
    assert_eq!(unknown, UNKNOWN_TO_TWILIGHT);
}
