//! R9: a member or user inside another event refreshes the cached one.

use mixcord_event::{Map, Value, atoms, edit};
use mixcord_state::{Key, StoreError, Table, compose};

use super::{Step, id_in};

/// Refreshes the payload's `member` with its `user`, or with the payload's `author` or `user`.
pub(super) fn embedded(step: &mut Step<'_>) -> Result<(), StoreError> {
    let data = step.data;
    if data.get(atoms::WEBHOOK_ID).is_some_and(|id| !id.is_null()) {
        return Ok(());
    }
    let member = step.map(atoms::MEMBER);
    let user = member.and_then(|member| member.get(atoms::USER)).and_then(Value::as_map);
    let user = user.or_else(|| step.map(atoms::AUTHOR)).or_else(|| step.map(atoms::USER));
    match user {
        Some(user) => refresh(step, member, user),
        None => Ok(()),
    }
}

/// Refreshes a user, and its member where the guild is cached; inserts only both together.
fn refresh(step: &mut Step<'_>, member: Option<Map<'_>>, user: Map<'_>) -> Result<(), StoreError> {
    match (step.guild, member) {
        (Some(guild), Some(member)) => step.world.refresh_member(guild, member, user),
        _ => step.world.put_user(user, 0).map(drop),
    }
}

/// An interaction: who asked, and what the options resolved to.
pub(super) fn interaction(step: &mut Step<'_>) -> Result<(), StoreError> {
    embedded(step)?;
    let resolved = step.map(atoms::DATA).and_then(|data| data.get(atoms::RESOLVED)?.as_map());
    let Some(resolved) = resolved else { return Ok(()) };
    let entries = |key| {
        let map = resolved.get(key).and_then(Value::as_map);
        map.into_iter().flat_map(Map::iter)
    };
    let members = resolved.get(atoms::MEMBERS).and_then(Value::as_map);
    for (_, user) in entries(atoms::USERS) {
        let Some(user) = user.as_map() else { continue };
        let id = id_in(user, atoms::ID);
        let member = members.and_then(|members| members.get_named(&id?.to_string())?.as_map());
        refresh(step, member, user)?;
    }
    let Some(guild) = step.guild else { return Ok(()) };
    let tables = [
        (atoms::CHANNELS, Table::Channels),
        (atoms::CHANNELS, Table::Threads),
        (atoms::ROLES, Table::Roles),
    ];
    for (key, table) in tables {
        for (_, entity) in entries(key) {
            if let Some(entity) = entity.as_map() {
                refresh_entity(step, table, guild, entity)?;
            }
        }
    }
    Ok(())
}

/// Merges a partial channel or a role over the cached one, if there is one.
fn refresh_entity(
    step: &mut Step<'_>,
    table: Table,
    guild: u64,
    entity: Map<'_>,
) -> Result<(), StoreError> {
    let Some(id) = id_in(entity, atoms::ID) else { return Ok(()) };
    let key = Key::pair(guild, id);
    let mut partial = step.buffer();
    let mut new = step.buffer();
    // What the asking user may do there is not the channel's.
    edit::without(entity, PERSONAL, &mut partial);
    let partial_map = match table {
        Table::Roles => entity,
        _ => compose::stored_map(&partial),
    };
    if let Some(held) = step.world.store.get(table, key)? {
        let held = compose::stored_map(held);
        if edit::merge_changes(held, partial_map) {
            edit::merge(held, partial_map, &mut new);
            step.world.store.put(table, key, &[&new]);
        }
    }
    step.recycle(partial);
    step.recycle(new);
    Ok(())
}

const PERSONAL: &[mixcord_event::Atom] = &[atoms::PERMISSIONS, atoms::LAST_MESSAGE_ID];
