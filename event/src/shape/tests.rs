//! Every document comes back, and a guess changes nothing but the time.

use super::*;
use crate::Document;

/// A document through both ways; `None` where it has no shape.
fn through(document: &[u8]) -> Option<(Shape, Vec<u8>, Vec<u8>)> {
    let whole = through_as(document, false);
    let short = through_as(document, true);
    let shapes = |it: &Option<(Shape, Vec<u8>, Vec<u8>)>| it.as_ref().map(|it| it.0.clone());
    assert_eq!(shapes(&whole), shapes(&short), "the shape knows nothing of it");
    if let (Some(whole), Some(short)) = (&whole, &short) {
        assert!(short.1.len() <= whole.1.len());
        assert_eq!(short.2, whole.2);
    }
    whole
}

fn through_as(document: &[u8], shortens: bool) -> Option<(Shape, Vec<u8>, Vec<u8>)> {
    let mut apart = Apart::default();
    apart.shorten(shortens);
    if !apart.split(document) {
        return None;
    }
    let (rest, gain) = (apart.rest().to_vec(), apart.gain());
    let shape = Shape::new(apart.shape()).expect("what was split off");
    let mut out = vec![0xAA; shape.document_len(rest.len()) + usize::from(gain)];
    assert!(shape.join(&rest, &mut out));
    assert!(apart.split_as(document, &shape), "its own shape");
    assert_eq!((apart.rest(), apart.gain()), (&rest[..], gain));
    Some((shape, rest, out))
}

fn document(json: &str) -> Vec<u8> {
    Document::from_json(json).expect("JSON").as_bytes().to_vec()
}

const MEMBER: &str = r#"{"user": {"id": "5", "username": "ann", "avatar": null, "bot": false, "a": {"b": {"c": {"d": {"id": "1"}}}}},
    "nick": null, "roles": ["1", "2"], "joined_at": "2020-01-11T10:00:21.008000+00:00", "icon": "a_3d1c0f4e8b5a2f6e9d7c1b0a4f8e2d6c", "no such key": 1.5, "flags": 3, "x": {}, "y": [], "z": {"deaf": true},
    "few": [{"id": "7", "name": "n", "fields": [{"inline": true, "value": "v"}]}, {"x": null}], "many": [{}, {"a": 1}],
    "mixed": [{"a": 1}, 5], "deep": [[{"a": 1}]], "long": "a text that is longer than what is copied at once"}"#;

#[test]
fn a_document_comes_back_byte_for_byte() {
    let document = document(MEMBER);
    let (shape, rest, back) = through(&document).expect("a shape");
    assert_eq!(back, document);
    assert!(rest.len() < document.len() * 2 / 3, "{} of {}", rest.len(), document.len());
    assert_eq!(Shape::new(shape.as_bytes()), Some(shape));
}

