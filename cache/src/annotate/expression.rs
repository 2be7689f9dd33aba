//! Sets that are replaced as a whole: emojis, stickers, soundboard sounds.

use mixcord_event::{Atom, Value, Writer, atoms};
use mixcord_state::tables::{EMOJIS, STICKERS};
use mixcord_state::{Singles, StoreError, compose};

use super::Step;
use super::entity::{self, Family};

pub(super) fn emojis(step: &mut Step<'_>) -> Result<(), StoreError> {
    replace(step, EMOJIS, atoms::EMOJIS)
}

pub(super) fn stickers(step: &mut Step<'_>) -> Result<(), StoreError> {
    replace(step, STICKERS, atoms::STICKERS)
}

fn replace(step: &mut Step<'_>, table: Singles, list: Atom) -> Result<(), StoreError> {
    let Some(guild) = step.guild else { return Ok(()) };
    let Some(after) = step.data.get(list) else { return Ok(()) };
    if !step.world.settings.caches_table(table.table())
        || step.world.created_guild(guild)?.is_none()
    {
        return Ok(());
    }
    let mut old = step.buffer();
    if let Some(held) = step.world.store.get(table.at(guild))? {
        let mut map = Writer::new(&mut old).map();
        map.entry(atoms::GUILD_ID, Value::Id(guild));
        map.entry(list, compose::stored(held));
        map.end();
        step.old(old);
    }
    let mut document = step.buffer();
    after.write_to(&mut document);
    step.world.put_changed(table.at(guild), &document)?;
    step.recycle(document);
    Ok(())
}

pub(super) fn sounds(step: &mut Step<'_>) -> Result<(), StoreError> {
    let (Some(guild), Some(list)) = (step.guild, step.data.get(atoms::SOUNDBOARD_SOUNDS)) else {
        return Ok(());
    };
    if step.world.created_guild(guild)?.is_none() {
        return Ok(());
    }
    entity::replace(step, Family::SOUND, guild, list)
}
