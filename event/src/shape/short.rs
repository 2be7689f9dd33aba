//! Texts of a known form in fewer bytes, as they may stand in the rest of a document: times and hashes.
//!
//! | byte | then | text |
//! |---|---|---|
//! | `12` | 8 bytes | a time, `2020-01-11T10:00:21.008000+00:00` |
//! | `13` | 5 bytes | a time without a fraction, `2020-01-11T10:00:21+00:00` |
//! | `14` | 16 bytes | 32 digits of base 16, without capitals |
//! | `15` | 16 bytes | the same behind `a_` |
//!
//! None of the bytes is the tag of a value. A time is a little-endian number: from the highest bits on year (14
//! bits), month (4), day (5), hour (5), minute (6), second (6), and microsecond (20). Nothing is known of calendars:
//! digits that do not fit there, like anything else, stay text. So each text comes back as it was.

use crate::format::SHORT_TEXT;

const TIME: u8 = 0x12;
const SECOND: u8 = 0x13;
const HASH: u8 = 0x14;
const MOVING_HASH: u8 = 0x15;

/// Lengths of the texts, and the bytes that they begin with as values.
const TIME_LEN: usize = 32;
const SECOND_LEN: usize = 25;
const HASH_LEN: usize = 32;
const MOVING_HASH_LEN: usize = MOVING.len() + HASH_LEN;
const TIME_OR_HASH_TAG: u8 = SHORT_TEXT + TIME_LEN as u8;
const SECOND_TAG: u8 = SHORT_TEXT + SECOND_LEN as u8;
const MOVING_HASH_TAG: u8 = SHORT_TEXT + MOVING_HASH_LEN as u8;
const _: () = assert!(TIME_LEN == HASH_LEN);

/// What hashes of moving pictures begin with.
const MOVING: [u8; 2] = *b"a_";
/// What both kinds of times end with.
const ZONE: [u8; 6] = *b"+00:00";
/// A time up to its second.
const PATTERN: [u8; 19] = *b"0000-00-00T00:00:00";
/// Where the numbers behind the year stand, and their bits.
const NUMBERS: [(usize, u32); 5] = [(5, 4), (8, 5), (11, 5), (14, 6), (17, 6)];
const YEAR_MAX: u64 = 9999;
const MICROS_BITS: u32 = 20;
const MICROS_MAX: u64 = 999_999;

/// A text in fewer bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Short {
    pub(super) bytes: [u8; 17],
    pub(super) len: usize,
}

impl Short {
    fn of(tag: u8, content: &[u8]) -> Self {
        let mut bytes = [0; 17];
        bytes[0] = tag;
        bytes[1..=content.len()].copy_from_slice(content);
        Self { bytes, len: 1 + content.len() }
    }
}

/// Whether a value that begins so may be one of these texts.
#[inline]
pub(super) const fn is_likely(tag: u8) -> bool {
    matches!(tag, TIME_OR_HASH_TAG | SECOND_TAG | MOVING_HASH_TAG)
}

/// A whole value in fewer bytes; `None` where it is none of these texts.
pub(super) fn shorten(value: &[u8]) -> Option<Short> {
    let (tag, text) = value.split_first()?;
    match *tag {
        TIME_OR_HASH_TAG => {
            let text: &[u8; HASH_LEN] = text.try_into().ok()?;
            match time_in(text) {
                Some(time) => Some(Short::of(TIME, &time.to_le_bytes())),
                None => Some(Short::of(HASH, &hash_in(text)?)),
            }
        }
        SECOND_TAG => {
            let (second, zone) = text.split_first_chunk()?;
            let second = second_in(second).filter(|_| zone == ZONE)?.to_le_bytes();
            Some(Short::of(SECOND, &second[..5]))
        }
        MOVING_HASH_TAG => {
            let hash = text.strip_prefix(&MOVING)?.try_into().ok()?;
            Some(Short::of(MOVING_HASH, &hash_in(hash)?))
        }
        _ => None,
    }
}

