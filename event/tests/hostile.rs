//! Bytes in a segment, whatever they are: an error or a record, never a panic (P8).

mod tree;

use mixcord_event::{
    Document, DocumentError, Header, Kind, Record, RecordError, Seal, Value, edit, from_value,
    record,
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

    /// And so are records whose seal says that they are whole, or anything else.
    #[test]
    fn forged_seals_are_survived(
        tree in tree::map(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), seal: u32,
    ) {
        let mut data = Document::from_json(&tree::json::plain(&tree.last_wins()).to_string()).unwrap().into_bytes();
        for (at, to) in changes {
            let at = at.index(data.len());
            data[at] = to;
        }
        let mut bytes = Vec::new();
        record::encode(&Header::default(), None, &data, Some(&data), &mut bytes);
        let record = Record::parse_sealed(&bytes, Seal::of(&bytes)).unwrap();
        for value in [record.data(), record.old().unwrap()] {
            walk(value);
            let _ = (value.to_json(), from_value::<serde_json::Value>(value));
        }
        let _ = (record.guild_id(), edit::changes(record.old().unwrap(), record.data()));
        let mut merged = Vec::new();
        if let Some(map) = record.data().as_map() {
            edit::merge(map, map, &mut merged);
        }
        if seal & 1 == 1 && seal != Seal::of(&bytes).bits() {
            prop_assert!(Record::parse_sealed(&bytes, Seal::from_bits(seal)).is_err());
        }
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

/// A document is one value, whatever could stand behind it.
#[test]
fn two_values_are_no_document() {
    let values = [
        "null",
        "false",
        "5",
        "-70000",
        "1.5",
        r#""5""#,
        r#""text""#,
        r#""tëxt""#,
        "[]",
        "{}",
        "[1]",
        r#"{"id":"1"}"#,
    ];
    let bytes = |json: &str| Document::from_json(json).unwrap().into_bytes();
    let long = format!(r#""{}""#, "t".repeat(300));
    for one in values.into_iter().chain([&*long]).map(bytes) {
        for other in values.map(bytes) {
            let both = [&one[..], &other].concat();
            let (offset, extra) = (one.len(), other.len());
            assert_eq!(refusal(&both), DocumentError::Trailing { offset, extra }, "{both:?}");
            let mut record = Vec::new();
            record::encode(&Header::default(), None, &both, None, &mut record);
            assert!(Record::parse(&record).is_err(), "{both:?}");
        }
    }
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

/// A type that is as deep as what it is read from.
#[derive(PartialEq, Debug, serde::Deserialize)]
enum Deep {
    #[serde(rename = "name")]
    Deeper(Box<Self>),
    #[serde(rename = "id")]
    End,
}

/// Under a seal that was forged a document nests as deep as it likes, with four bytes for each length.
#[test]
fn p8_what_nests_without_end_is_survived_under_a_forged_seal() {
    const LEVELS: u32 = 100_000;
    let nested = |tag: u8, key: &[u8]| {
        let head = key.len() as u32 + 5;
        let heads = (0..LEVELS).rev().map(|within| within * head + key.len() as u32 + 1);
        let heads = heads.flat_map(|within| [&[tag][..], &within.to_le_bytes(), key].concat());
        heads.chain([0]).collect::<Vec<u8>>()
    };
    let few = Document::from_json(r#"{"name":{"name":"id"}}"#).unwrap();
    assert_eq!(few.read(), Ok(Deep::Deeper(Deep::Deeper(Deep::End.into()).into())));
    let map = Document::from_json(r#"{"name":{}}"#).unwrap().into_bytes();
    for data in [nested(0x0F, &[]), nested(0x11, &map[3..5])] {
        let mut bytes = Vec::new();
        record::encode(&Header::default(), None, &data, Some(&data), &mut bytes);
        assert!(matches!(Record::parse(&bytes), Err(RecordError::Data(_))));
        let record = Record::parse_sealed(&bytes, Seal::of(&bytes)).unwrap();
        let (data, old) = (record.data(), record.old().unwrap());
        assert_eq!(data.to_json(), "null");
        assert!(format!("{record:?}").len() > 100);
        for text in [format!("{data:?}"), format!("{data:#?}"), format!("{:?}", data.as_list())] {
            assert!(text.len() < 100_000, "{} bytes", text.len());
        }
        assert!(format!("{data:?}").contains('…'));
        assert!(from_value::<serde_json::Value>(data).is_err());
        assert!(from_value::<Deep>(data).is_err());
        assert_eq!(data, old);
        assert!(edit::changes(old, data).is_empty());
        if let Some(map) = data.as_map() {
            let mut merged = Vec::new();
            edit::merge(map, map, &mut merged);
            assert!(format!("{map:?}").contains('…'));
        }
    }
}
