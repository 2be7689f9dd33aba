//! Voice states.

use mixcord_event::{Value, atoms, edit};
use mixcord_state::tables::VOICE_STATES;
use mixcord_state::{Resource, StoreError, compose};

use super::{Step, refresh};

pub(super) fn state(step: &mut Step<'_>) -> Result<(), StoreError> {
    let (Some(guild), Some(user)) = (step.guild, step.id(atoms::USER_ID)) else { return Ok(()) };
    let key = VOICE_STATES.at(guild, user);
    let data = step.data;
    let mut old = step.buffer();
    let held = step.world.store.get(key)?;
    old.extend_from_slice(held.unwrap_or_default());
    let known = held.is_some();
    if data.get(atoms::CHANNEL_ID).is_some_and(Value::is_null) {
        step.world.store.delete(key);
    } else if known {
        let mut new = step.buffer();
        edit::merge(compose::stored_map(&old), data, &mut new);
        if new != old {
            step.world.store.put(key, &[&new]);
        }
        step.recycle(new);
    } else if step.world.settings.caches(Resource::VoiceStates)
        && data.contains(atoms::CHANNEL_ID)
        && step.world.created_guild(guild)?.is_some()
        && !step.world.has_departed(guild, user)?
    {
        step.world.store.put(key, &[data.as_bytes()]);
    }
    if known {
        step.old(old);
    }
    refresh::embedded(step)
}