/// Writes the value that begins `rest`, in fewer bytes, to the front of `out` as it was: how many bytes it took, and how
/// many it is. `None` for bytes that are none of these, or where there is no room.
pub(super) fn expand(rest: &[u8], out: &mut [u8]) -> Option<(usize, usize)> {
    let (tag, content) = rest.split_first()?;
    match *tag {
        TIME => {
            let to: &mut [u8; 1 + TIME_LEN] = out.first_chunk_mut()?;
            to[0] = TIME_OR_HASH_TAG;
            write_time(u64::from_le_bytes(*content.first_chunk()?), to[1..].first_chunk_mut()?)?;
            Some((1 + size_of::<u64>(), to.len()))
        }
        SECOND => {
            let to: &mut [u8; 1 + SECOND_LEN] = out.first_chunk_mut()?;
            let [a, b, c, d, e] = *content.first_chunk()?;
            to[0] = SECOND_TAG;
            write_second(u64::from_le_bytes([a, b, c, d, e, 0, 0, 0]), to[1..].first_chunk_mut()?)?;
            *to.last_chunk_mut()? = ZONE;
            Some((1 + 5, to.len()))
        }
        HASH => {
            let to: &mut [u8; 1 + HASH_LEN] = out.first_chunk_mut()?;
            to[0] = TIME_OR_HASH_TAG;
            *to.last_chunk_mut()? = hash_of(*content.first_chunk()?);
            Some((1 + HASH_LEN / 2, to.len()))
        }
        MOVING_HASH => {
            let to: &mut [u8; 1 + MOVING_HASH_LEN] = out.first_chunk_mut()?;
            to[0] = MOVING_HASH_TAG;
            *to[1..].first_chunk_mut()? = MOVING;
            *to.last_chunk_mut()? = hash_of(*content.first_chunk()?);
            Some((1 + HASH_LEN / 2, to.len()))
        }
        _ => None,
    }
}

fn time_in(text: &[u8; TIME_LEN]) -> Option<u64> {
    let (second, fraction) = text.split_first_chunk()?;
    if fraction[0] != b'.' || fraction[7..] != ZONE {
        return None;
    }
    let micros = (two_digits(fraction, 1)? * 100 + two_digits(fraction, 3)?) * 100;
    let micros = micros + two_digits(fraction, 5)?;
    Some(second_in(second)? << MICROS_BITS | micros)
}

fn second_in(text: &[u8; PATTERN.len()]) -> Option<u64> {
    let has_its_signs = [4, 7, 10, 13, 16].into_iter().all(|at| text[at] == PATTERN[at]);
    if !has_its_signs {
        return None;
    }
    let mut second = two_digits(text, 0)? * 100 + two_digits(text, 2)?;
    for (at, bits) in NUMBERS {
        let number = two_digits(text, at)?;
        if number >> bits != 0 {
            return None;
        }
        second = second << bits | number;
    }
    Some(second)
}

fn write_time(time: u64, out: &mut [u8; TIME_LEN]) -> Option<()> {
    let micros = time & ((1 << MICROS_BITS) - 1);
    if micros > MICROS_MAX {
        return None;
    }
    let (second, fraction) = out.split_first_chunk_mut()?;
    write_second(time >> MICROS_BITS, second)?;
    fraction[0] = b'.';
    put_two(fraction, 1, micros / 10_000);
    put_two(fraction, 3, micros / 100 % 100);
    put_two(fraction, 5, micros % 100);
    fraction[7..].copy_from_slice(&ZONE);
    Some(())
}

fn write_second(second: u64, out: &mut [u8; PATTERN.len()]) -> Option<()> {
    *out = PATTERN;
    let mut left = second;
    for (at, bits) in NUMBERS.into_iter().rev() {
        put_two(out, at, left & ((1 << bits) - 1));
        left >>= bits;
    }
    if left > YEAR_MAX {
        return None;
    }
    put_two(out, 0, left / 100);
    put_two(out, 2, left % 100);
    Some(())
}

#[inline]
fn two_digits(text: &[u8], at: usize) -> Option<u64> {
    let [tens, ones] = [text[at], text[at + 1]].map(|digit| digit.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| u64::from(tens * 10 + ones))
}

