//! READY: whose guilds this shard has.

use mixcord_event::{Kind, Value, Writer, atoms, edit};
use mixcord_state::tables::GUILD_FACTS;
use mixcord_state::{GuildFacts, Resource, StoreError, compose, meta};

use super::{Step, guild, id_in};

pub(super) fn ready(step: &mut Step<'_>) -> Result<(), StoreError> {
    if let Some(user) = step.map(atoms::USER) {
        let mut me = step.buffer();
        match step.world.store.get(meta::ME)? {
            Some(held) => edit::merge(compose::stored_map(held), user, &mut me),
            None => me.extend_from_slice(user.as_bytes()),
        }
        step.world.put_changed(meta::ME, &me)?;
        step.recycle(me);
        step.world.put_user(user, 0)?;
    }
    let Some(guilds) = step.data.get(atoms::GUILDS).and_then(Value::as_list) else {
        return Ok(());
    };
    let listed = guilds.iter().filter_map(Value::as_map);
    let mut listed: Vec<u64> = listed.filter_map(|guild| id_in(guild, atoms::ID)).collect();
    listed.sort_unstable();
    for (id, facts) in ours(step)? {
        if listed.binary_search(&id).is_err() && !(step.others)(id) {
            if facts.created && step.out.exceeds(step.slice, step.world.store.changed_bytes()) {
                step.complete = false;
                break;
            }
            if !erase(step, id, facts)? {
                step.complete = false;
                break;
            }
        }
    }
    listed.retain(|id| !(step.others)(*id));
    for id in listed {
        guild::expect(step, id)?;
    }
    Ok(())
}

/// The guilds known to be this shard's.
fn ours(step: &Step<'_>) -> Result<Vec<(u64, GuildFacts)>, StoreError> {
    let mut found = Vec::new();
    step.world.store.scan(GUILD_FACTS.all(), &mut |key, facts| {
        let id = key.owner();
        if let Some(facts) = GuildFacts::from_bytes(facts)
            && is_ours(id, facts, step.shard)
        {
            found.push((id, facts));
        }
        true
    })?;
    Ok(found)
}

/// Whether a guild belongs to `shard` of `shards`; Discord's formula decides where another number
/// of shards spoke of it last.
fn is_ours(guild: u64, facts: GuildFacts, (shard, shards): (u16, u16)) -> bool {
    if facts.shards == shards {
        facts.shard == shard
    } else {
        (guild >> 22).checked_rem(u64::from(shards)) == Some(u64::from(shard))
    }
}

/// The bot left a guild while nobody listened; false where the rest of it is for another slice, which tells it.
fn erase(step: &mut Step<'_>, id: u64, facts: GuildFacts) -> Result<bool, StoreError> {
    let mut old = step.buffer();
    let cached = compose::guild(&*step.world.store, id, &mut old)?;
    if !step.world.erase_guild(id)? {
        step.recycle(old);
        return Ok(false);
    }
    if facts.created {
        let mut data = step.buffer();
        let mut map = Writer::new(&mut data).map();
        map.entry(atoms::ID, Value::Id(id));
        map.end();
        step.derive(
            Kind::GUILD_DELETE,
            id,
            data,
            (cached && step.world.settings.caches(Resource::Guilds)).then_some(old),
        );
    }
    Ok(true)
}
