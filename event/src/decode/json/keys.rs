//! Keys that were not guessed: those of the table, those outside it, and what is no key.

use super::{
    Json, Place, Stop,
    members::skip_space,
    scan::{ascii_end, plain_end},
};
use crate::{
    atom::{Atom, Ids},
    decode::{
        links::{Link, Links, QUOTE, Spelling},
        pad::Keys,
        window::{WINDOW, part},
    },
};

/// A key outside the table, or spelt with escapes.
pub(super) enum Key<'i> {
    /// It was written; this is what it says of its value, and where that begins.
    Member(Ids, &'i [u8]),
    /// The member was left out; this follows it.
    Skipped(&'i [u8]),
}

/// The key of the table that the window begins with, maybe behind a space, and how many bytes it takes to
/// behind its colon.
#[inline(never)]
pub(super) fn listed(
    links: &mut Links,
    link: Link,
    window: &[u8; WINDOW - 1],
) -> Option<(&'static Spelling, usize)> {
    let start = usize::from(window[0] == b' ');
    if window[start] != QUOTE {
        return None;
    }
    let start = start + 1;
    let len = ascii_end::<4>(window, start)?;
    if part(window, start + len) != [QUOTE, b':'] {
        return None;
    }
    let number = Atom::lookup_in(&window[start..], len)?.index;
    if let Some(key) = Spelling::with_first(QUOTE, number) {
        links.learn(link, key);
    }
    Some((Spelling::of(number), start + len + 2))
}

impl<'i> Json<'_, 'i> {
    /// Writes a key of the table that stands there without escapes, and passes its colon.
    #[inline]
    pub(super) fn listed_key(
        &mut self,
        input: &'i [u8],
        keys: &mut Keys,
        map: Ids,
    ) -> Option<(Ids, &'i [u8])> {
        let text = input.strip_prefix(b"\"")?;
        let end = plain_end(text);
        if text.get(end) != Some(&b'"') {
            return None;
        }
        let rest = skip_space(&text[end + 1..]).strip_prefix(b":")?;
        let (ids, position) = self.pad.listed_key(keys, map, self.position, text, end)?;
        self.position = position;
        Some((ids, rest))
    }

    /// Writes any other key.
    #[cold]
    #[inline(never)]
    pub(super) fn other_key(
        &mut self,
        input: &'i [u8],
        keys: &mut Keys,
        map: Ids,
    ) -> Result<Key<'i>, Stop> {
        let mut scratch = std::mem::take(&mut self.pad.notes.scratch);
        let done = self.key_text(input, &mut scratch).and_then(|(key, rest)| {
            if key == b"__struct__" {
                // An Elixir struct's name that leaked: read, and left out.
                return Ok(Key::Skipped(self.value(rest, Place::nowhere(Ids::None))?));
            }
            let (ids, position) = self.pad.key(keys, map, self.position, key, input.len())?;
            self.position = position;
            Ok(Key::Member(ids, rest))
        });
        self.pad.notes.scratch = scratch;
        done
    }

    /// A key and what follows its colon.
    pub(super) fn key_text<'s>(
        &mut self,
        input: &'i [u8],
        scratch: &'s mut Vec<u8>,
    ) -> Result<(&'s [u8], &'i [u8]), Stop>
    where
        'i: 's,
    {
        let Some(text) = input.strip_prefix(b"\"") else {
            return Err(self.syntax("expected a key", input));
        };
        let end = plain_end(text);
        let (key, rest) = if text.get(end) == Some(&b'"') {
            (&text[..end], &text[end + 1..])
        } else {
            let rest = self.unescape(text, scratch)?;
            (&scratch[..], rest)
        };
        match skip_space(rest).strip_prefix(b":") {
            Some(rest) => Ok((key, rest)),
            None => Err(self.syntax("expected a colon", skip_space(rest))),
        }
    }

    /// Adds the key that begins `input`, maybe behind space, to the path of the error that `stop` stands for.
    #[cold]
    #[inline(never)]
    pub(super) fn note_key(&mut self, input: &'i [u8], stop: Stop) -> Stop {
        let fault = self.pad.notes.fault.take();
        let mut scratch = Vec::new();
        let key = self.key_text(skip_space(input), &mut scratch);
        let key = key.map(|(key, _)| key).unwrap_or_default();
        self.pad.notes.fault = fault;
        self.pad.notes.step(|| String::from_utf8_lossy(key).into_owned());
        stop
    }
}
