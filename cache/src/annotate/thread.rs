//! Threads.

use mixcord_event::{Map, Value, atoms, edit};
use mixcord_state::tables::THREADS;
use mixcord_state::{StoreError, compose};

use super::{Step, channel, expiry, id_in, ids, maps, presence, refresh};

pub(super) fn create(step: &mut Step<'_>) -> Result<(), StoreError> {
    channel::put(step, THREADS, true)?;
    expire(step)
}

pub(super) fn update(step: &mut Step<'_>) -> Result<(), StoreError> {
    let whole = step.data.contains(atoms::NAME) && step.data.contains(atoms::TYPE);
    channel::put(step, THREADS, whole)?;
    expire(step)
}

/// Lets go of threads that are archived for too long; called more often than threads are archived.
pub(super) fn expire(step: &mut Step<'_>) -> Result<(), StoreError> {
    let age_us = step.world.settings.threads_age.as_micros();
    let age_us = u64::try_from(age_us).unwrap_or(u64::MAX);
    match step.world.now_us.checked_sub(age_us).and_then(|oldest_us| oldest_us.checked_sub(1)) {
        Some(last_us) => expiry::expire_threads(&mut step.world, last_us),
        None => Ok(()),
    }
}

pub(super) fn delete(step: &mut Step<'_>) -> Result<(), StoreError> {
    let (Some(guild), Some(id)) = (step.guild, step.id(atoms::ID)) else { return Ok(()) };
    channel::old(step, THREADS, guild, id)?;
    step.world.erase_channel(THREADS, guild, id)
}

/// The active threads of the listed parents, or of the whole guild.
pub(super) fn sync(step: &mut Step<'_>) -> Result<(), StoreError> {
    let Some(guild) = step.guild else { return Ok(()) };
    if step.world.created_guild(guild)?.is_none() {
        return Ok(());
    }
    let data = step.data;
    let mut parents: Option<Vec<u64>> =
        data.get(atoms::CHANNEL_IDS).map(|parents| ids(Some(parents)).collect());
    parents.iter_mut().for_each(|parents| parents.sort_unstable());
    let threads = maps(data.get(atoms::THREADS));
    let mut kept: Vec<u64> = threads.filter_map(|thread| id_in(thread, atoms::ID)).collect();
    kept.sort_unstable();
    let mut gone = Vec::new();
    step.world.store.scan(THREADS.of(guild), &mut |key, thread| {
        let parent = id_in(compose::stored_map(thread), atoms::PARENT_ID);
        let listed = parents
            .as_ref()
            .is_none_or(|parents| parent.is_some_and(|id| parents.binary_search(&id).is_ok()));
        if listed && kept.binary_search(&key.id()).is_err() {
            gone.push(key.id());
        }
        true
    })?;
    if !step.world.erase_channels(THREADS, guild, gone)? {
        step.postpone();
        return Ok(());
    }
    for thread in maps(data.get(atoms::THREADS)) {
        step.world.put_channel(THREADS, guild, thread)?;
    }
    for member in maps(data.get(atoms::MEMBERS)) {
        if let Some(id) = id_in(member, atoms::ID) {
            edit_thread(step, guild, id, |thread, out| {
                edit::with(thread, &[(atoms::MEMBER, Value::Map(member))], out);
            })?;
        }
    }
    Ok(())
}

/// The bot's own membership in a thread changed.
pub(super) fn own_member(step: &mut Step<'_>) -> Result<(), StoreError> {
    let (Some(guild), Some(id)) = (step.guild, step.id(atoms::ID)) else { return Ok(()) };
    channel::old(step, THREADS, guild, id)?;
    let mut member = step.buffer();
    edit::without(step.data, &[atoms::GUILD_ID], &mut member);
    edit_thread(step, guild, id, |thread, out| {
        edit::with(thread, &[(atoms::MEMBER, compose::stored(&member))], out);
    })?;
    step.recycle(member);
    Ok(())
}

/// Somebody joined or left a thread.
pub(super) fn members(step: &mut Step<'_>) -> Result<(), StoreError> {
    let (Some(guild), Some(id)) = (step.guild, step.id(atoms::ID)) else { return Ok(()) };
    channel::old(step, THREADS, guild, id)?;
    let data = step.data;
    let own_id = step.world.own_id()?;
    let is_own = |id: Option<u64>| id.is_some() && id == own_id;
    let left = ids(data.get(atoms::REMOVED_MEMBER_IDS)).any(|id| is_own(Some(id)));
    let joined =
        maps(data.get(atoms::ADDED_MEMBERS)).find(|added| is_own(id_in(*added, atoms::USER_ID)));
    edit_thread(step, guild, id, |thread, out| {
        let mut counted = Vec::new();
        edit::only(data, &[atoms::MEMBER_COUNT], &mut counted);
        let mut merged = Vec::new();
        edit::merge(thread, compose::stored_map(&counted), &mut merged);
        let merged_map = compose::stored_map(&merged);
        if let Some(joined) = joined {
            let mut own = Vec::new();
            edit::without(joined, &[atoms::MEMBER, atoms::PRESENCE], &mut own);
            edit::with(merged_map, &[(atoms::MEMBER, compose::stored(&own))], out);
        } else if left {
            edit::without(merged_map, &[atoms::MEMBER], out);
        } else {
            out.append(&mut merged);
        }
    })?;
    if step.world.created_guild(guild)?.is_none() {
        return Ok(());
    }
    for added in maps(data.get(atoms::ADDED_MEMBERS)) {
        let Some(member) = added.get(atoms::MEMBER).and_then(Value::as_map) else { continue };
        let Some(user) = member.get(atoms::USER).and_then(Value::as_map) else { continue };
        let Some(user_id) = id_in(user, atoms::ID) else { continue };
        if step.world.has_departed(guild, user_id)? {
            continue;
        }
        refresh::person(step, Some(member), user)?;
        if let Some(presence) = added.get(atoms::PRESENCE).and_then(Value::as_map) {
            presence::put(&mut step.world, guild, presence)?;
        }
    }
    Ok(())
}

/// Rewrites a cached thread.
fn edit_thread(
    step: &mut Step<'_>,
    guild: u64,
    id: u64,
    change: impl FnOnce(Map<'_>, &mut Vec<u8>),
) -> Result<(), StoreError> {
    let key = THREADS.at(guild, id);
    let mut new = step.buffer();
    if let Some(held) = step.world.store.get(key)? {
        change(compose::stored_map(held), &mut new);
        step.world.put_changed(key, &new)?;
    }
    step.recycle(new);
    Ok(())
}
