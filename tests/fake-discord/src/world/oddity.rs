//! What clients meet now and then and must get over. Each happens only when the mix names it,
//! and none changes the world.

use super::clock::timestamp;
use super::event::Event;
use super::guild::Guild;
use super::kind::Kind;
use super::lane::Lane;
use super::member::Presence;
use super::message;
use crate::value::{Val, obj};

/// Permission of an overwrite: seeing a channel.
const VIEW_CHANNEL: &str = "1024";
/// Flag of a channel the bot may not see (G-49).
const OBFUSCATED: i64 = 1 << 17;

/// A name Discord does not document.
pub(crate) fn unknown(lane: &mut Lane, guild: &mut Guild) {
    let names = ["GUILD_JOIN_REQUEST_UPDATE", "GUILD_APPLICATION_COMMAND_INDEX_UPDATE"];
    let name = lane.dice.one(&names);
    let body = obj! {
        "guild_id" => Val::Id(guild.id),
        "something_new" => obj! { "level" => 3, "tags" => vec!["a", "b"] },
        "version" => Val::Id(lane.clock.id()),
    };
    lane.emit(Event::guild(Kind::GUILD_UPDATE, guild.id, body).named(name));
}

/// An edit, then once more the edit before it (G-48): `edited_timestamp` tells which is newer.
pub(crate) fn stale_update(lane: &mut Lane, guild: &mut Guild) {
    if guild.messages.is_empty() {
        return message::create(lane, guild);
    }
    let at = guild.messages.len() - 1;
    message::edit(lane, guild, at, "first edit".to_owned());
    let old = guild.messages[at].clone();
    lane.clock.advance_ms(1000);
    message::edit(lane, guild, at, "second edit".to_owned());
    message::tell(lane, guild.id, Kind::MESSAGE_UPDATE, old);
}

/// A presence of somebody who is no member (G-46).
pub(crate) fn stray_presence(lane: &mut Lane, guild: &mut Guild) {
    let at = lane.some_user();
    let user_id = lane.users[at].id;
    if guild.member_at.contains_key(&user_id) {
        return;
    }
    let presence = Presence::roll(&mut lane.dice, lane.clock.now_ms());
    let body = presence.object(user_id).with("guild_id", Val::Id(guild.id));
    lane.emit(Event::guild(Kind::PRESENCE_UPDATE, guild.id, body));
}

/// A channel the bot loses sight of, and sees again (G-49).
pub(crate) fn hidden_channel(lane: &mut Lane, guild: &mut Guild) {
    let Some(channel) = lane.dice.pick(&guild.channels).cloned() else { return };
    let deny = obj! {
        "allow" => "0", "deny" => VIEW_CHANNEL, "id" => Val::Id(guild.id), "type" => 0,
    };
    let mut hidden = obj! {
        "flags" => OBFUSCATED,
        "guild_id" => Val::Id(guild.id),
        "id" => Val::Id(channel.id("id")),
        "name" => "___hidden___",
        "permission_overwrites" => vec![deny],
        "position" => channel.int("position"),
        "type" => channel.int("type"),
    };
    if let Some(parent) = channel.get("parent_id") {
        hidden.set("parent_id", parent.clone());
    }
    lane.emit(Event::guild(Kind::CHANNEL_UPDATE, guild.id, hidden));
    lane.emit(Event::guild(Kind::CHANNEL_UPDATE, guild.id, channel));
}

/// A member is changed before anybody said that it joined (G-46).
pub(crate) fn early_member(lane: &mut Lane, guild: &mut Guild) {
    let at = lane.some_user();
    let user = lane.users[at].object();
    if guild.member_at.contains_key(&lane.users[at].id) {
        return;
    }
    let body = obj! {
        "avatar" => Val::Null,
        "banner" => Val::Null,
        "flags" => 0,
        "guild_id" => Val::Id(guild.id),
        "joined_at" => timestamp(lane.clock.now_ms()),
        "nick" => "early",
        "roles" => Val::List(Vec::new()),
        "user" => user,
    };
    lane.emit(Event::guild(Kind::GUILD_MEMBER_UPDATE, guild.id, body));
}
