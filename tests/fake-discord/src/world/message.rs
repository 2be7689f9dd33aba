//! Messages of guild channels, and what happens to them.

use std::sync::Arc;

use super::clock::timestamp;
use super::event::Event;
use super::guild::Guild;
use super::intents::Intents;
use super::kind::Kind;
use super::lane::Lane;
use super::member::{Member, user_of};
use super::{channel, text};
use crate::value::{Obj, Shared, Val, obj};

/// Messages a guild remembers, over all its channels.
const KEPT: usize = 100;

/// The fields a session without MESSAGE_CONTENT finds empty.
const CONTENT: [&str; 4] = ["attachments", "components", "content", "embeds"];

/// Somebody writes.
pub(crate) fn create(lane: &mut Lane, guild: &mut Guild) {
    let Some(place) = place(lane, guild) else { return };
    let at = lane.dice.below(guild.members.len());
    let message = build(lane, guild, place, at);
    post(lane, guild, message);
}

/// Somebody asks a question.
pub(crate) fn create_poll(lane: &mut Lane, guild: &mut Guild) {
    let Some(place) = place(lane, guild) else { return };
    let at = lane.dice.below(guild.members.len());
    let message = build(lane, guild, place, at);
    let poll = super::reaction::poll(lane);
    post(lane, guild, message.with("content", "").with("poll", poll));
}

/// The id of a channel or a thread to write in.
fn place(lane: &mut Lane, guild: &Guild) -> Option<u64> {
    if lane.dice.once_in(6)
        && let Some(thread) = lane.dice.pick(&guild.threads)
    {
        return Some(thread.fields.id("id"));
    }
    writable(lane, guild)
}

/// The id of a channel messages are written in.
pub(crate) fn writable(lane: &mut Lane, guild: &Guild) -> Option<u64> {
    // Such channels are common: trying a few is quicker than listing them.
    for _ in 0..8 {
        let tried = lane.dice.pick(&guild.channels)?;
        if channel::WRITABLE.contains(&tried.int("type")) {
            return Some(tried.id("id"));
        }
    }
    let channels = guild.channels_of(&channel::WRITABLE);
    let at = *lane.dice.pick(&channels)?;
    Some(guild.channels[at].id("id"))
}

fn build(lane: &mut Lane, guild: &Guild, channel: u64, member: usize) -> Obj {
    let id = lane.clock.id();
    let now_ms = lane.clock.now_ms();
    let member = &guild.members[member];
    let author = user_of(member, &lane.users, &lane.bot_object);
    let dice = &mut lane.dice;
    let mut message = blank(id, channel, author, now_ms);
    message
        .set("content", text::content(dice))
        .set("guild_id", Val::Id(guild.id))
        .set("member", member.partial())
        .set("nonce", (now_ms << 22).to_string());
    decorate(lane, guild, &mut message);
    message
}

/// A message with nothing in it.
pub(crate) fn blank(id: u64, channel: u64, author: Arc<Shared>, now_ms: u64) -> Obj {
    obj! {
        "attachments" => Val::List(Vec::new()),
        "author" => author,
        "channel_id" => Val::Id(channel),
        "channel_type" => 0,
        "components" => Val::List(Vec::new()),
        "content" => "",
        "edited_timestamp" => Val::Null,
        "embeds" => Val::List(Vec::new()),
        "flags" => 0,
        "id" => Val::Id(id),
        "mention_everyone" => false,
        "mention_roles" => Val::List(Vec::new()),
        "mentions" => Val::List(Vec::new()),
        "pinned" => false,
        "timestamp" => timestamp(now_ms),
        "tts" => false,
        "type" => 0,
    }
}

