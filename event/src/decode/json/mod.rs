//! JSON to document, in one pass, by RFC 8259.
//!
//! A parser of our own, for what serde_json's cannot do: text that is not UTF-8, or escapes half of
//! a surrogate pair, becomes U+FFFD instead of an error (P6), errors know their path, and nothing is
//! copied or checked twice. Tests hold it against serde_json.

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
            match self.value(rest, key_end, ids, depth + 1) {
                Ok(progress) => (members.rest, position) = progress,
                Err(stop) => {
                    self.note_key(input);
                    return Err(stop);
                }
            }
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
            match self.value(rest, position, ids, depth + 1) {
                Ok(progress) => (rest, position) = progress,
                Err(stop) => {
                    self.pad.notes.step(|| format!("[{len}]"));
                    return Err(stop);
                }
            }
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

    /// Text from behind its quote, with escapes.
    #[cold]
    #[inline(never)]
    fn escaped<'i>(&mut self, text: &'i [u8], position: usize, ids: Ids) -> Progress<'i> {
        let mut scratch = std::mem::take(&mut self.pad.notes.scratch);
        let done = self
            .unescape(text, &mut scratch)
            .and_then(|rest| Ok((rest, self.pad.text(position, &scratch, scratch.len(), ids)?)));
        self.pad.notes.scratch = scratch;
        done
    }

    /// Puts text from behind its quote into `out`, without its escapes. Gives what follows it.
    fn unescape<'i>(&mut self, text: &'i [u8], out: &mut Vec<u8>) -> Result<&'i [u8], Stop> {
        out.clear();
        let mut rest = text;
        loop {
            let end = plain_end(rest);
            out.extend_from_slice(&rest[..end]);
            rest = &rest[end..];
            match rest {
                [b'"', after @ ..] => return Ok(after),
                [b'\\', b'u', after @ ..] => {
                    let Some(first) = code_unit(after) else {
                        return Err(self.syntax("broken escape", rest));
                    };
                    rest = &after[4..];
                    let second = rest.strip_prefix(b"\\u").and_then(code_unit);
                    let character = match (first, second) {
                        (0xD800..=0xDBFF, Some(low @ 0xDC00..=0xDFFF)) => {
                            rest = &rest[6..];
                            char::from_u32(0x1_0000 + (first - 0xD800) * 0x400 + (low - 0xDC00))
                        }
                        _ => char::from_u32(first),
                    };
                    // Half of a pair is no character.
                    self.pad.notes.not_utf8 |= character.is_none();
                    let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
                    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                [b'\\', escape, after @ ..] => {
                    out.push(match escape {
                        b'"' | b'\\' | b'/' => *escape,
                        b'b' => 0x08,
                        b'f' => 0x0C,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        _ => return Err(self.syntax("unknown escape", rest)),
                    });
                    rest = after;
                }
                [0..=0x1F, ..] => return Err(self.syntax("control character in text", rest)),
                _ => return Err(self.pad.notes.refuse(Kind::Truncated, 0)),
            }
        }
    }

    #[inline]
    fn number<'i>(&mut self, input: &'i [u8], position: usize, ids: Ids) -> Progress<'i> {
        let (negative, digits) = match input {
            [b'-', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        let len = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
        let rest = &digits[len..];
        let plain = !matches!(rest, [b'.' | b'e' | b'E', ..]);
        // 19 digits fit 64 bits; a leading zero stands alone.
        if plain && (1..=19).contains(&len) && (digits[0] != b'0' || len == 1) {
            let value = digits[..len].iter().fold(0, |v, d| v * 10 + u64::from(d - b'0'));
            if !negative {
                return Ok((rest, self.pad.uint(position, value, ids)?));
            }
            if let Some(value) = 0_i64.checked_sub_unsigned(value) {
                return Ok((rest, self.pad.int(position, value, ids)?));
            }
        }
        self.long_number(input, position, ids)
    }

    /// Any number.
    #[cold]
    #[inline(never)]
    fn long_number<'i>(&mut self, input: &'i [u8], position: usize, ids: Ids) -> Progress<'i> {
        let Some(len) = number_len(input) else {
            return Err(self.syntax("broken number", input));
        };
        let (text, rest) = input.split_at(len);
        let text = std::str::from_utf8(text).unwrap_or_default();
        let position = if let Ok(value) = text.parse::<u64>() {
            self.pad.uint(position, value, ids)?
        } else if let Ok(value) = text.parse::<i64>() {
            self.pad.int(position, value, ids)?
        } else {
            match text.parse::<f64>() {
                Ok(value) if value.is_finite() => self.pad.float(position, value, ids)?,
                _ => return Err(self.pad.notes.refuse(Kind::NotFinite, input.len())),
            }
        };
        Ok((rest, position))
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

/// The commas and the end of a map, around its members.
#[derive(Debug)]
pub(crate) struct Members<'i> {
    /// What follows the last member.
    pub(crate) rest: &'i [u8],
    len: usize,
}

impl<'i> Members<'i> {
    /// The members of the map whose opening brace is behind.
    pub(crate) const fn new(rest: &'i [u8]) -> Self {
        Self { rest, len: 0 }
    }

    /// Where the next key begins; `None` when the map has ended.
    #[inline]
    pub(crate) fn next(&mut self, json: &mut Json<'_>) -> Result<Option<&'i [u8]>, Stop> {
        let rest = skip_space(self.rest);
        let key = match rest.split_first() {
            Some((b'}', after)) => {
                self.rest = after;
                return Ok(None);
            }
            Some((b',', after)) if self.len > 0 => skip_space(after),
            _ if self.len == 0 => rest,
            _ => return Err(json.syntax("expected a comma or the map's end", rest)),
        };
        json.count(rest, self.len)?;
        self.len += 1;
        Ok(Some(key))
    }
}

/// How many bytes of text come before the first quote, backslash or control character.
#[inline]
fn plain_end(text: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut at = 0;
    let mut rest = text;
    while let Some((chunk, tail)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * b'"' as u64);
        let backslash = word ^ (ONES * b'\\' as u64);
        // A zero byte borrows and so shows its high bit; the lowest one found is exact.
        let found = (quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        let found = found & (ONES * 0x80);
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
        rest = tail;
    }
    let stop = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1F);
    at + rest.iter().position(stop).unwrap_or(rest.len())
}

#[inline]
pub(crate) fn skip_space(input: &[u8]) -> &[u8] {
    match input.first() {
        Some(byte) if *byte > b' ' => input,
        _ => skip_more_space(input),
    }
}

#[cold]
#[inline(never)]
fn skip_more_space(input: &[u8]) -> &[u8] {
    let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    &input[input.iter().position(|byte| !space(byte)).unwrap_or(input.len())..]
}

/// The code unit that four hexadecimal digits are.
fn code_unit(text: &[u8]) -> Option<u32> {
    let digits: &[u8; 4] = text.first_chunk()?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
}

/// The length of the number at the start of `input`.
fn number_len(input: &[u8]) -> Option<usize> {
    let digits = |from: usize| {
        let found = input.get(from..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (found > 0).then_some(from + found)
    };
    let start = usize::from(input.first() == Some(&b'-'));
    let mut end = digits(start)?;
    if input[start] == b'0' && end > start + 1 {
        return None;
    }
    if input.get(end) == Some(&b'.') {
        end = digits(end + 1)?;
    }
    if matches!(input.get(end), Some(b'e' | b'E')) {
        let signed = usize::from(matches!(input.get(end + 1), Some(b'+' | b'-')));
        end = digits(end + 1 + signed)?;
    }
    Some(end)
}
