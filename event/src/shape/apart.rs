//! Taking documents apart.

use super::{
    DEPTH, END, HEAD, LIST_END, LIST_MAX, SHAPE_MAX, SHORT, Shape, Then, VALUE, WORD, short,
    split_key,
};
use crate::format::{
    EMPTY_LIST, EMPTY_MAP, FALSE, ID, LIST16, MAP16, NULL, TRUE, content, value_len,
};

/// Takes documents apart, one after the other, in memory that is kept.
#[derive(Debug, Default)]
pub struct Apart {
    shape: Row,
    rest: Row,
    shortens: bool,
    gain: u8,
}

impl Apart {
    /// Whether times and hashes stand in the rest in fewer bytes, from the next document on. They do not unless it is said.
    pub fn shorten(&mut self, shortens: bool) {
        self.shortens = shortens;
    }

    /// Takes a document apart. False where it has no shape: it is no map, or a large one, or has too many keys.
    #[must_use]
    pub fn split(&mut self, document: &[u8]) -> bool {
        self.shape.begin(SHAPE_MAX);
        self.begin_rest(document);
        is_whole(document) && self.members(&document[HEAD..], 1).is_some()
    }

    /// The same for a document of whose shape there is a guess, for a fraction of the time. False, too, where it has
    /// another shape; where it is true, [`Apart::split`] would have found this one.
    #[must_use]
    pub fn split_as(&mut self, document: &[u8], shape: &Shape) -> bool {
        self.shape.len = 0;
        self.begin_rest(document);
        is_whole(document) && self.values(document, shape).is_some()
    }

    /// The shape, after [`Apart::split`].
    #[must_use]
    pub fn shape(&self) -> &[u8] {
        self.shape.as_bytes()
    }

    /// The rest, after either.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        self.rest.as_bytes()
    }

    /// The bytes by which what was made short in the rest is shorter.
    #[must_use]
    pub const fn gain(&self) -> u8 {
        self.gain
    }

    fn begin_rest(&mut self, document: &[u8]) {
        self.rest.begin(document.len());
        self.gain = 0;
    }

    /// A value that is in the rest: the first `len` of these bytes.
    #[inline]
    fn keep(&mut self, value: &[u8], len: usize) -> Option<()> {
        if self.shortens && short::is_likely(value[0]) && self.keep_short(&value[..len]) {
            return Some(());
        }
        self.rest.put(value, len)
    }

    /// The same in fewer bytes; false where it stays as it is.
    fn keep_short(&mut self, value: &[u8]) -> bool {
        let Some(short) = short::shorten(value) else { return false };
        let gain = usize::from(self.gain) + value.len() - short.len;
        let Ok(gain) = u8::try_from(gain) else { return false };
        self.gain = gain;
        self.rest.put(&short.bytes, short.len).is_some()
    }

    fn members(&mut self, content: &[u8], depth: usize) -> Option<()> {
        let mut left = content;
        while !left.is_empty() {
            let key = split_key(left)?.0.len();
            // With what ends all that is open.
            if self.shape.len + key + 2 + END.len() * DEPTH > SHAPE_MAX {
                return None;
            }
            match *left.get(key)? {
                NULL | FALSE | TRUE | EMPTY_LIST | EMPTY_MAP => {
                    self.shape.put(left, key + 1)?;
                    left = &left[key + 1..];
                }
                ID => {
                    self.shape.put(left, key + 1)?;
                    self.rest.put(&left[key + 1..], size_of::<u64>())?;
                    left = &left[key + 1 + size_of::<u64>()..];
                }
                _ => {
                    self.shape.put(left, key)?;
                    let value = &left[key..];
                    let len = value_len(value)?;
                    self.value(value, len, depth)?;
                    left = &value[len..];
                }
            }
        }
        Some(())
    }

    /// A value that is neither a constant nor a snowflake: the first `len` of these bytes.
    fn value(&mut self, bytes: &[u8], len: usize, depth: usize) -> Option<()> {
        match bytes[0] {
            MAP16 if depth < DEPTH => {
                self.shape.put(&[MAP16], 1)?;
                self.members(&bytes[HEAD..len], depth + 1)?;
                self.shape.put(&END, END.len())
            }
            // Its maps are one deeper.
            LIST16 if depth + 1 < DEPTH && is_of_few_maps(&bytes[..len]) => {
                self.shape.put(&[LIST16], 1)?;
                let mut left = &bytes[HEAD..len];
                while !left.is_empty() {
                    let len = value_len(left)?;
                    self.value(left, len, depth + 1)?;
                    left = &left[len..];
                }
                self.shape.put(&[LIST_END], 1)
            }
            _ => {
                self.shape.put(&[VALUE], 1)?;
                self.keep(bytes, len)
            }
        }
    }

    /// The values of a document of this shape.
    fn values(&mut self, document: &[u8], shape: &Shape) -> Option<()> {
        let mut ends = [0; DEPTH];
        let (mut depth, mut left) = (0, document.get(HEAD..)?);
        for piece in &shape.pieces {
            let len = usize::from(piece.len);
            let same = match left.first_chunk() {
                Some(word) if len <= WORD => piece.is_in(u64::from_le_bytes(*word)),
                _ => left.get(..len)? == shape.bytes_of(piece)?,
            };
            if !same {
                return None;
            }
            left = &left[len..];
            match piece.then {
                Then::Id => {
                    self.rest.put(left, size_of::<u64>())?;
                    left = &left[size_of::<u64>()..];
                }
                Then::Value => {
                    let len = value_len(left)?;
                    if is_looked_into(&left[..len], depth + 1) {
                        return None;
                    }
                    self.keep(left, len)?;
                    left = &left[len..];
                }
                Then::Open => {
                    let (len, behind) = left.split_first_chunk()?;
                    depth += 1;
                    // Bytes that are left behind it: where it ends, seen from the end.
                    *ends.get_mut(depth)? =
                        behind.len().checked_sub(u16::from_le_bytes(*len).into())?;
                    left = behind;
                }
                Then::Close => {
                    if left.len() != ends[depth] {
                        return None;
                    }
                    depth = depth.saturating_sub(1);
                }
            }
        }
        left.is_empty().then_some(())
    }
}

