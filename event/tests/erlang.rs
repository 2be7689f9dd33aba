//! What Erlang's `term_to_binary` really writes means what the same value means in JSON.
//!
//! `vectors.erl` beside this file makes the vectors.

use mixcord_event::{Decoder, Limits};

const VECTORS: &str = include_str!("vectors.txt");

#[test]
fn every_vector_equals_its_json() {
    let mut decoder = Decoder::new(Limits::default());
    let mut count = 0;
    for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
        let mut columns = line.splitn(3, ' ');
        let (Some(name), Some(hex), Some(json)) = (columns.next(), columns.next(), columns.next())
        else {
            panic!("a vector has three columns: {line:.60}");
        };
        let term = bytes(hex);
        let from_etf = decoder.document_from_etf(&term);
        if json == "!" {
            let error = from_etf.expect_err(name);
            assert!(error.offset <= term.len(), "{name}: {error}");
        } else {
            let from_etf = from_etf.unwrap_or_else(|error| panic!("{name}: {error}"));
            let from_json = decoder.document_from_json(text(json).as_bytes());
            let from_json = from_json.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(from_etf, from_json, "{name}");
        }
        count += 1;
    }
    assert!(count >= 90, "only {count} vectors");
}

/// A refused term is refused with its place.
#[test]
fn an_error_says_where() {
    let term = VECTORS.lines().find_map(|line| line.strip_prefix("inside_pid "));
    let term = bytes(term.and_then(|rest| rest.split(' ').next()).expect("the vector is there"));
    let error = Decoder::new(Limits::default()).document_from_etf(&term).unwrap_err();
    assert_eq!(error.path, "content[0]");
    // Version, map, its arity, the key, the list and its length come before the pid.
    assert!((19..=23).contains(&error.offset), "{error}");
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex digits");
    (0..hex.len()).step_by(2).map(digits).collect()
}

/// The JSON of a vector, without its shorthands.
fn text(json: &str) -> String {
    let Some(rest) = json.strip_prefix('@') else { return json.to_owned() };
    let words: Vec<&str> = rest.split(' ').collect();
    let count: usize = words[1].parse().expect("a count");
    match words[0] {
        "text" => format!("\"{}\"", words[2].repeat(count)),
        _ => format!("[{}]", vec![words[2]; count].join(",")),
    }
}
