//! Payloads as ETF, in the shapes that bots meet.

use mixcord_wire::term;

use crate::value::{Key, Obj, Val};

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
        Val::Null => term::atom("nil", out),
        Val::Bool(true) => term::atom("true", out),
        Val::Bool(false) => term::atom("false", out),
        Val::Int(value) => term::integer(*value, out),
        Val::Id(id) => match shape {
            EtfShape::Discord => term::unsigned(*id, out),
            EtfShape::Mixed => term::binary(id.to_string().as_bytes(), out),
        },
        Val::Float(value) => term::float(*value, out),
        Val::Str(text) => term::binary(text.as_str().as_bytes(), out),
        Val::List(list) => write_list(list, shape, out),
        Val::Obj(object) => write_map(object, shape, out),
        Val::Shared(shared) => {
            let bytes = shared.etf(shape as usize, |object, out| write_map(object, shape, out));
            out.extend_from_slice(bytes);
        }
    }
}

fn write_map(object: &Obj, shape: EtfShape, out: &mut Vec<u8>) {
    term::map_head(object.members().len(), out);
    for (key, value) in object.members() {
        match key {
            Key::Name(name) => write_name(name, shape, out),
            Key::Id(id) => term::binary(id.to_string().as_bytes(), out),
        }
        write_term(value, shape, out);
    }
}

/// A key or an event name.
pub(crate) fn write_name(name: &str, shape: EtfShape, out: &mut Vec<u8>) {
    match shape {
        EtfShape::Discord => term::atom(name, out),
        EtfShape::Mixed => term::binary(name.as_bytes(), out),
    }
}

fn write_list(list: &[Val], shape: EtfShape, out: &mut Vec<u8>) {
    let bytes = list.iter().map(|item| match item {
        Val::Int(value) => u8::try_from(*value).ok(),
        _ => None,
    });
    if !list.is_empty() {
        if term::byte_list(list.len(), bytes, out) {
            return;
        }
        term::list_head(list.len(), out);
        list.iter().for_each(|item| write_term(item, shape, out));
    }
    term::list_end(out);
}
