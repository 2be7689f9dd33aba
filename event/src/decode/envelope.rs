//! The map around every payload: `op`, `s`, `t`, `d`, in any order.

use super::{
    DecodeErrorKind,
    notes::{Notes, Stop},
};
use crate::{kind::Kind, record::HEAD_MAX, value::Value};

/// What stands beside `d`.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Envelope {
    pub(crate) op: Option<u8>,
    pub(crate) seq: Option<u64>,
    pub(crate) kind: Option<Kind>,
    /// Where `d` ends in the buffer; it begins behind the headroom.
    pub(crate) end: usize,
}

/// A member of the envelope.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Field {
    Op,
    Seq,
    Name,
    Data,
    Other,
}

impl Field {
    pub(super) fn new(key: &[u8]) -> Self {
        match key {
            b"op" => Self::Op,
            b"s" => Self::Seq,
            b"t" => Self::Name,
            b"d" => Self::Data,
            _ => Self::Other,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Op => "op",
            Self::Seq => "s",
            Self::Name => "t",
            Self::Data => "d",
            Self::Other => "?",
        }
    }
}

impl Envelope {
    pub(crate) fn new() -> Self {
        Self { end: HEAD_MAX, ..Self::default() }
    }

    /// Where the value of `field` is written: `d` right behind the headroom, so that of two the
    /// last stays; the others behind it, to be read and forgotten.
    pub(super) const fn place(&self, field: Field) -> usize {
        match field {
            Field::Data => HEAD_MAX,
            _ => self.end,
        }
    }

    /// Takes the value that was written up to `end`; `left` bytes of the input follow it.
    pub(super) fn take(
        &mut self,
        field: Field,
        out: &[u8],
        end: usize,
        notes: &mut Notes,
        left: usize,
    ) -> Result<(), Stop> {
        if field == Field::Data {
            self.end = end;
            return Ok(());
        }
        let mut refuse = |what| notes.refuse(DecodeErrorKind::Envelope(what), left);
        let value = Value::trusted(&out[self.place(field)..end]);
        match (field, value) {
            (Field::Op, value) => {
                let op = value.as_u64().ok_or_else(|| refuse("op is no number"))?;
                self.op = Some(u8::try_from(op).unwrap_or(u8::MAX));
            }
            (Field::Seq, Value::Null) => self.seq = None,
            (Field::Seq, value) => {
                self.seq = Some(value.as_u64().ok_or_else(|| refuse("s is no number"))?);
            }
            (Field::Name, Value::Null) => self.kind = None,
            (Field::Name, value) => {
                let name = value.as_str().ok_or_else(|| refuse("t is no text"))?;
                self.kind = Some(Kind::from_dispatch(name.as_bytes()).unwrap_or(Kind::UNKNOWN));
                if self.kind == Some(Kind::UNKNOWN) {
                    notes.name.clear();
                    notes.name.push_str(name);
                }
            }
            (Field::Data | Field::Other, _) => {}
        }
        Ok(())
    }
}
