//! The short way: short scalars in the form that Discord gives them, from a window into a room, both checked
//! before. All else is left to the long way, which knows all of JSON.
//!
//! Zeros may stand behind the input's end, and none are taken: they are in no literal, no number, no text.

use super::scan::{ascii_end, has_ascii_stop};
use crate::{
    atom::Ids,
    decode::{
        pad::{ROOM, digits_value},
        window::{KEY_MAX, WINDOW, part, word},
    },
    format,
};

/// What the short way sees of a value; a power of two, so that places are cut to it by a mask.
pub(super) const VALUE: usize = 64;

/// The byte before a key, the key, the value.
const _: () = assert!(1 + KEY_MAX + VALUE <= WINDOW && VALUE == KEY_MAX + 1);
/// Text in three parts goes the short way, with a key before it.
const _: () = assert!(2 + 1 + 3 * 16 <= ROOM && 1 + 3 * 16 < VALUE);

/// Writes the value that begins `value` from `room[AT]` on, if it is one of the frequent scalars.
/// Gives how many bytes it takes, and how much of the room is used then.
#[inline(always)]
pub(super) fn plain<const AT: usize>(
    room: &mut [u8; ROOM],
    value: &[u8; VALUE],
    ids: Ids,
) -> Option<(usize, usize)> {
    let head = word(value, 0);
    if head as u8 == b'"' {
        // What begins with a digit may still be a snowflake.
        if ids.scalar() && value[1].is_ascii_digit() {
            return id::<AT>(room, value);
        }
        return text::<AT>(room, value);
    }
    let (tag, len) = if head as u32 == NULL {
        (format::NULL, 4)
    } else if head as u32 == TRUE {
        (format::TRUE, 4)
    } else if head & 0xFF_FFFF_FFFF == FALSE {
        (format::FALSE, 5)
    } else if (head as u8).is_ascii_digit() && !ids.scalar() {
        return number::<AT>(room, value);
    } else {
        return None;
    };
    room[AT] = tag;
    Some((len, AT + 1))
}

/// Short ASCII text without escapes.
#[inline(always)]
fn text<const AT: usize>(room: &mut [u8; ROOM], value: &[u8; VALUE]) -> Option<(usize, usize)> {
    room[AT + 1..AT + 17].copy_from_slice(&value[1..17]);
    let len = match ascii_end::<2>(value, 1) {
        Some(len) => len,
        None => {
            room[AT + 17..AT + 49].copy_from_slice(&value[17..49]);
            // Hashes and times are as long: what comes after 32 bytes is looked at first.
            let start = if has_ascii_stop(&part(value, 17)) { 16 } else { 32 };
            start + ascii_end::<2>(value, 1 + start)?
        }
    };
    if value[(1 + len) % VALUE] != b'"' {
        return None;
    }
    room[AT] = format::SHORT_TEXT + len as u8;
    Some((1 + len + 1, AT + 1 + len))
}

/// A snowflake of 17 to 19 digits, as text.
#[inline(always)]
fn id<const AT: usize>(room: &mut [u8; ROOM], value: &[u8; VALUE]) -> Option<(usize, usize)> {
    let (first, second) = (word(value, 1) ^ ZEROS, word(value, 9) ^ ZEROS);
    let (last, len) = short_number(word(value, 17));
    // 19 digits stay below 2^64.
    if no_digits(first) | no_digits(second) != 0
        || first as u8 == 0
        || len.wrapping_sub(1) >= 3
        || value[17 + len] != b'"'
    {
        return None;
    }
    let start = digits_value(first) * 100_000_000 + digits_value(second);
    let id = start * POWERS_OF_TEN[len] + last;
    room[AT] = format::ID;
    room[AT + 1..AT + 9].copy_from_slice(&id.to_le_bytes());
    Some((1 + 16 + len + 1, AT + 9))
}

/// An integer that is not negative, of up to 15 digits.
#[inline(always)]
fn number<const AT: usize>(room: &mut [u8; ROOM], value: &[u8; VALUE]) -> Option<(usize, usize)> {
    if matches!(value[1], b',' | b'}' | b']') {
        room[AT] = format::SMALL_INT + (value[0] - b'0');
        return Some((1, AT + 1));
    }
    let (number, len) = integer(value, 0)?;
    let (tag, used) = match number {
        _ if number <= format::SMALL_INT_MAX => (format::SMALL_INT + number as u8, 1),
        ..0x80 => (format::I8, 2),
        0x80..0x8000 => (format::I16, 3),
        0x8000..0x8000_0000 => (format::I32, 5),
        _ => (format::I64, 9),
    };
    room[AT] = tag;
    room[AT + 1..AT + 9].copy_from_slice(&number.to_le_bytes());
    Some((len, AT + used))
}

/// The integer of up to 15 digits that stands at `at`, without sign, and how many they are.
#[inline(always)]
pub(super) fn integer<const N: usize>(window: &[u8; N], at: usize) -> Option<(u64, usize)> {
    let (mut number, mut len) = short_number(word(window, at));
    if len == 8 {
        let (last, more) = short_number(word(window, at + 8));
        if more == 8 {
            return None;
        }
        number = number * POWERS_OF_TEN[more] + last;
        len += more;
    }
    // A fraction, an exponent, a leading zero, or no digit at all.
    let is_more = matches!(window[at + len], b'.' | b'e' | b'E');
    (len > 0 && !is_more && (window[at] != b'0' || len == 1)).then_some((number, len))
}

/// The number that the digits at the start of `text` are, and how many there are: at most eight.
#[inline(always)]
fn short_number(text: u64) -> (u64, usize) {
    let digits = text ^ ZEROS;
    let len = no_digits(digits).trailing_zeros() as usize / 8;
    if len == 0 {
        return (0, 0);
    }
    // The digits go up, as if zeros stood before them.
    (digits_value(digits << (64 - 8 * len)), len)
}

/// A bit for the first byte that is no digit's value, and maybe for others behind it.
#[inline(always)]
const fn no_digits(bytes: u64) -> u64 {
    // What is not below 10 passes 0x7F by itself or when 0x76 is added.
    (bytes | bytes.wrapping_add(0x7676_7676_7676_7676)) & 0x8080_8080_8080_8080
}

/// What makes digits their values.
const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);

const POWERS_OF_TEN: [u64; 8] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000];

const NULL: u32 = u32::from_le_bytes(*b"null");
const TRUE: u32 = u32::from_le_bytes(*b"true");
const FALSE: u64 = u64::from_le_bytes(*b"false\0\0\0");
