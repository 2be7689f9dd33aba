//! ETF to document, in one pass.
//!
//! Where the reading is, and where the writing, goes from hand to hand as two numbers. Keys and scalars
//! in the form that Discord gives them are read from a window of fixed length and written into a
//! room checked once; all else goes the longer way, which knows every term.

mod envelope;
mod input;
mod keys;
mod plain;
mod rare;
pub(super) mod terms;

use input::VALUE;
use keys::listed;
use plain::plain;
use terms::{BINARY, INTEGER, LIST, MAP, NIL, SMALL_INTEGER, long};

use super::{
    DecodeErrorKind as Kind,
    links::{Link, Links, Place},
    notes::Stop,
    pad::{Keys, Pad},
    window::{End, KEY_MAX, WINDOW, Window, word},
};
use crate::format;

/// Reads terms and writes what they mean.
///
/// The unread input goes from hand to hand, so that it stays in registers.
#[derive(Debug)]
pub(crate) struct Etf<'o, 'i> {
    pub(crate) pad: Pad<'o>,
    /// Behind what was written.
    pub(crate) position: usize,
    links: &'o mut Links,
    end: &'i End,
    /// How many zeros follow the input: none before its last bytes are read.
    zeros: usize,
    /// How many elements a container may have.
    elements_max: usize,
    /// How many more containers may be opened inside each other.
    depth_left: usize,
}

/// What follows the term that was read.
type Rest<'i> = Result<&'i [u8], Stop>;

impl<'o, 'i> Etf<'o, 'i> {
    /// A reader of the term that `end` belongs to, which writes from `position` on.
    pub(crate) const fn new(
        pad: Pad<'o>,
        position: usize,
        links: &'o mut Links,
        end: &'i End,
    ) -> Self {
        let (elements_max, depth_left) = (pad.notes.limits.elements, pad.notes.limits.depth);
        Self { pad, position, links, end, zeros: 0, elements_max, depth_left }
    }