/// A number below 100.
#[inline]
fn put_two(out: &mut [u8], at: usize, number: u64) {
    out[at] = b'0' + (number / 10) as u8;
    out[at + 1] = b'0' + (number % 10) as u8;
}

fn hash_in(text: &[u8; HASH_LEN]) -> Option<[u8; HASH_LEN / 2]> {
    let mut is_one = true;
    // Without a branch or a table: several digits at once.
    let digits = text.map(|byte| {
        let (digit, letter) = (byte.wrapping_sub(b'0'), byte.wrapping_sub(b'a'));
        is_one &= digit < 10 || letter < 6;
        if digit < 10 { digit } else { letter.wrapping_add(10) }
    });
    let mut hash = [0; HASH_LEN / 2];
    for (byte, [high, low]) in hash.iter_mut().zip(digits.as_chunks::<2>().0) {
        *byte = high << 4 | low;
    }
    is_one.then_some(hash)
}

fn hash_of(hash: [u8; HASH_LEN / 2]) -> [u8; HASH_LEN] {
    let mut text = [0; HASH_LEN];
    for (byte, pair) in hash.into_iter().zip(text.as_chunks_mut::<2>().0) {
        *pair =
            [byte >> 4, byte & 15].map(|digit| digit + if digit < 10 { b'0' } else { b'a' - 10 });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Vec<u8> {
        [&[SHORT_TEXT + u8::try_from(text.len()).expect("a short text")], text.as_bytes()].concat()
    }

    /// The bytes of a text that is made short and comes back; `None` where it stays.
    fn through(text: &str) -> Option<Vec<u8>> {
        let value = value(text);
        let short = shorten(&value)?;
        assert!(is_likely(value[0]) && short.len < value.len(), "{text}");
        let (bytes, mut out) = (&short.bytes[..short.len], vec![0xAA; value.len()]);
        assert_eq!(expand(bytes, &mut out), Some((short.len, value.len())), "{text}");
        assert_eq!(out, value);
        assert_eq!(expand(bytes, &mut out[1..]), None, "no room");
        (0..short.len).for_each(|len| assert_eq!(expand(&bytes[..len], &mut out), None, "cut"));
        Some(bytes.to_vec())
    }

    #[test]
    fn p11_each_short_text_has_its_bytes() {
        let second: u64 = ((((2020 << 4 | 1) << 5 | 11) << 5 | 10) << 6) << 6 | 21;
        let time = second << 20 | 8000;
        let bytes = through("2020-01-11T10:00:21.008000+00:00").expect("a time");
        assert_eq!(bytes, [&[0x12], &time.to_le_bytes()[..]].concat());
        let bytes = through("2020-01-11T10:00:21+00:00").expect("a second");
        assert_eq!(bytes, [&[0x13], &second.to_le_bytes()[..5]].concat());
        let hash = *b"\x3d\x1c\x0f\x4e\x8b\x5a\x2f\x6e\x9d\x7c\x1b\x0a\x4f\x8e\x2d\x6c";
        let bytes = through("3d1c0f4e8b5a2f6e9d7c1b0a4f8e2d6c").expect("a hash");
        assert_eq!(bytes, [&[0x14], &hash[..]].concat());
        let bytes = through("a_3d1c0f4e8b5a2f6e9d7c1b0a4f8e2d6c").expect("a hash");
        assert_eq!(bytes, [&[0x15], &hash[..]].concat());
    }

    #[test]
    fn the_least_and_the_greatest_come_back() {
        for text in [
            "0000-00-00T00:00:00.000000+00:00",
            "9999-15-31T31:63:63.999999+00:00",
            "9999-15-31T31:63:63+00:00",
            "00000000000000000000000000000000",
            "ffffffffffffffffffffffffffffffff",
            "0123456789abcdef0123456789abcdef",
        ] {
            assert!(through(text).is_some(), "{text}");
        }
    }

    #[test]
    fn what_would_not_come_back_stays_text() {
        for text in [
            "",
            "2020",
            // Another precision, another zone, or none.
            "2020-01-11T10:00:21.008+00:00",
            "2020-01-11T10:00:21.0080000+00:00",
            "2020-01-11T10:00:21.008000+01:00",
            "2020-01-11T10:00:21.008000-00:00",
            "2020-01-11T10:00:21.00800000000Z",
            "2020-01-11T10:00:21.008000Z",
            "2020-01-11T10:00:21+00:01",
            "2020-01-11 10:00:21.008000+00:00",
            "2020-01-11t10:00:21.008000+00:00",
            "2020-01-11T10:00:21,008000+00:00",
            "+020-01-11T10:00:21.008000+00:00",
            "2020-16-11T10:00:21.008000+00:00",
            "2020-01-32T10:00:21.008000+00:00",
            "2020-01-11T32:00:21.008000+00:00",
            "2020-01-11T10:64:21.008000+00:00",
            "2020-01-11T10:00:64.008000+00:00",
            "2020-01-11T10:00:64+00:00",
            "2020-01-11T10:00:2:.008000+00:00",
            "2020-01-11T10:00:21.00800/+00:00",
            // Capitals, other digits, another length, another prefix.
            "3D1C0F4E8B5A2F6E9D7C1B0A4F8E2D6C",
            "3d1c0f4e8b5a2f6e9d7c1b0a4f8e2d6g",
            "3d1c0f4e8b5a2f6e9d7c1b0a4f8e2d6`",
            "3d1c0f4e8b5a2f6e9d7c1b0a4f8e2d6/",
            "3d1c0f4e8b5a2f6e9d7c1b0a4f8e2d6:",
            "3d1c0f4e8b5a2f6e9d7c1b0a4f8e2d6cc",
            "3d1c0f4e8b5a2f6e9d7c1b0a4f8e2d6",
            "A_3d1c0f4e8b5a2f6e9d7c1b0a4f8e2d6c",
            "b_3d1c0f4e8b5a2f6e9d7c1b0a4f8e2d6c",
            "a_3d1c0f4e8b5a2f6e9d7c1b0a4f8e2d6C",
            "ａ1c0f4e8b5a2f6e9d7c1b0a4f8e2d6cd",
        ] {
            assert_eq!(through(text), None, "{text}");
        }
    }

    /// Every byte of each of these texts, replaced by every other byte: what is made short comes back.
    #[test]
    fn whatever_is_made_short_comes_back() {
        for text in [
            "2020-01-11T10:00:21.008000+00:00",
            "2020-01-11T10:00:21+00:00",
            "3d1c0f4e8b5a2f6e9d7c1b0a4f8e2d6c",
            "a_3d1c0f4e8b5a2f6e9d7c1b0a4f8e2d6c",
        ] {
            let (mut value, mut out) = (value(text), [0; 1 + MOVING_HASH_LEN]);
            for at in 0..value.len() {
                let right = value[at];
                for byte in 0..=u8::MAX {
                    value[at] = byte;
                    let Some(short) = shorten(&value) else { continue };
                    let took = expand(&short.bytes[..short.len], &mut out);
                    assert_eq!(took, Some((short.len, value.len())));
                    assert_eq!(out[..value.len()], value);
                }
                value[at] = right;
            }
        }
    }

    /// P8: bytes that nobody made are other texts, or refused.
    #[test]
    fn bytes_that_cannot_be_are_refused() {
        let mut out = [0; 64];
        assert_eq!(expand(&[TIME, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00], &mut out), None);
        let second: u64 = 10_000 << 26;
        assert_eq!(expand(&[&[SECOND], &second.to_le_bytes()[..5]].concat(), &mut out), None);
        let micros: u64 = 1_000_000;
        assert_eq!(expand(&[&[TIME], &micros.to_le_bytes()[..]].concat(), &mut out), None);
        for tag in (0..=u8::MAX).filter(|tag| !(TIME..=MOVING_HASH).contains(tag)) {
            assert_eq!(expand(&[&[tag], &[0; 40][..]].concat(), &mut out), None, "{tag:#04x}");
        }
    }
}
