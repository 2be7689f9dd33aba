//! JSON as Discord writes it goes a short way: keys are guessed, short values read from a window, the last
//! bytes from a copy. JSON with space between its tokens goes the long way. Which one it was may not show, whatever
//! the decoder has read before: the same document, or the same error at the same place.

mod tree;

use mixcord_event::{Atom, DecodeError, DecodeErrorKind, Decoder, Limits, RecordMeta};
use proptest::prelude::*;
use tree::{
    Dice,
    json::{SPACE, spaced},
};

const FIXTURES: &str = include_str!("fixtures.jsonl");

/// What a decoder makes of a text, as a document and as a message. Places are those of the text without space.
fn met(decoder: &mut Decoder, text: &[u8]) -> impl PartialEq + std::fmt::Debug + use<> {
    let place = |error: DecodeError| {
        let kind = match error.kind {
            DecodeErrorKind::Trailing(_) => DecodeErrorKind::Trailing(0),
            kind => kind,
        };
        let before = text[..error.offset].iter().filter(|byte| **byte != SPACE).count();
        (kind, before, error.path)
    };
    let document = decoder.document_from_json(text).map(|document| document.as_bytes().to_vec());
    let message = decoder.json(text).map(|mut frame| {
        let said = (frame.op(), frame.seq(), frame.kind(), frame.not_utf8());
        (said, frame.record(&RecordMeta::default()).to_vec())
    });
    (document.map_err(place), message.map_err(place))
}

/// Decoders that have read all texts before: one in the form of the test, one with space.
struct Pair {
    short: Decoder,
    long: Decoder,
}

impl Pair {
    fn new(limits: Limits) -> Self {
        Self { short: Decoder::new(limits), long: Decoder::new(limits) }
    }

    fn check(&mut self, text: &[u8]) {
        let expected = met(&mut self.long, &spaced(text));
        // And once more, with the keys that are expected now.
        for _ in 0..2 {
            let met = met(&mut self.short, text);
            assert_eq!(met, expected, "{}", String::from_utf8_lossy(text));
        }
        assert_eq!(self.short.take_warnings(), self.long.take_warnings());
    }

    /// The text within others: as a member of each kind, as an element, in a message, last and not.
    fn check_value(&mut self, value: &[u8]) {
        for (before, behind) in [
            (&b""[..], &b""[..]),
            (b"[", b"]"),
            (b"[1,", b",2]"),
            (b"{\"id\":", b"}"),
            (b"{\"flags\":", b",\"id\":\"1\"}"),
            (b"{\"roles\":[", b"]}"),
            (b"{\"components\":[{\"type\":1,\"id\":", b"}]}"),
            (b"{\"unheard_of\":", b"}"),
            (b"{\"op\":", b"}"),
            (b"{\"op\":0,\"s\":", b",\"t\":\"TYPING_START\"}"),
            (b"{\"op\":0,\"t\":", b"}"),
            (b"{\"t\":\"TYPING_START\",\"op\":0,\"d\":", b",\"s\":1}"),
            (b"{\"op\":0,\"d\":{\"channel_id\":", b",\"content\":\"\"}}"),
        ] {
            self.check(&[before, value, behind].concat());
        }
    }
}

/// Every fixture in one decoder, and then cut.
#[test]
fn fixtures_are_read_alike_wherever_they_are_cut() {
    let mut pair = Pair::new(Limits::default());
    for (line, start) in FIXTURES.lines().zip((0..11).cycle()) {
        pair.check(line.as_bytes());
        for end in (start..line.len()).step_by(11) {
            pair.check(&line.as_bytes()[..end]);
        }
    }
}

/// Fixtures with one byte changed to one that means something, or added, or left out.
#[test]
fn fixtures_with_a_changed_byte_are_read_alike() {
    let bytes = b"\0\x1f \"\\,:{}[]019.-eEntfaA/\x7f\x80\xc3\xff";
    let mut dice = Dice::new(7);
    let mut pair = Pair::new(Limits::default());
    for line in FIXTURES.lines().filter(|line| line.len() < 1500) {
        for _ in 0..40 {
            let mut text = line.as_bytes().to_vec();
            let (at, byte) = (dice.below(text.len()), bytes[dice.below(bytes.len())]);
            match dice.below(4) {
                0 => text.insert(at, byte),
                1 => {
                    text.remove(at);
                }
                _ => text[at] = byte,
            }
            pair.check(&text);
        }
    }
}

