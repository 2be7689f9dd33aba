//! Integrations, webhooks, invites and the permissions of commands.

use super::clock::timestamp;
use super::event::Event;
use super::guild::Guild;
use super::kind::Kind;
use super::lane::Lane;
use super::member::user_of;
use super::text;
use crate::value::{Obj, Val, obj};

/// An integration comes, changes or goes; each time the guild's integrations are said to differ.
pub(crate) fn step(lane: &mut Lane, guild: &mut Guild) {
    let count = guild.integrations.len();
    let choice = lane.dice.below(3);
    let event = match choice {
        0 if count > 1 => {
            let gone = guild.integrations.remove(lane.dice.below(count));
            let application = gone.get("application").and_then(Val::as_obj);
            let body = obj! {
                "application_id" => Val::id_or_null(application.map(|it| it.id("id"))),
                "guild_id" => Val::Id(guild.id),
                "id" => Val::Id(gone.id("id")),
            };
            Event::guild(Kind::INTEGRATION_DELETE, guild.id, body)
        }
        1 if count > 0 => {
            let at = lane.dice.below(count);
            let name = text::title(&mut lane.dice);
            let body = guild.integrations[at].set("name", name).clone();
            Event::guild(Kind::INTEGRATION_UPDATE, guild.id, body)
        }
        _ if count < 6 => {
            let body = build(lane, guild);
            guild.integrations.push(body.clone());
            Event::guild(Kind::INTEGRATION_CREATE, guild.id, body)
        }
        _ => return,
    };
    lane.emit(event);
    let body = obj! { "guild_id" => Val::Id(guild.id) };
    lane.emit(Event::guild(Kind::GUILD_INTEGRATIONS_UPDATE, guild.id, body));
}

fn build(lane: &mut Lane, guild: &Guild) -> Obj {
    let id = lane.clock.id();
    let bot_at = lane.some_user();
    let bot = lane.users[bot_at].object();
    let name = text::title(&mut lane.dice);
    obj! {
        "account" => obj! { "id" => id.to_string(), "name" => name.clone() },
        "application" => obj! {
            "bot" => bot,
            "description" => "does this and that",
            "icon" => Val::Null,
            "id" => Val::Id(id),
            "name" => name.clone(),
            "summary" => "",
            "type" => Val::Null,
        },
        "enabled" => true,
        "guild_id" => Val::Id(guild.id),
        "id" => Val::Id(lane.clock.id()),
        "name" => name,
        "scopes" => vec!["bot", "applications.commands"],
        "type" => "discord",
    }
}

pub(crate) fn webhooks(lane: &mut Lane, guild: &mut Guild) {
    let body = obj! {
        "channel_id" => Val::Id(guild.fields.id("system_channel_id")),
        "guild_id" => Val::Id(guild.id),
    };
    lane.emit(Event::guild(Kind::WEBHOOKS_UPDATE, guild.id, body));
}

/// An invite is made or revoked.
pub(crate) fn invites(lane: &mut Lane, guild: &mut Guild) {
    let count = guild.invites.len();
    if count > 0 && (count >= 8 || lane.dice.once_in(2)) {
        let invite = guild.invites.remove(lane.dice.below(count));
        let body = obj! {
            "channel_id" => Val::Id(invite.id("channel_id")),
            "code" => invite.get("code").cloned(),
            "guild_id" => Val::Id(guild.id),
        };
        return lane.emit(Event::guild(Kind::INVITE_DELETE, guild.id, body));
    }
    let now_ms = lane.clock.now_ms();
    let member = &guild.members[lane.dice.below(guild.members.len())];
    let inviter = user_of(member, &lane.users, &lane.bot_object);
    let invite = obj! {
        "channel_id" => Val::Id(guild.fields.id("system_channel_id")),
        "code" => lane.dice.hex(8),
        "created_at" => timestamp(now_ms),
        "expires_at" => timestamp(now_ms + 604_800_000),
        "guild_id" => Val::Id(guild.id),
        "inviter" => inviter,
        "max_age" => 604_800,
        "max_uses" => lane.dice.one(&[0, 1, 25]),
        "temporary" => false,
        "type" => 0,
        "uses" => 0,
    };
    guild.invites.push(invite.clone());
    lane.emit(Event::guild(Kind::INVITE_CREATE, guild.id, invite));
}

pub(crate) fn command_permissions(lane: &mut Lane, guild: &mut Guild) {
    let role = super::role::grantable(lane, guild).unwrap_or(guild.id);
    let allowed = lane.dice.once_in(2);
    let body = obj! {
        "application_id" => Val::Id(lane.bot_id),
        "guild_id" => Val::Id(guild.id),
        "id" => Val::Id(lane.bot_id + 1),
        "permissions" => vec![
            obj! { "id" => Val::Id(role), "permission" => allowed, "type" => 1 },
        ],
    };
    lane.emit(Event::guild(Kind::APPLICATION_COMMAND_PERMISSIONS_UPDATE, guild.id, body));
}
