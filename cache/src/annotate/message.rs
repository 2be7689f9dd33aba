//! Messages: a history bounded by count in each channel, and by age.

use mixcord_event::{Flags, Map, Value, Writer, atoms, edit};
use mixcord_state::{
    ChannelFacts, Key, LastMessage, Resource, Stamped, StoreError, Table, compose, meta,
};

use super::{Step, ids, refresh, time};

pub(super) fn create(step: &mut Step<'_>) -> Result<(), StoreError> {
    if let (Some(channel), Some(id)) = (step.id(atoms::CHANNEL_ID), step.id(atoms::ID)) {
        let guild = guild_of(step, channel)?;
        let known = compose::channel_facts(&*step.world.store, guild, channel)?;
        let mut facts = known.unwrap_or_default();
        let newest = match facts.last_message {
            LastMessage::Id(held) => held.max(id),
            _ => id,
        };
        facts.last_message = LastMessage::Id(newest);
        let newer = known.is_some_and(|known| {
            known.messages == 0
                || (!known.ahead
                    && matches!(known.last_message, LastMessage::Id(held) if held < id))
        });
        if step.world.settings.caches(Resource::Messages) {
            insert(step, channel, &mut facts, id, newer)?;
            if known.is_none() {
                let value = guild.to_le_bytes();
                step.world.put_changed(Table::ChannelMap, Key::one(channel), &value)?;
            }
            put_facts(step, guild, channel, facts);
            if step.seq.is_multiple_of(SWEEP) {
                sweep(step)?;
            }
        } else if known.is_some_and(|known| known != facts) {
            put_facts(step, guild, channel, facts);
        }
    }
    refresh::embedded(step)
}

/// The message alone: its author and member are as they were when it was written, and may have left.
pub(super) fn update(step: &mut Step<'_>) -> Result<(), StoreError> {
    if let (Some(channel), Some(id)) = (step.id(atoms::CHANNEL_ID), step.id(atoms::ID))
        && step.world.settings.caches(Resource::Messages)
    {
        let data = step.data;
        let mut old = step.buffer();
        if let Some(received_us) = live(step, channel, id, &mut old)? {
            if is_older(data, compose::stored_map(&old)) {
                step.flag(Flags::STALE);
            } else {
                let mut new = step.buffer();
                edit::merge(compose::stored_map(&old), data, &mut new);
                if new != old {
                    put(step, Key::pair(channel, id), received_us, &new);
                }
                step.data(new);
            }
            step.old(old);
        } else if data.contains(atoms::AUTHOR) && data.contains(atoms::TIMESTAMP) {
            let guild = guild_of(step, channel)?;
            let known = compose::channel_facts(&*step.world.store, guild, channel)?;
            let mut facts = known.unwrap_or_default();
            facts.ahead |= !matches!(facts.last_message, LastMessage::Id(held) if held >= id);
            insert(step, channel, &mut facts, id, false)?;
            if known.is_none() {
                let value = guild.to_le_bytes();
                step.world.put_changed(Table::ChannelMap, Key::one(channel), &value)?;
            }
            put_facts(step, guild, channel, facts);
        }
    }
    Ok(())
}

pub(super) fn delete(step: &mut Step<'_>) -> Result<(), StoreError> {
    let (Some(channel), Some(id)) = (step.id(atoms::CHANNEL_ID), step.id(atoms::ID)) else {
        return Ok(());
    };
    let mut old = step.buffer();
    if live(step, channel, id, &mut old)?.is_some() {
        step.old(old);
    }
    erase(step, channel, &[id])
}

pub(super) fn delete_bulk(step: &mut Step<'_>) -> Result<(), StoreError> {
    let Some(channel) = step.id(atoms::CHANNEL_ID) else { return Ok(()) };
    let ids: Vec<u64> = ids(step.data.get(atoms::IDS)).collect();
    let mut document = step.buffer();
    let mut found = false;
    let mut list = Writer::new(&mut document).list();
    for (place, &id) in ids.iter().enumerate() {
        let mut message = step.buffer();
        if !ids[..place].contains(&id) && live(step, channel, id, &mut message)?.is_some() {
            list.push(compose::stored(&message));
            found = true;
        }
        step.recycle(message);
    }
    list.end();
    if found {
        step.old(document);
    }
    erase(step, channel, &ids)
}

/// The guild of the payload, or else of the channel; 0 for a private channel.
fn guild_of(step: &Step<'_>, channel: u64) -> Result<u64, StoreError> {
    match step.guild {
        Some(guild) => Ok(guild),
        None => Ok(compose::guild_of_channel(&*step.world.store, channel)?.unwrap_or(0)),
    }
}

/// Appends a message that is not too old to `out`; says when it was received.
pub(super) fn live(
    step: &Step<'_>,
    channel: u64,
    id: u64,
    out: &mut Vec<u8>,
) -> Result<Option<u64>, StoreError> {
    let key = Key::pair(channel, id);
    let Some(value) = step.world.store.get(Table::Messages, key)? else { return Ok(None) };
    let damaged = StoreError::Damaged { table: Table::Messages, key };
    let message = Stamped::from_bytes(value).ok_or(damaged)?;
    if message.received_us < oldest_us(step) {
        return Ok(None);
    }
    out.extend_from_slice(message.document);
    Ok(Some(message.received_us))
}

/// Writes a message that is cached.
pub(super) fn put(step: &mut Step<'_>, key: Key, received_us: u64, document: &[u8]) {
    step.world.store.put(Table::Messages, key, &[&received_us.to_le_bytes(), document]);
}

