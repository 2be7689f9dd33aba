//! The unread input. Wherever it begins there is a window to read from: near the end of a term it goes on
//! in the copy that has zeros behind it.

use super::{Etf, Kind, Stop};
use crate::decode::window::{KEY_MAX, WINDOW};

/// What the short way sees of a value.
pub(super) const VALUE: usize = 40;

const _: () = assert!(KEY_MAX + VALUE < WINDOW);

impl<'i> Etf<'_, 'i> {
    /// Goes on in the copy of the end where less than a window is left. An error if the copy's
    /// zeros were read already: a term was cut off.
    #[cold]
    #[inline(never)]
    pub(super) fn refill(&mut self, rest: &'i [u8]) -> Result<&'i [u8], Stop> {
        if self.zeros > 0 || rest.len() >= WINDOW {
            return Err(self.refuse(Kind::Truncated, &[]));
        }
        self.zeros = WINDOW;
        Ok(self.end.from(rest.len()))
    }

    /// How much of the term is left; `rest` may have zeros behind it.
    #[inline(always)]
    pub(crate) const fn left(&self, rest: &[u8]) -> usize {
        rest.len().saturating_sub(self.zeros)
    }

    /// Whether more was read than there is.
    #[inline(always)]
    pub(super) const fn is_beyond_end(&self, rest: &[u8]) -> bool {
        rest.len() < self.zeros
    }

    /// The first eight bytes, zeros where there are fewer; an error at the end.
    #[inline]
    pub(super) fn head(&mut self, rest: &'i [u8]) -> Result<u64, Stop> {
        match rest.first_chunk() {
            Some(chunk) if self.zeros == 0 => Ok(u64::from_le_bytes(*chunk)),
            _ => self.head_at_the_end(rest),
        }
    }

    #[inline(never)]
    fn head_at_the_end(&mut self, rest: &'i [u8]) -> Result<u64, Stop> {
        let len = self.left(rest);
        if len == 0 {
            return Err(self.refuse(Kind::Truncated, rest));
        }
        Ok(super::terms::little_endian(&rest[..len.min(8)]))
    }

    /// The `len` bytes behind a header, and what follows them.
    #[inline(always)]
    pub(super) fn take(
        &mut self,
        rest: &'i [u8],
        header: usize,
        len: usize,
    ) -> Result<(&'i [u8], &'i [u8]), Stop> {
        if header.saturating_add(len) <= self.left(rest) {
            return Ok(rest[header..].split_at(len));
        }
        Err(self.refuse(Kind::Truncated, rest))
    }

    /// Stops at a fault of the term that `rest` begins with.
    #[cold]
    #[inline(never)]
    pub(crate) fn refuse(&mut self, kind: Kind, rest: &[u8]) -> Stop {
        self.pad.notes.refuse(kind, self.left(rest))
    }
}
