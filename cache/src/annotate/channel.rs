//! Channels.

use mixcord_event::{Atom, Map, Value, Writer, atoms, edit};
use mixcord_state::tables::{CHANNELS, THREADS};
use mixcord_state::{Pairs, StoreError, compose};

use super::{Step, id_in, maps};

/// The guild of private channels.
const PRIVATE: u64 = 0;

/// Flag of a channel that Discord shows without its name (G-49).
const HIDDEN: u64 = 1 << 17;

pub(super) fn create(step: &mut Step<'_>) -> Result<(), StoreError> {
    put(step, CHANNELS, true)
}

pub(super) fn update(step: &mut Step<'_>) -> Result<(), StoreError> {
    let whole = step.data.contains(atoms::TYPE);
    put(step, CHANNELS, whole)
}

pub(super) fn delete(step: &mut Step<'_>) -> Result<(), StoreError> {
    let Some(id) = step.id(atoms::ID) else { return Ok(()) };
    let guild = step.guild.unwrap_or(PRIVATE);
    old(step, CHANNELS, guild, id)?;
    let mut threads = Vec::new();
    step.world.store.scan(THREADS.of(guild), &mut |key, thread| {
        if id_in(compose::stored_map(thread), atoms::PARENT_ID) == Some(id) {
            threads.push(key.id());
        }
        true
    })?;
    if !step.world.erase_channels(THREADS, guild, threads)? {
        step.postpone();
        return Ok(());
    }
    step.world.erase_channel(CHANNELS, guild, id)
}

pub(super) fn pins(step: &mut Step<'_>) -> Result<(), StoreError> {
    let Some(id) = step.id(atoms::CHANNEL_ID) else { return Ok(()) };
    set_fields(step, id, &[atoms::LAST_PIN_TIMESTAMP])
}

pub(super) fn status(step: &mut Step<'_>) -> Result<(), StoreError> {
    let Some(id) = step.id(atoms::ID) else { return Ok(()) };
    set_fields(step, id, &[atoms::STATUS])
}

pub(super) fn start_time(step: &mut Step<'_>) -> Result<(), StoreError> {
    let Some(id) = step.id(atoms::ID) else { return Ok(()) };
    set_fields(step, id, &[atoms::VOICE_START_TIME])
}

/// Several channels at once: `old` is the list of those cached.
pub(super) fn info(step: &mut Step<'_>) -> Result<(), StoreError> {
    let mut found = Vec::new();
    let data = step.data;
    for item in maps(data.get(atoms::CHANNELS)) {
        let Some(id) = id_in(item, atoms::ID) else { continue };
        merge_fields(step, id, item, &[atoms::STATUS, atoms::VOICE_START_TIME])?;
        found.extend(step.main.old.take());
    }
    if !found.is_empty() {
        let mut list_bytes = step.buffer();
        let mut list = Writer::new(&mut list_bytes).list();
        for channel in &found {
            list.push(compose::stored(channel));
        }
        list.end();
        step.old(list_bytes);
    }
    Ok(())
}

/// Merges the payload over a channel or thread.
pub(super) fn put(step: &mut Step<'_>, table: Pairs, insert: bool) -> Result<(), StoreError> {
    let Some(id) = step.id(atoms::ID) else { return Ok(()) };
    let guild = step.guild.unwrap_or(PRIVATE);
    if guild != PRIVATE && step.world.created_guild(guild)?.is_none() {
        return Ok(());
    }
    let data = step.data;
    let mut old = step.buffer();
    if compose::channel(&*step.world.store, table, guild, id, &mut old)? {
        let mut new = step.buffer();
        merged(compose::stored_map(&old), data, &mut new);
        step.world.put_channel(table, guild, compose::stored_map(&new))?;
        step.old(old);
        step.data(new);
    } else if insert {
        step.world.put_channel(table, guild, data)?;
    }
    Ok(())
}

/// The payload over the channel; a hidden one is marked but keeps the name it had.
fn merged(old: Map<'_>, data: Map<'_>, out: &mut Vec<u8>) {
    let flags = data.get(atoms::FLAGS).and_then(Value::as_u64).unwrap_or(0);
    match old.get(atoms::NAME) {
        Some(name) if flags & HIDDEN != 0 => {
            let mut named = Vec::new();
            edit::with(data, &[(atoms::NAME, name)], &mut named);
            edit::merge(old, compose::stored_map(&named), out);
        }
        _ => edit::merge(old, data, out),
    }
}

/// Delivers a channel or thread as `old`, if it is cached.
pub(super) fn old(
    step: &mut Step<'_>,
    table: Pairs,
    guild: u64,
    id: u64,
) -> Result<bool, StoreError> {
    let mut old = step.buffer();
    let cached = compose::channel(&*step.world.store, table, guild, id, &mut old)?;
    if cached {
        step.old(old);
    }
    Ok(cached)
}

fn set_fields(step: &mut Step<'_>, id: u64, fields: &[Atom]) -> Result<(), StoreError> {
    let data = step.data;
    merge_fields(step, id, data, fields)
}

/// Merges some fields of `from` over a cached channel or thread, whichever it is.
fn merge_fields(
    step: &mut Step<'_>,
    id: u64,
    from: Map<'_>,
    fields: &[Atom],
) -> Result<(), StoreError> {
    let Some(guild) = compose::guild_of_channel(&*step.world.store, id)? else { return Ok(()) };
    for table in [CHANNELS, THREADS] {
        if old(step, table, guild, id)? {
            let mut some = step.buffer();
            let mut new = step.buffer();
            edit::only(from, fields, &mut some);
            if let Some(held) = step.world.store.get(table.at(guild, id))? {
                edit::merge(compose::stored_map(held), compose::stored_map(&some), &mut new);
                step.world.put_changed(table.at(guild, id), &new)?;
            }
            step.recycle(some);
            step.recycle(new);
            break;
        }
    }
    Ok(())
}
