//! Constants and numbers.

use super::{Pad, Position};
use crate::{
    atom::Ids,
    format,
    put::{self, Integer},
};

impl Pad<'_> {
    /// Writes a value that is no more than its tag.
    #[inline(always)]
    pub(crate) fn tag(&mut self, position: usize, tag: u8) -> Position {
        match self.out.get_mut(position) {
            Some(byte) => *byte = tag,
            None => return Err(self.notes.full()),
        }
        Ok(position + 1)
    }

    #[inline]
    pub(crate) fn bool(&mut self, position: usize, value: bool) -> Position {
        self.tag(position, if value { format::TRUE } else { format::FALSE })
    }

    #[inline(always)]
    pub(crate) fn uint(&mut self, position: usize, value: u64, ids: Ids) -> Position {
        if ids.scalar() {
            return self.word(position, format::ID, value, 9);
        }
        if value <= format::SMALL_INT_MAX {
            return self.tag(position, format::SMALL_INT + value as u8);
        }
        let (tag, len) = match value {
            ..0x80 => (format::I8, 2),
            0x80..0x8000 => (format::I16, 3),
            0x8000..0x8000_0000 => (format::I32, 5),
            0x8000_0000..0x8000_0000_0000_0000 => (format::I64, 9),
            _ => (format::U64, 9),
        };
        self.word(position, tag, value, len)
    }

    #[inline]
    pub(crate) fn int(&mut self, position: usize, value: i64, ids: Ids) -> Position {
        if let Ok(value) = u64::try_from(value) {
            return self.uint(position, value, ids);
        }
        let (tag, len) = match value {
            -0x80.. => (format::I8, 2),
            -0x8000.. => (format::I16, 3),
            -0x8000_0000.. => (format::I32, 5),
            _ => (format::I64, 9),
        };
        self.word(position, tag, value as u64, len)
    }

    /// A finite number: the integer it equals, if there is one.
    pub(crate) fn float(&mut self, position: usize, value: f64, ids: Ids) -> Position {
        match put::integer(value) {
            Some(Integer::Unsigned(value)) => self.uint(position, value, ids),
            Some(Integer::Signed(value)) => self.int(position, value, ids),
            None => self.word(position, format::FLOAT, value.to_bits(), 9),
        }
    }

    /// Writes `len` bytes of a tag and a little-endian word.
    #[inline(always)]
    pub(super) fn word(&mut self, position: usize, tag: u8, word: u64, len: usize) -> Position {
        let Some(room) = self.out.get_mut(position..).and_then(<[u8]>::first_chunk_mut::<9>) else {
            return Err(self.notes.full());
        };
        room[0] = tag;
        room[1..].copy_from_slice(&word.to_le_bytes());
        Ok(position + len)
    }
}
