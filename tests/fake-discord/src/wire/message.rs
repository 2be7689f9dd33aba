//! Gateway messages: the envelope `{op, d, s, t}` around a payload.

use mixcord_wire::term;

use super::etf::{self, EtfShape};
use crate::value::{Val, write_json};

/// How messages to a client are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Json,
    Etf(EtfShape),
}

impl Encoding {
    /// The number of encodings.
    pub(crate) const COUNT: usize = 3;

    pub(crate) fn index(self) -> usize {
        match self {
            Self::Json => 0,
            Self::Etf(EtfShape::Discord) => 1,
            Self::Etf(EtfShape::Mixed) => 2,
        }
    }

    /// `value` alone.
    pub(crate) fn write_body(self, value: &Val, out: &mut Vec<u8>) {
        match self {
            Self::Json => write_json(value, out),
            Self::Etf(shape) => etf::write_term(value, shape, out),
        }
    }

    /// A whole dispatch, with a body already in this encoding.
    pub(crate) fn write_dispatch(self, name: &str, seq: u64, body: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Json => {
                out.extend_from_slice(b"{\"t\":\"");
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(b"\",\"s\":");
                crate::value::write_digits(seq, out);
                out.extend_from_slice(b",\"op\":0,\"d\":");
                out.extend_from_slice(body);
                out.push(b'}');
            }
            Self::Etf(shape) => {
                out.push(term::VERSION);
                term::map_head(4, out);
                etf::write_name("d", shape, out);
                out.extend_from_slice(body);
                etf::write_name("op", shape, out);
                out.extend_from_slice(&[97, 0]);
                etf::write_name("s", shape, out);
                term::unsigned(seq, out);
                etf::write_name("t", shape, out);
                etf::write_name(name, shape, out);
            }
        }
    }

    /// A message of another opcode than 0.
    pub(crate) fn write_control(self, op: u8, data: &Val, out: &mut Vec<u8>) {
        match self {
            Self::Json => {
                out.extend_from_slice(b"{\"t\":null,\"s\":null,\"op\":");
                crate::value::write_digits(u64::from(op), out);
                out.extend_from_slice(b",\"d\":");
                write_json(data, out);
                out.push(b'}');
            }
            Self::Etf(shape) => {
                out.push(term::VERSION);
                term::map_head(4, out);
                etf::write_name("d", shape, out);
                etf::write_term(data, shape, out);
                etf::write_name("op", shape, out);
                out.extend_from_slice(&[97, op]);
                for key in ["s", "t"] {
                    etf::write_name(key, shape, out);
                    term::atom("nil", out);
                }
            }
        }
    }
}
