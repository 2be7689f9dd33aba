//! Checking documents that come from outside.

use crate::{
    atom::{ATOMS, Atom},
    format::{self, DEPTH_MAX, RawKey},
};

/// Why bytes are no document.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// A value, or a length in it, reaches beyond its end.
    #[error("document cut short at byte {offset}")]
    Truncated {
        /// Where the value begins, from the document's first byte.
        offset: usize,
    },
    /// Bytes follow the document.
    #[error("{extra} bytes follow the document, which ends at byte {offset}")]
    Trailing {
        /// Where the document ends.
        offset: usize,
        /// How many bytes follow.
        extra: usize,
    },
    /// A byte that is no tag stands where a value begins.
    #[error("no value begins with {tag:#04x} (byte {offset} of the document)")]
    Tag {
        /// Where it stands.
        offset: usize,
        /// The byte.
        tag: u8,
    },
    /// A text or key is not UTF-8.
    #[error("text at byte {offset} of the document is not UTF-8")]
    NotUtf8 {
        /// Where the text begins.
        offset: usize,
    },
    /// A key's number is not in this build's table.
    #[error(
        "key number {number} at byte {offset} of the document is unknown here: written by a newer Mixcord, update this one"
    )]
    Key {
        /// Where the key stands.
        offset: usize,
        /// Its number.
        number: u16,
    },
    /// A float is infinite or not a number.
    #[error("the float at byte {offset} of the document is not finite")]
    NotFinite {
        /// Where it stands.
        offset: usize,
    },
    /// Containers nest too deep.
    #[error("document nests deeper than {DEPTH_MAX} at byte {offset}")]
    Depth {
        /// Where the container begins that is one too many.
        offset: usize,
    },
}

impl DocumentError {
    /// Whether the bytes may be a document that another release of Mixcord wrote, and reads.
    #[must_use]
    pub const fn is_of_another_release(&self) -> bool {
        matches!(self, Self::Key { .. })
    }
}

/// Checks that `bytes` are exactly one document. Neither recursion nor heap.
pub(crate) fn document(bytes: &[u8]) -> Result<(), DocumentError> {
    let (mut ends, mut maps) = ([0_usize; DEPTH_MAX], [false; DEPTH_MAX]);
    let mut depth = 0;
    let mut position = 0;
    let mut end = bytes.len();
    let mut in_map = false;

    loop {
        let rest = bytes.get(position..end).unwrap_or_default();
        // Outside all lists and maps there is one value.
        let plain = match depth {
            0 => 0,
            _ if in_map => plain::<2>(rest),
            _ => plain::<0>(rest),
        };
        position += plain;
        if plain == 0 || position != end {
            if in_map {
                position = key(bytes, position, end)?;
            }
            let (len, header) = value(bytes, position, end)?;
            if len > header && header > 0 {
                *ends.get_mut(depth).ok_or(DocumentError::Depth { offset: position })? = end;
                maps[depth] = in_map;
                depth += 1;
                end = position + len;
                in_map = matches!(bytes[position], format::MAP16 | format::MAP32);
                position += header;
                continue;
            }
            position += len;
        }
        while position == end {
            let Some(outer) = depth.checked_sub(1) else { return Ok(()) };
            depth = outer;
            (end, in_map) = (ends[outer], maps[outer]);
        }
        if depth == 0 {
            let extra = bytes.len() - position;
            return Err(DocumentError::Trailing { offset: position, extra });
        }
    }
}

/// Bytes of the values at the start of `rest` that need no second look, each behind a key of `KEY` bytes that has
/// a number, or none: the first byte tells their length, they hold no others, and of texts those in ASCII.
#[inline(always)]
fn plain<const KEY: usize>(rest: &[u8]) -> usize {
    let mut at = 0;
    while let Some(head) = rest.get(at..at + KEY + 1) {
        let tag = head[KEY];
        let behind = at + KEY + usize::from(PLAIN[usize::from(tag)]);
        let has_number = KEY == 0 || usize::from(u16::from_le_bytes([head[0], head[1]])) < ATOMS;
        if behind == at + KEY || behind > rest.len() || !has_number {
            break;
        }
        if tag >= format::SHORT_TEXT && !is_ascii_between(rest, at + KEY + 1, behind) {
            break;
        }
        at = behind;
    }
    at
}

