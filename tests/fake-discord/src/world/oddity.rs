//! What clients meet now and then and must get over. Each happens only when the mix names it.

use super::clock::timestamp;
use super::event::Event;
use super::guild::Guild;
use super::kind::Kind;
use super::lane::Lane;
use super::member::{Presence, offline};
use super::{channel, guilds, message, people, role};
use crate::value::{Obj, Val, obj};

/// Channels of a guild that are hidden at once.
const HIDDEN_MOST: usize = 3;

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

/// A role with keys that Discord does not document; it keeps them.
pub(crate) fn new_keys(lane: &mut Lane, guild: &mut Guild) {
    let id = lane.clock.id();
    let level = lane.dice.between(1, 9);
    let at = lane.dice.below(guild.roles.len());
    let role = &mut guild.roles[at];
    role.set("something_new", obj! { "level" => level });
    role.set("something_new_id", Val::Id(id)).set("something_new_ids", Val::ids(&[id]));
    let role = role.clone();
    role::emit(lane, Kind::GUILD_ROLE_UPDATE, guild.id, role);
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

/// The same up to four times in a row, equal to the last bit.
pub(crate) fn equal(lane: &mut Lane, guild: &mut Guild) {
    if lane.dice.once_in(2) {
        people::presence(lane, guild);
    } else {
        people::typing(lane, guild);
    }
    let more = 1 + lane.dice.below(3);
    lane.repeat(more);
}

/// Says something about a user in a guild: the guild's id, and the user's place in the lane's list.
type Tell = fn(&mut Lane, u64, usize);

/// A presence where none is due (G-46).
pub(crate) fn stray_presence(lane: &mut Lane) {
    stray(lane, |lane, guild, user| {
        let presence = Presence::roll(&mut lane.dice, lane.clock.now_ms());
        let body = presence_of(guild, lane.users[user].id, Some(&presence));
        lane.emit(Event::guild(Kind::PRESENCE_UPDATE, guild, body));
    });
}

/// A member is changed where none is known (G-46).
pub(crate) fn early_member(lane: &mut Lane) {
    stray(lane, |lane, guild, user| {
        let body = obj! {
            "avatar" => Val::Null,
            "banner" => Val::Null,
            "flags" => 0,
            "guild_id" => Val::Id(guild),
            "joined_at" => timestamp(lane.clock.now_ms()),
            "nick" => "early",
            "roles" => Val::List(Vec::new()),
            "user" => lane.users[user].object(),
        };
        lane.emit(Event::guild(Kind::GUILD_MEMBER_UPDATE, guild, body));
    });
}

pub(crate) fn presence_of(guild: u64, user: u64, presence: Option<&Presence>) -> Obj {
    let body = presence.map_or_else(|| offline(user), |presence| presence.object(user));
    body.with("guild_id", Val::Id(guild))
}

/// Tells something before it is due or after: of somebody who never was a member, of one who has
/// just left, of a guild the bot has just left or has not been told of yet.
fn stray(lane: &mut Lane, tell: Tell) {
    match lane.dice.below(3) {
        0 => of_a_stranger(lane, tell),
        1 => of_one_who_left(lane, tell),
        _ => of_another_guild(lane, tell),
    }
}

fn of_a_stranger(lane: &mut Lane, tell: Tell) {
    let Some(at) = lane.available_guild() else { return };
    let user = lane.some_user();
    if !lane.guilds[at].member_at.contains_key(&lane.users[user].id) {
        let guild = lane.guilds[at].id;
        tell(lane, guild, user);
    }
}

fn of_one_who_left(lane: &mut Lane, tell: Tell) {
    let Some(at) = lane.available_guild() else { return };
    let id = lane.guilds[at].id;
    let gone = lane.with_guild(id, |lane, guild| {
        // A guild keeps some members, or there would be nobody left to do anything.
        let at = people::someone(lane, guild);
        if guild.members.len() < 4 { None } else { people::remove(lane, guild, at) }
    });
    if let Some(user) = gone.flatten() {
        tell(lane, id, user as usize);
    }
}

fn of_another_guild(lane: &mut Lane, tell: Tell) {
    let some_member = |guild: &Guild| guild.members.iter().find_map(|member| member.user);
    if lane.guilds_planned < 2 {
        return of_a_stranger(lane, tell);
    }
    if lane.guilds.len() >= lane.guilds_planned {
        let Some(gone) = guilds::go(lane) else { return };
        if let Some(user) = some_member(&gone) {
            tell(lane, gone.id, user as usize);
        }
        return;
    }
    let new = guilds::new_guild(lane);
    if let Some(user) = some_member(&new) {
        tell(lane, new.id, user as usize);
    }
    guilds::come(lane, new);
}

/// The bot loses sight of a channel, or sees one again (G-49).
pub(crate) fn hidden_channel(lane: &mut Lane, guild: &mut Guild) {
    let enough = guild.hidden.len() >= HIDDEN_MOST;
    if !guild.hidden.is_empty() && (enough || lane.dice.once_in(2)) {
        return show_channel(lane, guild);
    }
    let quiet: Vec<usize> = (0..guild.channels.len()).filter(|at| is_quiet(guild, *at)).collect();
    let Some(&at) = lane.dice.pick(&quiet) else { return };
    let mut hidden = guild.channels.remove(at);
    let id = hidden.id("id");
    guild.retain_messages(|message| message.id("channel_id") != id);
    let mut overwrites = overwrites_of_others(&hidden);
    overwrites.push(channel::deny_view(guild.id).into());
    hidden.set("permission_overwrites", Val::List(overwrites));
    guild.hidden.push(hidden.clone());
    let event = Event::guild(Kind::CHANNEL_UPDATE, guild.id, hidden);
    lane.emit(event.hidden(channel::obfuscated));
}

/// The whole channel is told again, and the threads in it: none are left.
fn show_channel(lane: &mut Lane, guild: &mut Guild) {
    let mut shown = guild.hidden.remove(lane.dice.below(guild.hidden.len()));
    let overwrites = overwrites_of_others(&shown);
    shown.set("permission_overwrites", Val::List(overwrites));
    let body = obj! {
        "channel_ids" => Val::ids(&[shown.id("id")]),
        "guild_id" => Val::Id(guild.id),
        "members" => Val::List(Vec::new()),
        "threads" => Val::List(Vec::new()),
    };
    guild.channels.push(shown.clone());
    lane.emit(Event::guild(Kind::CHANNEL_UPDATE, guild.id, shown));
    lane.emit(Event::guild(Kind::THREAD_LIST_SYNC, guild.id, body));
}

/// The channel's overwrites but that of @everyone.
fn overwrites_of_others(channel: &Obj) -> Vec<Val> {
    let Some(Val::List(all)) = channel.get("permission_overwrites") else { return Vec::new() };
    let everyone = channel.id("guild_id");
    let other = |held: &&Val| held.as_obj().is_some_and(|held| held.id("id") != everyone);
    all.iter().filter(other).cloned().collect()
}

/// Whether nothing but messages would be lost from sight with this channel.
fn is_quiet(guild: &Guild, at: usize) -> bool {
    let held = &guild.channels[at];
    let id = held.id("id");
    let about = |objects: &[Obj]| objects.iter().any(|object| object.id("channel_id") == id);
    held.int("type") != channel::CATEGORY
        && guild.fields.id("system_channel_id") != id
        && !guild.threads.iter().any(|thread| thread.fields.id("parent_id") == id)
        && ![&guild.voice_states, &guild.stages, &guild.scheduled, &guild.invites]
            .into_iter()
            .any(|objects| about(objects))
}
