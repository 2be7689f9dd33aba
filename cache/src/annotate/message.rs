//! Messages: a history bounded by count in each channel, and by age.

use std::collections::BTreeSet;

use mixcord_event::{Flags, Map, Value, Writer, atoms, time};
use mixcord_state::tables::CHANNEL_FACTS;
use mixcord_state::{Cached, ChannelFacts, Key, LastMessage, Resource, StoreError, compose};

use super::{Step, expiry, ids, known, refresh, thread};

pub(super) fn create(step: &mut Step<'_>) -> Result<(), StoreError> {
    if let (Some(channel), Some(id)) = (step.id(atoms::CHANNEL_ID), step.id(atoms::ID)) {
        let at = place(step, channel)?;
        let cached = step.world.settings.caches(Resource::Messages);
        match facts(step, at)? {
            Some(mut facts) => {
                let changes = add(step, &mut facts, id);
                if changes {
                    put_facts(step, at, facts);
                }
            }
            None if cached => {
                let mut facts = ChannelFacts::of(at.owner());
                add(step, &mut facts, id);
                put_new(step, at, facts)?;
            }
            None => {}
        }
        if cached && is_due(id) {
            expire(step)?;
            thread::expire(step)?;
        }
    }
    refresh::embedded(step)
}

/// The message alone: its author and member are as they were when it was written, and may have left.
pub(super) fn update(step: &mut Step<'_>) -> Result<(), StoreError> {
    let (Some(channel), Some(id)) = (step.id(atoms::CHANNEL_ID), step.id(atoms::ID)) else {
        return Ok(());
    };
    if !step.world.settings.caches(Resource::Messages) {
        return Ok(());
    }
    let data = step.data;
    let mut old = step.buffer();
    if let Some(message) = live(step, channel, id, &mut old)? {
        if is_older(data, compose::stored_map(&old)) {
            step.flag(Flags::STALE);
            step.old(old);
        } else {
            step.merge_over(message.key(), old);
        }
        return Ok(());
    }
    step.recycle(old);
    if data.contains(atoms::AUTHOR) && data.contains(atoms::TIMESTAMP) {
        let at = place(step, channel)?;
        if let Some(mut facts) = facts(step, at)? {
            insert(step, &mut facts, id);
            put_facts(step, at, facts);
        } else {
            let mut facts = ChannelFacts::of(at.owner());
            insert(step, &mut facts, id);
            put_new(step, at, facts)?;
        }
        if is_due(id) {
            expire(step)?;
        }
    }
    Ok(())
}

pub(super) fn delete(step: &mut Step<'_>) -> Result<(), StoreError> {
    let (Some(channel), Some(id)) = (step.id(atoms::CHANNEL_ID), step.id(atoms::ID)) else {
        return Ok(());
    };
    let mut old = step.buffer();
    let found = erase(step, channel, [id], |message| old.extend_from_slice(message.as_bytes()))?;
    if found {
        step.old(old);
    }
    Ok(())
}

pub(super) fn delete_bulk(step: &mut Step<'_>) -> Result<(), StoreError> {
    let Some(channel) = step.id(atoms::CHANNEL_ID) else { return Ok(()) };
    let gone = ids(step.data.get(atoms::IDS));
    let mut old = step.buffer();
    let mut list = Writer::new(&mut old).list();
    let found = erase(step, channel, gone, |message| list.push(Value::Map(message)))?;
    list.end();
    if found {
        step.old(old);
    }
    Ok(())
}

/// A message that is cached and not too old: it is appended to `out`.
pub(super) fn live(
    step: &mut Step<'_>,
    channel: u64,
    id: u64,
    out: &mut Vec<u8>,
) -> Result<Option<Cached>, StoreError> {
    let at = place(step, channel)?;
    let held = compose::channel_facts(&*step.world.store, at.owner(), at.id())?;
    let message = match held.map(|held| held.message(id)) {
        Some(message) => message,
        None => facts(step, at)?.and_then(|facts| facts.message(id)),
    };
    let Some(message) = message.filter(|message| message.received_us >= oldest_us(step)) else {
        return Ok(None);
    };
    Ok(step.world.store.append(message.key(), out)?.then_some(message))
}

/// Writes a message that is cached.
pub(super) fn put(step: &mut Step<'_>, message: Cached, document: &[u8]) {
    step.world.store.put(message.key(), &[document]);
}

/// The place of the payload's channel: its guild, or 0 for a private one, and its id.
fn place(step: &Step<'_>, channel: u64) -> Result<Key, StoreError> {
    let guild = match step.guild {
        Some(guild) => guild,
        None => compose::guild_of_channel(&*step.world.store, channel)?.unwrap_or(0),
    };
    Ok(CHANNEL_FACTS.at(guild, channel))
}

