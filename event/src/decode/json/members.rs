//! What stands between members in any form: commas, the ends of maps, space.

use super::{Json, Stop};

/// The commas and the end of a map, around its members.
#[derive(Debug)]
pub(super) struct Members<'i> {
    /// What follows the last member.
    pub(super) rest: &'i [u8],
    pub(super) len: usize,
}

impl<'i> Members<'i> {
    /// The members behind the `len` that `rest` follows; its first byte is the opening brace if there
    /// were none.
    #[inline]
    pub(super) fn after(rest: &'i [u8], len: usize) -> Self {
        Self { rest: if len == 0 { &rest[1..] } else { rest }, len }
    }

    /// Where the next key begins; `None` when the map has ended.
    #[inline]
    pub(super) fn next(&mut self, json: &mut Json<'_, 'i>) -> Result<Option<&'i [u8]>, Stop> {
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

#[inline]
pub(super) fn skip_space(input: &[u8]) -> &[u8] {
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
