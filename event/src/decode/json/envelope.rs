//! The map around every payload.

use super::{
    Json, Kind as Fault, Place, Rest, Stop,
    members::{Members, skip_space},
    plain::integer,
    scan::ascii_end,
    window,
};
use crate::{
    atom::Ids,
    decode::{
        envelope::{Envelope, Field},
        window::{Window, part},
    },
    kind::Kind,
};

impl<'i> Json<'_, 'i> {
    /// The payload's map. Gives what follows it.
    pub(crate) fn envelope(&mut self, envelope: &mut Envelope, input: &'i [u8]) -> Rest<'i> {
        let mut rest = match skip_space(input) {
            rest @ [b'{', ..] => rest,
            [] => return Err(self.pad.notes.refuse(Fault::Truncated, 0)),
            _ => return Err(self.pad.notes.refuse(Fault::Envelope("no map"), input.len())),
        };
        // No limit forbids the payload's own map, but it counts.
        self.depth_left = self.depth_left.saturating_sub(1);
        let (mut separator, mut len) = (b'{', 0);
        loop {
            if let Some(after) = self.plain_member(envelope, rest, separator, len) {
                (rest, len) = (after, len + 1);
            } else {
                let mut members = Members::after(rest, len);
                let Some(member) = members.next(self)? else { return Ok(members.rest) };
                rest = self.envelope_member(envelope, member)?;
                len = members.len;
            }
            separator = b',';
        }
    }

    /// Takes the member behind the `len` before it, if it is one of `op`, `s` and `t` in the form that Discord
    /// gives it. Gives what follows it.
    #[inline(always)]
    fn plain_member(
        &mut self,
        envelope: &mut Envelope,
        rest: &'i [u8],
        separator: u8,
        len: usize,
    ) -> Option<&'i [u8]> {
        let window = window(rest, self.end);
        if window[0] != separator || len >= self.elements_max {
            return None;
        }
        // The long way writes them, and fails where there is no room.
        self.pad.room(envelope.end)?;
        rest.get(plain_member(envelope, window)?..)
    }

    /// A member in any form, and `d`.
    #[inline(never)]
    fn envelope_member(&mut self, envelope: &mut Envelope, member: &'i [u8]) -> Rest<'i> {
        let (field, value) = match member.strip_prefix(b"\"d\":") {
            Some(value) => (Field::Data, value),
            None => {
                let mut scratch = std::mem::take(&mut self.pad.notes.scratch);
                let read = self.key_text(member, &mut scratch);
                let read = read.map(|(key, value)| (Field::new(key), value));
                self.pad.notes.scratch = scratch;
                read?
            }
        };
        self.position = envelope.place(field);
        self.value(value, Place::nowhere(Ids::None))
            .and_then(|rest| {
                envelope.take(field, self.pad.out, self.position, self.pad.notes, rest.len())?;
                Ok(rest)
            })
            .map_err(|stop| self.note_field(field, stop))
    }

    #[cold]
    fn note_field(&mut self, field: Field, stop: Stop) -> Stop {
        self.pad.notes.step(|| field.name().to_owned());
        stop
    }
}

/// Takes the member behind the window's first byte if it is one of `op`, `s` and `t` in the form that Discord
/// gives it, and tells how many bytes it takes with that byte.
#[inline(always)]
fn plain_member(envelope: &mut Envelope, window: &Window) -> Option<usize> {
    let key: [u8; 5] = part(window, 1);
    if key[..4] == *b"\"s\":" {
        let (seq, len) = integer(window, 5)?;
        envelope.seq = Some(seq);
        return Some(5 + len);
    }
    if key == *b"\"op\":" {
        let (op, len) = integer(window, 6)?;
        envelope.op = Some(u8::try_from(op).unwrap_or(u8::MAX));
        return Some(6 + len);
    }
    if key == *b"\"t\":\"" {
        let name = &window[6..];
        let len = ascii_end::<8>(window, 6)?;
        if name[len] != b'"' {
            return None;
        }
        envelope.kind = Some(Kind::dispatch_in(name, len)?);
        return Some(6 + len + 1);
    }
    None
}
