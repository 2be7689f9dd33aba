//! Real payloads, when they are at hand: they are no part of the repository.

mod tree;

use mixcord_event::{Decoder, Document, Limits, Record, RecordMeta};
use serde_json::Value as Json;
use tree::{Dice, Place, Tree, corpus::payloads, etf::Names};

#[test]
fn every_real_event_survives_json_to_record_to_json() {
    let mut decoder = Decoder::new(Limits::default());
    for (line, payload) in payloads() {
        let mut frame = decoder.json(line.as_bytes()).unwrap();
        assert_eq!(frame.name(), payload["t"].as_str());
        let record = Record::parse(frame.record(&RecordMeta::default())).unwrap();
        let printed: Json = serde_json::from_str(&record.data().to_json()).unwrap();
        assert_eq!(printed, payload["d"], "{}", payload["name"]);
        let again = Document::from_json(&record.data().to_json()).unwrap();
        assert_eq!(again.value(), record.data());
    }
}

/// Discord's own shape of ETF and any other give the record that JSON gives.
#[test]
fn every_real_event_is_in_etf_what_it_is_in_json() {
    let (mut one, mut two) = (Decoder::new(Limits::default()), Decoder::new(Limits::default()));
    let meta = RecordMeta::default();
    for (line, payload) in payloads() {
        let name = payload["t"].as_str().unwrap();
        let seq = payload["s"].as_u64().unwrap();
        let data = Tree::of(&payload["d"]).settle(Place::Plain);
        let mut json = one.json(line.as_bytes()).unwrap();
        let json = Record::parse(json.record(&meta)).unwrap();
        assert!(data.is(json.data()), "{}", payload["name"]);
        for seed in 0..10 {
            let term = match seed {
                0 => tree::etf::discords_message(name, seq, &data, Names::Atoms),
                _ => tree::etf::message(name, seq, &data, &mut Dice::new(seed * 7919)),
            };
            let mut etf = two.etf(&term).unwrap();
            let etf = Record::parse(etf.record(&meta)).unwrap();
            assert_eq!(etf.header(), json.header(), "{}", payload["name"]);
            assert_eq!(etf.data(), json.data(), "{}", payload["name"]);
        }
    }
}
