//! ETF to document, in one pass.

use super::{
    DecodeErrorKind as Fault,
    sink::{Ids, OpenMap, Sink},
};
use crate::{put, ser::Decimal};

pub(crate) const VERSION: u8 = 131;
pub(crate) const COMPRESSED: u8 = 80;
const NEW_FLOAT: u8 = 70;
const BIT_BINARY: u8 = 77;
const SMALL_INTEGER: u8 = 97;
const INTEGER: u8 = 98;
const FLOAT: u8 = 99;
const ATOM: u8 = 100;
const SMALL_TUPLE: u8 = 104;
const LARGE_TUPLE: u8 = 105;
const NIL: u8 = 106;
const STRING: u8 = 107;
const LIST: u8 = 108;
const BINARY: u8 = 109;
const SMALL_BIG: u8 = 110;
const LARGE_BIG: u8 = 111;
const SMALL_ATOM: u8 = 115;
const MAP: u8 = 116;
const ATOM_UTF8: u8 = 118;
const SMALL_ATOM_UTF8: u8 = 119;

/// Reads terms from `rest` and writes what they mean into the sink.
#[derive(Debug)]
pub(crate) struct Etf<'i, 's> {
    pub(crate) rest: &'i [u8],
    pub(crate) sink: &'s mut Sink,
}

