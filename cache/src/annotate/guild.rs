//! Guilds: arriving, changing, going.

use mixcord_event::{Atom, List, Map, Reason, Value, atoms, edit};
use mixcord_state::tables::{CHANNELS, EMOJIS, GUILDS, PRESENCES, ROLE_ORDER, STICKERS, THREADS};
use mixcord_state::{GuildFacts, Key, Pairs, Resource, Singles, StoreError, compose};

use super::entity::{self, Family};
use super::people::{self, Insert};
use super::{Step, id_in, presence};

/// Members of GUILD_CREATE that are entities of their own, or facts (R8, R10).
const APART: [Atom; 12] = [
    atoms::CHANNELS,
    atoms::THREADS,
    atoms::MEMBERS,
    atoms::PRESENCES,
    atoms::VOICE_STATES,
    atoms::STAGE_INSTANCES,
    atoms::GUILD_SCHEDULED_EVENTS,
    atoms::SOUNDBOARD_SOUNDS,
    atoms::ROLES,
    atoms::EMOJIS,
    atoms::STICKERS,
    atoms::MEMBER_COUNT,
];

pub(super) fn create(step: &mut Step<'_>) -> Result<(), StoreError> {
    let Some(id) = step.guild else { return Ok(()) };
    let is_there = step.data.get(atoms::UNAVAILABLE).and_then(Value::as_bool) != Some(true);
    if is_there && !let_go(step, id)? {
        step.postpone();
        return Ok(());
    }
    let known = compose::guild_facts(&*step.world.store, id)?;
    let mut facts = known.unwrap_or_default();
    (facts.shard, facts.shards) = step.shard;
    let says = step.data.get(atoms::UNAVAILABLE).and_then(Value::as_bool);
    if says == Some(true) {
        (facts.pending, facts.unavailable) = (false, true);
        step.world.put_guild_facts(id, facts);
        return Ok(());
    }
    step.main.reason = if facts.pending {
        Reason::Startup
    } else if facts.created || facts.unavailable || says == Some(false) {
        Reason::Available
    } else {
        Reason::Join
    };
    compose_old(step, id)?;
    (facts.pending, facts.unavailable, facts.created) = (false, false, true);
    facts.member_count = count(step.data).or(facts.member_count);
    // Entities are created only in a guild that is.
    step.world.put_guild_facts(id, facts);
    put_own(step, id, Map::EMPTY)?;
    // What a guild that arrives does not list it does not have, but for members (G-44).
    for (table, key) in LISTS {
        match step.data.get(key) {
            Some(list) => put_list(step, id, table, list)?,
            None => step.world.store.delete(table.at(id)),
        }
    }
    super::role::replace(step, id, list(step, atoms::ROLES))?;
    if !step.data.contains(atoms::ROLES) {
        step.world.store.delete(ROLE_ORDER.at(id));
    }
    channels(step, id, CHANNELS, atoms::CHANNELS)?;
    channels(step, id, THREADS, atoms::THREADS)?;
    for (family, key) in [
        (Family::STAGE, atoms::STAGE_INSTANCES),
        (Family::EVENT, atoms::GUILD_SCHEDULED_EVENTS),
        (Family::SOUND, atoms::SOUNDBOARD_SOUNDS),
    ] {
        entity::replace(step, family, id, list(step, key))?;
    }
    for presence in step.maps(atoms::PRESENCES) {
        presence::put(&mut step.world, id, presence)?;
    }
    for member in step.maps(atoms::MEMBERS) {
        let Some(user) = member.get(atoms::USER).and_then(Value::as_map) else { continue };
        step.world.put_member(id, &mut facts, member, user, Insert::Always)?;
    }
    step.world.forget_departed(id, people::users(step.data))?;
    step.world.put_guild_facts(id, facts);
    // Behind the members, which they do not keep once more.
    entity::replace(step, Family::VOICE, id, list(step, atoms::VOICE_STATES))
}

pub(super) fn update(step: &mut Step<'_>) -> Result<(), StoreError> {
    let Some(id) = step.guild else { return Ok(()) };
    let Some(mut facts) = step.world.created_guild(id)? else { return Ok(()) };
    compose_old(step, id)?;
    if let Some(count) = count(step.data) {
        facts.member_count = Some(count);
        step.world.put_guild_facts(id, facts);
    }
    let mut held = step.buffer();
    let own = step.world.store.get(GUILDS.at(id))?;
    held.extend_from_slice(own.unwrap_or_default());
    put_own(step, id, compose::stored_map(&held))?;
    for (table, key) in LISTS {
        if let Some(list) = step.data.get(key) {
            put_list(step, id, table, list)?;
        }
    }
    if let Some(roles) = step.data.get(atoms::ROLES) {
        super::role::replace(step, id, roles)?;
    }
    step.recycle(held);
    let mut new = step.buffer();
    if let Some(old) = &step.main.old {
        edit::merge(compose::stored_map(old), step.data, &mut new);
        step.data(new);
    }
    Ok(())
}

