//! The hash of a payload.
//!
//! It is taken of the payload's canonical JSON text: no white space, the members of every object
//! sorted by the bytes of their keys, ids as text, text escaped as serde_json escapes it, numbers
//! without a fraction written as integers. Over the bytes of that text, eight at a time as
//! little-endian words, the last one filled up with zeros:
//!
//! ```text
//! h = length of the text in bytes
//! for each word w: h = (rotate_left(h, 5) XOR w) * 0x517cc1b727220a95   (modulo 2^64)
//! h = h XOR (h >> 32)
//! ```

use serde_json::{Map, Value};

const FACTOR: u64 = 0x517c_c1b7_2722_0a95;

/// The hash of a canonical text.
pub fn hash_text(text: &[u8]) -> u64 {
    let mut hash = text.len() as u64;
    let (words, rest) = text.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let tail = (!rest.is_empty()).then_some(&last);
    for word in words.iter().chain(tail) {
        hash = (hash.rotate_left(5) ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR);
    }
    hash ^ (hash >> 32)
}

/// The hash of a payload that came as JSON: brings it into canonical form first.
pub fn hash_json(payload: &Value) -> u64 {
    hash_text(canonical(payload).to_string().as_bytes())
}

/// Sorts members and makes whole floats integers.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 =>
            {
                #[expect(clippy::cast_possible_truncation, reason = "a small whole number")]
                Value::from(float as i64)
            }
            _ => value.clone(),
        },
        Value::Array(list) => list.iter().map(canonical).collect(),
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_by(|a, b| a.0.cmp(b.0));
            let sorted: Map<_, _> =
                members.into_iter().map(|(key, value)| (key.clone(), canonical(value))).collect();
            Value::Object(sorted)
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_members_and_whole_floats_do_not_matter() {
        let one = serde_json::from_str(r#"{"b":[1.0,{"y":1,"x":"é"}],"a":null}"#).unwrap();
        let text = br#"{"a":null,"b":[1,{"x":"\u00e9","y":1}]}"#;
        let other: Value = serde_json::from_slice(text).unwrap();
        assert_eq!(hash_json(&one), hash_json(&other));
        assert_eq!(
            hash_json(&one),
            hash_text("{\"a\":null,\"b\":[1,{\"x\":\"é\",\"y\":1}]}".as_bytes())
        );
    }

    #[test]
    fn a_known_value_stays_what_it_is() {
        assert_eq!(hash_text(b""), 0);
        assert_eq!(hash_text(b"{}"), hash_json(&serde_json::json!({})));
        assert_ne!(hash_text(b"12345678"), hash_text(b"12345679"));
    }
}
