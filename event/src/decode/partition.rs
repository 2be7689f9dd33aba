//! What orders events: the key by which records are parted.

use crate::{
    atom::{Atom, atoms},
    format::{self, ID, MAP16, MAP32, TEXT_KEY},
    kind::Kind,
    value::Value,
};

/// What orders an event of `kind` with `data` against others: events with one key keep their order.
///
/// The id of its guild, else of its channel, else of its user, else 0.
pub fn partition_key(kind: Kind, data: Value<'_>) -> u64 {
    data.as_map().map_or(0, |map| of_document(kind, map.as_bytes()))
}

/// [`partition_key`] of an event whose data is this document.
#[inline]
pub(crate) fn of_document(kind: Kind, data: &[u8]) -> u64 {
    let content = match data {
        [MAP16, _, _, content @ ..] | [MAP32, _, _, _, _, content @ ..] => content,
        _ => return 0,
    };
    let key = match kind {
        Kind::GUILD_CREATE | Kind::GUILD_UPDATE | Kind::GUILD_DELETE | Kind::USER_UPDATE => {
            id_under(content, atoms::ID)
        }
        // A private channel is its own place.
        Kind::CHANNEL_CREATE | Kind::CHANNEL_UPDATE | Kind::CHANNEL_DELETE => {
            id_under(content, atoms::GUILD_ID).or_else(|| id_under(content, atoms::ID))
        }
        _ => guild_channel_or_user(content),
    };
    key.unwrap_or(0)
}

#[inline(always)]
fn guild_channel_or_user(content: &[u8]) -> Option<u64> {
    let (mut channel, mut user) = (None, None);
    let mut rest = content;
    while let Some((key, value, after)) = member(rest) {
        rest = after;
        if key >= 64 || PLACES >> key & 1 == 0 {
            continue;
        }
        match key {
            GUILD if id(value).is_some() => return id(value),
            CHANNEL => channel = id(value),
            USER_ID => user = id(value),
            USER if user.is_none() => user = id_under(format::content(value), atoms::ID),
            _ => {}
        }
    }
    channel.or(user)
}

fn id_under(content: &[u8], sought: Atom) -> Option<u64> {
    let mut rest = content;
    while let Some((key, value, after)) = member(rest) {
        if key == sought.number() {
            return id(value);
        }
        rest = after;
    }
    None
}

/// The first member of a map's content: the word of its key, its value, and what follows.
#[inline(always)]
fn member(content: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (word, rest) = content.split_first_chunk::<2>()?;
    let word = u16::from_le_bytes(*word);
    let value = match word.checked_sub(TEXT_KEY) {
        None => rest,
        Some(len) => rest.get(usize::from(len)..)?,
    };
    let (value, after) = format::split_value(value)?;
    Some((word, value, after))
}

fn id(value: &[u8]) -> Option<u64> {
    match value {
        [ID, bytes @ ..] => bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)),
        _ => None,
    }
}

const GUILD: u16 = atoms::GUILD_ID.number();
const CHANNEL: u16 = atoms::CHANNEL_ID.number();
const USER_ID: u16 = atoms::USER_ID.number();
const USER: u16 = atoms::USER.number();
/// The numbers of these keys as a set.
const PLACES: u64 = 1 << GUILD | 1 << CHANNEL | 1 << USER_ID | 1 << USER;
