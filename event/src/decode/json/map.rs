//! Maps: members as Discord writes them, one after the other; any others by [`Members`].

use super::{
    Json, Place, Rest, Stop, behind,
    keys::{Key, listed},
    members::Members,
    plain::plain,
    value_in, window,
};
use crate::{
    atom::Ids,
    decode::{
        links::Link,
        pad::Keys,
        window::{WINDOW, Window},
    },
};

impl<'i> Json<'_, 'i> {
    /// A map, from its brace on.
    #[inline(always)]
    pub(super) fn map(&mut self, input: &'i [u8], place: Place) -> Rest<'i> {
        if place.ids.numbers_own_id() {
            return self.members::<true>(input, place);
        }
        self.members::<false>(input, place)
    }

    /// A map, from its brace on. `NUMBERED` if its own `id` is a number.
    #[inline(never)]
    fn members<const NUMBERED: bool>(&mut self, input: &'i [u8], place: Place) -> Rest<'i> {
        self.enter(&input[1..])?;
        let (open, mut position) = self.pad.open(self.position, input.len() - 1);
        let mut keys = Keys::new();
        let mut link = Link::start(place, 0);
        // Before a member stands a byte, and so one also stands before the first one: the brace.
        let (mut rest, mut separator) = (input, b'{');
        let mut len = 0;
        loop {
            let window = window(rest, self.end);
            let short = 'short: {
                if window[0] != separator || len >= self.elements_max {
                    break 'short None;
                }
                let key = behind_separator(window);
                let guess = self.links.guess(link);
                let (key, key_len) = if guess.begins(key) {
                    (guess, usize::from(guess.len))
                } else {
                    match listed(self.links, link, key) {
                        Some(found) => found,
                        None => break 'short None,
                    }
                };
                self.pad.room(position).map(|room| (key, key_len, room))
            };
            let Some((key, key_len, room)) = short else {
                if let (b'}', b',') = (window[0], separator)
                    && let [_, after @ ..] = rest
                {
                    rest = after;
                    break;
                }
                self.position = position;
                let mut members = Members::after(rest, len);
                let goes_on = self.any_member(&mut members, &mut keys, place.ids)?;
                (rest, len, position) = (members.rest, members.len, self.position);
                separator = b',';
                if !goes_on {
                    break;
                }
                continue;
            };
            len += 1;
            separator = b',';
            link.follow(key);
            keys.mark(key.word, key.bit);
            room[..2].copy_from_slice(&key.number.to_le_bytes());
            let ids = if NUMBERED { place.ids.of_member(key.number, key.ids) } else { key.ids };
            let value = value_in(window, 1 + key_len);
            // As a closure, that its locals take no stack at each depth where nothing is optimised.
            let plain = |room| plain::<2>(room, value, ids);
            if let Some((read, used)) = plain(room) {
                rest = behind(rest, 1 + key_len + read);
                position += used;
                continue;
            }
            self.position = position + 2;
            let place = Place { ids, key: key.number };
            rest = self
                .long_value(behind(rest, 1 + key_len), value[0], place)
                .map_err(|stop| self.note_key(&rest[1..], stop))?;
            position = self.position;
        }
        self.depth_left += 1;
        self.position = self.pad.close_map(open, &keys, position)?;
        Ok(rest)
    }

    /// The next of `members`, spelt in any way. Gives whether there was one.
    #[inline(never)]
    fn any_member(
        &mut self,
        members: &mut Members<'i>,
        keys: &mut Keys,
        map: Ids,
    ) -> Result<bool, Stop> {
        let Some(member) = members.next(self)? else { return Ok(false) };
        let start = self.position;
        let (ids, value) = match self.listed_key(member, keys, map) {
            Some(found) => found,
            None => match self.other_key(member, keys, map)? {
                Key::Member(ids, value) => (ids, value),
                Key::Skipped(rest) => {
                    (self.position, members.rest) = (start, rest);
                    return Ok(true);
                }
            },
        };
        members.rest =
            self.value(value, Place::nowhere(ids)).map_err(|stop| self.note_key(member, stop))?;
        Ok(true)
    }
}

/// The window without its first byte.
#[inline(always)]
fn behind_separator(window: &Window) -> &[u8; WINDOW - 1] {
    match window.last_chunk() {
        Some(key) => key,
        None => unreachable!("a window has a first byte"),
    }
}
