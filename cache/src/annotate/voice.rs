//! Voice states. The member in one is kept as a member, where it can be, and not once more in here (R10).

use mixcord_event::{Map, Value, atoms, edit};
use mixcord_state::tables::{MEMBERS, VOICE_STATES};
use mixcord_state::{Key, Resource, StoreError, compose};

use super::world::World;
use super::{Step, refresh};

pub(super) fn state(step: &mut Step<'_>) -> Result<(), StoreError> {
    let (Some(guild), Some(user)) = (step.guild, step.id(atoms::USER_ID)) else { return Ok(()) };
    let key = VOICE_STATES.at(guild, user);
    let (mut held, mut old) = (step.buffer(), step.buffer());
    let known = match step.world.store.get(key)? {
        Some(state) => {
            held.extend_from_slice(state);
            true
        }
        None => false,
    };
    if known {
        let state = compose::stored_map(&held);
        compose::with_member(&*step.world.store, state, guild, user, &mut old)?;
    }
    // A member who was not known comes first, and need not be kept here.
    refresh::embedded(step)?;
    let data = step.data;
    if data.get(atoms::CHANNEL_ID).is_some_and(Value::is_null) {
        step.world.store.delete(key);
    } else if known {
        merge(step, key, &held)?;
    } else if step.world.settings.caches(Resource::VoiceStates)
        && data.contains(atoms::CHANNEL_ID)
        && step.world.created_guild(guild)?.is_some()
        && !step.world.has_departed(guild, user)?
    {
        let mut own = step.buffer();
        step.world.own_voice_state(key, data, &mut own)?;
        step.world.store.put(key, &[&own]);
        step.recycle(own);
    }
    step.recycle(held);
    if known {
        step.old(old);
    } else {
        step.recycle(old);
    }
    Ok(())
}

/// Writes the payload over what is held.
fn merge(step: &mut Step<'_>, key: Key, held: &[u8]) -> Result<(), StoreError> {
    let (mut before, mut own, mut new) = (step.buffer(), step.buffer(), step.buffer());
    // An earlier release kept the member in here.
    step.world.own_voice_state(key, compose::stored_map(held), &mut before)?;
    step.world.own_voice_state(key, step.data, &mut own)?;
    edit::merge(compose::stored_map(&before), compose::stored_map(&own), &mut new);
    if new != held {
        step.world.store.put(key, &[&new]);
    }
    [before, own, new].into_iter().for_each(|buffer| step.recycle(buffer));
    Ok(())
}

impl World<'_> {
    /// What is kept of a voice state: without its member where that is kept itself, and put in by whoever reads.
    pub(super) fn own_voice_state(
        &self,
        key: Key,
        state: Map<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let is_kept = state.contains(atoms::MEMBER)
            && self.store.composes_voice_states()
            && self.store.get(MEMBERS.at(key.owner(), key.id()))?.is_some();
        if is_kept {
            edit::without(state, &[atoms::MEMBER], out);
        } else {
            out.extend_from_slice(state.as_bytes());
        }
        Ok(())
    }
}