/// A term where a key is expected.
enum KeyTerm<'i> {
    Text(&'i [u8]),
    Latin1(&'i [u8]),
    Signed(i64),
    Unsigned(u64),
}

impl<'i> Etf<'i, '_> {
    /// One term, whose key says about ids what `ids` says, inside `depth` containers.
    pub(crate) fn value(&mut self, ids: Ids, depth: usize) -> Result<(), Fault> {
        match self.byte()? {
            BINARY => {
                let len = self.u32()?;
                let text = self.take(len)?;
                self.sink.text(text, ids);
            }
            SMALL_INTEGER => {
                let value = self.byte()?;
                self.sink.uint(u64::from(value), ids);
            }
            SMALL_BIG => {
                let len = usize::from(self.byte()?);
                self.big(len, ids)?;
            }
            SMALL_ATOM_UTF8 => {
                let len = usize::from(self.byte()?);
                let name = self.take(len)?;
                self.atom(name, ids);
            }
            SMALL_ATOM => {
                let len = usize::from(self.byte()?);
                let name = self.take(len)?;
                self.latin1(name, ids);
            }
            ATOM => {
                let len = self.u16()?;
                let name = self.take(len)?;
                self.latin1(name, ids);
            }
            ATOM_UTF8 => {
                let len = self.u16()?;
                let name = self.take(len)?;
                self.atom(name, ids);
            }
            NIL => put::empty_list(&mut self.sink.out),
            MAP => return self.map(ids, depth),
            LIST => {
                let len = self.u32()?;
                self.list(len, ids, depth, true)?;
            }
            INTEGER => {
                let value = i32::from_be_bytes(self.array()?);
                self.sink.int(i64::from(value), ids);
            }
            NEW_FLOAT => {
                let value = f64::from_be_bytes(self.array()?);
                self.sink.float(value, ids)?;
            }
            STRING => {
                let len = self.u16()?;
                self.count(len)?;
                self.deeper(depth)?;
                let bytes = self.take(len)?;
                let open = self.sink.open_list(len);
                for byte in bytes {
                    self.sink.uint(u64::from(*byte), ids.in_list());
                }
                self.sink.close_list(open)?;
            }
            FLOAT => {
                let text: [u8; 31] = self.array()?;
                let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
                let value = std::str::from_utf8(&text[..end])
                    .ok()
                    .and_then(|text| text.trim().parse::<f64>().ok())
                    .ok_or(Fault::NotFinite)?;
                self.sink.float(value, ids)?;
            }
            SMALL_TUPLE => {
                let len = usize::from(self.byte()?);
                self.list(len, ids, depth, false)?;
            }
            LARGE_TUPLE => {
                let len = self.u32()?;
                self.list(len, ids, depth, false)?;
            }
            LARGE_BIG => {
                let len = self.u32()?;
                self.big(len, ids)?;
            }
            // Atom cache, fun, reference, port, pid, export, bit string, nested compressed, local.
            tag @ (68
            | BIT_BINARY
            | COMPRESSED
            | 82
            | 88..=90
            | 101..=103
            | 112..=114
            | 117
            | 120
            | 121) => return Err(Fault::Term(tag)),
            tag => return Err(Fault::UnknownTag(tag)),
        }
        Ok(())
    }

    /// The header of the payload's map: how many members it has.
    pub(crate) fn open_envelope(&mut self) -> Result<usize, Fault> {
        if self.byte()? != MAP {
            return Err(Fault::Envelope("no map"));
        }
        let len = self.u32()?;
        self.count(len.saturating_mul(2))?;
        self.deeper(0)?;
        Ok(len)
    }

    /// A key of the payload's map, as `read` sees it.
    pub(crate) fn envelope_key<T>(&mut self, read: impl Fn(&[u8]) -> T) -> Result<T, Fault> {
        Ok(match self.key()? {
            KeyTerm::Text(key) => read(key),
            KeyTerm::Latin1(_) | KeyTerm::Signed(_) | KeyTerm::Unsigned(_) => read(b""),
        })
    }

    fn map(&mut self, ids: Ids, depth: usize) -> Result<(), Fault> {
        let len = self.u32()?;
        self.count(len.saturating_mul(2))?;
        self.deeper(depth)?;
        let mut map = self.sink.open_map(self.rest.len(), ids);
        for _ in 0..len {
            let before = self.rest;
            if let Err(fault) = self.member(&mut map, depth) {
                self.note_key(before);
                return Err(fault);
            }
        }
        self.sink.close_map(&map)
    }

    #[inline]
    fn member(&mut self, map: &mut OpenMap, depth: usize) -> Result<(), Fault> {
        let ids = match self.key()? {
            KeyTerm::Text(b"__struct__") => {
                let end = self.sink.out.len();
                self.value(Ids::None, depth + 1)?;
                self.sink.out.truncate(end);
                return Ok(());
            }
            KeyTerm::Text(key) => self.sink.key(map, key)?,
            KeyTerm::Latin1(key) => self.sink.key(map, latin1_text(key).as_bytes())?,
            KeyTerm::Signed(key) => self.sink.key(map, key.to_string().as_bytes())?,
            KeyTerm::Unsigned(key) => self.sink.key(map, Decimal::new(key).as_str().as_bytes())?,
        };
        self.value(ids, depth + 1)
    }

    #[inline]
    fn key(&mut self) -> Result<KeyTerm<'i>, Fault> {
        Ok(match self.byte()? {
            BINARY => {
                let len = self.u32()?;
                KeyTerm::Text(self.take(len)?)
            }
            SMALL_ATOM_UTF8 => {
                let len = usize::from(self.byte()?);
                KeyTerm::Text(self.take(len)?)
            }
            ATOM_UTF8 => {
                let len = self.u16()?;
                KeyTerm::Text(self.take(len)?)
            }
            tag @ (ATOM | SMALL_ATOM) => {
                let len = if tag == ATOM { self.u16()? } else { usize::from(self.byte()?) };
                let name = self.take(len)?;
                if name.is_ascii() { KeyTerm::Text(name) } else { KeyTerm::Latin1(name) }
            }
            SMALL_INTEGER => KeyTerm::Unsigned(u64::from(self.byte()?)),
            INTEGER => KeyTerm::Signed(i64::from(i32::from_be_bytes(self.array()?))),
            tag @ SMALL_BIG => {
                let len = usize::from(self.byte()?);
                match self.big_value(len)? {
                    Big::Unsigned(value) => KeyTerm::Unsigned(value),
                    Big::Signed(value) => KeyTerm::Signed(value),
                    Big::Float(_) => return Err(Fault::Key(tag)),
                }
            }
            tag => return Err(Fault::Key(tag)),
        })
    }

    /// Adds the key that begins `bytes` to an error's path.
    #[cold]
    fn note_key(&mut self, bytes: &'i [u8]) {
        let mut reader = Etf { rest: bytes, sink: self.sink };
        let text = match reader.key() {
            Ok(KeyTerm::Text(key)) => String::from_utf8_lossy(key).into_owned(),
            Ok(KeyTerm::Latin1(key)) => latin1_text(key),
            Ok(KeyTerm::Signed(key)) => key.to_string(),
            Ok(KeyTerm::Unsigned(key)) => key.to_string(),
            Err(_) => return,
        };
        self.sink.path.push(text);
    }

    fn list(&mut self, len: usize, ids: Ids, depth: usize, tail: bool) -> Result<(), Fault> {
        self.count(len)?;
        self.deeper(depth)?;
        let open = self.sink.open_list(self.rest.len());
        for index in 0..len {
            if let Err(fault) = self.value(ids.in_list(), depth + 1) {
                self.sink.path.push(format!("[{index}]"));
                return Err(fault);
            }
        }
        if tail && self.byte()? != NIL {
            return Err(Fault::ImproperList);
        }
        self.sink.close_list(open)
    }

    fn atom(&mut self, name: &[u8], ids: Ids) {
        match name {
            b"nil" | b"null" => put::null(&mut self.sink.out),
            b"true" => put::bool(&mut self.sink.out, true),
            b"false" => put::bool(&mut self.sink.out, false),
            name => self.sink.text(name, ids),
        }
    }

    #[inline]
    fn latin1(&mut self, name: &[u8], ids: Ids) {
        if name.is_ascii() {
            self.atom(name, ids);
        } else {
            self.sink.text(latin1_text(name).as_bytes(), ids);
        }
    }

    #[inline]
    fn big(&mut self, len: usize, ids: Ids) -> Result<(), Fault> {
        match self.big_value(len)? {
            Big::Unsigned(value) => self.sink.uint(value, ids),
            Big::Signed(value) => self.sink.int(value, ids),
            Big::Float(value) => self.sink.float(value, ids)?,
        }
        Ok(())
    }

    /// A big integer of `len` bytes after its sign.
    #[inline]
    fn big_value(&mut self, len: usize) -> Result<Big, Fault> {
        let negative = match self.byte()? {
            0 => false,
            1 => true,
            sign => return Err(Fault::Sign(sign)),
        };
        let magnitude = self.take(len)?;
        if let Ok(bytes) = magnitude.try_into() {
            return Ok(Big::new(u64::from_le_bytes(bytes), negative));
        }
        if len < 8 {
            return Ok(Big::new(short(magnitude), negative));
        }
        large(magnitude, negative)
    }

    /// Checks that `len` terms can be left, and may be.
    #[inline]
    fn count(&self, len: usize) -> Result<(), Fault> {
        // Every term takes a byte at least.
        if len > self.rest.len() {
            return Err(Fault::Truncated);
        }
        if len > self.sink.limits.elements {
            return Err(Fault::TooMany { len, limit: self.sink.limits.elements });
        }
        Ok(())
    }

    #[inline]
    fn deeper(&self, depth: usize) -> Result<(), Fault> {
        if depth >= self.sink.limits.depth {
            return Err(Fault::Depth(self.sink.limits.depth));
        }
        Ok(())
    }

    #[inline]
    fn take(&mut self, len: usize) -> Result<&'i [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Fault::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Fault::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, Fault> {
        let (byte, rest) = self.rest.split_first().ok_or(Fault::Truncated)?;
        self.rest = rest;
        Ok(*byte)
    }

    #[inline]
    fn u16(&mut self) -> Result<usize, Fault> {
        Ok(usize::from(u16::from_be_bytes(self.array()?)))
    }

    #[inline]
    fn u32(&mut self) -> Result<usize, Fault> {
        Ok(u32::from_be_bytes(self.array()?) as usize)
    }
}

