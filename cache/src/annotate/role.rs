//! Roles, and their order in the guild.

use mixcord_event::{Map, Value, Writer, atoms, edit};
use mixcord_state::tables::{MEMBERS, ROLE_ORDER, ROLES};
use mixcord_state::{Resource, StoreError, compose};

use super::{Step, id_in, ids, maps};

pub(super) fn create(step: &mut Step<'_>) -> Result<(), StoreError> {
    put(step, true)
}

pub(super) fn update(step: &mut Step<'_>) -> Result<(), StoreError> {
    let whole = step.map(atoms::ROLE).is_some_and(|role| role.contains(atoms::NAME));
    put(step, whole)
}

fn put(step: &mut Step<'_>, insert: bool) -> Result<(), StoreError> {
    let (Some(guild), Some(role)) = (step.guild, step.map(atoms::ROLE)) else { return Ok(()) };
    let Some(id) = id_in(role, atoms::ID) else { return Ok(()) };
    if !step.world.settings.caches(Resource::Roles) {
        return Ok(());
    }
    let key = ROLES.at(guild, id);
    let mut old = step.buffer();
    if let Some(held) = step.world.store.get(key)? {
        old.extend_from_slice(held);
        let mut new = step.buffer();
        edit::merge(compose::stored_map(&old), role, &mut new);
        step.world.put_changed(key, &new)?;
        let mut data = step.buffer();
        edit::with(step.data, &[(atoms::ROLE, compose::stored(&new))], &mut data);
        step.recycle(new);
        step.old(old);
        step.data(data);
    } else if insert && step.world.created_guild(guild)?.is_some() {
        step.world.store.put(key, &[role.as_bytes()]);
        // Where nobody told all of a guild's roles yet, it has no list of them.
        if let Some(order) = step.world.store.get(ROLE_ORDER.at(guild))? {
            let order = order.to_vec();
            step.world.store.put(ROLE_ORDER.at(guild), &[&order, &id.to_le_bytes()]);
        }
    }
    Ok(())
}

pub(super) fn delete(step: &mut Step<'_>) -> Result<(), StoreError> {
    let (Some(guild), Some(id)) = (step.guild, step.id(atoms::ROLE_ID)) else { return Ok(()) };
    if !take_from_members(step, guild, id)? {
        step.postpone();
        return Ok(());
    }
    let mut old = step.buffer();
    if let Some(held) = step.world.store.get(ROLES.at(guild, id))? {
        old.extend_from_slice(held);
        step.world.store.delete(ROLES.at(guild, id));
        step.old(old);
    }
    if let Some(order) = step.world.store.get(ROLE_ORDER.at(guild))? {
        let left: Vec<u8> =
            compose::ids(order).filter(|&role| role != id).flat_map(u64::to_le_bytes).collect();
        step.world.put_changed(ROLE_ORDER.at(guild), &left)?;
    }
    Ok(())
}

/// Replaces a guild's roles.
pub(super) fn replace(step: &mut Step<'_>, guild: u64, list: Value<'_>) -> Result<(), StoreError> {
    if !step.world.settings.caches(Resource::Roles) {
        return Ok(());
    }
    let mut order = Vec::new();
    let mut kept = Vec::new();
    for role in maps(Some(list)) {
        let Some(id) = id_in(role, atoms::ID) else { continue };
        order.extend_from_slice(&id.to_le_bytes());
        kept.push(id);
        step.world.put_changed(ROLES.at(guild, id), role.as_bytes())?;
    }
    step.world.put_changed(ROLE_ORDER.at(guild), &order)?;
    kept.sort_unstable();
    for key in step.world.keys(ROLES.of(guild))? {
        if kept.binary_search(&key.id()).is_err() {
            step.world.store.delete(key);
        }
    }
    Ok(())
}

/// Members looked at before what they change is written.
const PART: usize = 64;

/// Members no longer have a role that goes; false where the rest of them is for another slice.
fn take_from_members(step: &mut Step<'_>, guild: u64, role: u64) -> Result<bool, StoreError> {
    let mut rest = Some(MEMBERS.of(guild));
    while let Some(range) = rest.take() {
        let mut holders = Vec::new();
        step.world.store.scan(range, &mut |key, member| {
            let member = compose::stored_map(member);
            if ids(member.get(atoms::ROLES)).any(|id| id == role) {
                holders.push((key, without_role(member, role)));
            }
            if holders.len() == PART {
                rest = range.behind(key);
            }
            holders.len() < PART
        })?;
        for (key, member) in holders {
            step.world.store.put(key, &[&member]);
        }
        if rest.is_some() && step.world.has_enough() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn without_role(member: Map<'_>, role: u64) -> Vec<u8> {
    let mut roles = Vec::new();
    let mut list = Writer::new(&mut roles).list();
    for id in ids(member.get(atoms::ROLES)).filter(|&id| id != role) {
        list.push(Value::Id(id));
    }
    list.end();
    let mut new = Vec::new();
    edit::with(member, &[(atoms::ROLES, compose::stored(&roles))], &mut new);
    new
}