/// Adds the payload to the history, and takes out of it what is too much or too old. Nothing that is
/// `newer` than every cached message is cached already.
fn insert(
    step: &mut Step<'_>,
    channel: u64,
    facts: &mut ChannelFacts,
    id: u64,
    newer: bool,
) -> Result<(), StoreError> {
    let key = Key::pair(channel, id);
    let (now_us, document) = (step.world.now_us, step.data);
    if newer || step.world.store.get(Table::Messages, key)?.is_none() {
        let oldest_us = if facts.messages == 0 { now_us } else { facts.oldest_us };
        facts.oldest_us = oldest_us.min(now_us);
        facts.messages += 1;
    }
    put(step, key, now_us, document.as_bytes());
    trim(step, channel, facts)
}

/// Takes the oldest messages out until the channel is within its bounds.
fn trim(step: &mut Step<'_>, channel: u64, facts: &mut ChannelFacts) -> Result<(), StoreError> {
    let oldest_us = oldest_us(step);
    let mut excess = facts.messages.saturating_sub(step.world.settings.messages_per_channel);
    if excess == 0 && facts.oldest_us >= oldest_us {
        return Ok(());
    }
    let mut gone = Vec::new();
    facts.oldest_us = u64::MAX;
    step.world.store.scan(Table::Messages, Key::all_of(channel), &mut |key, value| {
        let received_us = Stamped::from_bytes(value).map_or(0, |it| it.received_us);
        if received_us < oldest_us || excess > 0 {
            excess = excess.saturating_sub(1);
            gone.push(key);
            return true;
        }
        facts.oldest_us = received_us;
        false
    })?;
    for key in gone {
        step.world.store.delete(Table::Messages, key);
        facts.messages = facts.messages.saturating_sub(1);
    }
    Ok(())
}

/// Messages received before this are too old.
fn oldest_us(step: &Step<'_>) -> u64 {
    let age_us = step.world.settings.messages_age.as_micros();
    step.world.now_us.saturating_sub(u64::try_from(age_us).unwrap_or(u64::MAX))
}

/// Takes messages out of the history.
fn erase(step: &mut Step<'_>, channel: u64, ids: &[u64]) -> Result<(), StoreError> {
    let guild = guild_of(step, channel)?;
    let Some(mut facts) = compose::channel_facts(&*step.world.store, guild, channel)? else {
        return Ok(());
    };
    let before = facts;
    for &id in ids {
        let key = Key::pair(channel, id);
        if step.world.store.get(Table::Messages, key)?.is_some() {
            step.world.store.delete(Table::Messages, key);
            facts.messages = facts.messages.saturating_sub(1);
            // Another one is the first now, of which nothing is known.
            facts.oldest_us = 0;
        }
    }
    if facts.messages == 0 && is_stray(step, Key::pair(guild, channel))? {
        forget(step, guild, channel);
    } else if facts != before {
        put_facts(step, guild, channel, facts);
    }
    Ok(())
}

/// A stray channel has no message any more.
fn forget(step: &mut Step<'_>, guild: u64, channel: u64) {
    step.world.store.delete(Table::ChannelFacts, Key::pair(guild, channel));
    step.world.store.delete(Table::ChannelMap, Key::one(channel));
}

/// Now and then a new message looks after some more channels, in turn, so that messages also go where
/// nobody writes any more.
fn sweep(step: &mut Step<'_>) -> Result<(), StoreError> {
    let cursor = step.world.store.get(Table::Meta, meta::SWEEP)?;
    let from = cursor.and_then(Key::from_bytes).unwrap_or(Key::one(0));
    let mut looked = 0;
    let mut next = Key::one(0);
    let mut expired = Vec::new();
    let oldest_us = oldest_us(step);
    step.world.store.scan(Table::ChannelFacts, from..=*Key::all().end(), &mut |key, value| {
        let facts = ChannelFacts::from_bytes(value).unwrap_or_default();
        if looked == SWEEP {
            next = key;
            return false;
        }
        looked += 1;
        if facts.messages > 0 && facts.oldest_us < oldest_us {
            expired.push((key, facts));
        }
        true
    })?;
    step.world.store.put(Table::Meta, meta::SWEEP, &[&next.to_bytes()]);
    for (key, mut facts) in expired {
        let (guild, channel) = (key.owner(), key.id());
        trim(step, channel, &mut facts)?;
        if facts.messages == 0 && is_stray(step, key)? {
            forget(step, guild, channel);
        } else {
            put_facts(step, guild, channel, facts);
        }
    }
    Ok(())
}

/// Of so many events one sweeps, so many channels.
const SWEEP: u64 = 64;

/// Whether a channel is neither cached nor in a guild that is, with which it would go.
fn is_stray(step: &Step<'_>, key: Key) -> Result<bool, StoreError> {
    let cached = step.world.store.get(Table::Channels, key)?.is_some();
    Ok(!cached && (key.owner() == 0 || step.world.created_guild(key.owner())?.is_none()))
}

fn put_facts(step: &mut Step<'_>, guild: u64, channel: u64, facts: ChannelFacts) {
    step.world.store.put(Table::ChannelFacts, Key::pair(guild, channel), &[&facts.to_bytes()]);
}

/// Whether an update was written before the edit that is held (G-48).
fn is_older(data: Map<'_>, held: Map<'_>) -> bool {
    let edited = |map: Map<'_>| {
        let edited = map.get(atoms::EDITED_TIMESTAMP).and_then(Value::as_str);
        edited.and_then(time::micros)
    };
    matches!((edited(data), edited(held)), (Some(data), Some(held)) if held > data)
}
