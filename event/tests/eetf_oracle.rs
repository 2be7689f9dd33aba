//! Our own ETF transcoder against the `eetf` crate, on generated terms in every shape that the
//! crate writes; and against what its tree means, converted here by other code than ours.

use eetf::{Atom, BigInteger, Binary, FixInteger, Float, List, Map, Term, Tuple};
use mixcord_event::{Decoder, Limits};
use proptest::prelude::*;
use serde_json::{Number, Value, json};

/// What a term means, concluded from eetf's tree. Ids are not at stake here: the generated keys
/// are none of the key table.
fn meaning(term: &Term) -> Value {
    match term {
        Term::Atom(atom) => match atom.name.as_str() {
            "nil" | "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            name => json!(name),
        },
        Term::FixInteger(number) => json!(number.value),
        Term::BigInteger(number) => {
            let text = number.value.to_string();
            text.parse().map_or_else(|_| json!(text.parse::<f64>().unwrap()), Value::Number)
        }
        Term::Float(number) => whole(number.value),
        Term::Binary(bytes) => json!(String::from_utf8_lossy(&bytes.bytes)),
        Term::ByteList(bytes) => json!(bytes.bytes),
        Term::List(list) => list.elements.iter().map(meaning).collect(),
        Term::Tuple(tuple) => tuple.elements.iter().map(meaning).collect(),
        Term::Map(map) => map.map.iter().map(|(k, v)| (key(k), meaning(v))).collect(),
        other => panic!("not generated: {other}"),
    }
}

fn whole(number: f64) -> Value {
    if number.fract() == 0.0 && (-9.2e18..1.8e19).contains(&number) {
        return match number < 0.0 {
            true => json!(number as i64),
            false => json!(number as u64),
        };
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

fn key(term: &Term) -> String {
    match term {
        Term::Atom(atom) => atom.name.clone(),
        Term::Binary(bytes) => String::from_utf8_lossy(&bytes.bytes).into_owned(),
        Term::FixInteger(number) => number.value.to_string(),
        other => panic!("not generated: {other}"),
    }
}

/// Texts that are no key of the table, short and long, with and without other alphabets.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "x[a-z]{0,20}",
        "x[a-zäöü€🦀]{0,80}",
        Just(format!("x{}", "y".repeat(300))),
        "x[\\x00-\\x7f]{0,40}",
    ]
}

fn atom() -> impl Strategy<Value = Term> {
    prop_oneof![Just("nil".to_owned()), Just("true".to_owned()), "x[a-z_]{0,30}", "x[a-z€]{0,60}"]
        .prop_map(|name| Term::from(Atom::from(name)))
}

fn leaf() -> impl Strategy<Value = Term> {
    prop_oneof![
        atom(),
        any::<i32>().prop_map(|value| FixInteger::from(value).into()),
        (0..=255_i32).prop_map(|value| FixInteger::from(value).into()),
        any::<i64>().prop_map(|value| BigInteger::from(value).into()),
        any::<u64>().prop_map(|value| BigInteger::from(value).into()),
        any::<u16>().prop_map(|value| BigInteger::from(value).into()),
        any::<f64>()
            .prop_filter("finite", |value| value.is_finite())
            .prop_map(|value| Float { value }.into()),
        (-1_000_000_i32..1_000_000).prop_map(|value| Float { value: f64::from(value) }.into()),
        word().prop_map(|text| Binary::from(text.into_bytes()).into()),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Binary::from(bytes).into()),
    ]
}

fn term() -> impl Strategy<Value = Term> {
    leaf().prop_recursive(5, 60, 8, |inner| {
        let key = prop_oneof![
            word().prop_map(|text| Term::from(Binary::from(text.into_bytes()))),
            "x[a-z_]{0,30}".prop_map(|name| Term::from(Atom::from(name))),
            (-5..300_i32).prop_map(|value| FixInteger::from(value).into()),
        ];
        prop_oneof![
            // eetf writes lists of bytes as STRING_EXT and cannot write lists of negative integers.
            prop::collection::vec(inner.clone(), 0..8)
                .prop_filter("eetf's list bug", |items| items
                    .iter()
                    .any(|item| !matches!(item, Term::FixInteger(_))))
                .prop_map(|elements| List::from(elements).into()),
            prop::collection::vec(0..=255_i32, 1..20).prop_map(|bytes| {
                let items: Vec<Term> =
                    bytes.into_iter().map(|b| FixInteger::from(b).into()).collect();
                List::from(items).into()
            }),
            prop::collection::vec(inner.clone(), 0..6)
                .prop_map(|elements| Tuple::from(elements).into()),
            // Equal keys of two kinds (an atom and a binary) would both stand in eetf's tree.
            prop::collection::vec((key, inner), 0..8).prop_map(|members| {
                let mut seen = std::collections::HashSet::new();
                let map = members.into_iter().filter(|(k, _)| seen.insert(self::key(k)));
                Term::from(Map { map: map.collect() })
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn our_document_means_what_eetfs_tree_means(term in term()) {
        let mut bytes = Vec::new();
        term.encode(&mut bytes).unwrap();
        // What eetf reads back is what it means: its own encoder has faults.
        let read = Term::decode(&bytes[..]).unwrap();
        let mut decoder = Decoder::new(Limits::default());
        let ours = decoder.document_from_etf(&bytes).unwrap();
        let expected = decoder.document_from_json(meaning(&read).to_string().as_bytes()).unwrap();
        prop_assert_eq!(&ours, &expected);
    }

    /// One flipped byte: we never panic, and what both accept means the same or was an eetf fault.
    #[test]
    fn a_flipped_byte_never_panics(term in term(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = Vec::new();
        term.encode(&mut bytes).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = to;
        let mut decoder = Decoder::new(Limits::default());
        match decoder.document_from_etf(&bytes) {
            Ok(document) => {
                let again = decoder.document_from_json(document.to_json().as_bytes());
                prop_assert!(again.is_ok());
            }
            Err(error) => prop_assert!(error.offset <= bytes.len()),
        }
    }

    /// Every prefix is refused as cut short.
    #[test]
    fn a_prefix_is_refused(term in term(), end in any::<prop::sample::Index>()) {
        let mut bytes = Vec::new();
        term.encode(&mut bytes).unwrap();
        let end = end.index(bytes.len());
        prop_assert!(Decoder::new(Limits::default()).document_from_etf(&bytes[..end]).is_err());
    }
}