    /// One term.
    #[inline(never)]
    pub(crate) fn value(&mut self, rest: &'i [u8], place: Place) -> Rest<'i> {
        let head = self.head(rest)?;
        match head as u8 {
            BINARY => {
                let len = long(head);
                let (_, after) = self.take(rest, 5, len)?;
                self.position = self.pad.text(self.position, &rest[5..], len, place.ids)?;
                Ok(after)
            }
            MAP => {
                let (_, members) = self.take(rest, 5, 0)?;
                self.map(members, long(head), place)
            }
            LIST => {
                let (_, elements) = self.take(rest, 5, 0)?;
                self.list(elements, long(head), place)
            }
            INTEGER => {
                let (_, after) = self.take(rest, 5, 0)?;
                let value = long(head) as u32 as i32;
                self.position = self.pad.int(self.position, i64::from(value), place.ids)?;
                Ok(after)
            }
            SMALL_INTEGER => {
                let (_, after) = self.take(rest, 2, 0)?;
                self.position = self.pad.uint(self.position, head >> 8 & 0xFF, place.ids)?;
                Ok(after)
            }
            NIL => {
                self.position = self.pad.tag(self.position, format::EMPTY_LIST)?;
                Ok(&rest[1..])
            }
            _ => self.rare(rest, place),
        }
    }

    /// A map's `len` members.
    #[inline(always)]
    fn map(&mut self, members: &'i [u8], len: usize, place: Place) -> Rest<'i> {
        if place.ids.numbers_own_id() {
            return self.members::<true>(members, len, place);
        }
        self.members::<false>(members, len, place)
    }

    /// A map's `len` members. `NUMBERED` if its own `id` is a number.
    #[inline(never)]
    fn members<const NUMBERED: bool>(
        &mut self,
        members: &'i [u8],
        len: usize,
        place: Place,
    ) -> Rest<'i> {
        self.enter(members, len)?;
        let (open, mut position) = self.pad.open(self.position, members.len());
        let mut keys = Keys::new();
        let mut link = Link::start(place, len);
        let (mut rest, mut member) = (members, members);
        for _ in 0..len {
            if rest.len() < WINDOW {
                rest = self.refill(rest).map_err(|stop| self.note_key(member, stop))?;
            }
            let (Some(window), Some(room)) = (rest.first_chunk(), self.pad.room(position)) else {
                return Err(self.pad.notes.full());
            };
            member = rest;
            let guess = self.links.guess(link);
            let (key, key_len) = if guess.begins(window) {
                (guess, usize::from(guess.len))
            } else {
                match listed(self.links, link, window) {
                    Some(found) => found,
                    None => {
                        self.position = position;
                        rest = self.unlisted(rest, &mut keys, place.ids)?;
                        position = self.position;
                        continue;
                    }
                }
            };
            link.follow(key);
            keys.mark(key.word, key.bit);
            room[..2].copy_from_slice(&key.number.to_le_bytes());
            let ids = if NUMBERED { place.ids.of_member(key.number, key.ids) } else { key.ids };
            let value = value_in(window, key_len);
            if let Some((read, used)) = plain::<2>(room, value, ids) {
                rest = &rest[(key_len + read) % WINDOW..];
                position += used;
                continue;
            }
            self.position = position + 2;
            let place = Place { ids, key: key.number };
            rest = self
                .long_value(&rest[key_len % WINDOW..], word(value, 0), place)
                .map_err(|stop| self.note_key(member, stop))?;
            position = self.position;
        }
        if self.is_beyond_end(rest) {
            let stop = self.refuse(Kind::Truncated, &[]);
            return Err(self.note_key(member, stop));
        }
        self.depth_left += 1;
        self.position = self.pad.close_map(open, &keys, position)?;
        Ok(rest)
    }

    /// A list's `len` elements, and its tail, which must be empty.
    #[inline(never)]
    fn list(&mut self, elements: &'i [u8], len: usize, place: Place) -> Rest<'i> {
        let rest = self.elements(elements, len, place)?;
        match rest.first() {
            _ if self.left(rest) == 0 => Err(self.refuse(Kind::Truncated, rest)),
            Some(&NIL) => Ok(&rest[1..]),
            _ => Err(self.refuse(Kind::ImproperList, rest)),
        }
    }

    /// A list's `len` elements.
    #[inline(always)]
    fn elements(&mut self, elements: &'i [u8], len: usize, place: Place) -> Rest<'i> {
        self.enter(elements, len)?;
        let (open, mut position) = self.pad.open(self.position, elements.len());
        let place = Place { ids: place.ids.in_list(), ..place };
        let mut rest = elements;
        for index in 0..len {
            if rest.len() < WINDOW {
                rest = self.refill(rest).map_err(|stop| self.note_index(index, stop))?;
            }
            let (Some(window), Some(room)) = (rest.first_chunk(), self.pad.room(position)) else {
                return Err(self.pad.notes.full());
            };
            let value = value_in(window, 0);
            if let Some((read, used)) = plain::<0>(room, value, place.ids) {
                rest = &rest[read % WINDOW..];
                position += used;
                continue;
            }
            self.position = position;
            rest = self
                .long_value(rest, word(value, 0), place)
                .map_err(|stop| self.note_index(index, stop))?;
            position = self.position;
        }
        if self.is_beyond_end(rest) {
            let stop = self.refuse(Kind::Truncated, &[]);
            return Err(self.note_index(len, stop));
        }
        self.depth_left += 1;
        self.position = self.pad.close_list(open, position)?;
        Ok(rest)
    }

    /// The term that `head` begins, when it goes not the short way. `rest` holds a window.
    #[inline(always)]
    fn long_value(&mut self, rest: &'i [u8], head: u64, place: Place) -> Rest<'i> {
        match head as u8 {
            MAP => self.map(&rest[5..], long(head), place),
            LIST => self.list(&rest[5..], long(head), place),
            _ => self.value(rest, place),
        }
    }

    /// Checks that a container may have `len` elements, and that one more may be opened. Whether they do
    /// come shows when they are read: no memory is taken for them before.
    #[inline(always)]
    fn enter(&mut self, rest: &'i [u8], len: usize) -> Result<(), Stop> {
        if len > self.elements_max || self.depth_left == 0 {
            return Err(self.refuse_container(rest, len));
        }
        self.depth_left -= 1;
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn refuse_container(&mut self, rest: &'i [u8], len: usize) -> Stop {
        let limits = &self.pad.notes.limits;
        let kind = if len > limits.elements {
            Kind::TooMany { len, limit: limits.elements }
        } else {
            Kind::Depth(limits.depth)
        };
        self.refuse(kind, rest)
    }

    #[cold]
    #[inline(never)]
    fn note_index(&mut self, index: usize, stop: Stop) -> Stop {
        self.pad.notes.step(|| format!("[{index}]"));
        stop
    }
}

/// What the short way sees of the value behind a key of so many bytes.
#[inline(always)]
fn value_in(window: &Window, key_len: usize) -> &[u8; VALUE] {
    let key_len = key_len % (KEY_MAX + 1);
    match window[key_len..].first_chunk() {
        Some(value) => value,
        None => unreachable!("a window holds the longest key and a value"),
    }
}
