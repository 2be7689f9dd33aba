//! Members of guilds.

use mixcord_event::{Kind, Map, Value, atoms, edit};
use mixcord_state::{GuildFacts, Resource, StoreError, compose};

use super::people::{self, Insert, MemberPut};
use super::{Step, id_in, maps, presence};

pub(super) fn add(step: &mut Step<'_>) -> Result<(), StoreError> {
    let facts = facts(step)?;
    put(step, facts, Insert::Always, true).map(drop)
}

pub(super) fn update(step: &mut Step<'_>) -> Result<(), StoreError> {
    let whole = step.data.contains(atoms::ROLES) && step.data.contains(atoms::JOINED_AT);
    let facts = facts(step)?;
    // Where everybody is known, somebody unknown is no member: not yet, or not any more (G-46).
    let all = facts.is_some_and(|facts| facts.knows_all_members());
    let insert = if whole && !all { Insert::UnlessGone } else { Insert::Never };
    let put = put(step, facts, insert, false)?;
    if let Some(change) = put.user {
        let key = step.main.key;
        step.derive(Kind::USER_UPDATE, key, change.new, Some(change.old));
    }
    Ok(())
}

/// Facts of the payload's guild, if its members are known.
fn facts(step: &Step<'_>) -> Result<Option<GuildFacts>, StoreError> {
    match step.guild {
        Some(guild) => step.world.created_guild(guild),
        None => Ok(None),
    }
}

fn put(
    step: &mut Step<'_>,
    facts: Option<GuildFacts>,
    insert: Insert,
    counts: bool,
) -> Result<MemberPut, StoreError> {
    let (Some(guild), Some(user)) = (step.guild, step.map(atoms::USER)) else {
        return Ok(MemberPut::default());
    };
    let Some(user_id) = id_in(user, atoms::ID) else { return Ok(MemberPut::default()) };
    let Some(mut facts) = facts else {
        // The user may be known from elsewhere.
        let user = step.world.put_user(user, 0)?;
        return Ok(MemberPut { counts: false, user });
    };
    let cached = step.world.settings.caches(Resource::Members);
    let mut old = step.buffer();
    let known = cached && compose::member(&*step.world.store, guild, user_id, &mut old)?;
    let before = facts;
    let put = step.world.put_member(guild, &mut facts, step.data, user, insert)?;
    if insert == Insert::Always {
        step.world.forget_departed(guild, [user_id].into_iter())?;
    }
    if counts && (put.counts || !cached) {
        facts.member_count = facts.member_count.map(|count| count + 1);
    }
    if facts != before {
        step.world.put_guild_facts(guild, facts);
    }
    if known {
        let mut data = step.buffer();
        edit::merge(compose::stored_map(&old), step.data, &mut data);
        // The user is merged too, where it is kept.
        let held = put.user.as_ref().map(|change| compose::stored(&change.new));
        let held = held.or_else(|| compose::stored_map(&old).get(atoms::USER));
        if let Some(held) = held.filter(|_| step.world.settings.caches(Resource::Users)) {
            let mut whole = step.buffer();
            edit::with(compose::stored_map(&data), &[(atoms::USER, held)], &mut whole);
            step.recycle(std::mem::replace(&mut data, whole));
        }
        step.old(old);
        step.data(data);
    } else {
        step.recycle(old);
    }
    Ok(put)
}

pub(super) fn remove(step: &mut Step<'_>) -> Result<(), StoreError> {
    let (Some(guild), Some(user)) = (step.guild, step.map(atoms::USER)) else { return Ok(()) };
    let Some(user_id) = id_in(user, atoms::ID) else { return Ok(()) };
    let Some(mut facts) = step.world.created_guild(guild)? else { return Ok(()) };
    let mut old = step.buffer();
    if compose::member(&*step.world.store, guild, user_id, &mut old)? {
        step.old(old);
    }
    let before = facts;
    let knew_all = facts.knows_all_members();
    let cached = step.world.erase_member(guild, &mut facts, user_id)?;
    step.world.put_departed(guild, user_id)?;
    // Where everybody is known, somebody unknown left before.
    if cached || !knew_all {
        facts.member_count = facts.member_count.map(|count| count.saturating_sub(1));
    }
    if facts != before {
        step.world.put_guild_facts(guild, facts);
    }
    Ok(())
}

/// An answer to a request for members.
pub(super) fn chunk(step: &mut Step<'_>) -> Result<(), StoreError> {
    let Some(guild) = step.guild else { return Ok(()) };
    let Some(mut facts) = step.world.created_guild(guild)? else { return Ok(()) };
    let before = facts;
    let data = step.data;
    for member in maps(data.get(atoms::MEMBERS)) {
        let user: Option<Map<'_>> = member.get(atoms::USER).and_then(Value::as_map);
        let Some(user) = user else { continue };
        step.world.put_member(guild, &mut facts, member, user, Insert::Always)?;
    }
    step.world.forget_departed(guild, people::users(data))?;
    if facts != before {
        step.world.put_guild_facts(guild, facts);
    }
    for presence in maps(data.get(atoms::PRESENCES)) {
        presence::put(&mut step.world, guild, presence)?;
    }
    Ok(())
}
