//! JSON to document, in one pass, by RFC 8259.
//!
//! A parser of our own, for what serde_json's cannot do: text that is not UTF-8, or escapes half of
//! a surrogate pair, becomes U+FFFD instead of an error (P6), errors know their path, and nothing is
//! copied or checked twice. Tests hold it against serde_json.
//!
//! As in ETF, keys and short scalars without space between them are read from a window of fixed length
//! and written into a room checked once; all else goes the longer way, which knows all of JSON.

mod envelope;
mod keys;
mod map;
mod members;
mod number;
mod plain;
mod scan;
mod text;

use members::skip_space;
use plain::{VALUE, plain};
use scan::plain_end;

use super::{
    DecodeErrorKind as Kind,
    links::{Links, Place},
    notes::Stop,
    pad::Pad,
    window::{End, Window},
};
use crate::format;

/// Reads values and writes what they mean.
///
/// The unread input goes from hand to hand, so that it stays in registers.
#[derive(Debug)]
pub(crate) struct Json<'o, 'i> {
    pub(crate) pad: Pad<'o>,
    /// Behind what was written.
    pub(crate) position: usize,
    links: &'o mut Links,
    end: &'i End,
    /// How many elements a container may have.
    elements_max: usize,
    /// How many more containers may be opened inside each other.
    depth_left: usize,
}

/// What follows what was read.
type Rest<'i> = Result<&'i [u8], Stop>;

impl<'o, 'i> Json<'o, 'i> {
    /// A reader of the input that `end` belongs to, which writes from `position` on.
    pub(crate) const fn new(
        pad: Pad<'o>,
        position: usize,
        links: &'o mut Links,
        end: &'i End,
    ) -> Self {
        let (elements_max, depth_left) = (pad.notes.limits.elements, pad.notes.limits.depth);
        Self { pad, position, links, end, elements_max, depth_left }
    }

