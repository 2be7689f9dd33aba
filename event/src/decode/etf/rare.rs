//! Terms that Discord sends seldom or never, and those that have no place in an event.

use super::{
    Etf, Kind, Place, Rest, Stop,
    terms::{
        ATOM, ATOM_UTF8, BIT_BINARY, Big, COMPRESSED, FLOAT, LARGE_BIG, LARGE_TUPLE, NEW_FLOAT,
        SMALL_ATOM, SMALL_ATOM_UTF8, SMALL_BIG, SMALL_TUPLE, STRING, large, latin1_text, long,
        short,
    },
};
use crate::{atom::Ids, decode::pad::Position, format};

impl<'i> Etf<'_, 'i> {
    /// One term, if its tag is none of the frequent ones.
    #[inline(never)]
    pub(super) fn rare(&mut self, rest: &'i [u8], place: Place) -> Rest<'i> {
        let head = self.head(rest)?;
        let (position, ids) = (self.position, place.ids);
        match head as u8 {
            SMALL_ATOM_UTF8 | ATOM_UTF8 => {
                let (name, after) = self.atom_name(rest, head)?;
                self.position = self.atom(name, ids)?;
                Ok(after)
            }
            ATOM | SMALL_ATOM => {
                let (name, after) = self.atom_name(rest, head)?;
                self.position = self.latin1(name, ids)?;
                Ok(after)
            }
            SMALL_BIG | LARGE_BIG => {
                let (big, after) = self.big(rest, head)?;
                self.position = match big {
                    Big::Unsigned(value) => self.pad.uint(position, value, ids)?,
                    Big::Signed(value) => self.pad.int(position, value, ids)?,
                    Big::Float(value) => self.pad.float(position, value, ids)?,
                };
                Ok(after)
            }
            STRING => {
                let (bytes, after) = self.take(rest, 3, short(head))?;
                self.enter(&rest[3..], bytes.len())?;
                self.bytes(bytes, ids.in_list())?;
                self.depth_left += 1;
                Ok(after)
            }
            NEW_FLOAT => {
                let (bytes, after) = self.take(rest, 1, 8)?;
                let value = f64::from_be_bytes(bytes.first_chunk().copied().unwrap_or_default());
                self.position = self.float(rest, Some(value), ids)?;
                Ok(after)
            }
            FLOAT => {
                let (text, after) = self.take(rest, 1, 31)?;
                let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
                let text = std::str::from_utf8(&text[..end]).ok();
                let value = text.and_then(|text| text.trim().parse().ok());
                self.position = self.float(rest, value, ids)?;
                Ok(after)
            }
            SMALL_TUPLE => {
                let (_, elements) = self.take(rest, 2, 0)?;
                self.elements(elements, usize::from(head as u16 >> 8), place)
            }
            LARGE_TUPLE => {
                let (_, elements) = self.take(rest, 5, 0)?;
                self.elements(elements, long(head), place)
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
            | 121) => Err(self.refuse(Kind::Term(tag), rest)),
            tag => Err(self.refuse(Kind::UnknownTag(tag), rest)),
        }
    }

    /// STRING_EXT: a list of small integers.
    fn bytes(&mut self, bytes: &'i [u8], ids: Ids) -> Result<(), Stop> {
        let (open, mut position) = self.pad.open(self.position, bytes.len());
        for byte in bytes {
            position = self.pad.uint(position, u64::from(*byte), ids)?;
        }
        self.position = self.pad.close_list(open, position)?;
        Ok(())
    }

    fn atom(&mut self, name: &[u8], ids: Ids) -> Position {
        match name {
            b"nil" | b"null" => self.pad.tag(self.position, format::NULL),
            b"true" => self.pad.bool(self.position, true),
            b"false" => self.pad.bool(self.position, false),
            name => self.pad.text(self.position, name, name.len(), ids),
        }
    }

    fn latin1(&mut self, name: &[u8], ids: Ids) -> Position {
        if name.is_ascii() {
            return self.atom(name, ids);
        }
        let text = latin1_text(name);
        self.pad.text(self.position, text.as_bytes(), text.len(), ids)
    }

    fn float(&mut self, rest: &'i [u8], value: Option<f64>, ids: Ids) -> Position {
        match value {
            Some(value) if value.is_finite() => self.pad.float(self.position, value, ids),
            _ => Err(self.refuse(Kind::NotFinite, rest)),
        }
    }

    /// The name of the atom that begins, whatever its tag, and what follows it.
    pub(super) fn atom_name(
        &mut self,
        rest: &'i [u8],
        head: u64,
    ) -> Result<(&'i [u8], &'i [u8]), Stop> {
        match head as u8 {
            ATOM | ATOM_UTF8 => self.take(rest, 3, short(head)),
            _ => self.take(rest, 2, usize::from(head as u16 >> 8)),
        }
    }

    /// The big integer that begins, small or large, and what follows it.
    pub(super) fn big(&mut self, rest: &'i [u8], head: u64) -> Result<(Big, &'i [u8]), Stop> {
        let (header, len, sign) = match head as u8 {
            SMALL_BIG => (3, usize::from(head as u16 >> 8), head >> 16),
            _ => (6, long(head), head >> 40),
        };
        let (magnitude, after) = self.take(rest, header, len)?;
        let negative = match sign as u8 {
            0 => false,
            1 => true,
            sign => return Err(self.refuse(Kind::Sign(sign), rest)),
        };
        match large(magnitude, negative) {
            Some(big) => Ok((big, after)),
            None => Err(self.refuse(Kind::NotFinite, rest)),
        }
    }
}
