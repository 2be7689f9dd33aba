//! What must hold for every message that is accepted and for every record that is read.

use mixcord_event::{Decoder, Document, Frame, Key, Limits, Record, RecordMeta, Value};

/// Small enough that a fuzzer with a memory limit notices whoever ignores them.
pub const LIMITS: Limits = Limits {
    frame_bytes: 1 << 20,
    inflated_bytes: 1 << 20,
    document_bytes: 4 << 20,
    elements: 1 << 16,
    depth: 64,
};

/// A frame gives a record that can be read, and whose data survives a trip through JSON.
pub fn frame(mut frame: Frame<'_>) {
    let bytes = frame.record(&RecordMeta::default());
    let record = Record::parse(bytes).expect("what we write, we read");
    walk(record.data());
    trip(record.data());
}

/// Prints a value and reads it back: the same value.
pub fn trip(value: Value<'_>) {
    let json = serde_json::to_string(&value).expect("every value has JSON");
    let mut decoder = Decoder::new(Limits { depth: usize::MAX, ..Limits::default() });
    let again: Document = decoder.document_from_json(json.as_bytes()).expect("our own JSON");
    // Text that only looks like an id becomes one only under keys that say so: printed and read
    // again nothing changes any more.
    let twice = serde_json::to_string(&again.value()).expect("every value has JSON");
    assert_eq!(json, twice);
    assert_eq!(value, again.value());
}

/// Reads everything there is.
pub fn walk(value: Value<'_>) {
    match value {
        Value::Map(map) => {
            let mut count = 0;
            for (key, value) in map {
                // Bytes from elsewhere may hold a documented key as text, which is found as text only.
                if matches!(key, Key::Atom(_)) {
                    assert!(map.get_key(key).is_some());
                }
                walk(value);
                count += 1;
                if count > 64 {
                    break;
                }
            }
        }
        Value::List(list) => list.iter().for_each(walk),
        Value::Str(text) => assert!(text.len() < usize::MAX),
        _ => {}
    }
}
