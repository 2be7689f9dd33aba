//! Numbers: integers where they are some, whatever their spelling.

use super::{Json, Kind, Rest};
use crate::atom::Ids;

impl<'i> Json<'_, 'i> {
    #[inline]
    pub(super) fn number(&mut self, input: &'i [u8], ids: Ids) -> Rest<'i> {
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
                self.position = self.pad.uint(self.position, value, ids)?;
                return Ok(rest);
            }
            if let Some(value) = 0_i64.checked_sub_unsigned(value) {
                self.position = self.pad.int(self.position, value, ids)?;
                return Ok(rest);
            }
        }
        self.long_number(input, ids)
    }

    /// Any number.
    #[cold]
    #[inline(never)]
    fn long_number(&mut self, input: &'i [u8], ids: Ids) -> Rest<'i> {
        let len = match number_len(input) {
            Ok(len) => len,
            Err(NoNumber::Cut) => return Err(self.pad.notes.refuse(Kind::Truncated, 0)),
            Err(NoNumber::Broken) => return Err(self.syntax("broken number", input)),
        };
        let (text, rest) = input.split_at(len);
        let text = std::str::from_utf8(text).unwrap_or_default();
        let position = self.position;
        self.position = if let Ok(value) = text.parse::<u64>() {
            self.pad.uint(position, value, ids)?
        } else if let Ok(value) = text.parse::<i64>() {
            self.pad.int(position, value, ids)?
        } else {
            match text.parse::<f64>() {
                Ok(value) if value.is_finite() => self.pad.float(position, value, ids)?,
                _ => return Err(self.pad.notes.refuse(Kind::NotFinite, input.len())),
            }
        };
        Ok(rest)
    }
}

/// Why there is no number at the start of some input.
enum NoNumber {
    /// The input ends where a digit has to come.
    Cut,
    /// Something else stands there.
    Broken,
}

/// The length of the number at the start of `input`.
fn number_len(input: &[u8]) -> Result<usize, NoNumber> {
    let digits = |from: usize| match input.get(from..).unwrap_or_default() {
        [] => Err(NoNumber::Cut),
        [b'0'..=b'9', rest @ ..] => {
            Ok(from + 1 + rest.iter().take_while(|byte| byte.is_ascii_digit()).count())
        }
        _ => Err(NoNumber::Broken),
    };
    let start = usize::from(input.first() == Some(&b'-'));
    let mut end = digits(start)?;
    if input[start] == b'0' && end > start + 1 {
        return Err(NoNumber::Broken);
    }
    if input.get(end) == Some(&b'.') {
        end = digits(end + 1)?;
    }
    if matches!(input.get(end), Some(b'e' | b'E')) {
        let signed = usize::from(matches!(input.get(end + 1), Some(b'+' | b'-')));
        end = digits(end + 1 + signed)?;
    }
    Ok(end)
}
