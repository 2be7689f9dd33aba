//! JSON: compact, members in the order of their keys, ids as text.

use super::{Key, Obj, Val};

/// Appends `value`. A float without a fraction is written as the integer.
pub(crate) fn write_json(value: &Val, out: &mut Vec<u8>) {
    match value {
        Val::Null => out.extend_from_slice(b"null"),
        Val::Bool(true) => out.extend_from_slice(b"true"),
        Val::Bool(false) => out.extend_from_slice(b"false"),
        Val::Int(value) => {
            if *value < 0 {
                out.push(b'-');
            }
            write_digits(value.unsigned_abs(), out);
        }
        Val::Id(id) => write_id(*id, out),
        Val::Float(value) => write_float(*value, out),
        Val::Str(text) => write_string(text.as_str(), out),
        Val::List(list) => {
            out.push(b'[');
            for (at, item) in list.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_json(item, out);
            }
            out.push(b']');
        }
        Val::Obj(object) => write_object(object, out),
        Val::Shared(shared) => out.extend_from_slice(shared.json()),
    }
}

pub(crate) fn write_object(object: &Obj, out: &mut Vec<u8>) {
    out.push(b'{');
    for (at, (key, value)) in object.members().iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        match key {
            Key::Name(name) => {
                out.push(b'"');
                out.extend_from_slice(name.as_bytes());
                out.push(b'"');
            }
            Key::Id(id) => write_id(*id, out),
        }
        out.push(b':');
        write_json(value, out);
    }
    out.push(b'}');
}

fn write_id(id: u64, out: &mut Vec<u8>) {
    out.push(b'"');
    write_digits(id, out);
    out.push(b'"');
}

pub(crate) fn write_digits(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn write_float(value: f64, out: &mut Vec<u8>) {
    if value.fract() == 0.0 && value.abs() < 9e15 {
        #[expect(clippy::cast_possible_truncation, reason = "just seen to be a small integer")]
        let value = value as i64;
        return write_json(&Val::Int(value), out);
    }
    match serde_json::Number::from_f64(value) {
        Some(number) => out.extend_from_slice(number.to_string().as_bytes()),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends `text` quoted, escaped as serde_json escapes it.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[copied..at]);
        copied = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            control => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(control >> 4)]);
                out.push(HEX[usize::from(control & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}
