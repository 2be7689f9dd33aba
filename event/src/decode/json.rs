//! JSON to document: serde_json's streaming parser into the same sink.

use std::fmt;

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{
    DecodeErrorKind as Fault,
    sink::{Ids, OpenMap, Sink},
};
use crate::put;

/// One JSON value for the sink.
pub(crate) struct Json<'s> {
    pub(crate) sink: &'s mut Sink,
    /// Where our own refusals go; serde_json's error carries only text.
    pub(crate) fault: &'s mut Option<Fault>,
    pub(crate) ids: Ids,
    pub(crate) depth: usize,
    /// Bytes of input, as a guess of what may still come.
    pub(crate) input_len: usize,
}

impl Json<'_> {
    /// Reads all of `text` as one value.
    pub(crate) fn run(&mut self, text: &str) -> Result<(), serde_json::Error> {
        let mut parser = serde_json::Deserializer::from_str(text);
        let whole = Json {
            sink: self.sink,
            fault: self.fault,
            ids: self.ids,
            depth: self.depth,
            input_len: self.input_len,
        };
        whole.deserialize(&mut parser)?;
        parser.end()
    }

    /// For a value inside the container being read.
    pub(crate) fn member(&mut self, ids: Ids) -> Json<'_> {
        Json {
            sink: self.sink,
            fault: self.fault,
            ids,
            depth: self.depth + 1,
            input_len: self.input_len,
        }
    }

    fn refuse<E: Error>(&mut self, fault: Fault) -> E {
        let error = E::custom(&fault);
        *self.fault = Some(fault);
        error
    }

    fn deeper<E: Error>(&mut self) -> Result<(), E> {
        let limit = self.sink.limits.depth;
        if self.depth >= limit { Err(self.refuse(Fault::Depth(limit))) } else { Ok(()) }
    }

    fn count<E: Error>(&mut self, len: usize) -> Result<(), E> {
        let limit = self.sink.limits.elements;
        if len > limit { Err(self.refuse(Fault::TooMany { len, limit })) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Json<'_> {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Json<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    #[inline]
    fn visit_unit<E>(self) -> Result<(), E> {
        put::null(&mut self.sink.out);
        Ok(())
    }

    #[inline]
    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        put::bool(&mut self.sink.out, value);
        Ok(())
    }

    #[inline]
    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.sink.uint(value, self.ids);
        Ok(())
    }

    #[inline]
    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.sink.int(value, self.ids);
        Ok(())
    }

    fn visit_f64<E: Error>(mut self, value: f64) -> Result<(), E> {
        self.sink.float(value, self.ids).map_err(|fault| self.refuse(fault))
    }

    #[inline]
    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.sink.text(text.as_bytes(), self.ids);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        self.deeper()?;
        let open = self.sink.open_list(self.input_len);
        let ids = self.ids.in_list();
        let mut len = 0;
        loop {
            match seq.next_element_seed(self.member(ids)) {
                Ok(Some(())) => len += 1,
                Ok(None) => break,
                Err(error) => {
                    self.sink.path.push(format!("[{len}]"));
                    return Err(error);
                }
            }
            self.count(len)?;
        }
        self.sink.close_list(open).map_err(|fault| self.refuse(fault))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        self.deeper()?;
        let mut map = self.sink.open_map(self.input_len, self.ids);
        let mut len = 0;
        loop {
            let before = self.sink.out.len();
            let key = JsonKey { sink: self.sink, fault: self.fault, map: &mut map };
            match members.next_key_seed(key)? {
                None => break,
                Some(KeyOf::Skipped) => {
                    members.next_value::<IgnoredAny>()?;
                }
                Some(KeyOf::Member(ids)) => {
                    let value = members.next_value_seed(self.member(ids));
                    value.inspect_err(|_| {
                        let key = crate::format::split_key(&self.sink.out[before..]);
                        let name = match key {
                            Some((crate::format::RawKey::Atom(number), _)) => {
                                crate::Atom::from_number(number)
                                    .map(|atom| atom.as_str().to_owned())
                            }
                            Some((crate::format::RawKey::Text(text), _)) => {
                                Some(String::from_utf8_lossy(text).into_owned())
                            }
                            None => None,
                        };
                        self.sink.path.extend(name);
                    })?;
                }
            }
            len += 1;
            self.count(len)?;
        }
        self.sink.close_map(&map).map_err(|fault| self.refuse(fault))
    }
}

/// The key of a member, written as it is read.
struct JsonKey<'s> {
    sink: &'s mut Sink,
    fault: &'s mut Option<Fault>,
    map: &'s mut OpenMap,
}

enum KeyOf {
    Member(Ids),
    Skipped,
}

impl<'de> DeserializeSeed<'de> for JsonKey<'_> {
    type Value = KeyOf;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<KeyOf, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for JsonKey<'_> {
    type Value = KeyOf;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    #[inline]
    fn visit_str<E: Error>(self, key: &str) -> Result<KeyOf, E> {
        if key == "__struct__" {
            return Ok(KeyOf::Skipped);
        }
        match self.sink.key(self.map, key.as_bytes()) {
            Ok(ids) => Ok(KeyOf::Member(ids)),
            Err(fault) => {
                let error = E::custom(&fault);
                *self.fault = Some(fault);
                Err(error)
            }
        }
    }
}
