//! The external term format, term by term: tags, lengths, numbers, and the short way for what Discord
//! sends most.

use super::pad::{HIGH_BITS, ROOM};
use crate::{
    atom::{Atom, Ids, Slot},
    format,
};

pub(super) const VERSION: u8 = 131;
pub(super) const COMPRESSED: u8 = 80;
pub(super) const NEW_FLOAT: u8 = 70;
pub(super) const BIT_BINARY: u8 = 77;
pub(super) const SMALL_INTEGER: u8 = 97;
pub(super) const INTEGER: u8 = 98;
pub(super) const FLOAT: u8 = 99;
pub(super) const ATOM: u8 = 100;
pub(super) const SMALL_TUPLE: u8 = 104;
pub(super) const LARGE_TUPLE: u8 = 105;
pub(super) const NIL: u8 = 106;
pub(super) const STRING: u8 = 107;
pub(super) const LIST: u8 = 108;
pub(super) const BINARY: u8 = 109;
pub(super) const SMALL_BIG: u8 = 110;
pub(super) const LARGE_BIG: u8 = 111;
pub(super) const SMALL_ATOM: u8 = 115;
pub(super) const MAP: u8 = 116;
pub(super) const ATOM_UTF8: u8 = 118;
pub(super) const SMALL_ATOM_UTF8: u8 = 119;

/// The key of the table that begins `input`, and what follows it.
#[inline(always)]
pub(super) fn listed_key(input: &[u8]) -> Option<(&'static Slot, &[u8])> {
    let word = u64::from_le_bytes(*input.first_chunk()?);
    let (header, len) = match word as u8 {
        ATOM => (3, short(word)),
        _ => key_header(word)?,
    };
    let name = input.get(header..)?;
    let rest = name.get(len..)?;
    Some((Atom::lookup_in(name, len)?, rest))
}

/// The length of a key's header, and of its text; for keys that are no ATOM_EXT.
#[inline(never)]
const fn key_header(word: u64) -> Option<(usize, usize)> {
    match word as u8 {
        BINARY => Some((5, long(word))),
        SMALL_ATOM | SMALL_ATOM_UTF8 => Some((2, (word as u16 >> 8) as usize)),
        ATOM_UTF8 => Some((3, short(word))),
        _ => None,
    }
}

/// Writes the term that begins `input` from `room[AT]` on, if it is one of the frequent scalars in
/// the form that Discord gives them. Gives what follows it, and how much of the room is used.
#[inline(always)]
pub(super) fn plain<'i, const AT: usize>(
    room: &mut [u8; ROOM],
    input: &'i [u8],
    ids: Ids,
) -> Option<(&'i [u8], usize)> {
    let word = u64::from_le_bytes(*input.first_chunk()?);
    match word as u8 {
        ATOM => {
            let (tag, len) = if word & 0xFFFF_FFFF_FFFF == NIL_ATOM {
                (format::NULL, 6)
            } else if word == FALSE_ATOM {
                (format::FALSE, 8)
            } else if word & 0xFF_FFFF_FFFF_FFFF == TRUE_ATOM {
                (format::TRUE, 7)
            } else {
                return None;
            };
            room[AT] = tag;
            Some((&input[len..], AT + 1))
        }
        BINARY => {
            let len = long(word);
            let text = input.get(5..)?;
            let rest = text.get(len..)?;
            if is_id(ids) || len > 32 {
                return None;
            }
            if len > 16 {
                let (first, last) = (text.first_chunk::<16>()?, text[..len].last_chunk::<16>()?);
                let both = u128::from_le_bytes(*first) | u128::from_le_bytes(*last);
                if both & HIGH_BITS[16] != 0 {
                    return None;
                }
                *room[AT + 1..].first_chunk_mut()? = *first;
                *room[AT + 1 + len - 16..].first_chunk_mut()? = *last;
            } else {
                let chunk = text.first_chunk::<16>()?;
                if u128::from_le_bytes(*chunk) & HIGH_BITS[len] != 0 {
                    return None;
                }
                *room[AT + 1..].first_chunk_mut()? = *chunk;
            }
            room[AT] = format::SHORT_TEXT + len as u8;
            Some((rest, AT + 1 + len))
        }
        SMALL_BIG => {
            let len = word as u16 >> 8;
            // One byte of length, one of sign, which must be 0.
            if word >> 16 & 0xFF != 0 || !(1..=8).contains(&len) {
                return None;
            }
            let bytes = u64::from_le_bytes(*input[3..].first_chunk()?);
            let value = bytes & (u64::MAX >> (64 - 8 * len));
            room[AT] = if is_id(ids) {
                format::ID
            } else if (0x8000_0000..0x8000_0000_0000_0000).contains(&value) {
                format::I64
            } else {
                return None;
            };
            *room[AT + 1..].first_chunk_mut()? = value.to_le_bytes();
            Some((input.get(3 + usize::from(len)..)?, AT + 9))
        }
        SMALL_INTEGER => {
            let value = (word >> 8) as u8;
            if is_id(ids) {
                return None;
            }
            let (bytes, used) = match value {
                0..=95 => ([format::SMALL_INT + value, 0, 0], 1),
                96..=127 => ([format::I8, value, 0], 2),
                128.. => ([format::I16, value, 0], 3),
            };
            *room[AT..].first_chunk_mut()? = bytes;
            Some((&input[2..], AT + used))
        }
        INTEGER => {
            let value = long(word) as u32;
            if is_id(ids) || !(0x8000..0x8000_0000).contains(&value) {
                return None;
            }
            room[AT] = format::I32;
            *room[AT + 1..].first_chunk_mut()? = value.to_le_bytes();
            Some((&input[5..], AT + 5))
        }
        NIL => {
            room[AT] = format::EMPTY_LIST;
            Some((&input[1..], AT + 1))
        }
        _ => None,
    }
}

#[inline(always)]
const fn is_id(ids: Ids) -> bool {
    matches!(ids, Ids::Value | Ids::Element)
}

/// The first bytes of the constants as ATOM_EXT.
const NIL_ATOM: u64 = u64::from_le_bytes([ATOM, 0, 3, b'n', b'i', b'l', 0, 0]);
const TRUE_ATOM: u64 = u64::from_le_bytes([ATOM, 0, 4, b't', b'r', b'u', b'e', 0]);
const FALSE_ATOM: u64 = u64::from_le_bytes([ATOM, 0, 5, b'f', b'a', b'l', b's', b'e']);

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

/// The first 8 bytes, the first one lowest; zeros where there are fewer.
#[inline(always)]
pub(super) fn load(input: &[u8]) -> u64 {
    match input.first_chunk() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => load_at_the_end(input),
    }
}

#[cold]
#[inline(never)]
fn load_at_the_end(input: &[u8]) -> u64 {
    little_endian(input)
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