    /// One value.
    #[inline(never)]
    pub(crate) fn value(&mut self, input: &'i [u8], place: Place) -> Rest<'i> {
        let input = skip_space(input);
        match input.first() {
            Some(b'"') => {
                let text = &input[1..];
                let end = plain_end(text);
                if text.get(end) == Some(&b'"') {
                    self.position = self.pad.text(self.position, text, end, place.ids)?;
                    return Ok(&text[end + 1..]);
                }
                self.escaped(text, place.ids)
            }
            Some(b'-' | b'0'..=b'9') => self.number(input, place.ids),
            Some(b'n') if input.starts_with(b"null") => self.constant(&input[4..], format::NULL),
            Some(b't') if input.starts_with(b"true") => self.constant(&input[4..], format::TRUE),
            Some(b'f') if input.starts_with(b"false") => self.constant(&input[5..], format::FALSE),
            Some(b'{') => self.map(input, place),
            Some(b'[') => self.list(input, place),
            _ => Err(self.syntax("expected a value", input)),
        }
    }

    /// One value behind space. The short way first.
    #[inline(never)]
    fn spaced_value(&mut self, input: &'i [u8], place: Place) -> Rest<'i> {
        let input = skip_space(input);
        let value = value_in(window(input, self.end), 0);
        match self.pad.room(self.position).and_then(|room| plain::<0>(room, value, place.ids)) {
            Some((read, used)) => {
                self.position += used;
                Ok(behind(input, read))
            }
            None => self.value(input, place),
        }
    }

    /// What must follow the last value: nothing.
    pub(crate) fn end(&mut self, input: &[u8]) -> Result<(), Stop> {
        let rest = skip_space(input);
        if rest.is_empty() {
            return Ok(());
        }
        Err(self.pad.notes.refuse(Kind::Trailing(rest.len()), rest.len()))
    }

    #[inline]
    fn constant(&mut self, rest: &'i [u8], tag: u8) -> Rest<'i> {
        self.position = self.pad.tag(self.position, tag)?;
        Ok(rest)
    }

    /// The value that begins with the byte `first`, when it goes not the short way.
    #[inline(always)]
    fn long_value(&mut self, input: &'i [u8], first: u8, place: Place) -> Rest<'i> {
        match first {
            b'{' if !input.is_empty() => self.map(input, place),
            b'[' if !input.is_empty() => self.list(input, place),
            b' ' => self.spaced_value(input, place),
            _ => self.value(input, place),
        }
    }

    /// A list, from its bracket on.
    #[inline(never)]
    fn list(&mut self, input: &'i [u8], place: Place) -> Rest<'i> {
        let input = &input[1..];
        self.enter(input)?;
        let place = Place { ids: place.ids.in_list(), ..place };
        let (open, mut position) = self.pad.open(self.position, input.len());
        let mut rest = skip_space(input);
        if let Some(rest) = rest.strip_prefix(b"]") {
            self.depth_left += 1;
            self.position = self.pad.close_list(open, position)?;
            return Ok(rest);
        }
        let mut len = 0;
        loop {
            let window = window(rest, self.end);
            let value = value_in(window, 0);
            match self.pad.room(position).and_then(|room| plain::<0>(room, value, place.ids)) {
                Some((read, used)) => {
                    rest = behind(rest, read);
                    position += used;
                }
                None => {
                    self.position = position;
                    rest = self
                        .long_value(rest, value[0], place)
                        .map_err(|stop| self.note_index(len, stop))?;
                    position = self.position;
                }
            }
            len += 1;
            rest = match skip_space(rest) {
                [b',', after @ ..] => after,
                [b']', after @ ..] => {
                    self.depth_left += 1;
                    self.position = self.pad.close_list(open, position)?;
                    return Ok(after);
                }
                rest => return Err(self.syntax("expected a comma or the list's end", rest)),
            };
            self.count(rest, len)?;
        }
    }

    /// Checks that one more container may be opened.
    #[inline(always)]
    fn enter(&mut self, input: &[u8]) -> Result<(), Stop> {
        if self.depth_left == 0 {
            let limit = self.pad.notes.limits.depth;
            return Err(self.pad.notes.refuse(Kind::Depth(limit), input.len()));
        }
        self.depth_left -= 1;
        Ok(())
    }

    /// Checks that another element may follow the `len` there are.
    #[inline]
    fn count(&mut self, input: &[u8], len: usize) -> Result<(), Stop> {
        let limit = self.elements_max;
        if len >= limit {
            return Err(self.pad.notes.refuse(Kind::TooMany { len: len + 1, limit }, input.len()));
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn syntax(&mut self, expected: &'static str, rest: &[u8]) -> Stop {
        // A literal that the end cuts off is no other syntax error.
        let cut = [&b"null"[..], b"true", b"false"].iter().any(|word| word.starts_with(rest));
        let kind = if cut { Kind::Truncated } else { Kind::Json(expected) };
        self.pad.notes.refuse(kind, rest.len())
    }

    #[cold]
    #[inline(never)]
    fn note_index(&mut self, index: usize, stop: Stop) -> Stop {
        self.pad.notes.step(|| format!("[{index}]"));
        stop
    }
}

/// What the unread input begins with; zeros behind its end, which are in no JSON.
#[inline(always)]
fn window<'i>(rest: &'i [u8], end: &'i End) -> &'i Window {
    match rest.first_chunk() {
        Some(window) => window,
        None => window_at_the_end(rest, end),
    }
}

#[cold]
#[inline(never)]
fn window_at_the_end<'i>(rest: &[u8], end: &'i End) -> &'i Window {
    match end.from(rest.len()).first_chunk() {
        Some(window) => window,
        None => unreachable!("behind the last bytes there are zeros for a window"),
    }
}

/// What follows the `len` bytes that were read in a window. They are never more than there are: nothing is
/// taken that does not end before the zeros.
#[inline(always)]
fn behind(rest: &[u8], len: usize) -> &[u8] {
    match rest.get(len..) {
        Some(rest) => rest,
        None => nothing(),
    }
}

#[cold]
#[inline(never)]
const fn nothing<'i>() -> &'i [u8] {
    &[]
}

/// What the short way sees of the value that so many bytes stand before.
#[inline(always)]
fn value_in(window: &Window, before: usize) -> &[u8; VALUE] {
    match window[before % VALUE..].first_chunk() {
        Some(value) => value,
        None => unreachable!("a window holds the longest key and a value"),
    }
}
