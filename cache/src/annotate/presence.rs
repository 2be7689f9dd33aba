//! Presences, whoever tells them.

use mixcord_event::{Flags, Kind, Map, Value, atoms};
use mixcord_state::tables::{MEMBERS, PRESENCES};
use mixcord_state::{Resource, StoreError, compose};

use super::world::World;
use super::{Step, entity, id_in};

/// Writes a presence; offline erases it.
pub(super) fn put(world: &mut World<'_>, guild: u64, presence: Map<'_>) -> Result<(), StoreError> {
    let user = presence.get(atoms::USER).and_then(Value::as_map);
    let Some(user) = user.and_then(|user| id_in(user, atoms::ID)) else { return Ok(()) };
    let key = PRESENCES.at(guild, user);
    if presence.get(atoms::STATUS).and_then(Value::as_str) == Some("offline") {
        world.store.delete(key);
    } else if world.settings.caches(Resource::Presences) {
        let mut placed = Vec::new();
        entity::place(presence, guild, &mut placed);
        world.put_changed(key, &placed)?;
    }
    Ok(())
}

/// A presence changed.
pub(super) fn update(step: &mut Step<'_>) -> Result<(), StoreError> {
    let (Some(guild), Some(user)) = (step.guild, step.map(atoms::USER)) else { return Ok(()) };
    let Some(user_id) = id_in(user, atoms::ID) else { return Ok(()) };
    if step.world.settings.caches(Resource::Presences) {
        merge(step, guild, user_id)?;
    }
    if let Some(change) = step.world.put_user(user, 0)? {
        let key = step.main.key;
        step.derive(Kind::USER_UPDATE, key, change.new, Some(change.old));
    }
    Ok(())
}

fn merge(step: &mut Step<'_>, guild: u64, user: u64) -> Result<(), StoreError> {
    let data = step.data;
    let key = PRESENCES.at(guild, user);
    let offline = data.get(atoms::STATUS).and_then(Value::as_str) == Some("offline");
    let mut old = step.buffer();
    if step.world.store.append(key, &mut old)? {
        let held = compose::stored_map(&old);
        let same = |key| data.get(key).is_none_or(|after| held.get(key) == Some(after));
        if same(atoms::STATUS) && same(atoms::ACTIVITIES) {
            step.flag(Flags::UNCHANGED);
        }
        if offline {
            step.world.store.delete(key);
            step.main.data = step.merged(&old);
            step.old(old);
        } else {
            step.merge_over(key, old);
        }
        return Ok(());
    }
    step.recycle(old);
    if offline {
        return Ok(());
    }
    let Some(facts) = step.world.created_guild(guild)? else { return Ok(()) };
    // Where everybody is known, somebody unknown is no member (any more).
    let knows_all = step.world.settings.caches(Resource::Members) && facts.knows_all_members();
    let gone = if knows_all {
        step.world.store.get(MEMBERS.at(guild, user))?.is_none()
    } else {
        step.world.has_departed(guild, user)?
    };
    if !gone {
        step.world.store.put(key, &[data.as_bytes()]);
    }
    Ok(())
}
