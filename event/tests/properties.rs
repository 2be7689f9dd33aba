//! What holds for any value, however the wire says it (P6).

mod tree;

use mixcord_event::{
    Decoder, Document, Flags, Kind, Limits, Record, RecordMeta, Value, from_value,
};
use proptest::prelude::*;
use serde_json::Value as Json;
use tree::{Dice, Tree};

fn decoder() -> Decoder {
    Decoder::new(Limits::default())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// JSON → document → JSON is the identity: ids as text, numbers exact, null kept.
    #[test]
    fn json_survives(tree in tree::tree()) {
        let plain = tree::json::plain(&tree.last_wins());
        let document = decoder().document_from_json(plain.to_string().as_bytes()).unwrap();
        prop_assert!(tree.last_wins().is(document.value()), "{:?}", document);
        prop_assert_eq!(serde_json::from_str::<Json>(&document.to_json()).unwrap(), plain);
    }

    /// Every shape of JSON and of ETF gives the same typed values.
    #[test]
    fn all_shapes_mean_the_same(tree in tree::tree(), seed: u64) {
        let expected = tree.last_wins();
        let mut dice = Dice::new(seed);
        let mut decoder = decoder();
        let json = tree::json::shaped(&tree, &mut dice);
        let from_json = decoder.document_from_json(json.as_bytes()).unwrap();
        prop_assert!(expected.is(from_json.value()), "{json}\n{from_json:?}");
        let term = tree::etf::shaped(&tree, &mut dice);
        let from_etf = decoder.document_from_etf(&term).unwrap();
        prop_assert!(expected.is(from_etf.value()), "{term:?}\n{from_etf:?}");
        prop_assert_eq!(&from_json, &from_etf);
        prop_assert_eq!(&from_etf, &from_json);
    }

    /// A whole message: the members of the envelope in any order, `d` before `t` and `s` too.
    #[test]
    fn messages_give_equal_records(data in tree::map(), seed: u64, seq: u64, number in 1_u16..=79) {
        let kind = Kind::from_number(number).unwrap();
        let mut dice = Dice::new(seed);
        let term = tree::etf::message(kind.name(), seq, &data, &mut dice);
        let json = format!(
            r#"{{"t":"{}","d":{},"unheard_of":[{{}}],"op":0,"s":{seq}}}"#,
            kind.name(),
            tree::json::shaped(&data, &mut dice),
        );
        let (mut one, mut two) = (decoder(), decoder());
        let (mut etf, mut json) = (one.etf(&term).unwrap(), two.json(json.as_bytes()).unwrap());
        prop_assert_eq!((etf.op(), etf.seq(), etf.kind()), (0, Some(seq), Some(kind)));
        prop_assert_eq!((json.op(), json.seq(), json.kind()), (0, Some(seq), Some(kind)));
        prop_assert_eq!(etf.partition_key(), json.partition_key());
        let meta = RecordMeta::default();
        let (etf, json) = (etf.record(&meta), json.record(&meta));
        let (etf, json) = (Record::parse(etf).unwrap(), Record::parse(json).unwrap());
        prop_assert_eq!(etf.header(), json.header());
        prop_assert!(!etf.header().flags.contains(Flags::NOT_UTF8));
        prop_assert_eq!(etf.data(), json.data());
        prop_assert!(data.last_wins().is(etf.data()));
    }

    /// serde's way out says the same as the printed JSON.
    #[test]
    fn deserialising_equals_printing(tree in tree::tree()) {
        let plain = tree::json::plain(&tree.last_wins());
        let document = Document::from_json(&plain.to_string()).unwrap();
        prop_assert_eq!(&from_value::<Json>(document.value()).unwrap(), &plain);
        prop_assert_eq!(&serde_json::to_value(document.value()).unwrap(), &plain);
    }

    /// Bytes that are no UTF-8 become U+FFFD in both encodings, and the record says so.
    #[test]
    fn broken_text_is_repaired_alike(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let clean: Vec<u8> =
            bytes.into_iter().filter(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).collect();
        let mut json = br#"{"op":0,"t":"MESSAGE_CREATE","d":{"content":""#.to_vec();
        json.extend_from_slice(&clean);
        json.extend_from_slice(b"\"}}");
        let mut etf = b"\x83t\0\0\0\x03w\x02opa\0w\x01tw\x0eMESSAGE_CREATEw\x01dt\0\0\0\x01w\x07contentm".to_vec();
        etf.extend_from_slice(&(clean.len() as u32).to_be_bytes());
        etf.extend_from_slice(&clean);
        let (mut one, mut two) = (decoder(), decoder());
        let (etf, json) = (one.etf(&etf).unwrap(), two.json(&json).unwrap());
        prop_assert_eq!(etf.data(), json.data());
        let expected = String::from_utf8_lossy(&clean);
        let content = etf.data().get_str("content").and_then(Value::as_str).map(str::to_owned);
        prop_assert_eq!(content.as_deref(), Some(&*expected));
        let is_broken = std::str::from_utf8(&clean).is_err();
        prop_assert_eq!(etf.not_utf8(), is_broken);
        prop_assert_eq!(json.not_utf8(), is_broken);
    }

    /// What is written is read: the document's own bytes, checked and unchecked.
    #[test]
    fn bytes_survive(tree in tree::tree()) {
        let document = Document::from_json(&tree::json::plain(&tree.last_wins()).to_string()).unwrap();
        let again = Document::from_bytes(document.as_bytes().to_vec()).unwrap();
        prop_assert_eq!(&document, &again);
        let copy = document.value().to_document();
        prop_assert_eq!(copy.as_bytes(), document.as_bytes());
    }
}

/// Wherever it stands, a byte that is no UTF-8 is seen, in texts of all the lengths that go ways of their
/// own.
#[test]
fn a_broken_byte_is_seen_anywhere() {
    let (mut one, mut two) = (decoder(), decoder());
    for len in 1..150 {
        for at in 0..len {
            let mut text = vec![b'x'; len];
            text[at] = 0xFF;
            let mut term = vec![131, 116, 0, 0, 0, 2, 119, 2, b'o', b'p', 97, 0, 119, 1, b'd', 109];
            term.extend_from_slice(&(len as u32).to_be_bytes());
            term.extend_from_slice(&text);
            let json = [br#"{"op":0,"d":""#, &text[..], br#""}"#].concat();
            let (etf, json) = (one.etf(&term).unwrap(), two.json(&json).unwrap());
            assert!(etf.not_utf8() && json.not_utf8(), "{at} of {len}");
            let expected = String::from_utf8_lossy(&text);
            assert_eq!(etf.data().as_str(), Some(&*expected), "{at} of {len}");
            assert_eq!(json.data().as_str(), Some(&*expected), "{at} of {len}");
        }
    }
}

/// Whatever the tree's own generator may miss.
#[test]
fn the_last_duplicate_wins_across_spellings() {
    // An atom, a binary and an atom again; an integer and its text.
    let term = b"\x83t\0\0\0\x05w\x02ida\x01m\0\0\0\x02idm\0\0\0\x012a\x07a\x01m\0\0\0\x017a\x02s\x02ida\x03";
    let document = decoder().document_from_etf(term).unwrap();
    assert_eq!(document, Document::from_json(r#"{"7":2,"id":"3"}"#).unwrap());
    let document =
        Document::from_json(r#"{"x":1,"id":"1","x":{"x":1,"x":2},"\u0069d":null}"#).unwrap();
    assert_eq!(document.to_json(), r#"{"x":{"x":2},"id":null}"#);
    assert!(Tree::Null.is(document.value().get_str("id").unwrap()));
}
