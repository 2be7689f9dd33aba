//! Text with escapes.

use super::{Json, Kind, Rest, Stop, scan::plain_end};
use crate::atom::Ids;

impl<'i> Json<'_, 'i> {
    /// Text from behind its quote, with escapes.
    #[cold]
    #[inline(never)]
    pub(super) fn escaped(&mut self, text: &'i [u8], ids: Ids) -> Rest<'i> {
        let mut scratch = std::mem::take(&mut self.pad.notes.scratch);
        let done = self.unescape(text, &mut scratch).and_then(|rest| {
            self.position = self.pad.text(self.position, &scratch, scratch.len(), ids)?;
            Ok(rest)
        });
        self.pad.notes.scratch = scratch;
        done
    }

    /// Puts text from behind its quote into `out`, without its escapes. Gives what follows it.
    pub(super) fn unescape(&mut self, text: &'i [u8], out: &mut Vec<u8>) -> Result<&'i [u8], Stop> {
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
                        // An escape that the end cuts off is no broken one.
                        if after.len() < 4 && after.iter().all(u8::is_ascii_hexdigit) {
                            return Err(self.pad.notes.refuse(Kind::Truncated, 0));
                        }
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
}

/// The code unit that four hexadecimal digits are.
fn code_unit(text: &[u8]) -> Option<u32> {
    let digits: &[u8; 4] = text.first_chunk()?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
}
