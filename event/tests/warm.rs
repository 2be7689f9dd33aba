//! A decoder that has read much knows which keys to expect, and reads near the end of a message from a
//! copy. Neither may show: it reads as one that has read nothing, and no byte beyond the end counts.

mod tree;

use mixcord_event::{Atom, DecodeErrorKind, Decoder, Document, Limits, Record, RecordMeta};
use proptest::prelude::*;
use tree::{Dice, Tree, etf::Names};

const FIXTURES: &str = include_str!("fixtures.jsonl");

fn decoder() -> Decoder {
    Decoder::new(Limits::default())
}

/// Every fixture as (name, seq, data).
fn fixtures() -> impl Iterator<Item = (String, u64, Tree)> {
    FIXTURES.lines().map(|line| {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        let data = Tree::of(&json["d"]).settle(tree::Place::Plain);
        (json["t"].as_str().unwrap().to_owned(), json["s"].as_u64().unwrap(), data)
    })
}

/// Fixtures in Discord's own shape, in one decoder, again and again: each time they are what they are
/// in JSON, whatever came between.
#[test]
fn fixtures_stay_what_they_are() {
    let mut warm = decoder();
    for names in [Names::ALL, Names::ALL].concat() {
        for (name, seq, data) in fixtures().chain(fixtures()) {
            let term = tree::etf::discords_message(&name, seq, &data, names);
            let mut frame = warm.etf(&term).unwrap();
            assert_eq!((frame.op(), frame.seq(), frame.name()), (0, Some(seq), Some(&*name)));
            let record = Record::parse(frame.record(&RecordMeta::default())).unwrap();
            assert!(data.is(record.data()), "{name}");
        }
    }
    assert_eq!(warm.take_warnings(), []);
}

/// Cut anywhere, a message is refused as cut, at a place within it, by a warm decoder and a cold one
/// alike; with anything behind it, it is refused as well.
#[test]
fn cut_and_prolonged_fixtures_are_refused() {
    let mut warm = decoder();
    for ((name, seq, data), names) in fixtures().zip(Names::ALL.into_iter().cycle()) {
        let mut term = tree::etf::discords_message(&name, seq, &data, names);
        warm.etf(&term).unwrap();
        for end in 0..term.len() {
            let error = warm.etf(&term[..end]).unwrap_err();
            assert_eq!(error.kind, DecodeErrorKind::Truncated, "{name} cut at {end}");
            assert!(error.offset <= end, "{name} cut at {end}: {error}");
            assert_eq!(decoder().etf(&term[..end]).unwrap_err(), error, "{name} cut at {end}");
        }
        for extra in [0, 106, 100, 255] {
            term.push(extra);
            let error = warm.etf(&term).unwrap_err();
            assert_eq!(error.kind, DecodeErrorKind::Trailing(1), "{name} and {extra}");
            assert_eq!(error.offset, term.len() - 1);
            term.pop();
        }
    }
}

