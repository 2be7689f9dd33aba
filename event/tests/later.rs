//! P11: keys and kinds that came after the layout of records was frozen. They travel by their name, so
//! that every reader of the layout reads them, and are like all others for who knows them.

use mixcord_event::{
    Atom, Decoder, Document, Flags, Header, Key, Kind, Limits, Map, Record, RecordMeta, Value,
    Writer, atoms, edit, from_value, record,
};

const ID: Atom = atoms::JOIN_REQUEST_ID;
const TEXT: Atom = atoms::REJECTION_REASON;
const KIND: Kind = Kind::GUILD_SCHEDULED_EVENT_EXCEPTION_CREATE;
/// What was undocumented when the layout was frozen, and is still.
const UNKNOWN: &str = "something_new";

fn json(text: &str) -> Document {
    Document::from_json(text).unwrap()
}

fn map(document: &Document) -> Map<'_> {
    document.value().as_map().unwrap()
}

fn edited(edit: impl FnOnce(&mut Vec<u8>)) -> Document {
    let mut bytes = Vec::new();
    edit(&mut bytes);
    Document::from_bytes(bytes).unwrap()
}

/// A key as [`mixcord_event`] writes one that it does not know.
fn by_name(key: &str) -> Vec<u8> {
    let mut bytes = (0x8000 | key.len() as u16).to_le_bytes().to_vec();
    bytes.extend(key.as_bytes());
    bytes
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn a_later_key_is_written_by_its_name_in_every_way_of_writing() {
    let decoded = json(r#"{"join_request_id":"5","rejection_reason":"no"}"#);
    let written = edited(|out| {
        let mut map = Writer::new(out).map();
        map.entry(ID, Value::Id(5));
        map.named("rejection_reason", "no");
    });
    let keyed = edited(|out| {
        let mut target = Writer::new(out).map();
        map(&decoded).iter().for_each(|(key, value)| target.keyed(key, value));
    });
    let set = edited(|out| {
        edit::with(Map::EMPTY, &[(ID, Value::Id(5)), (TEXT, "no".into())], out);
    });
    for document in [&decoded, &written, &keyed, &set] {
        assert_eq!(document.as_bytes(), decoded.as_bytes());
        for key in [ID, TEXT] {
            assert!(key.is_later() && holds(document.as_bytes(), &by_name(key.as_str())), "{key}");
        }
    }
}

/// ETF as Discord writes it: keys as atoms, ids as integers or text.
fn etf(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut term = vec![131, 116];
    term.extend((members.len() as u32).to_be_bytes());
    for (key, value) in members {
        term.extend([100, 0, key.len() as u8]);
        term.extend(key.as_bytes());
        term.extend(*value);
    }
    term
}

#[test]
fn p6_a_later_snowflake_is_one_whatever_the_wire_said() {
    let text = json(r#"{"join_request_id":"41","something_new":"41","rejection_reason":"41"}"#);
    let number = json(r#"{"join_request_id":41,"something_new":"41","rejection_reason":"41"}"#);
    let small: &[u8] = &[97, 41];
    let binary: &[u8] = &[109, 0, 0, 0, 2, b'4', b'1'];
    for id in [small, binary] {
        let term = etf(&[("join_request_id", id), (UNKNOWN, binary), ("rejection_reason", binary)]);
        assert_eq!(Document::from_etf(&term).unwrap(), text);
    }
    assert_eq!(number, text);
    assert_eq!(text.get(ID).unwrap().as_id(), Some(41));
    assert_eq!(text.get(TEXT).unwrap().as_str(), Some("41"));
    assert_eq!(text.value().get_str(UNKNOWN).unwrap().as_str(), Some("41"));
    let list = json(r#"{"join_request_id":["41",42]}"#);
    let ids: Vec<_> = list.get(ID).unwrap().as_list().unwrap().iter().map(Value::as_id).collect();
    assert_eq!(ids, [Some(41), Some(42)]);
}

#[test]
fn a_later_key_is_found_iterated_compared_read_and_printed_like_any_other() {
    let text = r#"{"id":"7","join_request_id":"5","something_new":1,"rejection_reason":"no"}"#;
    let document = json(text);
    assert_eq!(document.to_json(), text);
    assert!(map(&document).contains(TEXT) && !map(&document).contains(atoms::REQUESTED_AT));
    assert_eq!(document.value().path(&[ID.into()]).unwrap().as_id(), Some(5));
    assert_eq!(document.value().get_str("join_request_id").unwrap().as_id(), Some(5));
    let keys: Vec<Key<'_>> = map(&document).iter().map(|(key, _)| key).collect();
    assert_eq!(keys, [Key::Atom(atoms::ID), Key::Atom(ID), Key::Text(UNKNOWN), Key::Atom(TEXT)]);
    let known: Vec<_> = map(&document).iter_bytes().map(|(key, _)| key).collect();
    assert_eq!(known, [Some(atoms::ID), Some(ID), None, Some(TEXT)]);
    for (key, value) in map(&document) {
        assert_eq!(map(&document).get_key(key), Some(value));
    }
    let other = r#"{"rejection_reason":"no","something_new":1,"join_request_id":"5","id":"7"}"#;
    assert_eq!(document, json(other));
    assert_ne!(document, json(&text.replace("no", "yes")));

    #[derive(serde::Deserialize)]
    struct Request<'a> {
        join_request_id: u64,
        rejection_reason: &'a str,
    }
    let read: Request<'_> = from_value(document.value()).unwrap();
    assert_eq!((read.join_request_id, read.rejection_reason), (5, "no"));
}

#[test]
fn a_later_key_is_edited_like_any_other() {
    let base = json(r#"{"id":"7","join_request_id":"5","something_new":1}"#);
    let over = json(r#"{"join_request_id":"6","rejection_reason":null}"#);
    let (base, over) = (map(&base), map(&over));
    let merged = edited(|out| edit::merge(base, over, out));
    let expected = r#"{"id":"7","join_request_id":"6","something_new":1,"rejection_reason":null}"#;
    assert_eq!(merged.to_json(), expected);
    assert!(edit::merge_changes(base, over));
    assert!(!edit::merge_changes_except(base, over, &[ID, TEXT]));
    let set = edited(|out| edit::with(base, &[(ID, Value::Id(9))], out));
    assert_eq!(set.to_json(), r#"{"id":"7","join_request_id":"9","something_new":1}"#);
    let without = edited(|out| edit::without(base, &[ID], out));
    assert_eq!(without.to_json(), r#"{"id":"7","something_new":1}"#);
    let only = edited(|out| edit::only(base, &[ID], out));
    assert_eq!(only.to_json(), r#"{"join_request_id":"5"}"#);
    let changes = edit::changes(base.into(), merged.value());
    assert_eq!(changes[0].path, [Key::Atom(ID)]);
    assert_eq!(changes[1].path_text(), "rejection_reason");
}

#[test]
fn of_two_later_keys_with_one_name_the_last_counts_and_different_ones_stay() {
    let document = json(
        r#"{"join_request_id":"1","rejection_reason":"a","join_request_id":"2","something_new":0}"#,
    );
    let expected = r#"{"rejection_reason":"a","join_request_id":"2","something_new":0}"#;
    assert_eq!(document.to_json(), expected);
}

#[test]
fn a_record_of_a_later_kind_carries_its_name() {
    let payload = format!(
        r#"{{"op":0,"s":7,"t":"{KIND}","d":{{"guild_id":"41","requested_at":"x","something_new":1}}}}"#
    );
    let mut decoder = Decoder::new(Limits::default());
    let mut frame = decoder.json(payload.as_bytes()).unwrap();
    assert_eq!((frame.kind(), frame.name()), (Some(KIND), Some(KIND.name())));
    let bytes = frame.record(&RecordMeta::default()).to_vec();
    let warnings = decoder.take_warnings();
    assert_eq!(warnings.len(), 1, "only what nobody knows is worth a warning: {warnings:?}");

    // What an older reader sees: number 0, and a name it does not know.
    assert_eq!((KIND.number(), &bytes[2..4]), (0, &[0, 0][..]));
    assert!(KIND.is_later() && bytes[65..].starts_with(KIND.name().as_bytes()));
    let read = Record::parse(&bytes).unwrap();
    assert_eq!((read.kind(), read.kind_name()), (KIND, KIND.name()));
    assert_eq!((read.guild_id(), read.header().key), (Some(41), 41));

    for name in [None, Some(KIND.name()), Some("ANOTHER")] {
        let mut again = Vec::new();
        record::encode(read.header(), name, read.data_bytes(), read.old_bytes(), &mut again);
        assert_eq!(again, bytes, "the kind alone says its name");
    }
}

/// What an older build wrote of a kind that this one knows is of that kind.
#[test]
fn an_unknown_kind_whose_name_is_known_by_now_is_of_that_kind() {
    let header = Header { kind: Kind::UNKNOWN, flags: Flags::STALE, ..Header::default() };
    let mut bytes = Vec::new();
    record::encode(&header, Some(KIND.name()), json("{}").as_bytes(), None, &mut bytes);
    assert_eq!(Record::parse(&bytes).unwrap().kind(), KIND);
    let mut other = Vec::new();
    record::encode(&header, Some("NEW_THING"), json("{}").as_bytes(), None, &mut other);
    let other = Record::parse(&other).unwrap();
    assert_eq!((other.kind(), other.kind_name()), (Kind::UNKNOWN, "NEW_THING"));
}

/// C-3: a number of another layout hides nothing behind it.
#[test]
fn a_number_of_no_key_cuts_no_document() {
    let document = json(r#"{"id":"5","tts":true,"name":"after"}"#);
    let number = u16::try_from(Atom::all().count()).unwrap();
    let mut bytes = document.into_bytes();
    let tts = atoms::TTS.number().to_le_bytes();
    let at = bytes.windows(3).rposition(|w| w[..2] == tts && w[2] == 2).unwrap();
    bytes[at..at + 2].copy_from_slice(&number.to_le_bytes());
    assert!(Value::parse(&bytes).is_err());
    let seen = Document::trusted(bytes);
    assert_eq!(seen.to_json(), r#"{"id":"5","?":true,"name":"after"}"#);
    let keys: Vec<_> = map(&seen).iter().map(|(key, _)| key).collect();
    assert_eq!(keys[1], Key::Unknown(number));
    assert_eq!(map(&seen).get_key(keys[1]).unwrap().as_bool(), Some(true));
    let mut copy = Vec::new();
    let mut target = Writer::new(&mut copy).map();
    map(&seen).iter().for_each(|(key, value)| target.keyed(key, value));
    target.end();
    assert_eq!(copy, seen.as_bytes(), "it is kept whole");
}