/// Mentions, a reply, an embed, an attachment: now and then.
fn decorate(lane: &mut Lane, guild: &Guild, message: &mut Obj) {
    let Lane { dice, users, bot_object, .. } = lane;
    let mention = |member: &Member| {
        let user = user_of(member, users, bot_object);
        Val::Obj(user.object().with("member", member.partial()))
    };
    match dice.below(24) {
        0..=2 => {
            if let Some(member) = dice.pick(&guild.members) {
                message
                    .set("content", format!("<@{}> {}", member.user_id, text::sentence(dice, 6)))
                    .set("mentions", vec![mention(member)]);
            }
        }
        3..=5 => {
            let channel = message.id("channel_id");
            let earlier = guild.messages.iter().rposition(|old| old.id("channel_id") == channel);
            if let Some(earlier) = earlier {
                reply(guild, message, earlier);
            }
        }
        6 | 7 => {
            message.set("embeds", vec![embed(dice)]);
        }
        8 => {
            message.set("attachments", vec![attachment(dice, message.id("id"))]);
        }
        9 => {
            if let Some(role) = dice.pick(&guild.roles).filter(|role| role.id("id") != guild.id) {
                message.set("mention_roles", Val::ids(&[role.id("id")]));
            }
        }
        _ => {}
    }
}

/// Makes the message an answer to the one at this place.
pub(crate) fn reply(guild: &Guild, message: &mut Obj, earlier: usize) {
    let earlier = &guild.messages[earlier];
    let left_out = ["channel_type", "guild_id", "member", "nonce", "referenced_message"];
    message
        .set(
            "message_reference",
            obj! {
                "channel_id" => Val::Id(earlier.id("channel_id")),
                "guild_id" => Val::Id(guild.id),
                "message_id" => Val::Id(earlier.id("id")),
                "type" => 0,
            },
        )
        .set("referenced_message", earlier.without(&left_out))
        .set("type", 19);
}

fn embed(dice: &mut super::dice::Dice) -> Obj {
    let title = text::title(dice);
    let fields: Vec<Obj> = (0..dice.below(4))
        .map(|at| {
            obj! {
                "inline" => dice.once_in(2),
                "name" => format!("field {at}"),
                "value" => text::sentence(dice, 5),
            }
        })
        .collect();
    obj! {
        "color" => dice.between(0, 0xff_ffff),
        "content_scan_version" => 0,
        "description" => text::sentence(dice, 20),
        "fields" => fields,
        "footer" => obj! { "text" => "posted by a fake" },
        "title" => title,
        "type" => "rich",
        "url" => "https://example.com/a?b=c&d=%20",
    }
}

fn attachment(dice: &mut super::dice::Dice, id: u64) -> Obj {
    let url = format!("https://cdn.discordapp.com/attachments/1/{id}/mood.png?ex={}", dice.hex(8));
    obj! {
        "content_scan_version" => 0,
        "content_type" => "image/png",
        "filename" => "mood.png",
        "height" => 564,
        "id" => Val::Id(id + 1),
        "placeholder" => "4/cRDYKqiHeHd3d4d3iHh4eAiAZo",
        "placeholder_version" => 1,
        "proxy_url" => url.clone(),
        "size" => dice.between(1000, 25_000_000),
        "url" => url,
        "width" => 846,
    }
}

/// Adds a message to the world and tells it.
pub(crate) fn post(lane: &mut Lane, guild: &mut Guild, mut message: Obj) {
    let (id, channel) = (message.id("id"), message.id("channel_id"));
    let kind = if let Some(place) = guild.channels.iter_mut().find(|at| at.id("id") == channel) {
        place.set("last_message_id", Val::Id(id));
        place.int("type")
    } else if let Some(thread) = guild.threads.iter_mut().find(|at| at.fields.id("id") == channel) {
        thread.messages += 1;
        thread.fields.set("last_message_id", Val::Id(id));
        thread.fields.int("type")
    } else {
        return;
    };
    message.set("channel_type", kind);
    if guild.messages.len() >= KEPT {
        guild.remove_message(0);
    }
    guild.messages.push_back(message.clone());
    tell(lane, guild.id, Kind::MESSAGE_CREATE, message);
}

