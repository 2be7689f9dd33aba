//! Entities that a guild owns under an id, each created, updated and deleted whole.

use mixcord_event::{Atom, Map, Value, atoms, edit};
use mixcord_state::tables::{
    AUTOMOD_RULES, INTEGRATIONS, SCHEDULED_EVENTS, SOUNDS, STAGE_INSTANCES, VOICE_STATES,
};
use mixcord_state::{Pairs, StoreError, Table, compose};

use super::{Step, id_in};

/// A family of such entities.
#[derive(Clone, Copy)]
pub(super) struct Family {
    pub(super) table: Pairs,
    /// Where the payload has the id.
    pub(super) id: Atom,
    /// What only a whole entity carries (R5).
    whole: Atom,
}

impl Family {
    pub(super) const EVENT: Self =
        Self { table: SCHEDULED_EVENTS, id: atoms::ID, whole: atoms::NAME };
    pub(super) const STAGE: Self =
        Self { table: STAGE_INSTANCES, id: atoms::ID, whole: atoms::CHANNEL_ID };
    pub(super) const SOUND: Self = Self { table: SOUNDS, id: atoms::SOUND_ID, whole: atoms::NAME };
    pub(super) const INTEGRATION: Self =
        Self { table: INTEGRATIONS, id: atoms::ID, whole: atoms::NAME };
    pub(super) const VOICE: Self =
        Self { table: VOICE_STATES, id: atoms::USER_ID, whole: atoms::CHANNEL_ID };
    pub(super) const RULE: Self = Self { table: AUTOMOD_RULES, id: atoms::ID, whole: atoms::NAME };
}

/// The entity came into being, or comes again.
pub(super) fn create(step: &mut Step<'_>, family: Family) -> Result<(), StoreError> {
    put(step, family, true)
}

/// The entity changed.
pub(super) fn update(step: &mut Step<'_>, family: Family) -> Result<(), StoreError> {
    let whole = step.data.contains(family.whole);
    put(step, family, whole)
}

fn put(step: &mut Step<'_>, family: Family, insert: bool) -> Result<(), StoreError> {
    let (Some(guild), Some(id)) = (step.guild, step.id(family.id)) else { return Ok(()) };
    if !step.world.settings.caches_table(family.table.table()) {
        return Ok(());
    }
    let key = family.table.at(guild, id);
    let mut old = step.buffer();
    if step.world.store.append(key, &mut old)? {
        step.merge_over(key, old);
        return Ok(());
    }
    step.recycle(old);
    if insert && step.world.created_guild(guild)?.is_some() {
        step.world.store.put(key, &[step.data.as_bytes()]);
    }
    Ok(())
}

/// The entity is gone.
pub(super) fn delete(step: &mut Step<'_>, family: Family) -> Result<(), StoreError> {
    let (Some(guild), Some(id)) = (step.guild, step.id(family.id)) else { return Ok(()) };
    let key = family.table.at(guild, id);
    let mut old = step.buffer();
    if step.world.store.append(key, &mut old)? {
        step.world.store.delete(key);
        step.old(old);
    } else {
        step.recycle(old);
    }
    Ok(())
}

/// Somebody subscribed to a scheduled event or no longer does.
pub(super) fn count_user(step: &mut Step<'_>, change: i64) -> Result<(), StoreError> {
    let event = step.id(atoms::GUILD_SCHEDULED_EVENT_ID);
    let (Some(guild), Some(id)) = (step.guild, event) else { return Ok(()) };
    let key = SCHEDULED_EVENTS.at(guild, id);
    let mut new = step.buffer();
    let Some(held) = step.world.store.get(key)? else { return Ok(()) };
    let held = compose::stored_map(held);
    let Some(count) = held.get(atoms::USER_COUNT).and_then(Value::as_i64) else { return Ok(()) };
    let count = Value::Int(count.saturating_add(change).max(0));
    edit::with(held, &[(atoms::USER_COUNT, count)], &mut new);
    step.world.store.put(key, &[&new]);
    step.recycle(new);
    Ok(())
}

/// Replaces what a guild has in a table by a list out of a payload.
pub(super) fn replace(
    step: &mut Step<'_>,
    family: Family,
    guild: u64,
    list: Value<'_>,
) -> Result<(), StoreError> {
    if !step.world.settings.caches_table(family.table.table()) {
        return Ok(());
    }
    let mut kept = Vec::new();
    let mut placed = step.buffer();
    for item in super::maps(Some(list)) {
        let Some(id) = id_in(item, family.id) else { continue };
        let key = family.table.at(guild, id);
        placed.clear();
        if key.table() == Table::VoiceStates {
            let mut own = step.buffer();
            step.world.own_voice_state(key, item, &mut own)?;
            place(compose::stored_map(&own), guild, &mut placed);
            step.recycle(own);
        } else {
            place(item, guild, &mut placed);
        }
        kept.push(id);
        step.world.put_changed(key, &placed)?;
    }
    step.recycle(placed);
    kept.sort_unstable();
    for key in step.world.keys(family.table.of(guild))? {
        if kept.binary_search(&key.id()).is_err() {
            step.world.store.delete(key);
        }
    }
    Ok(())
}

/// An item of a guild's list as an entity of its own: with the guild's id.
pub(super) fn place(item: Map<'_>, guild: u64, out: &mut Vec<u8>) {
    edit::with(item, &[(atoms::GUILD_ID, Value::Id(guild))], out);
}
