//! ETF in every shape that means the same (G-10, and whatever term_to_binary can write).

use std::io::Write as _;

use super::{Dice, Tree, decimal};

/// The tree as a term, its shapes chosen by the dice; now and then compressed.
pub(crate) fn shaped(tree: &Tree, dice: &mut Dice) -> Vec<u8> {
    let mut term = Vec::new();
    value(tree, dice, &mut term);
    if dice.below(8) > 0 {
        term.insert(0, 131);
        return term;
    }
    let mut out = vec![131, 80];
    out.extend_from_slice(&(term.len() as u32).to_be_bytes());
    let mut zlib = flate2::write::ZlibEncoder::new(out, flate2::Compression::fast());
    zlib.write_all(&term).expect("a Vec takes everything");
    zlib.finish().expect("a Vec takes everything")
}

/// A dispatch, its members in any order.
pub(crate) fn message(name: &str, seq: u64, data: &Tree, dice: &mut Dice) -> Vec<u8> {
    let mut members = vec![
        ("op".to_owned(), Tree::Int(0)),
        ("t".to_owned(), Tree::Text(name.to_owned())),
        ("s".to_owned(), Tree::Int(seq.into())),
        ("d".to_owned(), data.clone()),
    ];
    for index in (1..members.len()).rev() {
        members.swap(index, dice.below(index + 1));
    }
    shaped(&Tree::Map(members), dice)
}

/// How keys and constants are written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Names {
    /// ATOM_EXT, as Discord does.
    Atoms,
    /// SMALL_ATOM_UTF8_EXT, as Erlang does since OTP 26.
    SmallAtoms,
    /// Keys as binaries.
    Binaries,
}

impl Names {
    pub(crate) const ALL: [Self; 3] = [Self::Atoms, Self::SmallAtoms, Self::Binaries];

    fn key(self, name: &str, out: &mut Vec<u8>) {
        match self {
            Self::Binaries => binary(name, out),
            _ if name.len() > 255 => binary(name, out),
            _ => self.constant(name, out),
        }
    }

    fn constant(self, name: &str, out: &mut Vec<u8>) {
        match self {
            Self::SmallAtoms => out.extend_from_slice(&[119, name.len() as u8]),
            _ => {
                out.push(if name.is_ascii() { 100 } else { 118 });
                out.extend_from_slice(&(name.len() as u16).to_be_bytes());
            }
        }
        out.extend_from_slice(name.as_bytes());
    }
}

/// A dispatch in the shape that Discord gives it: ids as SMALL_BIG, the envelope's members in the order
/// of their names.
pub(crate) fn discords_message(name: &str, seq: u64, data: &Tree, names: Names) -> Vec<u8> {
    let mut out = vec![131];
    tagged(116, 4, &mut out);
    names.key("d", &mut out);
    discords_value(data, names, &mut out);
    names.key("op", &mut out);
    discords_value(&Tree::Int(0), names, &mut out);
    names.key("s", &mut out);
    discords_value(&Tree::Int(seq.into()), names, &mut out);
    names.key("t", &mut out);
    names.constant(name, &mut out);
    out
}

/// A term in the shape that Discord gives it.
pub(crate) fn discords(tree: &Tree, names: Names) -> Vec<u8> {
    let mut out = vec![131];
    discords_value(tree, names, &mut out);
    out
}