/// Length of the value behind each tag; 0 where another look is needed.
const PLAIN: [u8; 256] = {
    let mut table = format::LENGTHS;
    table[format::FLOAT as usize] = 0;
    table
};

/// Whether the bytes from `begin` to `end` are of ASCII. Of a short text a word is read with what stands behind it,
/// where there is enough: that costs less than a loop.
#[inline(always)]
fn is_ascii_between(bytes: &[u8], begin: usize, end: usize) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let word = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let len = end - begin;
    if len >= 8 {
        let mut all = word(end - 8).unwrap_or(HIGH);
        let mut at = begin;
        while at + 8 < end {
            all |= word(at).unwrap_or(HIGH);
            at += 8;
        }
        return all & HIGH == 0;
    }
    match word(begin) {
        // Of the text's own bytes.
        Some(word) => word & HIGH & !(u64::MAX << (len * 8)) == 0,
        None => bytes[begin..end].is_ascii(),
    }
}

/// Checks the key at `position`; gives where it ends.
fn key(bytes: &[u8], position: usize, end: usize) -> Result<usize, DocumentError> {
    let truncated = DocumentError::Truncated { offset: position };
    let rest = bytes.get(position..end).ok_or(truncated)?;
    let (key, after) = format::split_key(rest).ok_or(truncated)?;
    match key {
        RawKey::Atom(number) if Atom::from_number(number).is_none() => {
            Err(DocumentError::Key { offset: position, number })
        }
        RawKey::Text(text) if !is_utf8(text) => {
            Err(DocumentError::NotUtf8 { offset: position + 2 })
        }
        _ => Ok(end - after.len()),
    }
}

/// Checks the value at `position` but for what is in it; gives its length, and of a list or map that of its head.
fn value(bytes: &[u8], position: usize, end: usize) -> Result<(usize, usize), DocumentError> {
    let truncated = DocumentError::Truncated { offset: position };
    let rest = bytes.get(position..end).ok_or(truncated)?;
    let tag = *rest.first().ok_or(truncated)?;
    let len = match format::value_len(rest) {
        Some(len) => len,
        None if tag > format::MAP32 && tag < format::SMALL_INT => {
            return Err(DocumentError::Tag { offset: position, tag });
        }
        None => return Err(truncated),
    };
    match tag {
        format::LIST16 | format::MAP16 => return Ok((len, 3)),
        format::LIST32 | format::MAP32 => return Ok((len, 5)),
        format::FLOAT => {
            let number = rest.get(1..).and_then(<[u8]>::first_chunk).ok_or(truncated)?;
            if !f64::from_le_bytes(*number).is_finite() {
                return Err(DocumentError::NotFinite { offset: position });
            }
        }
        format::TEXT16 | format::TEXT32 | format::SHORT_TEXT..
            if !is_utf8(format::content(&rest[..len])) =>
        {
            return Err(DocumentError::NotUtf8 { offset: position });
        }
        _ => {}
    }
    Ok((len, 0))
}

/// Most texts are short and of ASCII, which is seen sooner than what UTF-8 may be.
fn is_utf8(text: &[u8]) -> bool {
    text.is_ascii() || simdutf8::basic::from_utf8(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts of every length, a byte of each that is none of ASCII, and something behind that is or is not.
    #[test]
    fn a_byte_that_is_not_utf8_is_seen_in_texts_of_all_lengths() {
        for len in 1..40_u8 {
            for place in 0..usize::from(len) {
                for behind in [0, 1, 3, 9, 30] {
                    let mut text = vec![format::SHORT_TEXT + len];
                    text.extend(std::iter::repeat_n(b'a', usize::from(len)));
                    text[1 + place] = 0xFF;
                    let others = [format::SHORT_TEXT + 1, 0x7F].repeat(behind);
                    let list = [text, others].concat();
                    let mut bytes = vec![format::LIST16, list.len() as u8, 0];
                    bytes.extend_from_slice(&list);
                    assert_eq!(document(&bytes), Err(DocumentError::NotUtf8 { offset: 3 }));
                    bytes[4 + place] = b'b';
                    assert_eq!(document(&bytes), Ok(()), "{len}, {place}, {behind}");
                }
            }
        }
    }
}
