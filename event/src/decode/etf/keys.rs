//! Keys that were not guessed: those of the table in any spelling, and all others.

use super::{
    Etf, Kind, Rest, Stop,
    terms::{
        ATOM, ATOM_UTF8, BINARY, Big, INTEGER, LARGE_BIG, SMALL_ATOM, SMALL_ATOM_UTF8, SMALL_BIG,
        SMALL_INTEGER, latin1_text, long, short,
    },
};
use crate::{
    atom::{Atom, Ids},
    decode::{
        links::{Link, Links, Place, Spelling},
        pad::Keys,
        window::{KEY_MAX, Window, word},
    },
    ser::Decimal,
};

/// A term where a key is expected.
pub(super) enum KeyTerm<'i> {
    Text(&'i [u8]),
    Latin1(&'i [u8]),
    Signed(i64),
    Unsigned(u64),
}

/// The key of the table that the window begins with, and how many bytes it takes.
#[inline(never)]
pub(super) fn listed(
    links: &mut Links,
    link: Link,
    window: &Window,
) -> Option<(&'static Spelling, usize)> {
    let head = word(window, 0);
    let (header, len) = match head as u8 {
        ATOM | ATOM_UTF8 => (3, short(head)),
        BINARY => (5, long(head)),
        SMALL_ATOM | SMALL_ATOM_UTF8 => (2, usize::from(head as u16 >> 8)),
        _ => return None,
    };
    // The zeros behind the end are in no key's name.
    let name = window.get(header..KEY_MAX)?;
    if len > name.len() {
        return None;
    }
    let number = Atom::lookup_in(name, len)?.index;
    if let Some(key) = Spelling::with_first(head as u8, number) {
        links.learn(link, key);
    }
    Some((Spelling::of(number), header + len))
}

impl<'i> Etf<'_, 'i> {
    /// A member, written behind the position, whose key is not among those of the table or not spelt as
    /// [`listed`] reads it. The map's own place holds `ids`.
    #[inline(never)]
    pub(super) fn unlisted(&mut self, member: &'i [u8], keys: &mut Keys, ids: Ids) -> Rest<'i> {
        let (key, rest) = self.key_term(member)?;
        let start = self.position;
        if matches!(key, KeyTerm::Text(b"__struct__")) {
            // An Elixir struct's name that leaked: read, and left out.
            let rest = self.value(rest, Place::nowhere(Ids::None))?;
            self.position = start;
            return Ok(rest);
        }
        let left = self.left(member);
        let mut write = |text: &[u8]| self.pad.key(keys, ids, start, text, left);
        let (ids, behind_key) = match key {
            KeyTerm::Text(key) => write(key)?,
            KeyTerm::Latin1(key) => write(latin1_text(key).as_bytes())?,
            KeyTerm::Signed(key) => write(key.to_string().as_bytes())?,
            KeyTerm::Unsigned(key) => write(Decimal::new(key).as_str().as_bytes())?,
        };
        self.position = behind_key;
        self.value(rest, Place::nowhere(ids)).map_err(|stop| self.note_key(member, stop))
    }

    /// The key that begins, and what follows it.
    pub(super) fn key_term(&mut self, rest: &'i [u8]) -> Result<(KeyTerm<'i>, &'i [u8]), Stop> {
        let head = self.head(rest)?;
        let tag = head as u8;
        Ok(match tag {
            BINARY => {
                let (key, after) = self.take(rest, 5, long(head))?;
                (KeyTerm::Text(key), after)
            }
            SMALL_ATOM_UTF8 | ATOM_UTF8 => {
                let (key, after) = self.atom_name(rest, head)?;
                (KeyTerm::Text(key), after)
            }
            SMALL_ATOM | ATOM => {
                let (key, after) = self.atom_name(rest, head)?;
                (if key.is_ascii() { KeyTerm::Text(key) } else { KeyTerm::Latin1(key) }, after)
            }
            SMALL_INTEGER => {
                let (_, after) = self.take(rest, 2, 0)?;
                (KeyTerm::Unsigned(head >> 8 & 0xFF), after)
            }
            INTEGER => {
                let (_, after) = self.take(rest, 5, 0)?;
                (KeyTerm::Signed(i64::from(long(head) as u32 as i32)), after)
            }
            SMALL_BIG | LARGE_BIG => match self.big(rest, head)? {
                (Big::Unsigned(key), after) => (KeyTerm::Unsigned(key), after),
                (Big::Signed(key), after) => (KeyTerm::Signed(key), after),
                (Big::Float(_), _) => return Err(self.refuse(Kind::Key(tag), rest)),
            },
            tag => return Err(self.refuse(Kind::Key(tag), rest)),
        })
    }

    /// Adds the key that `member` begins with to the path of the error that `stop` stands for.
    #[cold]
    #[inline(never)]
    pub(super) fn note_key(&mut self, member: &'i [u8], stop: Stop) -> Stop {
        let fault = self.pad.notes.fault.take();
        // The end was read since, but `member` may begin in the input itself.
        let zeros = std::mem::take(&mut self.zeros);
        let key = self.key_term(member);
        self.zeros = zeros;
        self.pad.notes.fault = fault;
        if let Ok((key, _)) = key {
            self.pad.notes.step(|| match key {
                KeyTerm::Text(key) => String::from_utf8_lossy(key).into_owned(),
                KeyTerm::Latin1(key) => latin1_text(key),
                KeyTerm::Signed(key) => key.to_string(),
                KeyTerm::Unsigned(key) => key.to_string(),
            });
        }
        stop
    }
}
