//! The map around every payload.

use super::{
    Etf, Kind as Fault, Place, Rest, Stop,
    keys::KeyTerm,
    terms::{ATOM, INTEGER, MAP, SMALL_INTEGER, long, short},
};
use crate::{
    atom::Ids,
    decode::{
        envelope::{Envelope, Field},
        window::{WINDOW, Window, word},
    },
    kind::Kind,
    record::HEAD_MAX,
};

impl<'i> Etf<'_, 'i> {
    /// The payload's map. Gives what follows it.
    pub(crate) fn envelope(&mut self, envelope: &mut Envelope, term: &'i [u8]) -> Rest<'i> {
        let (mut rest, len) = self.open_envelope(term)?;
        for _ in 0..len {
            if rest.len() < WINDOW {
                rest = self.refill(rest)?;
            }
            rest = match plain_member(envelope, rest) {
                Some(read) => &rest[read % WINDOW..],
                None => self.envelope_member(envelope, rest)?,
            };
        }
        if self.is_beyond_end(rest) {
            return Err(self.refuse(Fault::Truncated, rest));
        }
        Ok(rest)
    }

    /// The members of the payload's map, and how many there are.
    #[inline(always)]
    fn open_envelope(&mut self, term: &'i [u8]) -> Result<(&'i [u8], usize), Stop> {
        let head = self.head(term)?;
        if head as u8 != MAP {
            return Err(self.refuse(Fault::Envelope("no map"), term));
        }
        let (_, members) = self.take(term, 5, 0)?;
        self.enter(members, long(head))?;
        Ok((members, long(head)))
    }

    /// `d`, whatever is no envelope's key, and what is not in the form that Discord gives it.
    #[inline(never)]
    fn envelope_member(&mut self, envelope: &mut Envelope, rest: &'i [u8]) -> Rest<'i> {
        let place = Place::nowhere(Ids::None);
        if let [ATOM, 0, 1, b'd', MAP, a, b, c, d, members @ ..] = rest {
            self.position = HEAD_MAX;
            let len = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
            let rest = self.members::<false>(members, len, place);
            envelope.end = self.position;
            return rest.map_err(|stop| self.note_field(Field::Data, stop));
        }
        let (key, value) = self.key_term(rest)?;
        let field = match key {
            KeyTerm::Text(key) => Field::new(key),
            KeyTerm::Latin1(_) | KeyTerm::Signed(_) | KeyTerm::Unsigned(_) => Field::Other,
        };
        self.position = envelope.place(field);
        self.value(value, place)
            .and_then(|rest| {
                let left = self.left(rest);
                envelope.take(field, self.pad.out, self.position, self.pad.notes, left)?;
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

/// Takes the member at the start of `rest` if it is in the form that Discord gives it, and tells how
/// many bytes it takes. Beyond the end there may seem to be one.
#[inline(always)]
fn plain_member(envelope: &mut Envelope, rest: &[u8]) -> Option<usize> {
    let window: &Window = rest.first_chunk()?;
    let head = word(window, 0);
    if head as u32 == SEQ {
        let (seq, read) = plain_number(window, 4)?;
        envelope.seq = Some(u64::from(seq));
        return Some(read);
    }
    if head & 0xFF_FFFF_FFFF == OP {
        let (op, read) = plain_number(window, 5)?;
        envelope.op = Some(u8::try_from(op).unwrap_or(u8::MAX));
        return Some(read);
    }
    if head as u32 == NAME {
        let name = word(window, 4);
        let len = short(name);
        if name as u8 != ATOM || len > NAME_MAX {
            return None;
        }
        envelope.kind = Some(Kind::dispatch_in(&window[7..], len)?);
        return Some(7 + len);
    }
    None
}

/// A small number as Discord sends `op` and `s`, and where it ends.
#[inline(always)]
fn plain_number(window: &Window, at: usize) -> Option<(u32, usize)> {
    let head = word(window, at);
    let number = long(head) as u32;
    match head as u8 {
        SMALL_INTEGER => Some((head as u32 >> 8 & 0xFF, at + 2)),
        INTEGER if number < 1 << 31 => Some((number, at + 5)),
        _ => None,
    }
}

/// The longest name that is looked for in a window.
const NAME_MAX: usize = 64;

/// The first bytes of the keys as ATOM_EXT.
const SEQ: u32 = u32::from_le_bytes([ATOM, 0, 1, b's']);
const NAME: u32 = u32::from_le_bytes([ATOM, 0, 1, b't']);
const OP: u64 = u64::from_le_bytes([ATOM, 0, 2, b'o', b'p', 0, 0, 0]);