/// The path leads to the member that was cut off, also where its key was guessed, and however much of
/// it was there: near its end the input is read from a copy.
#[test]
fn a_cut_is_placed() {
    let data = Document::from_json(
        r#"{"author":{"id":"1","username":"ada"},"embeds":[{"title":"a"},{"title":"0123456789"}]}"#,
    );
    let data = Tree::of(&serde_json::from_str(&data.unwrap().to_json()).unwrap());
    let data = data.settle(tree::Place::Plain);
    let mut warm = decoder();
    for names in [Names::ALL, Names::ALL].concat() {
        let term = tree::etf::discords_message("MESSAGE_CREATE", 1, &data, names);
        let at = term.windows(10).position(|part| part == b"0123456789").unwrap();
        for end in at..at + 10 {
            let error = warm.etf(&term[..end]).unwrap_err();
            assert_eq!(error.path, "d.embeds[1].title", "{error}");
        }
        for len in 0..160 {
            let text = "~".repeat(len);
            let data =
                format!(r#"{{"embeds":[{{"title":"{text}","author":{{"name":"01234"}}}}]}}"#);
            let data = Tree::of(&serde_json::from_str(&data).unwrap());
            let term = tree::etf::discords_message("MESSAGE_CREATE", 1, &data, names);
            let find =
                |part: &str| term.windows(part.len()).position(|at| at == part.as_bytes()).unwrap();
            let title = if len == 0 { 0..0 } else { find(&text)..find(&text) + len };
            let name = find("01234")..find("01234") + 5;
            for (path, ends) in [("d.embeds[0].title", title), ("d.embeds[0].author.name", name)] {
                for end in ends {
                    let error = warm.etf(&term[..end]).unwrap_err();
                    assert_eq!(error.path, path, "{len} bytes of text, cut at {end}: {error}");
                }
            }
        }
        let at = term.windows(3).position(|part| part == b"ada").unwrap();
        let error = warm.etf(&term[..at + 1]).unwrap_err();
        assert_eq!(error.path, "d.author.username", "{error}");
        warm.etf(&term).unwrap();
    }
}

/// Short text is copied with what follows it: nothing of that may be seen or judged.
#[test]
fn what_follows_a_text_is_not_part_of_it() {
    let mut warm = decoder();
    for len in 0..100_usize {
        for (text, follows) in [("x", 0x80_u8), ("ü", b'x'), ("x", b'x')] {
            let text = text.repeat(len);
            let mut term = vec![131, 108, 0, 0, 0, 2, 109];
            term.extend_from_slice(&(text.len() as u32).to_be_bytes());
            term.extend_from_slice(text.as_bytes());
            // A big integer of bytes like these.
            term.extend_from_slice(&[110, 8, 0]);
            term.extend_from_slice(&[follows; 8]);
            term.push(106);
            let document = warm.document_from_etf(&term).unwrap();
            let number = u64::from_le_bytes([follows; 8]);
            let expected = Document::from_json(&format!(r#"["{text}",{number}]"#)).unwrap();
            assert_eq!(document, expected, "{len} {follows}");
            assert!(!warm.etf(b"\x83t\0\0\0\x01w\x02opa\x0b").unwrap().not_utf8());
        }
    }
}

/// A key that differs from the guessed one in one byte is another key.
#[test]
fn a_key_like_the_guess_is_not_it() {
    let mut warm = decoder();
    for (name, names) in
        Atom::all().map(Atom::as_str).flat_map(|name| Names::ALL.map(|n| (name, n)))
    {
        let tree = Tree::Map(vec![(name.to_owned(), Tree::List(Vec::new()))]);
        let mut term = tree::etf::discords(&tree, names);
        for at in term.len() - 1 - name.len()..term.len() - 1 {
            warm.document_from_etf(&term).unwrap();
            term[at] ^= 1;
            let other = warm.document_from_etf(&term).unwrap();
            term[at] ^= 1;
            let (key, _) = other.value().as_map().and_then(|map| map.iter().next()).unwrap();
            assert_ne!(key.as_str(), name);
            assert_eq!(key.as_str().len(), name.len());
        }
        assert!(tree.is(warm.document_from_etf(&term).unwrap().value()));
    }
}

/// A key stands twice in a map whose keys are all guessed: the last one counts, next to the guesses and
/// far from them.
#[test]
fn guessed_duplicates_are_found() {
    let member = |key: &str, number: i128| (key.to_owned(), Tree::Int(number));
    let mut warm = decoder();
    for names in [Names::ALL, Names::ALL, Names::ALL].concat() {
        for keys in [
            &["name", "name"][..],
            &["name", "type", "name", "type"],
            &["name", "type", "position", "name", "position"],
            &["type", "communication_disabled_until", "communication_disabled_until"],
        ] {
            let mut members: Vec<_> =
                keys.iter().zip(0..).map(|(key, number)| member(key, number)).collect();
            // Inside one map of the kind there is another.
            members.insert(1, ("user".to_owned(), Tree::Map(members.clone())));
            let tree = Tree::Map(members);
            let term = tree::etf::discords(&tree, names);
            let document = warm.document_from_etf(&term).unwrap();
            assert!(tree.last_wins().is(document.value()), "{keys:?}: {document:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Any terms in any shape, each read several times by one decoder.
    #[test]
    fn a_warm_decoder_reads_as_a_cold_one(trees in prop::collection::vec(tree::map(), 1..4), seed: u64) {
        let mut dice = Dice::new(seed);
        let mut warm = decoder();
        for round in 0..7 {
            for tree in &trees {
                let term = match round {
                    0 => tree::etf::shaped(tree, &mut dice),
                    _ => tree::etf::discords(tree, Names::ALL[round % 3]),
                };
                let document = warm.document_from_etf(&term).unwrap();
                prop_assert!(tree.last_wins().is(document.value()), "{term:?}\n{document:?}");
                let cold = decoder().document_from_etf(&term).unwrap();
                prop_assert_eq!(document.as_bytes(), cold.as_bytes());
            }
        }
    }

    /// A changed byte: the warm and the cold decoder say the same, error or document.
    #[test]
    fn a_changed_byte_is_met_alike(
        tree in tree::map(), at in any::<prop::sample::Index>(), to: u8, cut in any::<prop::sample::Index>(),
        names in prop::sample::select(&Names::ALL[..]),
    ) {
        let mut term = tree::etf::discords(&tree, names);
        let mut warm = decoder();
        for _ in 0..2 {
            warm.document_from_etf(&term).unwrap();
        }
        let at = at.index(term.len());
        term[at] = to;
        let met = warm.document_from_etf(&term);
        prop_assert_eq!(&met, &decoder().document_from_etf(&term));
        if let Ok(document) = met {
            prop_assert!(Document::from_bytes(document.into_bytes()).is_ok());
        }
        let end = cut.index(term.len());
        let met = warm.document_from_etf(&term[..end]);
        prop_assert_eq!(&met, &decoder().document_from_etf(&term[..end]));
    }
}
