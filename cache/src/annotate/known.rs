//! What is known about channels and threads beside their own fields: in which guild each is, its last message, and its
//! messages that are cached. Whatever is cached, or has such messages, is known.
//!
//! A place is the key `CHANNEL_FACTS.at(guild, channel)`. In a store of this release all that is known lies under the
//! channel alone, and the place says nothing but that the channel itself is not cached: so a guild that goes finds it.
//! In one of before ([`Store::has_channels_whole`]) it lies at the place, and the channel says the guild.

use mixcord_state::tables::{CHANNEL_FACTS, CHANNEL_MAP, CHANNELS, THREADS};
use mixcord_state::{ChannelFacts, Key, Pairs, StoreError, compose};

use super::world::World;
use crate::store::Store;

/// Appends what is known about the channel or thread of a place, which may be in another guild; false where nothing is.
pub(super) fn append(
    store: &dyn Store,
    place: Key,
    into: &mut Vec<u8>,
) -> Result<bool, StoreError> {
    let key = CHANNEL_MAP.at(place.id());
    if store.has_channels_whole() {
        return store.append(key, into);
    }
    let begin = into.len();
    let at = |guild: u64, into: &mut Vec<u8>| {
        into.truncate(begin);
        into.extend_from_slice(&guild.to_le_bytes());
        store.append(CHANNEL_FACTS.at(guild, place.id()), into)
    };
    if at(place.owner(), into)? {
        return Ok(true);
    }
    let elsewhere = compose::guild_of_channel(store, place.id())?;
    Ok(match elsewhere.filter(|guild| *guild != place.owner()) {
        Some(guild) => at(guild, into)?,
        None => false,
    })
}

/// Writes what was known about a channel or thread before, and has changed.
pub(super) fn put(store: &mut dyn Store, facts: &ChannelFacts<'_>, channel: u64) {
    if store.has_channels_whole() {
        return store.put(CHANNEL_MAP.at(channel), &[facts.as_bytes()]);
    }
    store.put(CHANNEL_FACTS.at(facts.guild(), channel), &[facts.parts().1]);
}

/// Writes what is known from now on about one of which nothing was known.
pub(super) fn put_new(store: &mut dyn Store, facts: &ChannelFacts<'_>, channel: u64) {
    put(store, facts, channel);
    if !store.has_channels_whole() {
        store.put(CHANNEL_MAP.at(channel), &[facts.parts().0]);
    }
}

/// Of a channel or thread that was known here nothing is known any more.
pub(super) fn delete(store: &mut dyn Store, place: Key) {
    store.delete(CHANNEL_MAP.at(place.id()));
    store.delete(place);
}

/// Whether a channel is cached neither as one nor as a thread: only its messages are known.
pub(super) fn is_stray(store: &dyn Store, place: Key) -> Result<bool, StoreError> {
    let there = |table: Pairs| store.get(table.at(place.owner(), place.id()));
    Ok(there(CHANNELS)?.is_none() && there(THREADS)?.is_none())
}

/// Keeps of a channel that is known here from now on, if so, that it is not cached itself.
pub(super) fn keep_stray(store: &mut dyn Store, place: Key) -> Result<(), StoreError> {
    if store.has_channels_whole() && is_stray(store, place)? {
        store.put(place, &[]);
    }
    Ok(())
}

/// A channel that was known here is cached from now on.
pub(super) fn keep_cached(store: &mut dyn Store, place: Key) {
    if store.has_channels_whole() {
        store.delete(place);
    }
}

impl World<'_> {
    /// What is known about a channel or thread, read into `held`, which is empty: in this place from now on, wherever it
    /// was. For where it is, the latest event says best, and all that is known comes along. The memory comes back where
    /// nothing is known.
    pub(super) fn known_at(
        &mut self,
        place: Key,
        mut held: Vec<u8>,
    ) -> Result<Result<ChannelFacts<'static>, Vec<u8>>, StoreError> {
        if !append(&*self.store, place, &mut held)? {
            held.clear();
            return Ok(Err(held));
        }
        let damaged = StoreError::Damaged { key: CHANNEL_MAP.at(place.id()) };
        let mut facts = ChannelFacts::from_vec(held).ok_or(damaged)?;
        if facts.guild() != place.owner() {
            let before = CHANNEL_FACTS.at(facts.guild(), place.id());
            facts.set_guild(place.owner());
            self.store.delete(before);
            put_new(self.store, &facts, place.id());
            keep_stray(self.store, place)?;
        }
        Ok(Ok(facts))
    }
}
