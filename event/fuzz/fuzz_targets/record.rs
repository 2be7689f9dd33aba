//! Any bytes as a record, such as another process may leave in a segment; and as the documents of
//! a record whose header is in order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mixcord_event::{Header, Record, Seal, Value, edit, from_value, record};
use mixcord_event_fuzz::walk;

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    let (data, old) = bytes.split_at(bytes.len() / 2);
    let mut whole = Vec::new();
    record::encode(&Header::default(), None, data, Some(old), &mut whole);
    read(&whole);
    whole.clear();
    record::encode(&Header::default(), None, bytes, None, &mut whole);
    read(&whole);
    forged(&whole);
});

/// Under a seal that says that it is whole, whatever it is.
fn forged(bytes: &[u8]) {
    let record =
        Record::parse_sealed(bytes, Seal::of(bytes)).expect("the seal is that of the bytes");
    walk(record.data());
    let _ = (record.data().to_json(), from_value::<serde_json::Value>(record.data()));
    let _ = (record.guild_id(), edit::changes(record.data(), record.data()));
    if let Some(map) = record.data().as_map() {
        edit::merge(map, map, &mut Vec::new());
    }
}

fn read(bytes: &[u8]) {
    let Ok(record) = Record::parse(bytes) else { return };
    let _ = (record.kind_name(), record.guild_id(), record.header());
    walk(record.data());
    let json = serde_json::to_string(&record.data()).expect("every value has JSON");
    assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
    let Some(old) = record.old() else { return };
    walk(old);
    assert_eq!(old, old);
    let _ = edit::changes(old, record.data());
    if let (Some(old), Some(new)) = (old.as_map(), record.data().as_map()) {
        let mut merged = Vec::new();
        edit::merge(old, new, &mut merged);
        Value::parse(&merged).expect("what we write, we read");
    }
}
