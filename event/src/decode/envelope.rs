//! The map around every payload: `op`, `s`, `t`, `d`, in any order.

use std::fmt;

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, MapAccess, Visitor},
};

use super::{
    DecodeErrorKind as Fault, Etf, Json,
    sink::{Ids, Sink},
};
use crate::{kind::Kind, record::HEAD_MAX, value::Value};

/// What stands beside `d`.
#[derive(Default, Debug)]
pub(crate) struct Envelope {
    pub(crate) op: Option<u8>,
    pub(crate) seq: Option<u64>,
    pub(crate) kind: Option<Kind>,
    /// The name of a kind that is not in the table.
    pub(crate) name: Option<String>,
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
    /// Takes the value that was written at `start`, unless it is `d`, which stays.
    fn take(&mut self, field: Field, start: usize, sink: &mut Sink) -> Result<(), Fault> {
        if field == Field::Data {
            return Ok(());
        }
        let value = Value::trusted(&sink.out[start..]);
        match (field, value) {
            (Field::Op, value) => {
                let op = value.as_u64().ok_or(Fault::Envelope("op is no number"))?;
                self.op = Some(u8::try_from(op).unwrap_or(u8::MAX));
            }
            (Field::Seq, Value::Null) => self.seq = None,
            (Field::Seq, value) => {
                self.seq = Some(value.as_u64().ok_or(Fault::Envelope("s is no number"))?);
            }
            (Field::Name, Value::Null) => (self.kind, self.name) = (None, None),
            (Field::Name, value) => {
                let name = value.as_str().ok_or(Fault::Envelope("t is no text"))?;
                self.kind = Some(Kind::from_dispatch(name.as_bytes()).unwrap_or(Kind::UNKNOWN));
                self.name = (self.kind == Some(Kind::UNKNOWN)).then(|| name.to_owned());
            }
            (Field::Other | Field::Data, _) => {}
        }
        sink.out.truncate(start);
        Ok(())
    }
}

/// Where the value of `field` goes: `d` right behind the headroom, the last one if there are two.
fn place(field: Field, sink: &mut Sink) -> usize {
    if field == Field::Data {
        sink.out.truncate(HEAD_MAX);
    }
    sink.out.len()
}

/// The envelope in ETF.
pub(crate) fn etf(etf: &mut Etf<'_, '_>) -> Result<Envelope, Fault> {
    let len = etf.open_envelope()?;
    let mut envelope = Envelope::default();
    for _ in 0..len {
        let field = etf.envelope_key(Field::new)?;
        let start = place(field, etf.sink);
        let mut member = || {
            etf.value(Ids::None, 1)?;
            envelope.take(field, start, etf.sink)
        };
        if let Err(fault) = member() {
            etf.sink.path.push(field.name().to_owned());
            return Err(fault);
        }
    }
    Ok(envelope)
}

/// The envelope in JSON.
pub(crate) fn json(json: &mut Json<'_>, text: &str) -> Result<Envelope, serde_json::Error> {
    let mut parser = serde_json::Deserializer::from_str(text);
    let envelope = parser.deserialize_map(JsonEnvelope { json })?;
    parser.end()?;
    Ok(envelope)
}

struct JsonEnvelope<'j, 's> {
    json: &'j mut Json<'s>,
}

impl<'de> Visitor<'de> for JsonEnvelope<'_, '_> {
    type Value = Envelope;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a gateway payload")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Envelope, A::Error> {
        let mut envelope = Envelope::default();
        while let Some(field) = members.next_key_seed(JsonField)? {
            let start = place(field, self.json.sink);
            let mut member = || {
                members.next_value_seed(self.json.member(Ids::None))?;
                envelope.take(field, start, self.json.sink).map_err(|fault| {
                    let error = A::Error::custom(&fault);
                    *self.json.fault = Some(fault);
                    error
                })
            };
            if let Err(error) = member() {
                self.json.sink.path.push(field.name().to_owned());
                return Err(error);
            }
        }
        Ok(envelope)
    }
}

struct JsonField;

impl<'de> DeserializeSeed<'de> for JsonField {
    type Value = Field;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for JsonField {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Field, E> {
        Ok(Field::new(key.as_bytes()))
    }
}
