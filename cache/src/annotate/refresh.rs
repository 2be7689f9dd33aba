//! R9: a member or user inside another event. Nobody's `old` may be lost by it: where the session's intents
//! bring the events of members, whoever is cached is left to those; where they do not, a difference is merged
//! and told as a derived event.

use mixcord_event::{Kind, Map, Value, atoms};
use mixcord_state::StoreError;

use super::people::Refreshed;
use super::{Step, id_in};

/// Refreshes the payload's `member` with its `user`, or with the payload's `author` or `user`.
pub(super) fn embedded(step: &mut Step<'_>) -> Result<(), StoreError> {
    let names = step.names;
    if names.webhook {
        return Ok(());
    }
    match names.person() {
        Some(user) => person(step, names.member, user),
        None => Ok(()),
    }
}

/// Refreshes a user, and its member where the guild is cached; inserts only both together. What changed by
/// that, and no other event tells, is told behind this one.
pub(super) fn person(
    step: &mut Step<'_>,
    member: Option<Map<'_>>,
    user: Map<'_>,
) -> Result<(), StoreError> {
    let refreshed = match (step.guild, member) {
        (Some(guild), Some(member)) => step.world.refresh_member(guild, member, user)?,
        _ => Refreshed { member: None, user: step.world.refresh_user(user)? },
    };
    let key = step.main.key;
    if let Some(change) = refreshed.member {
        step.derive(Kind::GUILD_MEMBER_UPDATE, key, change.new, Some(change.old));
    }
    if let Some(change) = refreshed.user {
        step.derive(Kind::USER_UPDATE, key, change.new, Some(change.old));
    }
    Ok(())
}

/// An interaction: who asked, and whom the options resolved to. Channels and roles that are cached are told
/// by their own events, with their `old`.
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
        person(step, member, user)?;
    }
    Ok(())
}