/// Times and hashes, wherever a shape looks; what is like one and is none stays.
#[test]
fn times_and_hashes_are_made_short_and_come_back() {
    let with = |joined_at: &str, avatar: &str| {
        document(&format!(
            r#"{{"joined_at": {joined_at}, "avatar": {avatar}, "user": {{"avatar": {avatar}}}, "list": [{{"t": {joined_at}}}]}}"#
        ))
    };
    let (time, second) =
        (r#""2020-01-11T10:00:21.008000+00:00""#, r#""2020-01-11T10:00:21+00:00""#);
    let hash = |prefix: &str| format!(r#""{prefix}3d1c0f4e8b5a2f6e9d7c1b0a4f8e2d6c""#);
    let cases = [
        (time, hash(""), 2 * 24 + 2 * 16),
        (second, hash("a_"), 2 * 20 + 2 * 18),
        (time, "null".to_owned(), 2 * 24),
        (r#""2020-01-11T10:00:21.008+00:00""#, hash("b_"), 0),
        ("null", hash("").to_uppercase(), 0),
    ];
    for (joined_at, avatar, gain) in cases {
        let document = with(joined_at, &avatar);
        assert_eq!(through(&document).expect("a shape").2, document);
        let mut apart = Apart::default();
        assert!(apart.split(&document));
        let (whole, none) = (apart.rest().len(), apart.gain());
        assert_eq!(none, 0, "as it is unless it is said");
        apart.shorten(true);
        assert!(apart.split(&document));
        assert_eq!((usize::from(apart.gain()), whole - apart.rest().len()), (gain, gain));
    }
}

/// What is gained is told in one byte: what would be more stays as it is.
#[test]
fn very_many_times_are_made_short_as_far_as_that_can_be_told() {
    for count in [10, 11, 40] {
        let times: Vec<String> = (0..count)
            .map(|n| format!(r#""key {n}": "2020-01-11T10:00:21.008000+00:00""#))
            .collect();
        let document = document(&format!("{{{}}}", times.join(",")));
        assert_eq!(through(&document).expect("a shape").2, document);
        let mut apart = Apart::default();
        apart.shorten(true);
        assert!(apart.split(&document));
        assert_eq!(apart.gain(), 240, "{count}");
    }
}

/// Lists of few maps in maps, as deep as they may be and deeper: whatever is too deep is in the rest.
#[test]
fn however_deep_lists_and_maps_are_there_is_a_shape() {
    for maps in 0..DEPTH + 2 {
        for lists in 0..DEPTH + 2 {
            let mut json = r#"{"a": null}"#.to_owned();
            for _ in 0..lists {
                json = format!(r#"{{"l": [{json}, {{"b": true}}]}}"#);
            }
            for _ in 0..maps {
                json = format!(r#"{{"m": {json}, "n": "5"}}"#);
            }
            let document = document(&json);
            assert_eq!(through(&document).expect("a shape").2, document, "{maps} {lists}");
        }
    }
}

#[test]
fn documents_that_differ_in_values_alone_have_one_shape() {
    let shape_of = |json: &str| through(&document(json)).expect("a shape").0;
    let one = shape_of(r#"{"id": "5", "name": "a", "nick": null, "flags": 1}"#);
    assert_eq!(
        one,
        shape_of(r#"{"id": "123456789", "name": "longer", "nick": null, "flags": 70000}"#)
    );
    assert_ne!(one, shape_of(r#"{"id": "5", "name": "a", "nick": "b", "flags": 1}"#));
    assert_ne!(one, shape_of(r#"{"id": "5", "nick": null, "name": "a", "flags": 1}"#));
    let list = |json: &str| shape_of(&format!(r#"{{"embeds": {json}}}"#));
    let one = list(r#"[{"title": "a"}, {"color": 5}]"#);
    assert_eq!(one, list(r#"[{"title": "longer"}, {"color": 500}]"#));
    assert_ne!(one, list(r#"[{"title": "a"}]"#));
    let map = r#"{"title": "a"}"#;
    let of = |count: usize| list(&format!("[{}]", vec![map; count].join(",")));
    assert_ne!(of(LIST_MAX), of(LIST_MAX - 1));
    assert_eq!(of(LIST_MAX + 1), of(LIST_MAX + 2), "whole, in the rest");
}

/// What is taken apart by a guess is what is found without one; each document by the shapes of all.
#[test]
fn a_guess_is_right_or_refused() {
    let values = [
        "null",
        "true",
        "5",
        "70000",
        r#""7""#,
        r#""123456789012""#,
        r#""text""#,
        r#""a text longer than two words""#,
        r#""2020-01-11T10:00:21.008000+00:00""#,
        r#""3d1c0f4e8b5a2f6e9d7c1b0a4f8e2d6c""#,
        "1.5",
        "{}",
        "[]",
        r#"{"id": "5"}"#,
        r#"{"id": null}"#,
        r#"["1", "2"]"#,
        r#"[{"id": "5"}]"#,
        r#"[{"id": "5"}, {"id": "6"}]"#,
        r#"[{"id": "5"}, 7]"#,
        r#"[{},{},{},{},{}]"#,
        r#"[[{"id": "5"}]]"#,
    ];
    let mut documents = vec![document(MEMBER), document("{}"), document("5")];
    for one in values {
        documents.push(document(&format!(r#"{{"id": "5", "a": {one}}}"#)));
        for other in values {
            documents.push(document(&format!(r#"{{"id": {one}, "a": {other}}}"#)));
            let inner = format!(
                r#"{{"a": {{"id": {one}, "nick": {other}}}, "b": [{{"x": {one}}}], "nick": {other}}}"#
            );
            documents.push(document(&inner));
        }
    }
    let mut shapes: Vec<Shape> = documents.iter().filter_map(|it| Some(through(it)?.0)).collect();
    shapes.sort_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
    shapes.dedup();
    assert!(shapes.len() > 150, "{}", shapes.len());
    let (mut apart, mut guess) = (Apart::default(), Apart::default());
    for (document, shortens) in documents.iter().flat_map(|it| [(it, false), (it, true)]) {
        apart.shorten(shortens);
        guess.shorten(shortens);
        let has_shape = apart.split(document);
        for shape in &shapes {
            let right = has_shape && apart.shape() == shape.as_bytes();
            assert_eq!(guess.split_as(document, shape), right, "{document:?} as {shape:?}");
            if right {
                assert_eq!((guess.rest(), guess.gain()), (apart.rest(), apart.gain()));
            }
        }
    }
}

#[test]
fn what_is_no_map_or_has_too_many_keys_has_no_shape() {
    for json in ["5", "null", "[]", "{}", r#""text""#, r#"[{"id": "1"}]"#] {
        assert!(through(&document(json)).is_none(), "{json}");
    }
    let keys: Vec<String> = (0..1000).map(|n| format!(r#""key {n}": null"#)).collect();
    assert!(through(&document(&format!("{{{}}}", keys.join(",")))).is_none());
    let long = format!(r#"{{"{}": 1}}"#, "k".repeat(usize::from(TEXT_MAX) + 1));
    assert!(through(&document(&long)).is_none());
    let large = format!(r#"{{"content": "{}"}}"#, "t".repeat(70_000));
    assert!(through(&document(&large)).is_none(), "a wide length");
}

/// Every byte of a document, a shape and a rest, changed or cut: another document, or none, and no panic.
#[test]
fn bytes_that_cannot_be_are_refused() {
    let document = document(MEMBER);
    let (shape, rest, _) = through(&document).expect("a shape");
    let changed = |bytes: &[u8]| {
        let (bytes, len) = (bytes.to_vec(), bytes.len());
        let cut = (0..len).map({
            let bytes = bytes.clone();
            move |len| bytes[..len].to_vec()
        });
        cut.chain((0..len * 8).map(move |bit| {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        }))
    };
    let (mut apart, mut guess) = (Apart::default(), Apart::default());
    for document in changed(&document) {
        if let Some((.., back)) = through(&document) {
            assert_eq!(back, document);
        }
        let is_one = apart.split(&document) && apart.shape() == shape.as_bytes();
        assert_eq!(guess.split_as(&document, &shape), is_one, "{document:?}");
    }
    let join = |shape: &Shape, rest: &[u8]| {
        let mut out = vec![0; shape.document_len(rest.len())];
        shape.join(rest, &mut out).then_some(out)
    };
    for rest in changed(&rest) {
        let _ = join(&shape, &rest);
    }
    apart.shorten(true);
    assert!(apart.split(&document) && apart.gain() > 0);
    let gain = usize::from(apart.gain());
    for rest in changed(apart.rest()) {
        for gain in [0, gain, 255] {
            let _ = shape.join(&rest, &mut vec![0; shape.document_len(rest.len()) + gain]);
        }
    }
    for shape in changed(shape.as_bytes()).filter_map(|bytes| Shape::new(&bytes)) {
        let _ = (join(&shape, &rest), guess.split_as(&document, &shape));
    }
    assert!(!shape.join(&rest, &mut vec![0; document.len() - 1]), "no room");
    assert!(!shape.join(&rest, &mut vec![0; document.len() + 1]), "too much room");
}