/// Numbers and ids around the lengths and sizes where the ways part, and what only begins like some.
#[test]
fn numbers_are_read_alike() {
    let mut pair = Pair::new(Limits::default());
    let mut digits: Vec<String> = (1..=22)
        .flat_map(|len| {
            ["1", "9", "0", "10", "4294967296"].map(|part| part.repeat(len)[..len].to_owned())
        })
        .collect();
    digits.extend(
        [
            95,
            96,
            127,
            128,
            32_767,
            32_768,
            2_147_483_647,
            2_147_483_648,
            18_446_744_073_709_551_615_u64,
        ]
        .map(|number| number.to_string()),
    );
    digits.push("18446744073709551616".to_owned());
    for digits in &digits {
        for (before, behind) in [
            ("", ""),
            ("-", ""),
            ("", ".5"),
            ("", ".0"),
            ("", "e2"),
            ("", "E-2"),
            ("", "e"),
            ("", "."),
            ("", "x"),
            ("", "\""),
            ("", "-"),
            ("\"", "\""),
            ("\"", "x\""),
            ("\"", ""),
            ("\"", "\\u0030\""),
            ("\"-", "\""),
            ("\"x", "\""),
            ("\"", "/\""),
            ("\"", ":\""),
            ("\"", "ü\""),
            ("\"", "\u{1}\""),
        ] {
            pair.check_value(format!("{before}{digits}{behind}").as_bytes());
        }
    }
    // Any byte in place of a digit.
    for (at, byte) in (0..18).flat_map(|at| (0..=u8::MAX).map(move |byte| (at, byte))) {
        let mut id = *b"\"613425648685547545\"";
        id[1 + at] = byte;
        if byte != SPACE {
            pair.check(&[b"{\"id\":", &id[..], b"}"].concat());
            pair.check(&[b"{\"flags\":", &id[1..10], b"}"].concat());
        }
    }
}

#[test]
fn constants_and_containers_are_read_alike() {
    let mut pair = Pair::new(Limits::default());
    for value in [
        "null",
        "nul",
        "nulL",
        "nulll",
        "true",
        "tru",
        "trues",
        "false",
        "fals",
        "falsE",
        "falsey",
        "[]",
        "{}",
        "[",
        "{",
        "]",
        "}",
        "[{}]",
        "{\"id\":{}}",
        "[[],{}]",
        "",
        ",",
        ":",
        "{,}",
        "[,]",
        "[1,]",
        "{\"id\":1,}",
        "{\"id\"}",
        "{\"id\":}",
        "{\"id\",1}",
        "{\"id\":1 \"id\":2}",
        "{id:1}",
        "{\"id\":1,\"id\":2}",
        "{\"x\":1,\"id\":[],\"x\":2,\"id\":\"3\"}",
        "{\"__struct__\":\"Elixir\",\"id\":1}",
        "{\"__struct__\":}",
        "{\"\\u0069d\":\"1\",\"id\":\"2\"}",
        "{\"name\":1,\"__struct__\":[{}],\"name\":2}",
        "{\"\":1}",
        "{\"id\" :1}",
        "{ \"id\":1}",
        "{\"id\": 1, \"name\": \"x\"}",
        "{\"id\":1 ,\"name\":2}",
        "[1, 2]",
        "[1 ,2 ]",
        "{\"\u{1}\":1}",
        "{\"i\u{1}d\":1}",
        "{\"ü\":{\"id\":x}}",
        "{\"embeds\":[{\"title\":\"a\"},{\"title\":x}]}",
        "{ \"embeds\":x}",
        "{\"id\":\"1\", \"embeds\": [{ \"title\": x}]}",
    ] {
        pair.check_value(value.as_bytes());
    }
}

/// Text of any short length, with any kind of byte at any place.
#[test]
fn texts_are_read_alike() {
    let mut pair = Pair::new(Limits::default());
    for len in 0..70 {
        for at in 0..=len {
            for byte in *b"x\"\\\x1f\x7f\x80\xff " {
                let mut text = vec![b'x'; len];
                if let Some(place) = text.get_mut(at) {
                    *place = byte;
                }
                pair.check(&[b"{\"content\":\"", &text[..], b"\",\"id\":\"1\"}"].concat());
                pair.check(&[b"[\"", &text[..], b"\"]"].concat());
            }
        }
    }
}

/// Keys of the table, one byte off, between others whose order is known.
#[test]
fn a_key_like_the_guess_is_read_alike() {
    let mut pair = Pair::new(Limits::default());
    for name in Atom::all().map(Atom::as_str) {
        let mut text = format!("{{\"id\":1,\"{name}\":null,\"name\":[]}}").into_bytes();
        pair.check(&text);
        for (at, flip) in (9..9 + name.len() + 3).zip([1, 0x20, 0x80].into_iter().cycle()) {
            text[at] ^= flip;
            pair.check(&text);
            text[at] ^= flip;
        }
    }
}

