//! Users and presences.

use mixcord_event::{Flags, Kind, Value, atoms, edit};
use mixcord_state::tables::{MEMBERS, PRESENCES};
use mixcord_state::{Resource, StoreError, compose, meta};

use super::{Step, id_in};

/// The bot's own user changed; Discord tells of no other's.
pub(super) fn update(step: &mut Step<'_>) -> Result<(), StoreError> {
    let data = step.data;
    let Some(id) = id_in(data, atoms::ID) else { return Ok(()) };
    if step.world.own_id()?.is_some_and(|own| own != id) {
        return other(step, id);
    }
    match step.world.store.get(meta::ME)? {
        Some(held) => {
            let (old, mut new) = (held.to_vec(), step.buffer());
            edit::merge(compose::stored_map(&old), data, &mut new);
            step.world.put_changed(meta::ME, &new)?;
            // It is kept up to date also where users are not cached.
            if step.world.settings.caches(Resource::Users) {
                step.old(old);
                step.data(new);
            }
        }
        None => step.world.store.put(meta::ME, &[data.as_bytes()]),
    }
    step.world.put_user(data, 0)?;
    Ok(())
}

/// A user that is not the bot's own.
fn other(step: &mut Step<'_>, id: u64) -> Result<(), StoreError> {
    let mut old = step.buffer();
    if let Some(tally) = compose::user_tally(&*step.world.store, id)? {
        old.extend_from_slice(tally.document);
        let mut new = step.buffer();
        edit::merge(compose::stored_map(&old), step.data, &mut new);
        step.world.put_user(step.data, 0)?;
        step.old(old);
        step.data(new);
    }
    Ok(())
}

pub(super) fn presence(step: &mut Step<'_>) -> Result<(), StoreError> {
    let (Some(guild), Some(user)) = (step.guild, step.map(atoms::USER)) else { return Ok(()) };
    let Some(user_id) = id_in(user, atoms::ID) else { return Ok(()) };
    if step.world.settings.caches(Resource::Presences) {
        put(step, guild, user_id)?;
    }
    if let Some(change) = step.world.put_user(user, 0)? {
        let key = step.main.key;
        step.derive(Kind::USER_UPDATE, key, change.new, Some(change.old));
    }
    Ok(())
}

fn put(step: &mut Step<'_>, guild: u64, user: u64) -> Result<(), StoreError> {
    let data = step.data;
    let key = PRESENCES.at(guild, user);
    let offline = data.get(atoms::STATUS).and_then(Value::as_str) == Some("offline");
    let mut old = step.buffer();
    if let Some(held) = step.world.store.get(key)? {
        old.extend_from_slice(held);
        let held = compose::stored_map(&old);
        let same = |key| data.get(key).is_none_or(|after| held.get(key) == Some(after));
        let unchanged = same(atoms::STATUS) && same(atoms::ACTIVITIES);
        let mut new = step.buffer();
        edit::merge(held, data, &mut new);
        if offline {
            step.world.store.delete(key);
        } else if new != old {
            step.world.store.put(key, &[&new]);
        }
        if unchanged {
            step.flag(Flags::UNCHANGED);
        }
        step.old(old);
        step.data(new);
        return Ok(());
    }
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
