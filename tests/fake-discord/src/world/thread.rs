//! Threads and who is in them.

use super::clock::timestamp;
use super::event::Event;
use super::guild::{Guild, Thread};
use super::intents::Intents;
use super::kind::Kind;
use super::lane::Lane;
use super::member::user_of;
use super::{channel, text};
use crate::value::{Obj, Val, obj};

const NEWS_THREAD: i64 = 10;
const PUBLIC: i64 = 11;
const PRIVATE: i64 = 12;

/// Threads a guild has at most.
const MOST: usize = 12;

pub(crate) fn create(lane: &mut Lane, guild: &mut Guild) {
    if guild.threads.len() >= MOST {
        return delete(lane, guild);
    }
    let parents = guild.channels_of(&[channel::TEXT, channel::NEWS, channel::FORUM]);
    let Some(&at) = lane.dice.pick(&parents) else { return };
    let parent_type = guild.channels[at].int("type");
    let kind = match parent_type {
        channel::NEWS => NEWS_THREAD,
        channel::TEXT if lane.dice.once_in(5) => PRIVATE,
        _ => PUBLIC,
    };
    let owner = guild.members[lane.dice.below(guild.members.len())].user_id;
    let stamp = timestamp(lane.clock.now_ms());
    let mut metadata = obj! {
        "archive_timestamp" => stamp.clone(),
        "archived" => false,
        "auto_archive_duration" => lane.dice.one(&[60, 1440, 4320, 10080]),
        "create_timestamp" => stamp,
        "locked" => false,
    };
    if kind == PRIVATE {
        metadata.set("invitable", true);
    }
    let mut fields = obj! {
        "flags" => 0,
        "guild_id" => Val::Id(guild.id),
        "id" => Val::Id(lane.clock.id()),
        "last_message_id" => Val::Null,
        "member_count" => 1,
        "message_count" => 0,
        "name" => text::title(&mut lane.dice),
        "owner_id" => Val::Id(owner),
        "parent_id" => Val::Id(guild.channels[at].id("id")),
        "rate_limit_per_user" => 0,
        "thread_metadata" => metadata,
        "total_message_sent" => 0,
        "type" => kind,
    };
    if parent_type == channel::FORUM {
        fields.set("applied_tags", Val::ids(&[guild.channels[at].id("id") + 1]));
    }
    guild.threads.push(Thread { fields: fields.clone(), members: vec![owner], messages: 0 });
    fields.set("newly_created", true);
    lane.emit(Event::guild(Kind::THREAD_CREATE, guild.id, fields));
}

/// Renames, locks or unlocks a thread.
pub(crate) fn update(lane: &mut Lane, guild: &mut Guild) {
    if guild.threads.is_empty() {
        return create(lane, guild);
    }
    let at = lane.dice.below(guild.threads.len());
    let thread = &mut guild.threads[at];
    let count = thread.messages;
    let mut metadata =
        thread.fields.get("thread_metadata").and_then(Val::as_obj).cloned().unwrap_or_default();
    metadata.set("locked", lane.dice.once_in(3));
    thread
        .fields
        .set("message_count", count)
        .set("name", text::title(&mut lane.dice))
        .set("thread_metadata", metadata)
        .set("total_message_sent", count);
    let body = thread.fields.clone();
    lane.emit(Event::guild(Kind::THREAD_UPDATE, guild.id, body));
}

pub(crate) fn delete(lane: &mut Lane, guild: &mut Guild) {
    if guild.threads.is_empty() {
        return create(lane, guild);
    }
    let thread = guild.threads.remove(lane.dice.below(guild.threads.len())).fields;
    let id = thread.id("id");
    guild.retain_messages(|message| message.id("channel_id") != id);
    let body = obj! {
        "guild_id" => Val::Id(guild.id),
        "id" => Val::Id(id),
        "parent_id" => Val::Id(thread.id("parent_id")),
        "type" => thread.int("type"),
    };
    lane.emit(Event::guild(Kind::THREAD_DELETE, guild.id, body));
}

fn thread_member(thread: u64, user: u64, now_ms: u64) -> Obj {
    obj! {
        "flags" => 0,
        "id" => Val::Id(thread),
        "join_timestamp" => timestamp(now_ms),
        "user_id" => Val::Id(user),
    }
}

