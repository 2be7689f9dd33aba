//! Text, and the ids that are written as text.

use super::{Pad, Position};
use crate::{atom::Ids, format};

impl Pad<'_> {
    /// Text: the first `len` bytes of `bytes`, which are no fewer. A snowflake where its key says
    /// so and it is one.
    #[inline(always)]
    pub(crate) fn text(&mut self, position: usize, bytes: &[u8], len: usize, ids: Ids) -> Position {
        let text = &bytes[..len];
        if ids.scalar()
            && let Some(id) = parse_id(text)
        {
            return self.word(position, format::ID, id, 9);
        }
        if let (Some(high), Some(chunk)) = (HIGH_BITS.get(len), bytes.first_chunk::<16>())
            && u128::from_le_bytes(*chunk) & high == 0
            && let Some(room) = self.out.get_mut(position..).and_then(<[u8]>::first_chunk_mut::<17>)
        {
            room[0] = format::SHORT_TEXT + len as u8;
            room[1..].copy_from_slice(chunk);
            return Ok(position + 1 + len);
        }
        self.long_text(position, text)
    }

    #[inline(never)]
    fn long_text(&mut self, position: usize, text: &[u8]) -> Position {
        if let (17..=32, Some(first), Some(last)) =
            (text.len(), text.first_chunk::<16>(), text.last_chunk::<16>())
            && (u128::from_le_bytes(*first) | u128::from_le_bytes(*last)) & HIGH_BITS[16] == 0
            && let Some(room) = self.out.get_mut(position..position + 1 + text.len())
            && let Some((tag, room)) = room.split_first_mut()
        {
            *tag = format::SHORT_TEXT + text.len() as u8;
            if let Some(start) = room.first_chunk_mut() {
                *start = *first;
            }
            if let Some(end) = room.last_chunk_mut() {
                *end = *last;
            }
            return Ok(position + 1 + text.len());
        }
        let len = text.len();
        let Some(room) = self.text_room(position, len) else {
            return Err(self.notes.full());
        };
        let end = position + room.0 + len;
        if copy_ascii(text, room.1) || simdutf8::basic::from_utf8(text).is_ok() {
            return Ok(end);
        }
        self.repaired_text(position, text)
    }

    /// Text that is not UTF-8.
    #[cold]
    fn repaired_text(&mut self, position: usize, text: &[u8]) -> Position {
        self.notes.not_utf8 = true;
        let text = String::from_utf8_lossy(text);
        let Some((header, room)) = self.text_room(position, text.len()) else {
            return Err(self.notes.full());
        };
        room.copy_from_slice(text.as_bytes());
        Ok(position + header + text.len())
    }

    /// Writes the header of a text. Gives the header's length, and room for the text.
    fn text_room(&mut self, position: usize, len: usize) -> Option<(usize, &mut [u8])> {
        let [a, b, c, d, ..] = len.to_le_bytes();
        let (bytes, used) = match len {
            ..=format::SHORT_TEXT_MAX => ([format::SHORT_TEXT + a, 0, 0, 0, 0], 1),
            128..=0xFFFF => ([format::TEXT16, a, b, 0, 0], 3),
            _ => ([format::TEXT32, a, b, c, d], 5),
        };
        let room = self.out.get_mut(position..)?;
        *room.first_chunk_mut()? = bytes;
        Some((used, room.get_mut(used..)?.get_mut(..len)?))
    }
}

/// Copies all of `from`. Gives whether it is ASCII.
#[inline]
fn copy_ascii(from: &[u8], to: &mut [u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut seen = [0; 2];
    let mut copy = |from: &[u8; 16], to: &mut [u8; 16]| {
        *to = *from;
        let (low, high) = from.split_at(8);
        for (seen, half) in seen.iter_mut().zip([low, high]) {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(half);
            *seen |= u64::from_le_bytes(bytes);
        }
    };
    let (chunks, _) = from.as_chunks::<16>();
    let (rooms, _) = to.as_chunks_mut::<16>();
    chunks.iter().zip(rooms).for_each(|(from, to)| copy(from, to));
    match (from.last_chunk::<16>(), to.last_chunk_mut::<16>()) {
        (Some(from), Some(to)) => copy(from, to),
        // Shorter than 16.
        _ => {
            to.copy_from_slice(from);
            return from.is_ascii();
        }
    }
    (seen[0] | seen[1]) & HIGH == 0
}

/// The number that decimal text is: 1 to 20 digits, no leading zero, within 64 bits.
#[inline(always)]
pub(crate) fn parse_id(text: &[u8]) -> Option<u64> {
    let first = text.first()?;
    if !first.is_ascii_digit() || text.len() > 20 || *first == b'0' && text.len() > 1 {
        return None;
    }
    let mut rest = text;
    let mut value = 0_u64;
    while let Some((eight, tail)) = rest.split_first_chunk::<8>() {
        value = value * 100_000_000 + eight_digits(*eight)?;
        rest = tail;
    }
    let (rest, last) = if text.len() == 20 { rest.split_at(3) } else { (rest, &[][..]) };
    for byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // 19 digits stay below 2^64.
        value = value * 10 + u64::from(digit);
    }
    match last {
        [] => Some(value),
        [byte, ..] if byte.is_ascii_digit() => {
            value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))
        }
        _ => None,
    }
}

/// The number that eight digits are.
#[inline(always)]
fn eight_digits(text: [u8; 8]) -> Option<u64> {
    let digits = u64::from_le_bytes(text) ^ 0x3030_3030_3030_3030;
    // Digits are below 10 now; what is not passes 0x7F by itself or when 0x76 is added.
    if (digits | digits.wrapping_add(0x7676_7676_7676_7676)) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    Some(digits_value(digits))
}

/// The number that eight digits are, a byte each, the first one lowest.
#[inline(always)]
pub(crate) fn digits_value(digits: u64) -> u64 {
    // Neighbours become one number: pairs, fours, all eight.
    let pairs = digits.wrapping_mul(10 << 8 | 1) >> 8 & 0x00FF_00FF_00FF_00FF;
    let fours = pairs.wrapping_mul(100 << 16 | 1) >> 16 & 0x0000_FFFF_0000_FFFF;
    fours.wrapping_mul(10_000 << 32 | 1) >> 32
}

/// The high bit of each of the first so many bytes.
pub(crate) const HIGH_BITS: [u128; 17] = {
    let mut masks = [0x8080_8080_8080_8080_8080_8080_8080_8080; 17];
    let mut len = 0;
    while len < 16 {
        masks[len] &= (1 << (8 * len)) - 1;
        len += 1;
    }
    masks
};
