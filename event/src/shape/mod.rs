//! A document in two parts: what it has in common with many others, and what is its own.
//!
//! Documents of one kind mostly have the same keys in the same order, and constants at the same of them. A
//! *shape* is these: keys, nesting, and which members are null, false, true or empty. The *rest* is all other
//! values, one behind the other. Who keeps many documents keeps each shape once.
//!
//! A shape is a row of members: the key as it stands in a document, then one byte:
//!
//! | byte | member |
//! |---|---|
//! | `00` `01` `02` `0C` `0D` | this constant |
//! | `08` | a snowflake; its 8 bytes are in the rest |
//! | `10` | a map, whose members follow, up to the word `FFFF` |
//! | `0E` | a list of few maps: each is a `10` and its members, up to the byte `00` |
//! | `FF` | any other value; it is whole in the rest, or in fewer bytes ([`Apart::shorten`], `short.rs`) |

mod apart;
mod short;

pub use self::apart::Apart;
use crate::format::{
    EMPTY_LIST, EMPTY_MAP, FALSE, ID, LIST16, MAP16, NULL, TEXT_KEY, TRUE, value_len,
};

/// Bytes of a shape at most; a document with a longer one has none.
pub const SHAPE_MAX: usize = 2048;

/// Maps and lists in each other at most, of those that a shape looks into.
const DEPTH: usize = 7;
/// Maps of a list at most: with more of them hardly two documents would have one shape.
const LIST_MAX: usize = 3;
/// The longest key outside the table, bytes.
const TEXT_MAX: u16 = 255;
/// A value that is in the rest.
const VALUE: u8 = 0xFF;
/// No key that a shape may have.
const END: [u8; 2] = [0xFF; 2];
/// Behind the last map of a list.
const LIST_END: u8 = 0;
/// Tag and length of a map or list.
const HEAD: usize = 3;
/// What is copied at once, bytes: most keys and values are shorter, and a copy of a fixed length is one move.
const SHORT: usize = 16;

/// The key at the start of `bytes`, if a shape may have it, and what follows it.
#[inline]
fn split_key(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let word = u16::from_le_bytes(*bytes.first_chunk()?);
    match word.checked_sub(TEXT_KEY) {
        None => bytes.split_at_checked(2),
        Some(len) if len <= TEXT_MAX => bytes.split_at_checked(2 + usize::from(len)),
        Some(_) => None,
    }
}

/// A shape, ready to be filled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shape {
    bytes: Box<[u8]>,
    pieces: Box<[Piece]>,
    /// Bytes of a document with an empty rest.
    own_len: usize,
}

/// Bytes that are the same in each document, and what follows them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Piece {
    /// The first of the bytes.
    word: u64,
    from: u16,
    len: u16,
    then: Then,
}

/// Bytes that are compared and written at once: few pieces have more.
const WORD: usize = size_of::<u64>();

