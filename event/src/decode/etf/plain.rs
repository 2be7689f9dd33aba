//! The short way: scalars in the form that Discord gives them, from a window into a room, both checked
//! before. All else is left to the long way, which knows every term.

use super::{
    input::VALUE,
    terms::{ATOM, BINARY, INTEGER, NIL, SMALL_ATOM_UTF8, SMALL_BIG, SMALL_INTEGER, long},
};
use crate::{
    atom::Ids,
    decode::{
        pad::{HIGH_BITS, ROOM},
        window::{part, word},
    },
    format,
};

/// Text up to this length goes the short way.
const TEXT_MAX: usize = 32;

/// Writes the term that begins `value` from `room[AT]` on, if it is one of the frequent scalars.
/// Gives how many bytes it takes, and how much of the room is used then.
#[inline(always)]
pub(super) fn plain<const AT: usize>(
    room: &mut [u8; ROOM],
    value: &[u8; VALUE],
    ids: Ids,
) -> Option<(usize, usize)> {
    let head = word(value, 0);
    // The two most frequent tags first, by more than the tag: the compiler would make them part of the
    // jump through a table, which costs more.
    if head as u16 == SHORT_ATOM {
        return constant::<AT>(room, head);
    }
    if head as u32 & 0xFF_FFFF == SHORT_BINARY {
        return text::<AT>(room, value, ids);
    }
    match head as u8 {
        SMALL_BIG => {
            let len = head as u16 >> 8;
            let bytes = word(value, 3);
            let magnitude = if head as u32 & 0xFF_FFFF == WHOLE_BIG {
                bytes
            } else if head >> 16 & 0xFF == 0 && (1..=8).contains(&len) {
                bytes & (u64::MAX >> (64 - 8 * len))
            } else {
                return None;
            };
            room[AT] = if ids.scalar() {
                format::ID
            } else if (0x8000_0000..0x8000_0000_0000_0000).contains(&magnitude) {
                format::I64
            } else {
                return None;
            };
            room[AT + 1..AT + 9].copy_from_slice(&magnitude.to_le_bytes());
            Some((3 + usize::from(len), AT + 9))
        }
        SMALL_INTEGER if !ids.scalar() => {
            let [bytes @ .., used] = SMALL_INTEGERS[usize::from((head >> 8) as u8)];
            room[AT..AT + 3].copy_from_slice(&bytes);
            Some((2, AT + usize::from(used)))
        }
        INTEGER if !ids.scalar() => {
            let number = long(head) as u32;
            let (tag, used) = match number {
                0x8000..0x8000_0000 => (format::I32, 5),
                0x80..0x8000 => (format::I16, 3),
                _ => return None,
            };
            room[AT] = tag;
            room[AT + 1..AT + 5].copy_from_slice(&number.to_le_bytes());
            Some((5, AT + used))
        }
        // As Erlang writes them since OTP 26.
        SMALL_ATOM_UTF8 => {
            let (tag, len) = if head & 0xFF_FFFF_FFFF == NIL_SMALL {
                (format::NULL, 5)
            } else if head & 0xFF_FFFF_FFFF_FFFF == FALSE_SMALL {
                (format::FALSE, 7)
            } else if head & 0xFFFF_FFFF_FFFF == TRUE_SMALL {
                (format::TRUE, 6)
            } else {
                return None;
            };
            room[AT] = tag;
            Some((len, AT + 1))
        }
        NIL => {
            room[AT] = format::EMPTY_LIST;
            Some((1, AT + 1))
        }
        _ => None,
    }
}

#[inline(always)]
fn constant<const AT: usize>(room: &mut [u8; ROOM], head: u64) -> Option<(usize, usize)> {
    let (tag, len) = if head & 0xFFFF_FFFF_FFFF == NIL_ATOM {
        (format::NULL, 6)
    } else if head == FALSE_ATOM {
        (format::FALSE, 8)
    } else if head & 0xFF_FFFF_FFFF_FFFF == TRUE_ATOM {
        (format::TRUE, 7)
    } else {
        return None;
    };
    room[AT] = tag;
    Some((len, AT + 1))
}

/// Short ASCII text.
#[inline(always)]
fn text<const AT: usize>(
    room: &mut [u8; ROOM],
    value: &[u8; VALUE],
    ids: Ids,
) -> Option<(usize, usize)> {
    let len = long(word(value, 0));
    // What begins with a digit may be a snowflake.
    if len > TEXT_MAX || ids.scalar() && value[5].is_ascii_digit() {
        return None;
    }
    let start: [u8; 16] = part(value, 5);
    if len <= 16 {
        // What follows a text is seldom above ASCII, so its length seldom matters.
        let bytes = u128::from_le_bytes(start);
        if bytes & HIGH_BITS[16] != 0 && bytes & HIGH_BITS[len] != 0 {
            return None;
        }
    } else {
        let end: [u8; 16] = part(value, 21);
        let start = u128::from_le_bytes(start) & HIGH_BITS[16];
        if start | u128::from_le_bytes(end) & HIGH_BITS[len - 16] != 0 {
            return None;
        }
        room[AT + 17..AT + 33].copy_from_slice(&end);
    }
    room[AT + 1..AT + 17].copy_from_slice(&start);
    room[AT] = format::SHORT_TEXT + len as u8;
    Some((5 + len, AT + 1 + len))
}

/// What SMALL_INTEGER_EXT becomes: a tag, what follows it, and how many bytes of these count.
static SMALL_INTEGERS: [[u8; 4]; 256] = {
    let mut all = [[0; 4]; 256];
    let mut number = 0;
    while number < all.len() {
        let byte = number as u8;
        all[number] = match byte {
            0..=95 => [format::SMALL_INT + byte, 0, 0, 1],
            96..=127 => [format::I8, byte, 0, 2],
            128.. => [format::I16, byte, 0, 3],
        };
        number += 1;
    }
    all
};

/// The first bytes of ATOM_EXT and BINARY_EXT with less than 256 and 65,536 bytes.
const SHORT_ATOM: u16 = u16::from_le_bytes([ATOM, 0]);
const SHORT_BINARY: u32 = u32::from_le_bytes([BINARY, 0, 0, 0]);
/// The first bytes of SMALL_BIG_EXT with eight digits, not negative.
const WHOLE_BIG: u32 = u32::from_le_bytes([SMALL_BIG, 8, 0, 0]);
/// The first bytes of the constants as ATOM_EXT.
const NIL_ATOM: u64 = u64::from_le_bytes([ATOM, 0, 3, b'n', b'i', b'l', 0, 0]);
const TRUE_ATOM: u64 = u64::from_le_bytes([ATOM, 0, 4, b't', b'r', b'u', b'e', 0]);
const FALSE_ATOM: u64 = u64::from_le_bytes([ATOM, 0, 5, b'f', b'a', b'l', b's', b'e']);
/// And as SMALL_ATOM_UTF8_EXT.
const NIL_SMALL: u64 = u64::from_le_bytes([SMALL_ATOM_UTF8, 3, b'n', b'i', b'l', 0, 0, 0]);
const TRUE_SMALL: u64 = u64::from_le_bytes([SMALL_ATOM_UTF8, 4, b't', b'r', b'u', b'e', 0, 0]);
const FALSE_SMALL: u64 = u64::from_le_bytes([SMALL_ATOM_UTF8, 5, b'f', b'a', b'l', b's', b'e', 0]);
