//! JSON in every shape that means the same.

use serde_json::{Number, Value as Json, json};

use super::{Dice, Tree};

/// The tree as Discord prints it.
pub(crate) fn plain(tree: &Tree) -> Json {
    match tree {
        Tree::Null => Json::Null,
        Tree::Bool(truth) => json!(truth),
        Tree::Int(number) => match u64::try_from(*number) {
            Ok(number) => json!(number),
            Err(_) => json!(i64::try_from(*number).expect("within 64 bits")),
        },
        Tree::Float(number) => Json::Number(Number::from_f64(*number).expect("finite")),
        Tree::Text(text) => json!(text),
        Tree::Id(id) => json!(id.to_string()),
        Tree::List(items) => items.iter().map(plain).collect(),
        Tree::Map(members) => {
            Json::Object(members.iter().map(|(key, value)| (key.clone(), plain(value))).collect())
        }
    }
}

/// The tree as any writer of JSON may put it: ids as text or numbers, whole floats, escapes, space.
pub(crate) fn shaped(tree: &Tree, dice: &mut Dice) -> String {
    let mut out = String::new();
    value(tree, dice, &mut out);
    out
}

/// Space that no short way passes over.
pub(crate) const SPACE: u8 = b'\n';

/// The text with space before each token. None stands within one, so it means the same, up to the first error.
pub(crate) fn spaced(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.first() {
        let len = match first {
            b'"' => text_len(rest),
            b'{' | b'}' | b'[' | b']' | b',' | b':' | b' ' => 1,
            _ => rest.iter().position(|byte| b"{}[],: \"".contains(byte)).unwrap_or(rest.len()),
        };
        out.push(SPACE);
        out.extend_from_slice(&rest[..len]);
        rest = &rest[len..];
    }
    out
}

/// From quote to quote.
fn text_len(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

fn value(tree: &Tree, dice: &mut Dice, out: &mut String) {
    space(dice, out);
    match tree {
        Tree::Null => out.push_str("null"),
        Tree::Bool(truth) => out.push_str(&truth.to_string()),
        Tree::Int(number) => integer(*number, dice, out),
        Tree::Float(number) => match dice.below(3) {
            0 => out.push_str(&format!("{number:e}")),
            1 => out.push_str(&format!("{number:E}")),
            _ => out.push_str(
                &format!("{:?}", Json::from(*number)).replace("Number(", "").replace(')', ""),
            ),
        },
        Tree::Text(content) => text(content, dice, out),
        Tree::Id(id) if dice.below(2) == 0 => integer(i128::from(*id), dice, out),
        Tree::Id(id) => text(&id.to_string(), dice, out),
        Tree::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                value(item, dice, out);
            }
            space(dice, out);
            out.push(']');
        }
        Tree::Map(members) => {
            out.push('{');
            for (index, (key, member)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                space(dice, out);
                text(key, dice, out);
                space(dice, out);
                out.push(':');
                value(member, dice, out);
            }
            space(dice, out);
            out.push('}');
        }
    }
    space(dice, out);
}

fn integer(number: i128, dice: &mut Dice, out: &mut String) {
    let is_exact = number.unsigned_abs() <= 1 << 53;
    match dice.below(6) {
        0 if is_exact => out.push_str(&format!("{number}.0")),
        1 if is_exact => out.push_str(&format!("{number}e0")),
        2 if is_exact && number != 0 => out.push_str(&format!("{number}0.0E-1")),
        _ => out.push_str(&number.to_string()),
    }
}

fn text(content: &str, dice: &mut Dice, out: &mut String) {
    out.push('"');
    // Most texts have no needless escapes, as in life.
    let escapes = if dice.below(4) == 0 { 4 } else { usize::MAX };
    for letter in content.chars() {
        match letter {
            '"' | '\\' => {
                out.push('\\');
                out.push(letter);
            }
            '\n' if dice.below(2) == 0 => out.push_str("\\n"),
            '\t' if dice.below(2) == 0 => out.push_str("\\t"),
            '/' if dice.below(2) == 0 => out.push_str("\\/"),
            '\u{8}' if dice.below(2) == 0 => out.push_str("\\b"),
            '\u{c}' if dice.below(2) == 0 => out.push_str("\\f"),
            '\r' if dice.below(2) == 0 => out.push_str("\\r"),
            _ if letter < ' ' || dice.below(escapes) == 0 && escapes < 9 => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    let escape = format!("\\u{unit:04x}");
                    out.push_str(&if dice.below(2) == 0 { escape } else { upper(&escape) });
                }
            }
            _ => out.push(letter),
        }
    }
    out.push('"');
}

fn upper(escape: &str) -> String {
    format!("\\u{}", escape[2..].to_ascii_uppercase())
}

fn space(dice: &mut Dice, out: &mut String) {
    if dice.below(8) == 0 {
        out.push([' ', '\n', '\t', '\r'][dice.below(4)]);
    }
}