fn discords_value(tree: &Tree, names: Names, out: &mut Vec<u8>) {
    match tree {
        Tree::Null => names.constant("nil", out),
        Tree::Bool(truth) => names.constant(if *truth { "true" } else { "false" }, out),
        Tree::Int(number @ 0..=255) => out.extend_from_slice(&[97, *number as u8]),
        Tree::Int(number) => match i32::try_from(*number) {
            Ok(number) => {
                out.push(98);
                out.extend_from_slice(&number.to_be_bytes());
            }
            Err(_) => big(*number, out),
        },
        Tree::Float(number) => {
            out.push(70);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Tree::Text(content) => binary(content, out),
        Tree::Id(id) => big(i128::from(*id), out),
        Tree::List(items) if items.is_empty() => out.push(106),
        Tree::List(items) => {
            tagged(108, items.len(), out);
            items.iter().for_each(|item| discords_value(item, names, out));
            out.push(106);
        }
        Tree::Map(members) => {
            tagged(116, members.len(), out);
            for (key, member) in members {
                names.key(key, out);
                discords_value(member, names, out);
            }
        }
    }
}

fn big(number: i128, out: &mut Vec<u8>) {
    let digits = number.unsigned_abs().to_le_bytes();
    let len = 16 - (number.unsigned_abs().leading_zeros() / 8) as usize;
    out.extend_from_slice(&[110, len as u8, u8::from(number < 0)]);
    out.extend_from_slice(&digits[..len]);
}

fn value(tree: &Tree, dice: &mut Dice, out: &mut Vec<u8>) {
    match tree {
        Tree::Null => atom(["nil", "null"][dice.below(2)], dice, out),
        Tree::Bool(truth) => atom(if *truth { "true" } else { "false" }, dice, out),
        Tree::Int(number) => integer(*number, dice, out),
        Tree::Float(number) => float(*number, dice, out),
        Tree::Text(content) => text(content, dice, out),
        Tree::Id(id) => match dice.below(4) {
            0 => text(&id.to_string(), dice, out),
            _ => integer(i128::from(*id), dice, out),
        },
        Tree::List(items) => list(items, dice, out),
        Tree::Map(members) => map(members, dice, out),
    }
}

fn map(members: &[(String, Tree)], dice: &mut Dice, out: &mut Vec<u8>) {
    let leaked = dice.below(10) == 0;
    tagged(116, members.len() + usize::from(leaked), out);
    if leaked {
        text_as_key("__struct__", dice, out);
        atom("Elixir.Discord.Struct", dice, out);
    }
    for (key, member) in members {
        key_term(key, dice, out);
        value(member, dice, out);
    }
}

fn key_term(key: &str, dice: &mut Dice, out: &mut Vec<u8>) {
    match decimal(key) {
        Some(number) if dice.below(2) == 0 => sized(i128::from(number), false, dice, out),
        _ if key.starts_with('-') && dice.below(2) == 0 => match key.parse::<i32>() {
            Ok(number) if number.to_string() == key => sized(number.into(), false, dice, out),
            _ => text_as_key(key, dice, out),
        },
        _ => text_as_key(key, dice, out),
    }
}

fn text_as_key(key: &str, dice: &mut Dice, out: &mut Vec<u8>) {
    if key.len() > 255 || dice.below(3) == 0 {
        binary(key, out);
    } else {
        atom(key, dice, out);
    }
}

fn text(content: &str, dice: &mut Dice, out: &mut Vec<u8>) {
    let is_constant = matches!(content, "nil" | "null" | "true" | "false");
    if is_constant || content.len() > 255 || dice.below(5) > 0 {
        binary(content, out);
    } else {
        atom(content, dice, out);
    }
}

/// All four tags of atoms; those that are Latin-1 only for what Latin-1 has.
fn atom(name: &str, dice: &mut Dice, out: &mut Vec<u8>) {
    let latin: Option<Vec<u8>> =
        name.chars().map(|letter| u8::try_from(u32::from(letter)).ok()).collect();
    let (tags, bytes) = match latin {
        Some(latin) if dice.below(2) == 0 => ([100, 115], latin),
        _ => ([118, 119], name.as_bytes().to_vec()),
    };
    if dice.below(2) == 0 {
        out.push(tags[0]);
        out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    } else {
        out.extend_from_slice(&[tags[1], bytes.len() as u8]);
    }
    out.extend_from_slice(&bytes);
}

fn binary(content: &str, out: &mut Vec<u8>) {
    tagged(109, content.len(), out);
    out.extend_from_slice(content.as_bytes());
}

/// An integer, or the float that equals it.
fn integer(number: i128, dice: &mut Dice, out: &mut Vec<u8>) {
    if number.unsigned_abs() <= 1 << 53 && dice.below(6) == 0 {
        return float(number as f64, dice, out);
    }
    whole(number, dice, out);
}

fn whole(number: i128, dice: &mut Dice, out: &mut Vec<u8>) {
    let is_large = dice.below(5) == 0;
    sized(number, is_large, dice, out);
}

fn sized(number: i128, is_large: bool, dice: &mut Dice, out: &mut Vec<u8>) {
    if let Ok(byte) = u8::try_from(number)
        && dice.below(3) > 0
    {
        return out.extend_from_slice(&[97, byte]);
    }
    if let Ok(number) = i32::try_from(number)
        && dice.below(3) > 0
    {
        out.push(98);
        return out.extend_from_slice(&number.to_be_bytes());
    }
    let size = number.unsigned_abs().to_le_bytes();
    let needed = 16 - (number.unsigned_abs().leading_zeros() / 8) as usize;
    // Zeros in front mean nothing; erlpack writes eight bytes always.
    let length = match dice.below(3) {
        0 => needed,
        1 => needed.max(8),
        _ => needed + dice.below(4),
    };
    if is_large {
        tagged(111, length, out);
    } else {
        out.extend_from_slice(&[110, length as u8]);
    }
    out.push(u8::from(number < 0));
    out.extend_from_slice(&size[..length]);
}

fn float(number: f64, dice: &mut Dice, out: &mut Vec<u8>) {
    if dice.below(3) > 0 {
        out.push(70);
        return out.extend_from_slice(&number.to_be_bytes());
    }
    let mut digits = format!("{number:.20e}").into_bytes();
    digits.resize(31, 0);
    out.push(99);
    out.extend_from_slice(&digits);
}

fn list(items: &[Tree], dice: &mut Dice, out: &mut Vec<u8>) {
    let byte = |item: &Tree| match item {
        Tree::Int(number) => u8::try_from(*number).ok(),
        Tree::Id(id) => u8::try_from(*id).ok(),
        _ => None,
    };
    if items.is_empty() && dice.below(2) == 0 {
        return out.push(106);
    }
    if let Some(bytes) = items.iter().map(byte).collect::<Option<Vec<u8>>>()
        && dice.below(3) > 0
    {
        out.push(107);
        out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
        return out.extend_from_slice(&bytes);
    }
    let shape = dice.below(4);
    match shape {
        0 => out.extend_from_slice(&[104, items.len() as u8]),
        1 => tagged(105, items.len(), out),
        _ => tagged(108, items.len(), out),
    }
    items.iter().for_each(|item| value(item, dice, out));
    if shape > 1 {
        out.push(106);
    }
}

fn tagged(tag: u8, length: usize, out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(&(length as u32).to_be_bytes());
}
