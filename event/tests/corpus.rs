//! Real payloads, when they are at hand: they are no part of the repository.

use std::{fs, path::Path};

use mixcord_event::{Decoder, Document, Limits, Record, RecordMeta};

#[test]
fn every_real_event_survives_json_to_record_to_json() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus/discord-payloads.jsonl");
    let Ok(text) = fs::read_to_string(&path) else { return };
    let mut decoder = Decoder::new(Limits::default());
    for line in text.lines() {
        let payload: serde_json::Value = serde_json::from_str(line).unwrap();
        let mut frame = decoder.json(line.as_bytes()).unwrap();
        assert_eq!(frame.name(), payload["t"].as_str());
        let record = Record::parse(frame.record(&RecordMeta::default())).unwrap();
        let printed: serde_json::Value = serde_json::from_str(&record.data().to_json()).unwrap();
        assert_eq!(printed, payload["d"], "{}", payload["name"]);
        let again = Document::from_json(&record.data().to_json()).unwrap();
        assert_eq!(again.value(), record.data());
    }
    println!("{:?}", decoder.take_warnings());
}
