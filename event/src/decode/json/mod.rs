//! JSON to document, in one pass, by RFC 8259.
//!
//! A parser of our own, for what serde_json's cannot do: text that is not UTF-8, or escapes half of
//! a surrogate pair, becomes U+FFFD instead of an error (P6), errors know their path, and nothing is
//! copied or checked twice. Tests hold it against serde_json.

mod members;
mod number;
mod text;

pub(crate) use members::{Members, skip_space};
use text::plain_end;

use super::{
    DecodeErrorKind as Kind,
    notes::Stop,
    pad::{Keys, Pad},
};
use crate::{atom::Ids, format};

/// Reads values and writes what they mean.
#[derive(Debug)]
pub(crate) struct Json<'o> {
    pub(crate) pad: Pad<'o>,
}

/// The unread input, and the position behind what was written.
type Progress<'i> = Result<(&'i [u8], usize), Stop>;

/// What a key says about its value, where that begins, and the position behind the key.
type Member<'i> = (Ids, &'i [u8], usize);

/// A key outside the table.
enum Key<'i> {
    /// It was written.
    Member(Member<'i>),
    /// The member was left out; this follows it.
    Skipped(&'i [u8]),
}

impl Json<'_> {
    /// One value, whose key says about ids what `ids` says, inside `depth` containers.
    #[inline]
    pub(crate) fn value<'i>(
        &mut self,
        input: &'i [u8],
        position: usize,
        ids: Ids,
        depth: usize,
    ) -> Progress<'i> {
        let input = skip_space(input);
        match input.first() {
            Some(b'"') => {
                let text = &input[1..];
                let end = plain_end(text);
                if text.get(end) == Some(&b'"') {
                    let position = self.pad.text(position, text, end, ids)?;
                    return Ok((&text[end + 1..], position));
                }
                self.escaped(text, position, ids)
            }
            Some(b'-' | b'0'..=b'9') => self.number(input, position, ids),
            Some(b'n') if input.starts_with(b"null") => {
                Ok((&input[4..], self.pad.tag(position, format::NULL)?))
            }
            Some(b't') if input.starts_with(b"true") => {
                Ok((&input[4..], self.pad.bool(position, true)?))
            }
            Some(b'f') if input.starts_with(b"false") => {
                Ok((&input[5..], self.pad.bool(position, false)?))
            }
            Some(b'{') => self.map(&input[1..], position, ids, depth),
            Some(b'[') => self.list(&input[1..], position, ids, depth),
            _ => Err(self.syntax("expected a value", input)),
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

    #[inline(never)]
    fn map<'i>(
        &mut self,
        input: &'i [u8],
        position: usize,
        ids: Ids,
        depth: usize,
    ) -> Progress<'i> {
        self.deeper(input, depth)?;
        let (open, mut position) = self.pad.open(position, input.len());
        let mut keys = Keys::new();
        let map = ids;
        let mut members = Members::new(input);
        while let Some(input) = members.next(self)? {
            let (ids, rest, key_end) = match self.listed_key(input, position, &mut keys, map) {
                Some(found) => found,
                None => match self.other_key(input, position, &mut keys, map, depth)? {
                    Key::Member(found) => found,
                    Key::Skipped(skipped) => {
                        members.rest = skipped;
                        continue;
                    }
                },
            };
            (members.rest, position) =
                self.value(rest, key_end, ids, depth + 1).inspect_err(|_| self.note_key(input))?;
        }
        Ok((members.rest, self.pad.close_map(open, &keys, position)?))
    }

    /// Writes a key of the table that stands there without escapes, and passes its colon.
    #[inline]
    fn listed_key<'i>(
        &mut self,
        input: &'i [u8],
        position: usize,
        keys: &mut Keys,
        map: Ids,
    ) -> Option<Member<'i>> {
        let text = input.strip_prefix(b"\"")?;
        let end = plain_end(text);
        if text.get(end) != Some(&b'"') {
            return None;
        }
        let rest = skip_space(&text[end + 1..]).strip_prefix(b":")?;
        let (ids, position) = self.pad.listed_key(keys, map, position, text, end)?;
        Some((ids, rest, position))
    }

    /// Writes any other key.
    #[cold]
    #[inline(never)]
    fn other_key<'i>(
        &mut self,
        input: &'i [u8],
        position: usize,
        keys: &mut Keys,
        map: Ids,
        depth: usize,
    ) -> Result<Key<'i>, Stop> {
        let mut scratch = std::mem::take(&mut self.pad.notes.scratch);
        let done = self.key_text(input, &mut scratch).and_then(|(key, rest)| {
            if key == b"__struct__" {
                let (rest, _) = self.value(rest, position, Ids::None, depth + 1)?;
                return Ok(Key::Skipped(rest));
            }
            let (ids, position) = self.pad.key(keys, map, position, key, input.len())?;
            Ok(Key::Member((ids, rest, position)))
        });
        self.pad.notes.scratch = scratch;
        done
    }

    /// A key and what follows its colon.
    pub(crate) fn key_text<'s, 'i: 's>(
        &mut self,
        input: &'i [u8],
        scratch: &'s mut Vec<u8>,
    ) -> Result<(&'s [u8], &'i [u8]), Stop> {
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

    /// Adds the key that begins `input` to an error's path.
    #[cold]
    #[inline(never)]
    fn note_key(&mut self, input: &[u8]) {
        let fault = self.pad.notes.fault.take();
        let mut scratch = Vec::new();
        let key = self.key_text(input, &mut scratch).map(|(key, _)| key).unwrap_or_default();
        self.pad.notes.fault = fault;
        self.pad.notes.step(|| String::from_utf8_lossy(key).into_owned());
    }

    #[inline(never)]
    fn list<'i>(
        &mut self,
        input: &'i [u8],
        position: usize,
        ids: Ids,
        depth: usize,
    ) -> Progress<'i> {
        self.deeper(input, depth)?;
        let ids = ids.in_list();
        let (open, mut position) = self.pad.open(position, input.len());
        let mut rest = skip_space(input);
        if let Some(rest) = rest.strip_prefix(b"]") {
            return Ok((rest, self.pad.close_list(open, position)?));
        }
        let mut len = 0;
        loop {
            (rest, position) = self
                .value(rest, position, ids, depth + 1)
                .inspect_err(|_| self.pad.notes.step(|| format!("[{len}]")))?;
            len += 1;
            rest = skip_space(rest);
            match rest.split_first() {
                Some((b',', after)) => rest = after,
                Some((b']', after)) => {
                    return Ok((after, self.pad.close_list(open, position)?));
                }
                _ => return Err(self.syntax("expected a comma or the list's end", rest)),
            }
            self.count(rest, len)?;
        }
    }

    #[inline]
    fn deeper(&mut self, input: &[u8], depth: usize) -> Result<(), Stop> {
        let limit = self.pad.notes.limits.depth;
        if depth >= limit {
            return Err(self.pad.notes.refuse(Kind::Depth(limit), input.len()));
        }
        Ok(())
    }

    /// Checks that another element may follow the `len` there are.
    #[inline]
    fn count(&mut self, input: &[u8], len: usize) -> Result<(), Stop> {
        let limit = self.pad.notes.limits.elements;
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
}