/// Emits a create or update, without the content for those who may not read it.
pub(crate) fn tell(lane: &mut Lane, guild: u64, kind: Kind, message: Obj) {
    let is_bot = |user: &Val| user.as_obj().is_some_and(|user| user.id("id") == lane.bot_id);
    let own = message.get("author").is_some_and(is_bot);
    let mentions =
        matches!(message.get("mentions"), Some(Val::List(list)) if list.iter().any(is_bot));
    let event = Event::guild(kind, guild, message);
    lane.emit(if own || mentions {
        event
    } else {
        event.limited(Intents::MESSAGE_CONTENT, Some(redacted))
    });
}

/// The message as it looks without the MESSAGE_CONTENT intent.
fn redacted(message: &Obj) -> Obj {
    let mut other = message.clone();
    for key in CONTENT {
        other.set(key, if key == "content" { Val::from("") } else { Val::List(Vec::new()) });
    }
    other.remove("poll");
    other
}

fn some_message(lane: &mut Lane, guild: &Guild) -> Option<usize> {
    (!guild.messages.is_empty()).then(|| lane.dice.below(guild.messages.len()))
}

/// An author edits: the update carries the whole message.
pub(crate) fn update(lane: &mut Lane, guild: &mut Guild) {
    let Some(at) = some_message(lane, guild) else { return create(lane, guild) };
    let content = text::content(&mut lane.dice);
    edit(lane, guild, at, content);
}

/// Gives the message at this place another content.
pub(crate) fn edit(lane: &mut Lane, guild: &mut Guild, at: usize, content: String) {
    edit_with(lane, guild, at, |message| {
        message.set("content", content);
    });
}

/// The author changes the message at this place.
pub(crate) fn edit_with(
    lane: &mut Lane,
    guild: &mut Guild,
    at: usize,
    change: impl FnOnce(&mut Obj),
) {
    let stamp = timestamp(lane.clock.now_ms());
    change(guild.messages[at].set("edited_timestamp", stamp));
    let message = guild.messages[at].clone();
    tell(lane, guild.id, Kind::MESSAGE_UPDATE, message);
}

pub(crate) fn delete(lane: &mut Lane, guild: &mut Guild) {
    let Some(at) = some_message(lane, guild) else { return create(lane, guild) };
    remove(lane, guild, at);
}

/// Deletes the message at this place.
pub(crate) fn remove(lane: &mut Lane, guild: &mut Guild, at: usize) {
    let Some(message) = guild.remove_message(at) else { return };
    let body = obj! {
        "channel_id" => Val::Id(message.id("channel_id")),
        "guild_id" => Val::Id(guild.id),
        "id" => Val::Id(message.id("id")),
    };
    lane.emit(Event::guild(Kind::MESSAGE_DELETE, guild.id, body));
}

/// A moderator clears several messages of one channel at once.
pub(crate) fn delete_bulk(lane: &mut Lane, guild: &mut Guild) {
    let Some(at) = some_message(lane, guild) else { return create(lane, guild) };
    let channel = guild.messages[at].id("channel_id");
    let ids: Vec<u64> = guild
        .messages
        .iter()
        .filter(|message| message.id("channel_id") == channel)
        .map(|message| message.id("id"))
        .take(20)
        .collect();
    remove_many(lane, guild, channel, &ids);
}

/// Deletes those of the messages that are in the channel, with one event.
pub(crate) fn remove_many(lane: &mut Lane, guild: &mut Guild, channel: u64, ids: &[u64]) {
    let goes =
        |message: &Obj| message.id("channel_id") == channel && ids.contains(&message.id("id"));
    let gone: Vec<u64> =
        guild.messages.iter().filter(|it| goes(it)).map(|message| message.id("id")).collect();
    if gone.is_empty() {
        return;
    }
    guild.retain_messages(|message| !goes(message));
    let body = obj! {
        "channel_id" => Val::Id(channel),
        "guild_id" => Val::Id(guild.id),
        "ids" => Val::ids(&gone),
    };
    lane.emit(Event::guild(Kind::MESSAGE_DELETE_BULK, guild.id, body));
}
