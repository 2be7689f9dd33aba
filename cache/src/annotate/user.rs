//! Users.

use mixcord_event::{atoms, edit};
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
