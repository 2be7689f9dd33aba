//! Erlang's external term format as Discord's gateway writes it.

use crate::value::{Key, Obj, Val};

/// The byte every ETF message begins with.
pub(crate) const VERSION: u8 = 131;

/// How payloads are written as ETF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum EtfShape {
    /// As Discord does: keys and event names are atoms, ids are integers, lists of small integers
    /// are STRING_EXT.
    Discord,
    /// What bots meet now and then: keys and event names are binaries, ids are text.
    Mixed,
}

/// Appends the term for `value`, without the version byte.
pub(crate) fn write_term(value: &Val, shape: EtfShape, out: &mut Vec<u8>) {
    match value {
        Val::Null => write_atom("nil", out),
        Val::Bool(true) => write_atom("true", out),
        Val::Bool(false) => write_atom("false", out),
        Val::Int(value) => write_integer(*value, out),
        Val::Id(id) => match shape {
            EtfShape::Discord => write_unsigned(*id, out),
            EtfShape::Mixed => write_binary(id.to_string().as_bytes(), out),
        },
        Val::Float(value) => write_float(*value, out),
        Val::Str(text) => write_binary(text.as_str().as_bytes(), out),
        Val::List(list) => write_list(list, shape, out),
        Val::Obj(object) => write_map(object, shape, out),
        Val::Shared(shared) => {
            let bytes = shared.etf(shape as usize, |object, out| write_map(object, shape, out));
            out.extend_from_slice(bytes);
        }
    }
}

fn write_map(object: &Obj, shape: EtfShape, out: &mut Vec<u8>) {
    write_map_head(object.members().len(), out);
    for (key, value) in object.members() {
        match key {
            Key::Name(name) => write_name(name, shape, out),
            Key::Id(id) => write_binary(id.to_string().as_bytes(), out),
        }
        write_term(value, shape, out);
    }
}

/// MAP_EXT with its number of pairs.
pub(crate) fn write_map_head(pairs: usize, out: &mut Vec<u8>) {
    out.push(116);
    write_length(pairs, out);
}

/// A key or an event name.
pub(crate) fn write_name(name: &str, shape: EtfShape, out: &mut Vec<u8>) {
    match shape {
        EtfShape::Discord => write_atom(name, out),
        EtfShape::Mixed => write_binary(name.as_bytes(), out),
    }
}

fn write_list(list: &[Val], shape: EtfShape, out: &mut Vec<u8>) {
    if list.is_empty() {
        return out.push(106);
    }
    let start = out.len();
    if let Ok(length) = u16::try_from(list.len()) {
        out.push(107);
        out.extend_from_slice(&length.to_be_bytes());
        let small = list.iter().all(|item| match item {
            Val::Int(value) => u8::try_from(*value).map(|byte| out.push(byte)).is_ok(),
            _ => false,
        });
        if small {
            return;
        }
        out.truncate(start);
    }
    out.push(108);
    write_length(list.len(), out);
    for item in list {
        write_term(item, shape, out);
    }
    out.push(106);
}

/// ATOM_EXT.
pub(crate) fn write_atom(name: &str, out: &mut Vec<u8>) {
    out.push(100);
    // Atoms are keys, event names and the three constants: far shorter than 64 KiB.
    out.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(name.as_bytes());
}

pub(crate) fn write_binary(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(109);
    write_length(bytes.len(), out);
    out.extend_from_slice(bytes);
}

pub(crate) fn write_unsigned(value: u64, out: &mut Vec<u8>) {
    match i64::try_from(value) {
        Ok(value) => write_integer(value, out),
        Err(_) => write_big(0, value, out),
    }
}

fn write_integer(value: i64, out: &mut Vec<u8>) {
    if let Ok(byte) = u8::try_from(value) {
        out.extend_from_slice(&[97, byte]);
    } else if let Ok(word) = i32::try_from(value) {
        out.push(98);
        out.extend_from_slice(&word.to_be_bytes());
    } else {
        write_big(u8::from(value < 0), value.unsigned_abs(), out);
    }
}

/// SMALL_BIG_EXT with no more bytes than needed, as Erlang writes it.
fn write_big(sign: u8, magnitude: u64, out: &mut Vec<u8>) {
    let bytes = magnitude.to_le_bytes();
    let used = 8 - magnitude.leading_zeros() as usize / 8;
    out.extend_from_slice(&[110, used as u8, sign]);
    out.extend_from_slice(&bytes[..used]);
}

fn write_float(value: f64, out: &mut Vec<u8>) {
    out.push(70);
    out.extend_from_slice(&value.to_be_bytes());
}

fn write_length(length: usize, out: &mut Vec<u8>) {
    // Payloads are built in memory from bounded parts: never near 4 GiB.
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}
