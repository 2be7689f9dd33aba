//! Checking documents that come from outside.

use crate::{
    atom::Atom,
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
    let mut open = [(0_usize, false); DEPTH_MAX];
    let mut depth = 0;
    let mut position = 0;
    let mut end = bytes.len();
    let mut in_map = false;

    let truncated = |offset| DocumentError::Truncated { offset };
    loop {
        if in_map {
            let rest = bytes.get(position..end).ok_or_else(|| truncated(position))?;
            let (key, after) = format::split_key(rest).ok_or_else(|| truncated(position))?;
            match key {
                RawKey::Atom(number) if Atom::from_number(number).is_none() => {
                    return Err(DocumentError::Key { offset: position, number });
                }
                RawKey::Text(text) if !is_utf8(text) => {
                    return Err(DocumentError::NotUtf8 { offset: position + 2 });
                }
                _ => {}
            }
            position = end - after.len();
        }

        let rest = bytes.get(position..end).ok_or_else(|| truncated(position))?;
        let tag = *rest.first().ok_or_else(|| truncated(position))?;
        let len = match format::value_len(rest) {
            Some(len) => len,
            None if tag > format::MAP32 && tag < format::SMALL_INT => {
                return Err(DocumentError::Tag { offset: position, tag });
            }
            None => return Err(truncated(position)),
        };
        match tag {
            format::LIST16 | format::LIST32 | format::MAP16 | format::MAP32 => {
                let header = if matches!(tag, format::LIST16 | format::MAP16) { 3 } else { 5 };
                if len > header {
                    let slot =
                        open.get_mut(depth).ok_or(DocumentError::Depth { offset: position })?;
                    *slot = (end, in_map);
                    depth += 1;
                    end = position + len;
                    position += header;
                    in_map = matches!(tag, format::MAP16 | format::MAP32);
                    continue;
                }
            }
            format::FLOAT => {
                let bytes = rest
                    .get(1..)
                    .and_then(<[u8]>::first_chunk)
                    .ok_or_else(|| truncated(position))?;
                if !f64::from_le_bytes(*bytes).is_finite() {
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
        position += len;

        while position == end {
            let Some(outer) = depth.checked_sub(1) else { return Ok(()) };
            depth = outer;
            (end, in_map) = open[outer];
        }
        if depth == 0 {
            let extra = bytes.len() - position;
            return Err(DocumentError::Trailing { offset: position, extra });
        }
    }
}

/// Most texts are short and of ASCII, which is seen sooner than what UTF-8 may be.
fn is_utf8(text: &[u8]) -> bool {
    text.is_ascii() || simdutf8::basic::from_utf8(text).is_ok()
}
