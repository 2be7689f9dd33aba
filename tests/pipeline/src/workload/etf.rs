//! ETF as Discord writes it.

use serde_json::Value;

/// Discord's own shape: atom keys and constants, ids as SMALL_BIG, lists of bytes as STRING_EXT.
pub fn encode(message: &Value) -> Vec<u8> {
    let mut out = vec![131];
    term(message, false, &mut out);
    out
}

fn term(value: &Value, is_id: bool, out: &mut Vec<u8>) {
    match value {
        Value::Null => atom("nil", out),
        Value::Bool(true) => atom("true", out),
        Value::Bool(false) => atom("false", out),
        Value::Number(number) => integer_or_float(number, out),
        Value::String(text) => match text.parse::<u64>() {
            Ok(id) if is_id => big(id, out),
            _ => tagged(109, text.len(), text.as_bytes(), out),
        },
        Value::Array(items) if items.is_empty() => out.push(106),
        Value::Array(items) => list(items, is_id, out),
        Value::Object(members) => {
            tagged(116, members.len(), &[], out);
            for (key, member) in members {
                atom(key, out);
                if key == "t" {
                    atom(member.as_str().unwrap_or("nil"), out);
                } else {
                    term(member, holds_ids(key), out);
                }
            }
        }
    }
}

fn list(items: &[Value], is_id: bool, out: &mut Vec<u8>) {
    let bytes: Option<Vec<u8>> =
        items.iter().map(|i| i.as_u64().and_then(|n| u8::try_from(n).ok())).collect();
    if let Some(bytes) = bytes {
        out.push(107);
        out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
        out.extend_from_slice(&bytes);
        return;
    }
    tagged(108, items.len(), &[], out);
    items.iter().for_each(|item| term(item, is_id, out));
    out.push(106);
}

fn holds_ids(key: &str) -> bool {
    key == "id" || key.ends_with("_id") || matches!(key, "roles" | "mention_roles" | "ids")
}

fn atom(name: &str, out: &mut Vec<u8>) {
    out.push(100);
    out.extend_from_slice(&(name.len() as u16).to_be_bytes());
    out.extend_from_slice(name.as_bytes());
}

fn integer_or_float(number: &serde_json::Number, out: &mut Vec<u8>) {
    match number.as_i64() {
        Some(small @ 0..=255) => out.extend_from_slice(&[97, small as u8]),
        Some(int) if i32::try_from(int).is_ok() => {
            out.push(98);
            out.extend_from_slice(&(int as i32).to_be_bytes());
        }
        Some(large) if large >= 0 => big(large as u64, out),
        _ => {
            out.push(70);
            out.extend_from_slice(&number.as_f64().unwrap_or(0.0).to_be_bytes());
        }
    }
}

fn big(id: u64, out: &mut Vec<u8>) {
    let digits = 8 - id.leading_zeros() as usize / 8;
    out.extend_from_slice(&[110, digits as u8, 0]);
    out.extend_from_slice(&id.to_le_bytes()[..digits]);
}

fn tagged(tag: u8, length: usize, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(&(length as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}
