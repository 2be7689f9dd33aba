//! Bytes in a segment, whatever they are: an error or a record, never a panic (P8).

mod tree;

use mixcord_event::{
    Document, DocumentError, Header, Kind, Record, RecordError, Value, edit, from_value, record,
};
use proptest::prelude::*;

/// Reads everything there is, in every way there is.
fn read(bytes: &[u8]) {
    let Ok(record) = Record::parse(bytes) else { return };
    let _ = (record.kind_name(), record.guild_id(), format!("{record:?}").len());
    walk(record.data());
    let printed = record.data().to_json();
    assert!(serde_json::from_str::<serde_json::Value>(&printed).is_ok());
    let _ = from_value::<serde_json::Value>(record.data());
    if let Some(old) = record.old() {
        walk(old);
        let _ = edit::changes(old, record.data());
        assert!(old == old.to_document().value());
    }
}

fn walk(value: Value<'_>) {
    match value {
        Value::Map(map) => map.iter().for_each(|(key, value)| {
            let _ = map.get_key(key);
            walk(value);
        }),
        Value::List(list) => list.iter().for_each(walk),
        _ => {}
    }
}

fn sample(data: &tree::Tree, old: &tree::Tree) -> Vec<u8> {
    let document = |tree| Document::from_json(&tree::json::plain(tree).to_string()).unwrap();
    let (data, old) = (document(data), document(old));
    let header = Header { kind: Kind::UNKNOWN, ..Header::default() };
    let mut bytes = Vec::new();
    record::encode(&header, Some("A_NEW_EVENT"), data.as_bytes(), Some(old.as_bytes()), &mut bytes);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_whole_record_is_read_back(data in tree::map(), old in tree::map()) {
        let (data, old) = (data.last_wins(), old.last_wins());
        let bytes = sample(&data, &old);
        let record = Record::parse(&bytes).unwrap();
        prop_assert_eq!(record.kind_name(), "A_NEW_EVENT");
        prop_assert!(data.is(record.data()));
        prop_assert!(old.is(record.old().unwrap()));
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read(&bytes);
        // As documents under a header that is in order.
        let mut whole = Vec::new();
        record::encode(&Header::default(), None, &bytes, None, &mut whole);
        read(&whole);
        if let Ok(document) = Document::from_bytes(bytes) {
            walk(document.value());
        }
    }

    #[test]
    fn changed_bytes_are_survived(
        data in tree::map(), old in tree::map(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = sample(&data.last_wins(), &old.last_wins());
        for (at, to) in changes {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        read(&bytes);
    }

    /// Documents that were never checked are read without panic too, whatever they hold.
    #[test]
    fn unchecked_bytes_are_survived(
        tree in tree::map(), at in any::<prop::sample::Index>(), to: u8, end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = Document::from_json(&tree::json::plain(&tree.last_wins()).to_string()).unwrap().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = to;
        bytes.truncate(end.index(bytes.len()) + 1);
        let value = Value::trusted(&bytes);
        walk(value);
        let _ = (value.to_json(), from_value::<serde_json::Value>(value), value == value);
    }

    /// Of a documented kind: an unknown one has a name, whose length is what the rest leaves over.
    #[test]
    fn every_part_of_a_record_is_refused(data in tree::map(), end in any::<prop::sample::Index>()) {
        let data = Document::from_json(&tree::json::plain(&data.last_wins()).to_string()).unwrap();
        let header = Header { kind: Kind::MESSAGE_CREATE, ..Header::default() };
        let mut bytes = Vec::new();
        record::encode(&header, None, data.as_bytes(), None, &mut bytes);
        prop_assert!(Record::parse(&bytes).is_ok());
        let end = end.index(bytes.len());
        prop_assert!(Record::parse(&bytes[..end]).is_err());
        bytes.push(0);
        prop_assert!(Record::parse(&bytes).is_err());
    }
}

fn refusal(bytes: &[u8]) -> DocumentError {
    let error = Document::from_bytes(bytes.to_vec()).unwrap_err();
    assert!(!error.to_string().is_empty());
    error
}

#[test]
fn errors_say_what_and_where() {
    let valid = Document::from_json(r#"{"content":"abc","roles":["1"]}"#).unwrap().into_bytes();
    let mut longer = valid.clone();
    longer.push(0);
    assert!(
        matches!(refusal(&longer), DocumentError::Trailing { offset, extra: 1 } if offset == valid.len())
    );
    assert!(matches!(refusal(&valid[..valid.len() - 1]), DocumentError::Truncated { .. }));
    assert!(matches!(refusal(&[]), DocumentError::Truncated { offset: 0 }));
    let at = valid.windows(3).position(|part| part == b"abc").unwrap();
    let mut broken = valid;
    broken[at] = 0xff;
    assert!(matches!(refusal(&broken), DocumentError::NotUtf8 { .. }));
}

#[test]
fn heads_are_checked() {
    let mut bytes = Vec::new();
    let null = Document::from_json("null").unwrap();
    record::encode(&Header::default(), None, null.as_bytes(), None, &mut bytes);
    let record = Record::parse(&bytes).unwrap();
    assert_eq!(record.old(), None);
    assert_eq!(record.data(), Value::Null);
    assert!(matches!(Record::parse(&bytes[..20]), Err(RecordError::Truncated { .. })));
    let mut newer = bytes.clone();
    newer[0] = 200;
    let error = Record::parse(&newer).unwrap_err();
    assert!(matches!(error, RecordError::Layout { found: 200 }));
    assert!(error.to_string().contains("drain"), "says what to do: {error}");
    // No length in a header makes a small record large.
    for at in [56, 60] {
        let mut lying = bytes.clone();
        lying[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(Record::parse(&lying), Err(RecordError::Truncated { .. })));
    }
}

/// A byte that is damaged stops nobody who waits for a release that reads it.
#[test]
fn only_a_layout_near_our_own_is_that_of_another_release() {
    let other = |found| RecordError::Layout { found }.is_of_another_release();
    let near: Vec<u8> = (0..=u8::MAX).filter(|found| other(*found)).collect();
    assert_eq!(near, (1..=mixcord_event::record::LAYOUT + 16).collect::<Vec<_>>());
}

/// A thousand containers in one another fit in three thousand bytes; no stack is at risk.
#[test]
fn deep_documents_are_refused() {
    let mut bytes = Document::from_json("[]").unwrap().into_bytes();
    for _ in 0..10_000 {
        let mut outer = Vec::new();
        // A list of one: the outer document is written by hand around the inner one's bytes.
        let probe = Document::from_json("[[]]").unwrap().into_bytes();
        let header = probe.len() - 1;
        if bytes.len() > usize::from(u16::MAX) {
            break;
        }
        outer.extend_from_slice(&probe[..1]);
        outer.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
        assert_eq!(outer.len(), header);
        outer.extend_from_slice(&bytes);
        bytes = outer;
    }
    assert!(matches!(refusal(&bytes), DocumentError::Depth { .. }));
    // Unchecked, it is read without a stack overflow as well.
    let value = Value::trusted(&bytes);
    let _ = value.to_json();
    let _ = value == Value::trusted(&bytes);
}
