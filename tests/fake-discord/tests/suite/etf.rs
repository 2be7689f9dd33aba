//! Between JSON values and terms, by another library than the server's.

use eetf::Term;
use serde_json::{Map, Value};

/// The term a client sends for a JSON value: keys and text as binaries.
pub(crate) fn term(value: &Value) -> Term {
    use eetf::{Atom, BigInteger, Binary, FixInteger, List, Map};
    let binary = |text: &str| Term::Binary(Binary { bytes: text.as_bytes().to_vec() });
    match value {
        Value::Null => Atom::from("nil").into(),
        Value::Bool(value) => Atom::from(value.to_string()).into(),
        Value::Number(number) => match number.as_i64() {
            Some(value) => match i32::try_from(value) {
                Ok(value) => FixInteger { value }.into(),
                Err(_) => BigInteger::from(value).into(),
            },
            None => eetf::Float { value: number.as_f64().expect("a number") }.into(),
        },
        Value::String(text) => binary(text),
        Value::Array(list) => List { elements: list.iter().map(term).collect() }.into(),
        Value::Object(map) => {
            let map = map.iter().map(|(key, value)| (binary(key), term(value))).collect();
            Map { map }.into()
        }
    }
}

/// What a term is in JSON: integers too large for a float are ids, so they become text.
pub(crate) fn json_of(term: &Term) -> Value {
    match term {
        Term::Atom(atom) => match atom.name.as_str() {
            "nil" => Value::Null,
            "true" => true.into(),
            "false" => false.into(),
            name => name.into(),
        },
        Term::FixInteger(number) => number.value.into(),
        Term::BigInteger(number) => {
            let text = number.value.to_string();
            let small = text.len() <= 15;
            if small { text.parse::<i64>().expect("a number").into() } else { text.into() }
        }
        Term::Float(number) => number.value.into(),
        Term::Binary(binary) => String::from_utf8(binary.bytes.clone()).expect("UTF-8").into(),
        Term::ByteList(list) => list.bytes.iter().copied().map(Value::from).collect(),
        Term::List(list) => list.elements.iter().map(json_of).collect(),
        Term::Map(map) => {
            let members = map.map.iter().map(|(key, value)| {
                let key = match json_of(key) {
                    Value::String(key) => key,
                    other => other.to_string(),
                };
                (key, json_of(value))
            });
            Value::Object(members.collect::<Map<_, _>>())
        }
        other => panic!("an unexpected term: {other:?}"),
    }
}
