//! Entities as a consumer sees them, put together from the tables they are spread over.
//!
//! Each function appends one document to `out` and says whether the entity is there; if not,
//! nothing is appended.

use mixcord_event::{Atom, Map, Value, Writer, atoms, edit};

use crate::tables::{
    CHANNEL_FACTS, CHANNEL_MAP, EMOJIS, GUILD_FACTS, GUILDS, MEMBERS, ROLE_ORDER, ROLES, STICKERS,
    USERS, VOICE_STATES,
};
use crate::{ChannelFacts, GuildFacts, LastMessage, Pairs, Read, StoreError, Tally};

/// The document a table holds, which this project wrote there.
#[must_use]
pub fn stored(bytes: &[u8]) -> Value<'_> {
    Value::trusted(bytes)
}

/// The map a table holds; the empty map if it holds anything else.
#[must_use]
pub fn stored_map(bytes: &[u8]) -> Map<'_> {
    stored(bytes).as_map().unwrap_or(Map::EMPTY)
}

/// A guild: its own fields, `member_count`, its roles, emojis and stickers, and `unavailable` in an
/// outage.
pub fn guild(read: &(impl Read + ?Sized), id: u64, out: &mut Vec<u8>) -> Result<bool, StoreError> {
    let Some(own) = read.get(GUILDS.at(id))? else { return Ok(false) };
    let facts = guild_facts(read, id)?.unwrap_or_default();
    let mut guild = Writer::new(out).map();
    for (key, value) in stored_map(own) {
        if !(facts.unavailable && key == mixcord_event::Key::Atom(atoms::UNAVAILABLE)) {
            guild.keyed(key, value);
        }
    }
    if facts.unavailable {
        guild.entry(atoms::UNAVAILABLE, true);
    }
    if let Some(count) = facts.member_count {
        guild.entry(atoms::MEMBER_COUNT, count);
    }
    if let Some(order) = read.get(ROLE_ORDER.at(id))? {
        let mut roles = guild.list(atoms::ROLES);
        for role in ids(order) {
            if let Some(role) = read.get(ROLES.at(id, role))? {
                roles.push(stored(role));
            }
        }
    }
    for (table, key) in [(EMOJIS, atoms::EMOJIS), (STICKERS, atoms::STICKERS)] {
        if let Some(list) = read.get(table.at(id))? {
            guild.entry(key, stored(list));
        }
    }
    guild.end();
    Ok(true)
}

/// A channel or thread with its `last_message_id`.
pub fn channel(
    read: &(impl Read + ?Sized),
    table: Pairs,
    guild: u64,
    id: u64,
    out: &mut Vec<u8>,
) -> Result<bool, StoreError> {
    let Some(own) = read.get(table.at(guild, id))? else { return Ok(false) };
    let own = stored_map(own);
    let facts = channel_facts(read, guild, id)?;
    match facts.map_or(LastMessage::Unknown, |facts| facts.last_message()) {
        LastMessage::Unknown => out.extend_from_slice(own.as_bytes()),
        LastMessage::None => edit::with(own, &[(atoms::LAST_MESSAGE_ID, Value::Null)], out),
        LastMessage::Id(id) => edit::with(own, &[(atoms::LAST_MESSAGE_ID, Value::Id(id))], out),
    }
    Ok(true)
}

/// A member with its user and the guild's id.
pub fn member(
    read: &(impl Read + ?Sized),
    guild: u64,
    user: u64,
    out: &mut Vec<u8>,
) -> Result<bool, StoreError> {
    member_with(read, guild, user, Some((atoms::GUILD_ID, Value::Id(guild))), out)
}

/// A voice state with its member: as it is now where it is cached, else as an event told it, if one did.
pub fn voice_state(
    read: &(impl Read + ?Sized),
    guild: u64,
    user: u64,
    out: &mut Vec<u8>,
) -> Result<bool, StoreError> {
    let Some(own) = read.get(VOICE_STATES.at(guild, user))? else { return Ok(false) };
    with_member(read, stored_map(own), guild, user, out)?;
    Ok(true)
}