/// Somebody enters or leaves a thread.
pub(crate) fn members(lane: &mut Lane, guild: &mut Guild) {
    if guild.threads.is_empty() {
        return create(lane, guild);
    }
    let at = lane.dice.below(guild.threads.len());
    let user_id = guild.members[lane.dice.below(guild.members.len())].user_id;
    let now_ms = lane.clock.now_ms();
    let thread = &mut guild.threads[at];
    let id = thread.fields.id("id");
    let inside = thread.members.iter().position(|member| *member == user_id);
    match inside {
        Some(place) => {
            thread.members.remove(place);
        }
        None if thread.members.len() < 50 => thread.members.push(user_id),
        None => return,
    }
    let count = thread.members.len();
    thread.fields.set("member_count", count);
    let mut body = obj! {
        "guild_id" => Val::Id(guild.id), "id" => Val::Id(id), "member_count" => count,
    };
    if inside.is_some() {
        body.set("removed_member_ids", Val::ids(&[user_id]));
    } else if let Some(member) = guild.member(user_id) {
        let user = user_of(member, &lane.users, &lane.bot_object);
        let presence = member.presence.as_ref().map(|presence| presence.object(user_id));
        let mut added = thread_member(id, user_id, now_ms);
        added.set("member", member.object(user)).set("presence", presence);
        body.set("added_members", vec![added]);
    }
    let event = Event::guild(Kind::THREAD_MEMBERS_UPDATE, guild.id, body);
    let own = user_id == lane.bot_id;
    // The bot's own comings and goings need no privilege.
    lane.emit(if own { event } else { event.limited(Intents::GUILD_MEMBERS, None) });
}

/// The bot's own membership of a thread changes.
pub(crate) fn own_member(lane: &mut Lane, guild: &mut Guild) {
    let bot = lane.bot_id;
    let Some(thread) = guild.threads.iter().find(|thread| thread.members.contains(&bot)) else {
        return members(lane, guild);
    };
    let mut body = thread_member(thread.fields.id("id"), bot, lane.clock.now_ms());
    body.set("flags", 1).set("guild_id", Val::Id(guild.id));
    lane.emit(Event::guild(Kind::THREAD_MEMBER_UPDATE, guild.id, body));
}

/// The bot regains sight of a channel: its active threads are told again.
pub(crate) fn list_sync(lane: &mut Lane, guild: &mut Guild) {
    let Some(thread) = lane.dice.pick(&guild.threads) else { return create(lane, guild) };
    let parent = thread.fields.id("parent_id");
    let now_ms = lane.clock.now_ms();
    let under = || guild.threads.iter().filter(|thread| thread.fields.id("parent_id") == parent);
    let threads: Vec<Obj> = under().map(|thread| thread.fields.clone()).collect();
    let own: Vec<Obj> = under()
        .filter(|thread| thread.members.contains(&lane.bot_id))
        .map(|thread| thread_member(thread.fields.id("id"), lane.bot_id, now_ms))
        .collect();
    let body = obj! {
        "channel_ids" => Val::ids(&[parent]),
        "guild_id" => Val::Id(guild.id),
        "members" => own,
        "threads" => threads,
    };
    lane.emit(Event::guild(Kind::THREAD_LIST_SYNC, guild.id, body));
}

/// A user leaves the guild: its threads lose it, each with its event.
pub(crate) fn member_gone(lane: &mut Lane, guild: &mut Guild, user_id: u64) {
    for thread in &mut guild.threads {
        let Some(at) = thread.members.iter().position(|member| *member == user_id) else {
            continue;
        };
        thread.members.remove(at);
        let count = thread.members.len();
        thread.fields.set("member_count", count);
        let body = obj! {
            "guild_id" => Val::Id(guild.id),
            "id" => Val::Id(thread.fields.id("id")),
            "member_count" => count,
            "removed_member_ids" => Val::ids(&[user_id]),
        };
        let event = Event::guild(Kind::THREAD_MEMBERS_UPDATE, guild.id, body);
        lane.emit(event.limited(Intents::GUILD_MEMBERS, None));
    }
}