pub(super) fn delete(step: &mut Step<'_>) -> Result<(), StoreError> {
    let Some(id) = step.guild else { return Ok(()) };
    compose_old(step, id)?;
    if step.data.get(atoms::UNAVAILABLE).and_then(Value::as_bool) == Some(true) {
        step.main.reason = Reason::Outage;
        let mut facts = compose::guild_facts(&*step.world.store, id)?.unwrap_or_default();
        (facts.shard, facts.shards) = step.shard;
        (facts.pending, facts.unavailable) = (false, true);
        step.world.put_guild_facts(id, facts);
        return Ok(());
    }
    step.main.reason = Reason::Leave;
    if !step.world.erase_guild(id)? {
        step.postpone();
    }
    Ok(())
}

/// Delivers the guild as it is as `old`, if it is cached.
fn compose_old(step: &mut Step<'_>, id: u64) -> Result<(), StoreError> {
    let mut old = step.buffer();
    if compose::guild(&*step.world.store, id, &mut old)? {
        step.old(old);
    }
    Ok(())
}

/// Lists that are kept as Discord sends them.
const LISTS: [(Singles, Atom); 2] = [(EMOJIS, atoms::EMOJIS), (STICKERS, atoms::STICKERS)];

/// A list of the payload; one that is absent is empty.
fn list<'a>(step: &Step<'a>, key: Atom) -> Value<'a> {
    step.data.get(key).unwrap_or(Value::List(List::EMPTY))
}

/// Writes the guild's own fields, the payload's merged over `held`.
fn put_own(step: &mut Step<'_>, id: u64, held: Map<'_>) -> Result<(), StoreError> {
    if !step.world.settings.caches(Resource::Guilds) {
        return Ok(());
    }
    let mut own = step.buffer();
    let mut merged = step.buffer();
    edit::without(step.data, &APART, &mut own);
    edit::merge(held, compose::stored_map(&own), &mut merged);
    step.world.put_changed(GUILDS.at(id), &merged)?;
    step.recycle(own);
    step.recycle(merged);
    Ok(())
}

fn put_list(
    step: &mut Step<'_>,
    id: u64,
    table: Singles,
    list: Value<'_>,
) -> Result<(), StoreError> {
    if !step.world.settings.caches_table(table.table()) {
        return Ok(());
    }
    let mut document = step.buffer();
    list.write_to(&mut document);
    step.world.put_changed(table.at(id), &document)?;
    step.recycle(document);
    Ok(())
}

/// Writes a guild's channels or threads.
fn channels(step: &mut Step<'_>, guild: u64, table: Pairs, key: Atom) -> Result<(), StoreError> {
    step.maps(key).try_for_each(|channel| step.world.put_channel(table, guild, channel))
}

/// Erases threads, channels and presences that a guild which arrives does not list: there may be many of them.
/// False where the rest is for another slice.
fn let_go(step: &mut Step<'_>, guild: u64) -> Result<bool, StoreError> {
    let sorted = |mut ids: Vec<u64>| {
        ids.sort_unstable();
        ids
    };
    for (table, key) in [(THREADS, atoms::THREADS), (CHANNELS, atoms::CHANNELS)] {
        let kept = sorted(step.maps(key).filter_map(|one| id_in(one, atoms::ID)).collect());
        let keys = step.world.keys(table.of(guild))?.into_iter();
        let gone = keys.map(Key::id).filter(|id| kept.binary_search(id).is_err());
        if !step.world.erase_channels(table, guild, gone)? {
            return Ok(false);
        }
    }
    let of_user = |presence: Map<'_>| id_in(presence.get(atoms::USER)?.as_map()?, atoms::ID);
    let kept = sorted(step.maps(atoms::PRESENCES).filter_map(of_user).collect());
    step.world.erase_keys(PRESENCES.of(guild), |key| kept.binary_search(&key.id()).is_ok())
}

fn count(data: Map<'_>) -> Option<u64> {
    data.get(atoms::MEMBER_COUNT)?.as_u64()
}

/// Marks a guild as listed by READY: its GUILD_CREATE is to come.
pub(super) fn expect(step: &mut Step<'_>, id: u64) -> Result<(), StoreError> {
    let known: Option<GuildFacts> = compose::guild_facts(&*step.world.store, id)?;
    let (shard, shards) = step.shard;
    let facts = GuildFacts { pending: true, shard, shards, ..known.unwrap_or_default() };
    step.world.put_guild_facts(id, facts);
    Ok(())
}
