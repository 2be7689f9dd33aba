//! The bytes of a document.
//!
//! A document is one value. A value is a tag byte and what the tag asks for, little-endian,
//! without alignment:
//!
//! | tag | value |
//! |---|---|
//! | `00` `01` `02` | null, false, true |
//! | `03` `04` `05` `06` | integer of 1, 2, 4, 8 bytes, signed |
//! | `07` | unsigned integer of 8 bytes, above `i64::MAX` |
//! | `08` | snowflake, 8 bytes |
//! | `09` | float, 8 bytes |
//! | `0A` `0B` | text with a u16, a u32 length |
//! | `0C` `0D` | empty list, empty map |
//! | `0E` `0F` | list with its content's byte length as u16, as u32 |
//! | `10` `11` | map, likewise |
//! | `20`…`7F` | the integers 0…95 |
//! | `80`…`FF` | text of 0…127 bytes |
//!
//! A list's content is its values; a map's is pairs of key and value. A key is a u16: below
//! `8000` the number of an [`Atom`](crate::Atom), else `8000` + the length of the text that follows.
//! So every value is skipped in O(1), and a value copied out of a document is a document.

pub(crate) const NULL: u8 = 0x00;
pub(crate) const FALSE: u8 = 0x01;
pub(crate) const TRUE: u8 = 0x02;
pub(crate) const I8: u8 = 0x03;
pub(crate) const I16: u8 = 0x04;
pub(crate) const I32: u8 = 0x05;
pub(crate) const I64: u8 = 0x06;
pub(crate) const U64: u8 = 0x07;
pub(crate) const ID: u8 = 0x08;
pub(crate) const FLOAT: u8 = 0x09;
pub(crate) const TEXT16: u8 = 0x0A;
pub(crate) const TEXT32: u8 = 0x0B;
pub(crate) const EMPTY_LIST: u8 = 0x0C;
pub(crate) const EMPTY_MAP: u8 = 0x0D;
pub(crate) const LIST16: u8 = 0x0E;
pub(crate) const LIST32: u8 = 0x0F;
pub(crate) const MAP16: u8 = 0x10;
pub(crate) const MAP32: u8 = 0x11;
pub(crate) const SMALL_INT: u8 = 0x20;
pub(crate) const SHORT_TEXT: u8 = 0x80;

/// The largest integer that lives in its tag.
pub(crate) const SMALL_INT_MAX: u64 = 95;
/// The longest text whose length lives in its tag.
pub(crate) const SHORT_TEXT_MAX: usize = 127;
/// Set in a key that is not an atom but the length of a text.
pub(crate) const TEXT_KEY: u16 = 0x8000;
/// The longest key outside the table, in bytes.
pub(crate) const KEY_LEN_MAX: usize = 0x7FFF;
/// How deep containers may nest in a document that is read from outside.
pub const DEPTH_MAX: usize = 128;

/// Length of the value behind each tag; 0 where it stands behind the tag, or the tag means nothing.
pub(crate) const LENGTHS: [u8; 256] = {
    let mut table = [0; 256];
    table[NULL as usize] = 1;
    table[FALSE as usize] = 1;
    table[TRUE as usize] = 1;
    table[I8 as usize] = 2;
    table[I16 as usize] = 3;
    table[I32 as usize] = 5;
    table[I64 as usize] = 9;
    table[U64 as usize] = 9;
    table[ID as usize] = 9;
    table[FLOAT as usize] = 9;
    table[EMPTY_LIST as usize] = 1;
    table[EMPTY_MAP as usize] = 1;
    let mut tag = SMALL_INT as usize;
    while tag < 256 {
        table[tag] = if tag < SHORT_TEXT as usize { 1 } else { 1 + (tag as u8 & 0x7F) };
        tag += 1;
    }
    table
};

/// The byte length of the value at the start of `bytes`, if it lies within them.
#[inline]
pub(crate) fn value_len(bytes: &[u8]) -> Option<usize> {
    let tag = *bytes.first()?;
    let len = match LENGTHS[usize::from(tag)] {
        0 => match (tag, bytes.get(1..)?) {
            (TEXT16 | LIST16 | MAP16, len) => {
                3 + usize::from(u16::from_le_bytes(*len.first_chunk()?))
            }
            (TEXT32 | LIST32 | MAP32, len) => {
                5_usize.checked_add(u32::from_le_bytes(*len.first_chunk()?) as usize)?
            }
            _ => return None,
        },
        len => usize::from(len),
    };
    (len <= bytes.len()).then_some(len)
}

/// The first value of `bytes`, and what follows it.
#[inline]
pub(crate) fn split_value(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(value_len(bytes)?)
}

/// What stands inside a text, list or map, without its header; empty for anything else.
#[inline]
pub(crate) fn content(value: &[u8]) -> &[u8] {
    let header = match value.first() {
        Some(&(TEXT16 | LIST16 | MAP16)) => 3,
        Some(&(TEXT32 | LIST32 | MAP32)) => 5,
        Some(&tag) if tag >= SHORT_TEXT => 1,
        _ => return &[],
    };
    value.get(header..).unwrap_or(&[])
}

/// A key as it stands in a map.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum RawKey<'a> {
    Atom(u16),
    Text(&'a [u8]),
}

/// The first key of `bytes`, and what follows it.
#[inline]
pub(crate) fn split_key(bytes: &[u8]) -> Option<(RawKey<'_>, &[u8])> {
    let (word, rest) = bytes.split_first_chunk::<2>()?;
    let word = u16::from_le_bytes(*word);
    if word < TEXT_KEY {
        return Some((RawKey::Atom(word), rest));
    }
    let (text, rest) = rest.split_at_checked(usize::from(word & !TEXT_KEY))?;
    Some((RawKey::Text(text), rest))
}
