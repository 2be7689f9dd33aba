//! Roles.

use super::event::Event;
use super::guild::Guild;
use super::kind::Kind;
use super::lane::Lane;
use super::text;
use crate::value::{Obj, Val, obj};

const PERMISSIONS: [&str; 6] =
    ["0", "1071698660929", "2248473465835073", "8", "3072", "559623605575360"];

fn build(lane: &mut Lane, id: u64, name: String, position: i64) -> Obj {
    let dice = &mut lane.dice;
    let color = if dice.once_in(3) { 0 } else { dice.between(0, 0xff_ffff) };
    obj! {
        "color" => color,
        "colors" => obj! {
            "primary_color" => color,
            "secondary_color" => Val::Null,
            "tertiary_color" => Val::Null,
        },
        "flags" => 0,
        "hoist" => dice.once_in(3),
        "icon" => Val::Null,
        "id" => Val::Id(id),
        "managed" => false,
        "mentionable" => dice.once_in(3),
        "name" => name,
        "permissions" => dice.one(&PERMISSIONS),
        "position" => position,
        "unicode_emoji" => dice.once_in(8).then(|| dice.one(&text::UNICODE_EMOJI)),
    }
}

/// @everyone, the bot's own role and a few more.
pub(crate) fn begin(lane: &mut Lane, guild: &mut Guild) {
    let everyone = build(lane, guild.id, "@everyone".to_owned(), 0)
        .with("hoist", false)
        .with("permissions", PERMISSIONS[1]);
    guild.roles.push(everyone);
    let id = lane.id_since(guild.joined_ms);
    let bot = build(lane, id, "mixcord-test".to_owned(), 1)
        .with("managed", true)
        .with("tags", obj! { "bot_id" => Val::Id(lane.bot_id) });
    guild.roles.push(bot);
    for position in 2..=lane.dice.between(5, 12) {
        let id = lane.id_since(guild.joined_ms);
        let name = text::slug(&mut lane.dice);
        let role = build(lane, id, name, position);
        guild.roles.push(role);
    }
}

/// A role that members can be given: not @everyone, not one a bot manages.
pub(crate) fn grantable(lane: &mut Lane, guild: &Guild) -> Option<u64> {
    let at = 2 + lane.dice.below(guild.roles.len().saturating_sub(2));
    guild.roles.get(at).map(|role| role.id("id"))
}

pub(crate) fn create(lane: &mut Lane, guild: &mut Guild) {
    if guild.roles.len() >= 60 {
        return delete(lane, guild);
    }
    let id = lane.clock.id();
    let name = text::slug(&mut lane.dice);
    let position = i64::try_from(guild.roles.len()).unwrap_or(0);
    let role = build(lane, id, name, position);
    guild.roles.push(role.clone());
    emit(lane, Kind::GUILD_ROLE_CREATE, guild.id, role);
}

pub(crate) fn update(lane: &mut Lane, guild: &mut Guild) {
    let at = lane.dice.below(guild.roles.len());
    let name = text::slug(&mut lane.dice);
    let dice = &mut lane.dice;
    let role = &mut guild.roles[at];
    role.set("mentionable", dice.once_in(2)).set("permissions", dice.one(&PERMISSIONS));
    if at > 1 {
        role.set("name", name);
    }
    let role = role.clone();
    emit(lane, Kind::GUILD_ROLE_UPDATE, guild.id, role);
}

/// Also takes the role from the members that had it, without a word: GUILD_ROLE_DELETE says it.
pub(crate) fn delete(lane: &mut Lane, guild: &mut Guild) {
    if guild.roles.len() < 5 {
        return create(lane, guild);
    }
    let at = 2 + lane.dice.below(guild.roles.len() - 2);
    let id = guild.roles.remove(at).id("id");
    for member in &mut guild.members {
        if let Some(at) = member.roles.iter().position(|role| *role == id) {
            member.roles.remove(at);
            member.changed();
        }
    }
    let body = obj! { "guild_id" => Val::Id(guild.id), "role_id" => Val::Id(id) };
    lane.emit(Event::guild(Kind::GUILD_ROLE_DELETE, guild.id, body));
}

pub(super) fn emit(lane: &mut Lane, kind: Kind, guild: u64, role: Obj) {
    lane.emit(Event::guild(kind, guild, obj! { "guild_id" => Val::Id(guild), "role" => role }));
}
