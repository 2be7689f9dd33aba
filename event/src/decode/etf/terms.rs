//! The external term format, term by term: tags, lengths, numbers.

pub(crate) const VERSION: u8 = 131;
pub(crate) const COMPRESSED: u8 = 80;
pub(super) const NEW_FLOAT: u8 = 70;
pub(super) const BIT_BINARY: u8 = 77;
pub(super) const SMALL_INTEGER: u8 = 97;
pub(super) const INTEGER: u8 = 98;
pub(super) const FLOAT: u8 = 99;
pub(crate) const ATOM: u8 = 100;
pub(super) const SMALL_TUPLE: u8 = 104;
pub(super) const LARGE_TUPLE: u8 = 105;
pub(super) const NIL: u8 = 106;
pub(super) const STRING: u8 = 107;
pub(super) const LIST: u8 = 108;
pub(crate) const BINARY: u8 = 109;
pub(super) const SMALL_BIG: u8 = 110;
pub(super) const LARGE_BIG: u8 = 111;
pub(super) const SMALL_ATOM: u8 = 115;
pub(super) const MAP: u8 = 116;
pub(crate) const ATOM_UTF8: u8 = 118;
pub(crate) const SMALL_ATOM_UTF8: u8 = 119;

#[derive(Debug)]
pub(super) enum Big {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

impl Big {
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

/// A big integer: itself if it fits, else the nearest float, if that is finite.
pub(super) fn large(magnitude: &[u8], negative: bool) -> Option<Big> {
    let len = magnitude.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if len <= 8 {
        return Some(Big::new(little_endian(&magnitude[..len]), negative));
    }
    // f64 ends below 2^1024.
    if len > 128 {
        return None;
    }
    // The top 64 bits decide the rounding, with one bit that stands for all below.
    let (below, top) = magnitude[..len].split_at(len - 8);
    let (top, next) = (little_endian(top), below.last().copied().map_or(0, u64::from));
    let shift = top.leading_zeros();
    let lost = next << shift & 0xFF != 0 || below[..below.len() - 1].iter().any(|byte| *byte != 0);
    let bits = top << shift | next >> (8 - shift) | u64::from(lost);
    let value = bits as f64 * 2_f64.powi(8 * (len as i32 - 8) - shift as i32);
    value.is_finite().then_some(Big::Float(if negative { -value } else { value }))
}

/// A number of at most 8 bytes.
pub(super) fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// The u16 behind the tag in a loaded word.
#[inline]
pub(super) const fn short(word: u64) -> usize {
    ((word >> 8) as u16).swap_bytes() as usize
}

/// The u32 behind the tag in a loaded word.
#[inline]
pub(super) const fn long(word: u64) -> usize {
    ((word >> 8) as u32).swap_bytes() as usize
}

pub(super) fn latin1_text(name: &[u8]) -> String {
    name.iter().map(|byte| char::from(*byte)).collect()
}