/// The same of a voice state that is at hand.
pub fn with_member(
    read: &(impl Read + ?Sized),
    voice_state: Map<'_>,
    guild: u64,
    user: u64,
    out: &mut Vec<u8>,
) -> Result<(), StoreError> {
    let mut member = Vec::new();
    if member_with(read, guild, user, None, &mut member)? {
        edit::with(voice_state, &[(atoms::MEMBER, stored(&member))], out);
    } else {
        out.extend_from_slice(voice_state.as_bytes());
    }
    Ok(())
}

/// A member with its user, and with what says where it is.
fn member_with(
    read: &(impl Read + ?Sized),
    guild: u64,
    user: u64,
    place: Option<(Atom, Value<'_>)>,
    out: &mut Vec<u8>,
) -> Result<bool, StoreError> {
    let Some(own) = read.get(MEMBERS.at(guild, user))? else { return Ok(false) };
    let tally = user_tally(read, user)?;
    let whose = tally.map(|tally| (atoms::USER, stored(tally.document)));
    let own = stored_map(own);
    match (place, whose) {
        (Some(place), Some(whose)) => edit::with(own, &[place, whose], out),
        (Some(one), None) | (None, Some(one)) => edit::with(own, &[one], out),
        (None, None) => out.extend_from_slice(own.as_bytes()),
    }
    Ok(true)
}

/// What is known about a guild beside its fields.
pub fn guild_facts(
    read: &(impl Read + ?Sized),
    guild: u64,
) -> Result<Option<GuildFacts>, StoreError> {
    let key = GUILD_FACTS.at(guild);
    let Some(bytes) = read.get(key)? else { return Ok(None) };
    let facts = GuildFacts::from_bytes(bytes);
    facts.map(Some).ok_or(StoreError::Damaged { key })
}

/// What is known about a channel or thread of this guild beside its fields.
pub fn channel_facts(
    read: &(impl Read + ?Sized),
    guild: u64,
    channel: u64,
) -> Result<Option<ChannelFacts<'_>>, StoreError> {
    Ok(facts_of_channel(read, channel)?.filter(|facts| facts.guild() == guild))
}

/// What is known about a channel or thread, wherever it is.
pub fn facts_of_channel(
    read: &(impl Read + ?Sized),
    channel: u64,
) -> Result<Option<ChannelFacts<'_>>, StoreError> {
    let key = CHANNEL_MAP.at(channel);
    let Some(bytes) = read.get(key)? else { return Ok(None) };
    if let Ok(guild) = <[u8; 8]>::try_from(bytes) {
        return facts_apart(read, u64::from_le_bytes(guild), channel);
    }
    let facts = ChannelFacts::from_bytes(bytes);
    facts.map(Some).ok_or(StoreError::Damaged { key })
}

/// The same in a store of before, where all but the guild lies elsewhere.
#[cold]
fn facts_apart(
    read: &(impl Read + ?Sized),
    guild: u64,
    channel: u64,
) -> Result<Option<ChannelFacts<'static>>, StoreError> {
    let key = CHANNEL_FACTS.at(guild, channel);
    let Some(rest) = read.get(key)? else { return Ok(None) };
    let facts = ChannelFacts::from_vec([&guild.to_le_bytes(), rest].concat());
    facts.map(Some).ok_or(StoreError::Damaged { key })
}

/// The guild of a channel or thread; 0 for a private channel.
pub fn guild_of_channel(
    read: &(impl Read + ?Sized),
    channel: u64,
) -> Result<Option<u64>, StoreError> {
    let key = CHANNEL_MAP.at(channel);
    let Some(bytes) = read.get(key)? else { return Ok(None) };
    let guild = ids(bytes).next();
    guild.map(Some).ok_or(StoreError::Damaged { key })
}

/// A user and the number of guilds that hold it.
pub fn user_tally(read: &(impl Read + ?Sized), user: u64) -> Result<Option<Tally<'_>>, StoreError> {
    let key = USERS.at(user);
    let Some(bytes) = read.get(key)? else { return Ok(None) };
    let tally = Tally::from_bytes(bytes);
    tally.map(Some).ok_or(StoreError::Damaged { key })
}

/// The ids in a packed list.
pub fn ids(packed: &[u8]) -> impl Iterator<Item = u64> + '_ {
    packed.chunks_exact(8).filter_map(|id| Some(u64::from_le_bytes(id.try_into().ok()?)))
}
