//! Appending to a document, value by value.

use crate::{
    atom::Atom,
    format::{
        EMPTY_LIST, EMPTY_MAP, FALSE, FLOAT, I8, I16, I32, I64, ID, KEY_LEN_MAX, LIST16, LIST32,
        MAP16, MAP32, NULL, SHORT_TEXT, SHORT_TEXT_MAX, SMALL_INT, SMALL_INT_MAX, TEXT_KEY, TEXT16,
        TEXT32, TRUE, U64,
    },
};

#[inline]
pub(crate) fn null(out: &mut Vec<u8>) {
    out.push(NULL);
}

#[inline]
pub(crate) fn bool(out: &mut Vec<u8>, value: bool) {
    out.push(if value { TRUE } else { FALSE });
}

#[inline]
pub(crate) fn int(out: &mut Vec<u8>, value: i64) {
    if let Ok(value) = u64::try_from(value) {
        return uint(out, value);
    }
    if let Ok(value) = i8::try_from(value) {
        out.extend_from_slice(&[I8, value.to_le_bytes()[0]]);
    } else if let Ok(value) = i16::try_from(value) {
        tagged(out, I16, value.to_le_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        tagged(out, I32, value.to_le_bytes());
    } else {
        tagged(out, I64, value.to_le_bytes());
    }
}

#[inline]
pub(crate) fn uint(out: &mut Vec<u8>, value: u64) {
    if value <= SMALL_INT_MAX {
        out.push(SMALL_INT + value as u8);
    } else if value <= i8::MAX as u64 {
        tagged(out, I8, [value as u8]);
    } else if value <= i16::MAX as u64 {
        tagged(out, I16, (value as i16).to_le_bytes());
    } else if value <= i32::MAX as u64 {
        tagged(out, I32, (value as i32).to_le_bytes());
    } else if value <= i64::MAX as u64 {
        tagged(out, I64, (value as i64).to_le_bytes());
    } else {
        tagged(out, U64, value.to_le_bytes());
    }
}

#[inline]
pub(crate) fn id(out: &mut Vec<u8>, value: u64) {
    tagged(out, ID, value.to_le_bytes());
}

/// A finite number: the integer it equals, if there is one, else a float.
pub(crate) fn float(out: &mut Vec<u8>, value: f64) {
    match integer(value) {
        Some(Integer::Signed(value)) => int(out, value),
        Some(Integer::Unsigned(value)) => uint(out, value),
        None => tagged(out, FLOAT, value.to_le_bytes()),
    }
}

/// An integer that a float equals.
pub(crate) enum Integer {
    Signed(i64),
    Unsigned(u64),
}

/// The 64-bit integer equal to `value`, if there is one.
pub(crate) fn integer(value: f64) -> Option<Integer> {
    // Both bounds are exact in f64; 2^64 itself no longer fits.
    const LOW: f64 = -9_223_372_036_854_775_808.0;
    const HIGH: f64 = 18_446_744_073_709_551_616.0;
    if value.fract() != 0.0 || !(LOW..HIGH).contains(&value) {
        return None;
    }
    Some(if value < 0.0 { Integer::Signed(value as i64) } else { Integer::Unsigned(value as u64) })
}

/// Text, whose bytes the caller knows to be UTF-8.
#[inline]
pub(crate) fn text(out: &mut Vec<u8>, text: &[u8]) {
    if text.len() <= SHORT_TEXT_MAX {
        out.push(SHORT_TEXT + text.len() as u8);
    } else if let Ok(len) = u16::try_from(text.len()) {
        tagged(out, TEXT16, len.to_le_bytes());
    } else {
        tagged(out, TEXT32, (text.len() as u32).to_le_bytes());
    }
    out.extend_from_slice(text);
}

#[inline]
pub(crate) fn atom_key(out: &mut Vec<u8>, key: Atom) {
    if key.is_later() {
        return text_key(out, key.as_str());
    }
    out.extend_from_slice(&key.number().to_le_bytes());
}

/// A number that is none of this layout's keys, copied from another document.
pub(crate) fn unknown_key(out: &mut Vec<u8>, number: u16) {
    out.extend_from_slice(&(number & !TEXT_KEY).to_le_bytes());
}

/// A key outside the table; longer ones than the format can hold are cut at a character.
pub(crate) fn text_key(out: &mut Vec<u8>, key: &str) {
    let key = cut_key(key);
    out.extend_from_slice(&(TEXT_KEY | key.len() as u16).to_le_bytes());
    out.extend_from_slice(key.as_bytes());
}

/// The longest start of a key that the format can hold.
pub(crate) fn cut_key(key: &str) -> &str {
    let mut len = key.len().min(KEY_LEN_MAX);
    while !key.is_char_boundary(len) {
        len -= 1;
    }
    &key[..len]
}

/// A container whose content is being written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    /// Where its tag stands.
    start: usize,
    /// Whether four bytes were left for its length instead of two.
    wide: bool,
}

impl Open {
    /// Where its content begins.
    #[inline]
    pub(crate) fn content(self) -> usize {
        self.start + if self.wide { 5 } else { 3 }
    }
}

/// Begins a container. `wide` is a guess whether its content exceeds 65,535 bytes; a wrong one
/// costs a move of the content or two bytes.
#[inline]
pub(crate) fn open(out: &mut Vec<u8>, wide: bool) -> Open {
    let start = out.len();
    if wide {
        out.extend_from_slice(&[0; 5]);
    } else {
        out.extend_from_slice(&[0; 3]);
    }
    Open { start, wide }
}

#[inline]
pub(crate) fn close_list(out: &mut Vec<u8>, open: Open) {
    close(out, open, [EMPTY_LIST, LIST16, LIST32]);
}

#[inline]
pub(crate) fn close_map(out: &mut Vec<u8>, open: Open) {
    close(out, open, [EMPTY_MAP, MAP16, MAP32]);
}

#[inline]
fn close(out: &mut Vec<u8>, open: Open, [empty, narrow, wide]: [u8; 3]) {
    let len = out.len() - open.content();
    if len == 0 {
        out.truncate(open.start);
        out.push(empty);
    } else if open.wide {
        out[open.start] = wide;
        out[open.start + 1..open.start + 5].copy_from_slice(&(len as u32).to_le_bytes());
    } else if let Ok(len) = u16::try_from(len) {
        let [low, high] = len.to_le_bytes();
        out[open.start..open.start + 3].copy_from_slice(&[narrow, low, high]);
    } else {
        let content = open.content();
        out.extend_from_slice(&[0; 2]);
        out.copy_within(content..content + len, content + 2);
        out[open.start] = wide;
        out[open.start + 1..open.start + 5].copy_from_slice(&(len as u32).to_le_bytes());
    }
}

#[inline]
fn tagged<const N: usize>(out: &mut Vec<u8>, tag: u8, bytes: [u8; N]) {
    out.push(tag);
    out.extend_from_slice(&bytes);
}