enum Big {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

impl Big {
    #[inline]
    fn new(magnitude: u64, negative: bool) -> Self {
        if !negative {
            return Self::Unsigned(magnitude);
        }
        match 0_i64.checked_sub_unsigned(magnitude) {
            Some(value) => Self::Signed(value),
            None => Self::Float(-(magnitude as f64)),
        }
    }
}

/// A little-endian number of at most 8 bytes.
fn short(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// A big integer of more than 8 bytes: itself if zeros made it long, else the nearest float.
#[cold]
fn large(magnitude: &[u8], negative: bool) -> Result<Big, Fault> {
    let len = magnitude.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if len <= 8 {
        return Ok(Big::new(short(&magnitude[..len]), negative));
    }
    // f64 ends below 2^1024.
    if len > 128 {
        return Err(Fault::NotFinite);
    }
    // The top 64 bits decide the rounding, with one bit that stands for all below.
    let (below, top) = magnitude[..len].split_at(len - 8);
    let (top, next) = (short(top), below.last().copied().map_or(0, u64::from));
    let shift = top.leading_zeros();
    let lost = next << shift & 0xFF != 0 || below[..below.len() - 1].iter().any(|byte| *byte != 0);
    let bits = top << shift | next >> (8 - shift) | u64::from(lost);
    let value = bits as f64 * 2_f64.powi(8 * (len as i32 - 8) - shift as i32);
    if !value.is_finite() {
        return Err(Fault::NotFinite);
    }
    Ok(Big::Float(if negative { -value } else { value }))
}

fn latin1_text(name: &[u8]) -> String {
    name.iter().map(|byte| char::from(*byte)).collect()
}
