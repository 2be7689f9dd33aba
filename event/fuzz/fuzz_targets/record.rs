//! Any bytes as a record, such as another process may leave in a segment; and as the documents of
//! a record whose header is in order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mixcord_event::{Header, Record, Value, edit, record};
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
});

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