impl Piece {
    /// Whether a word begins with these bytes, of which there are no more than in a word.
    #[inline]
    const fn is_in(&self, word: u64) -> bool {
        let beside = (WORD - self.len as usize) as u32 * u8::BITS;
        self.len == 0 || (word ^ self.word) << beside == 0
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Then {
    Id,
    Value,
    /// The length of a map or list, then what is in it.
    Open,
    /// Nothing: a map or list ends here.
    Close,
}

impl Shape {
    /// The shape that [`Apart`] wrote; `None` for bytes that are none.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > SHAPE_MAX {
            return None;
        }
        let mut parser = Parser { bytes, at: 0, from: 0, pieces: Vec::new(), own_len: HEAD };
        parser.members(1)?;
        let Parser { pieces, own_len, .. } = parser;
        Some(Self { bytes: bytes.into(), pieces: pieces.into(), own_len })
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of the document with a rest of so many bytes, without what was gained in it ([`Apart::gain`]).
    #[must_use]
    pub const fn document_len(&self, rest_len: usize) -> usize {
        self.own_len + rest_len
    }

    /// Writes the document with this rest into `out`, which has its length. False where the rest is none of
    /// this shape; what is in `out` then is no document.
    #[must_use]
    pub fn join(&self, rest: &[u8], out: &mut [u8]) -> bool {
        self.try_join(rest, out).is_some()
    }

    fn bytes_of(&self, piece: &Piece) -> Option<&[u8]> {
        let (from, len) = (usize::from(piece.from), usize::from(piece.len));
        self.bytes.get(from..from + len)
    }

    fn try_join(&self, mut rest: &[u8], out: &mut [u8]) -> Option<()> {
        let mut open = [0; DEPTH];
        let (mut depth, mut at) = (0, HEAD);
        for piece in &self.pieces {
            let len = usize::from(piece.len);
            match out.get_mut(at..)?.first_chunk_mut() {
                // What is too much is written over.
                Some(word) if len <= WORD => *word = piece.word.to_le_bytes(),
                _ => out.get_mut(at..at + len)?.copy_from_slice(self.bytes_of(piece)?),
            }
            at += len;
            match piece.then {
                Then::Id => {
                    let (id, behind) = rest.split_first_chunk::<8>()?;
                    *out.get_mut(at..)?.first_chunk_mut()? = *id;
                    (rest, at) = (behind, at + id.len());
                }
                Then::Value => {
                    let Some(len) = value_len(rest) else {
                        let (short, len) = short::expand(rest, out.get_mut(at..)?)?;
                        (rest, at) = (&rest[short..], at + len);
                        continue;
                    };
                    match (rest.first_chunk::<SHORT>(), out.get_mut(at..)?.first_chunk_mut()) {
                        (Some(value), Some(to)) if len <= SHORT => *to = *value,
                        _ => out.get_mut(at..at + len)?.copy_from_slice(&rest[..len]),
                    }
                    (rest, at) = (&rest[len..], at + len);
                }
                Then::Open => {
                    depth += 1;
                    at += HEAD - 1;
                    *open.get_mut(depth)? = at;
                }
                Then::Close => {
                    // The outermost map begins where the document does.
                    let begin = if depth == 0 { HEAD } else { open[depth] };
                    let len = u16::try_from(at - begin).ok()?.to_le_bytes();
                    out.get_mut(begin - len.len()..begin)?.copy_from_slice(&len);
                    depth = depth.saturating_sub(1);
                }
            }
        }
        *out.first_mut()? = MAP16;
        (rest.is_empty() && at == out.len()).then_some(())
    }
}

/// Reads the bytes of a shape.
struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the piece begins that is not ended.
    from: usize,
    pieces: Vec<Piece>,
    own_len: usize,
}

impl Parser<'_> {
    /// Members up to the end of their map; of the outermost one up to the end.
    fn members(&mut self, depth: usize) -> Option<()> {
        while self.at < self.bytes.len() {
            let left = &self.bytes[self.at..];
            if left.starts_with(&END) {
                self.piece(Then::Close, END.len());
                return (depth > 1).then_some(());
            }
            let (key, _) = split_key(left)?;
            self.at += key.len();
            self.value(depth)?;
        }
        self.piece(Then::Close, 0);
        (depth == 1).then_some(())
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        let kind = *self.bytes.get(self.at)?;
        self.at += 1;
        match kind {
            NULL | FALSE | TRUE | EMPTY_LIST | EMPTY_MAP => {}
            ID => self.piece(Then::Id, 0),
            VALUE => {
                self.at -= 1;
                self.piece(Then::Value, 1);
            }
            MAP16 if depth < DEPTH => {
                self.piece(Then::Open, 0);
                self.members(depth + 1)?;
            }
            LIST16 if depth < DEPTH => {
                self.piece(Then::Open, 0);
                while *self.bytes.get(self.at)? == MAP16 {
                    self.value(depth + 1)?;
                }
                if self.bytes[self.at] != LIST_END {
                    return None;
                }
                self.piece(Then::Close, 1);
            }
            _ => return None,
        }
        Some(())
    }

    /// A piece ends here; what follows is passed over.
    fn piece(&mut self, then: Then, over: usize) {
        let bytes = &self.bytes[self.from..self.at];
        let (mut word, len) = ([0; WORD], bytes.len());
        let first = len.min(WORD);
        word[..first].copy_from_slice(&bytes[..first]);
        let word = u64::from_le_bytes(word);
        // Both are below `SHAPE_MAX`.
        self.pieces.push(Piece { word, from: self.from as u16, len: len as u16, then });
        self.own_len += len + if then == Then::Open { HEAD - 1 } else { 0 };
        self.at += over;
        self.from = self.at;
    }
}

#[cfg(test)]
mod tests;
