//! Reads what a client sends as ETF: bounded, and safe whatever the bytes are.

use serde_json::{Map, Number, Value};
use thiserror::Error;

const DEPTH_MAX: usize = 32;

/// Why a client's term was refused. Each is answered with close code 4002.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TermError {
    /// It does not begin with [`VERSION`](crate::term::VERSION).
    #[error("the message does not begin with 131")]
    Version,
    /// It ends early.
    #[error("the term ends early")]
    Truncated,
    /// It goes on behind its end.
    #[error("bytes after the term")]
    Trailing,
    /// A key is an atom, which Discord refuses.
    #[error("an atom is a key of a map: a client must send its keys as binaries")]
    AtomKey,
    /// A key is neither text nor an integer.
    #[error("a key of a map is neither text nor an integer")]
    Key,
    /// Text is not UTF-8.
    #[error("text that is not UTF-8")]
    Text,
    /// It nests too deep.
    #[error("a term nested deeper than {DEPTH_MAX} levels")]
    Depth,
    /// It has a tag that a client has no use for.
    #[error("an unknown or forbidden tag: {0}")]
    Tag(u8),
    /// A number is out of range.
    #[error("an integer of more than 64 bits, or a float that is no number")]
    Number,
}

/// The term in `bytes` as the JSON value it stands for.
///
/// # Errors
/// When it is none, or none that a client may send.
pub fn read_term(bytes: &[u8]) -> Result<Value, TermError> {
    let mut reader = Reader { rest: bytes };
    if reader.byte()? != crate::term::VERSION {
        return Err(TermError::Version);
    }
    let value = reader.term(0)?;
    if reader.rest.is_empty() { Ok(value) } else { Err(TermError::Trailing) }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], TermError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(TermError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], TermError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(TermError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, TermError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn short(&mut self) -> Result<usize, TermError> {
        self.array().map(|bytes| usize::from(u16::from_be_bytes(bytes)))
    }

    fn long(&mut self) -> Result<usize, TermError> {
        self.array().map(|bytes| u32::from_be_bytes(bytes) as usize)
    }

    fn text(&mut self, length: usize) -> Result<&'a str, TermError> {
        std::str::from_utf8(self.take(length)?).map_err(|_| TermError::Text)
    }

    fn term(&mut self, depth: usize) -> Result<Value, TermError> {
        if depth > DEPTH_MAX {
            return Err(TermError::Depth);
        }
        let tag = self.byte()?;
        Ok(match tag {
            70 => {
                let number = f64::from_be_bytes(self.array()?);
                Value::Number(Number::from_f64(number).ok_or(TermError::Number)?)
            }
            97 => self.byte()?.into(),
            98 => i32::from_be_bytes(self.array()?).into(),
            100 | 115 | 118 | 119 => match self.atom(tag)? {
                "nil" | "null" | "undefined" => Value::Null,
                "true" => true.into(),
                "false" => false.into(),
                other => other.into(),
            },
            104 => {
                let count = usize::from(self.byte()?);
                self.items(count, depth)?
            }
            105 => {
                let count = self.long()?;
                self.items(count, depth)?
            }
            106 => Value::Array(Vec::new()),
            107 => {
                let length = self.short()?;
                self.take(length)?.iter().copied().map(Value::from).collect()
            }
            108 => {
                let count = self.long()?;
                let items = self.items(count, depth)?;
                if self.byte()? != 106 {
                    return Err(TermError::Tag(108));
                }
                items
            }
            109 => {
                let length = self.long()?;
                self.text(length)?.into()
            }
            110 => self.big()?,
            116 => self.map(depth)?,
            other => return Err(TermError::Tag(other)),
        })
    }

    fn atom(&mut self, tag: u8) -> Result<&'a str, TermError> {
        let length =
            if matches!(tag, 100 | 118) { self.short()? } else { usize::from(self.byte()?) };
        self.text(length)
    }

    /// `count` terms. Nothing is reserved ahead, so a wrong count costs nothing.
    fn items(&mut self, count: usize, depth: usize) -> Result<Value, TermError> {
        (0..count).map(|_| self.term(depth + 1)).collect()
    }

    fn map(&mut self, depth: usize) -> Result<Value, TermError> {
        let pairs = self.long()?;
        let mut map = Map::new();
        for _ in 0..pairs {
            if matches!(self.rest.first(), Some(100 | 115 | 118 | 119)) {
                return Err(TermError::AtomKey);
            }
            let key = match self.term(depth + 1)? {
                Value::String(key) => key,
                Value::Number(key) => key.to_string(),
                _ => return Err(TermError::Key),
            };
            map.insert(key, self.term(depth + 1)?);
        }
        Ok(Value::Object(map))
    }

    fn big(&mut self) -> Result<Value, TermError> {
        let [length, sign] = self.array()?;
        let bytes = self.take(usize::from(length))?;
        let mut word = [0; 8];
        word.get_mut(..bytes.len()).ok_or(TermError::Number)?.copy_from_slice(bytes);
        let magnitude = u64::from_le_bytes(word);
        if sign == 0 {
            return Ok(magnitude.into());
        }
        let value = i64::try_from(magnitude).map_err(|_| TermError::Number)?;
        Ok((-value).into())
    }
}

#[cfg(test)]
mod tests {
    //! Whatever a client sends is read or refused; nothing panics, and reading ends.

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::read_term;
    use crate::term;

    proptest! {
        #[test]
        fn any_bytes_are_a_term_or_an_error(mut bytes in vec(any::<u8>(), 0..200)) {
            bytes.insert(0, term::VERSION);
            let _ = read_term(&bytes);
        }

        #[test]
        fn tags_and_lengths_of_every_kind_are_a_term_or_an_error(
            parts in vec(
                (
                    prop::sample::select(vec![70_u8, 97, 98, 100, 104, 105, 106, 107, 108, 109, 110, 116, 119]),
                    vec(prop::sample::select(vec![0_u8, 1, 2, 255]), 0..5),
                ),
                0..40,
            ),
        ) {
            let mut bytes = vec![term::VERSION];
            for (tag, length) in parts {
                bytes.push(tag);
                bytes.extend(length);
            }
            let _ = read_term(&bytes);
        }
    }
}