/// What is known about a channel, for changes: in this place from now on.
fn facts(step: &mut Step<'_>, at: Key) -> Result<Option<ChannelFacts<'static>>, StoreError> {
    let held = step.buffer();
    match step.world.known_at(at, held)? {
        Ok(facts) => Ok(Some(facts)),
        Err(held) => {
            step.recycle(held);
            Ok(None)
        }
    }
}

/// A cached message, unless it is too old.
fn document<'s>(step: &'s Step<'_>, message: Cached) -> Result<Option<Map<'s>>, StoreError> {
    if message.received_us < oldest_us(step) {
        return Ok(None);
    }
    let document = step.world.store.get(message.key())?;
    Ok(document.map(compose::stored_map))
}

/// Adds a new message to what is known about its channel; whether that changes it.
fn add(step: &mut Step<'_>, facts: &mut ChannelFacts<'_>, id: u64) -> bool {
    let before = facts.last_message();
    let last = match before {
        LastMessage::Id(held) => LastMessage::Id(held.max(id)),
        _ => LastMessage::Id(id),
    };
    facts.set_last_message(last);
    let cached = step.world.settings.caches(Resource::Messages);
    if cached {
        insert(step, facts, id);
    }
    cached || last != before
}

/// Adds the payload to a history, and takes out of it what is too much or too old.
fn insert(step: &mut Step<'_>, facts: &mut ChannelFacts<'_>, id: u64) {
    let (received_us, oldest_us) = (step.world.now_us, oldest_us(step));
    let messages_max = step.world.settings.messages_per_channel as usize;
    // One that comes again keeps its place; one from before a full history has none.
    let held = facts.message(id).filter(|held| held.received_us >= oldest_us);
    let is_before = facts.history().next().is_some_and(|first| id < first.id);
    if held.is_some() || !is_before || facts.count() < messages_max {
        let message = held.unwrap_or(Cached { id, received_us });
        if let Some(before) = facts.insert(message).filter(|before| *before != message) {
            step.world.store.delete(before.key());
        }
        put(step, message, step.data.as_bytes());
    }
    let excess = facts.count().saturating_sub(messages_max);
    let mut gone = 0;
    for first in facts.history() {
        if gone >= excess && first.received_us >= oldest_us {
            break;
        }
        step.world.store.delete(first.key());
        gone += 1;
    }
    facts.remove_first(gone);
}

/// Takes messages out of a history, and shows those that were cached and not too old; says whether
/// there was one.
fn erase(
    step: &mut Step<'_>,
    channel: u64,
    ids: impl IntoIterator<Item = u64>,
    mut show: impl FnMut(Map<'_>),
) -> Result<bool, StoreError> {
    let at = place(step, channel)?;
    let Some(mut facts) = facts(step, at)? else { return Ok(false) };
    let (mut gone, mut found) = (BTreeSet::new(), false);
    for id in ids {
        let message = facts.message(id).filter(|_| gone.insert(id));
        let Some(message) = message else { continue };
        if let Some(document) = document(step, message)? {
            show(document);
            found = true;
        }
        step.world.store.delete(message.key());
    }
    facts.retain(|message| !gone.contains(&message.id));
    keep_or_forget(step, at, facts, !gone.is_empty())?;
    Ok(found)
}

fn put_facts(step: &mut Step<'_>, at: Key, facts: ChannelFacts<'_>) {
    known::put(step.world.store, &facts, at.id());
    step.recycle(facts.into_bytes());
}

/// Writes what is known about a channel of which nothing was.
fn put_new(step: &mut Step<'_>, at: Key, facts: ChannelFacts<'_>) -> Result<(), StoreError> {
    known::put_new(step.world.store, &facts, at.id());
    step.recycle(facts.into_bytes());
    known::keep_stray(step.world.store, at)
}

/// Writes what is known about a channel after messages went; of a stray one without messages nothing
/// stays.
fn keep_or_forget(
    step: &mut Step<'_>,
    at: Key,
    facts: ChannelFacts<'_>,
    changed: bool,
) -> Result<(), StoreError> {
    if facts.count() == 0 && known::is_stray(step.world.store, at)? {
        known::delete(step.world.store, at);
    } else if changed {
        put_facts(step, at, facts);
    }
    Ok(())
}

/// Whether messages that are too old are looked for with this one: one of 64 has its turn, by an id's
/// digits all mixed. Every n-th event might never be a message.
const fn is_due(id: u64) -> bool {
    id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58 == 0
}

/// Takes out messages that are too old.
fn expire(step: &mut Step<'_>) -> Result<(), StoreError> {
    match oldest_us(step).checked_sub(1) {
        Some(last_us) => expiry::expire(&mut step.world, last_us),
        None => Ok(()),
    }
}

/// Messages received before this are too old.
fn oldest_us(step: &Step<'_>) -> u64 {
    let age_us = step.world.settings.messages_age.as_micros();
    step.world.now_us.saturating_sub(u64::try_from(age_us).unwrap_or(u64::MAX))
}

/// Whether an update was written before the edit that is held (G-48).
fn is_older(data: Map<'_>, held: Map<'_>) -> bool {
    let edited = |map: Map<'_>| {
        let edited = map.get(atoms::EDITED_TIMESTAMP).and_then(Value::as_str);
        edited.and_then(time::micros)
    };
    matches!((edited(data), edited(held)), (Some(data), Some(held)) if held > data)
}