/// Whether a document is a map of these very bytes, and no large one.
fn is_whole(document: &[u8]) -> bool {
    document.first() == Some(&MAP16) && value_len(document) == Some(document.len())
}

/// Whether a shape says more of a value, so deep, than that it is one.
fn is_looked_into(value: &[u8], depth: usize) -> bool {
    match value[0] {
        NULL | FALSE | TRUE | EMPTY_LIST | EMPTY_MAP | ID => true,
        MAP16 => depth < DEPTH,
        LIST16 => depth + 1 < DEPTH && is_of_few_maps(value),
        _ => false,
    }
}

/// Whether a list has maps alone, and few.
fn is_of_few_maps(list: &[u8]) -> bool {
    let mut left = content(list);
    let mut count = 0;
    while let Some(len) = value_len(left).filter(|_| left[0] == MAP16) {
        left = &left[len..];
        count += 1;
    }
    left.is_empty() && (1..=LIST_MAX).contains(&count)
}

/// Bytes that are put one behind the other, with room for a fixed length behind them.
#[derive(Debug, Default)]
struct Row {
    bytes: Vec<u8>,
    len: usize,
}

impl Row {
    /// Empty, with room for so many bytes.
    fn begin(&mut self, len_max: usize) {
        if self.bytes.len() < len_max + SHORT {
            self.bytes.resize(len_max + SHORT, 0);
        }
        self.len = 0;
    }

    /// Puts the first `len` bytes of `from`; `None` where these are not there.
    #[inline]
    fn put(&mut self, from: &[u8], len: usize) -> Option<()> {
        let to = self.bytes.get_mut(self.len..)?;
        match (from.first_chunk::<SHORT>(), to.first_chunk_mut::<SHORT>()) {
            (Some(from), Some(to)) if len <= SHORT => *to = *from,
            _ => to.get_mut(..len)?.copy_from_slice(from.get(..len)?),
        }
        self.len += len;
        Some(())
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}
