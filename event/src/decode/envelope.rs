//! The map around every payload: `op`, `s`, `t`, `d`, in any order.

use super::{
    DecodeErrorKind,
    etf::Etf,
    json::{Json, Members, skip_space},
    notes::{Notes, Stop},
};
use crate::{atom::Ids, kind::Kind, record::HEAD_MAX, value::Value};

/// What stands beside `d`.
#[derive(Default, Debug)]
pub(crate) struct Envelope {
    pub(crate) op: Option<u8>,
    pub(crate) seq: Option<u64>,
    pub(crate) kind: Option<Kind>,
    /// The name of a kind that is not in the table.
    pub(crate) name: Option<String>,
    /// Where `d` ends in the buffer; it begins behind the headroom.
    pub(crate) end: usize,
}

/// A member of the envelope.
#[derive(Clone, Copy, PartialEq)]
enum Field {
    Op,
    Seq,
    Name,
    Data,
    Other,
}

impl Field {
    fn new(key: &[u8]) -> Self {
        match key {
            b"op" => Self::Op,
            b"s" => Self::Seq,
            b"t" => Self::Name,
            b"d" => Self::Data,
            _ => Self::Other,
        }
    }

    const fn name(self) -> &'static str {
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
    const fn place(&self, field: Field) -> usize {
        match field {
            Field::Data => HEAD_MAX,
            _ => self.end,
        }
    }

    /// Takes the value that was written up to `end`. What follows in the input is `rest`.
    fn take(
        &mut self,
        field: Field,
        out: &[u8],
        end: usize,
        notes: &mut Notes,
        rest: &[u8],
    ) -> Result<(), Stop> {
        let mut refuse = |what| notes.refuse(DecodeErrorKind::Envelope(what), rest);
        let value = Value::trusted(&out[self.place(field)..end]);
        match (field, value) {
            (Field::Data, _) => self.end = end,
            (Field::Op, value) => {
                let op = value.as_u64().ok_or_else(|| refuse("op is no number"))?;
                self.op = Some(u8::try_from(op).unwrap_or(u8::MAX));
            }
            (Field::Seq, Value::Null) => self.seq = None,
            (Field::Seq, value) => {
                self.seq = Some(value.as_u64().ok_or_else(|| refuse("s is no number"))?);
            }
            (Field::Name, Value::Null) => (self.kind, self.name) = (None, None),
            (Field::Name, value) => {
                let name = value.as_str().ok_or_else(|| refuse("t is no text"))?;
                self.kind = Some(Kind::from_dispatch(name.as_bytes()).unwrap_or(Kind::UNKNOWN));
                self.name = (self.kind == Some(Kind::UNKNOWN)).then(|| name.to_owned());
            }
            (Field::Other, _) => {}
        }
        Ok(())
    }
}

impl Envelope {
    /// Takes a member in the form that Discord gives it, without writing it. Gives what follows.
    #[inline]
    fn take_plain<'i>(&mut self, field: Field, input: &'i [u8], etf: &Etf<'_>) -> Option<&'i [u8]> {
        match field {
            Field::Op => {
                let (op, rest) = etf.plain_number(input)?;
                self.op = Some(u8::try_from(op).unwrap_or(u8::MAX));
                Some(rest)
            }
            Field::Seq => {
                let (seq, rest) = etf.plain_number(input)?;
                self.seq = Some(u64::from(seq));
                Some(rest)
            }
            Field::Name => {
                let (name, rest) = etf.plain_atom(input)?;
                self.kind = Some(Kind::from_dispatch(name)?);
                self.name = None;
                Some(rest)
            }
            Field::Data | Field::Other => None,
        }
    }
}

/// The envelope in ETF. Gives what follows it, and where `d` ends in the buffer.
pub(crate) fn etf<'i>(
    envelope: &mut Envelope,
    etf: &mut Etf<'_>,
    input: &'i [u8],
) -> Result<(&'i [u8], usize), Stop> {
    let (len, mut rest) = etf.open_envelope(input)?;
    *envelope = Envelope::new();
    for _ in 0..len {
        let (field, value) = etf.envelope_key(rest, Field::new)?;
        if let Some(after) = envelope.take_plain(field, value, etf) {
            rest = after;
            continue;
        }
        let read = etf.value(value, envelope.place(field), Ids::None, 1);
        let done = read.and_then(|(rest, end)| {
            envelope.take(field, etf.pad.out, end, etf.pad.notes, rest)?;
            Ok(rest)
        });
        match done {
            Ok(after) => rest = after,
            Err(stop) => {
                etf.pad.notes.step(|| field.name().to_owned());
                return Err(stop);
            }
        }
    }
    Ok((rest, envelope.end))
}

/// The envelope in JSON, likewise.
pub(crate) fn json<'i>(
    envelope: &mut Envelope,
    json: &mut Json<'_>,
    input: &'i [u8],
) -> Result<(&'i [u8], usize), Stop> {
    let Some(members) = skip_space(input).strip_prefix(b"{") else {
        let kind = DecodeErrorKind::Envelope("no map");
        return Err(json.pad.notes.refuse(kind, input));
    };
    *envelope = Envelope::new();
    let mut members = Members::new(members);
    while let Some(key) = members.next(json)? {
        let mut scratch = std::mem::take(&mut json.pad.notes.scratch);
        let read = json.key_text(key, &mut scratch).map(|(key, rest)| (Field::new(key), rest));
        json.pad.notes.scratch = scratch;
        let (field, value) = read?;
        let read = json.value(value, envelope.place(field), Ids::None, 1);
        let done = read.and_then(|(rest, end)| {
            envelope.take(field, json.pad.out, end, json.pad.notes, rest)?;
            Ok(rest)
        });
        match done {
            Ok(after) => members.rest = after,
            Err(stop) => {
                json.pad.notes.step(|| field.name().to_owned());
                return Err(stop);
            }
        }
    }
    Ok((members.rest, envelope.end))
}