/// What is learnt from one encoding is no key of the other: neither before anything was read nor after all keys
/// were.
#[test]
fn a_key_of_the_other_encoding_is_none() {
    let names: Vec<&str> = Atom::all().map(Atom::as_str).collect();
    let mut decoder = Decoder::new(Limits::default());
    let mut refuses_etf_keys = |learn: &dyn Fn(&mut Decoder)| {
        for name in &names {
            let len = name.len() as u8;
            for header in [&[100, 0, len][..], &[119, len], &[109, 0, 0, 0, len]] {
                learn(&mut decoder);
                let text = [b"{", header, name.as_bytes(), b"null}"].concat();
                let error = decoder.document_from_json(&text).unwrap_err();
                assert_eq!(error.kind, DecodeErrorKind::Json("expected a key"), "{name}");
                assert_eq!(error.offset, 1, "{name}");
            }
        }
    };
    refuses_etf_keys(&|_| {});
    refuses_etf_keys(&|decoder| {
        decoder.document_from_etf(b"\x83t\0\0\0\x01d\0\x02idj").unwrap();
    });

    // All keys in their order: each is learnt to follow the one before it.
    let all = names.iter().map(|name| format!("\"{name}\":0")).collect::<Vec<_>>().join(",");
    // The place of the guess for the first key depends on the number of members. With four it is that of a key.
    for (len, name) in [3, 4].into_iter().flat_map(|len| names.iter().map(move |name| (len, name)))
    {
        decoder.document_from_json(format!("{{{all}}}").as_bytes()).unwrap();
        let term = [&[131, 116, 0, 0, 0, len][..], b"\"", name.as_bytes(), b"\":j"].concat();
        let error = decoder.document_from_etf(&term).unwrap_err();
        assert_eq!((error.kind, error.offset), (DecodeErrorKind::Key(b'"'), 6), "{name}");
    }
}

/// As much as the limits allow and one more, as both ways come to them.
#[test]
fn limits_are_met_alike() {
    let text: Vec<&str> = FIXTURES.lines().filter(|line| line.len() < 800).step_by(6).collect();
    for limit in 0..40 {
        for limits in [
            Limits { elements: limit, ..Limits::default() },
            Limits { depth: limit / 4, ..Limits::default() },
            Limits { document_bytes: 13 * limit, ..Limits::default() },
        ] {
            let mut pair = Pair::new(limits);
            for text in &text {
                pair.check(text.as_bytes());
                pair.check(&text.as_bytes()[..text.len() - limit]);
            }
            for value in ["[]", "{}", "[[]]", "{\"id\":{}}"] {
                pair.check_value(value.as_bytes());
            }
        }
    }
}

/// What is put into texts.
const PARTS: [&[u8]; 24] = [
    b",",
    b"\"",
    b":",
    b"{",
    b"}",
    b"[",
    b"]",
    b" ",
    b"\\",
    b"\\ud83d",
    b"0",
    b"1.5",
    b"-1",
    b"null",
    b"\xff",
    b"\x01",
    b"\"__struct__\":",
    b"\"id\":\"41\",",
    b"\"x\":1,",
    b"\"\":",
    b"12345678",
    b"[]",
    b"{\"d\":{",
    b"\"roles\":[\"5\"],",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Any JSON, as Discord would write it or in any shape, whole, cut, and with anything put into it.
    #[test]
    fn any_json_is_read_alike(
        trees in prop::collection::vec(tree::map(), 1..4), seed: u64,
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(&PARTS[..])), 0..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut dice = Dice::new(seed);
        let mut pair = Pair::new(Limits::default());
        for tree in &trees {
            let plain = tree::json::plain(&tree.last_wins());
            // A raw line's end would count as space.
            let shaped = tree::json::shaped(tree, &mut dice).replace('\n', " ");
            let message = serde_json::json!({"op": 0, "s": seed, "t": "GUILD_CREATE", "d": plain});
            for text in [plain.to_string(), shaped, message.to_string()] {
                let text = text.into_bytes();
                pair.check(&text);
                pair.check(&text[..cut.index(text.len())]);
                for (at, part) in &changes {
                    let mut text = text.clone();
                    let at = at.index(text.len());
                    text.splice(at..at + dice.below(2), part.iter().copied());
                    pair.check(&text);
                }
            }
        }
    }
}
