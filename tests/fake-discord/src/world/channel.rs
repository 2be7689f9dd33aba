//! Channels of a guild.

use super::event::Event;
use super::guild::Guild;
use super::kind::Kind;
use super::lane::Lane;
use super::text;
use crate::value::{Obj, Val, obj};

pub(crate) const TEXT: i64 = 0;
pub(crate) const DIRECT: i64 = 1;
pub(crate) const VOICE: i64 = 2;
pub(crate) const CATEGORY: i64 = 4;
pub(crate) const NEWS: i64 = 5;
pub(crate) const STAGE: i64 = 13;
pub(crate) const FORUM: i64 = 15;

/// Channels messages are written in.
pub(crate) const WRITABLE: [i64; 2] = [TEXT, NEWS];

/// Flag of a channel whose metadata is withheld (G-49).
const OBFUSCATED: i64 = 1 << 17;
/// The permission to see a channel.
const VIEW_CHANNEL: &str = "1024";

/// The overwrite that hides a channel of the guild from everybody without a better one.
pub(crate) fn deny_view(guild: u64) -> Obj {
    obj! { "allow" => "0", "deny" => VIEW_CHANNEL, "id" => Val::Id(guild), "type" => 0 }
}

/// A channel as it is shown to who may not see it (G-49).
pub(crate) fn obfuscated(channel: &Obj) -> Obj {
    let guild = channel.id("guild_id");
    let mut hidden = obj! {
        "flags" => OBFUSCATED,
        "guild_id" => Val::Id(guild),
        "id" => Val::Id(channel.id("id")),
        "name" => "___hidden___",
        "permission_overwrites" => vec![deny_view(guild)],
        "position" => channel.int("position"),
        "type" => channel.int("type"),
    };
    if let Some(parent) = channel.get("parent_id") {
        hidden.set("parent_id", parent.clone());
    }
    hidden
}

fn build(lane: &mut Lane, guild: &Guild, id: u64, kind: i64, parent: Option<u64>) -> Obj {
    let position = guild.channels.len();
    let dice = &mut lane.dice;
    let mut overwrites = Vec::new();
    if dice.once_in(2) {
        overwrites.push(obj! {
            "allow" => "1024", "deny" => "0", "id" => Val::Id(guild.id), "type" => 0,
        });
    }
    let role = if dice.once_in(4) { dice.pick(&guild.roles) } else { None };
    if let Some(role) = role.map(|role| role.id("id")).filter(|role| *role != guild.id) {
        overwrites.push(obj! {
            "allow" => "0", "deny" => "2048", "id" => Val::Id(role), "type" => 0,
        });
    }
    let mut channel = obj! {
        "flags" => 0,
        "guild_id" => Val::Id(guild.id),
        "id" => Val::Id(id),
        "name" => text::slug(dice),
        "nsfw" => false,
        "parent_id" => Val::id_or_null(parent),
        "permission_overwrites" => overwrites,
        "position" => position,
        "type" => kind,
    };
    match kind {
        TEXT | NEWS => {
            channel
                .set("last_message_id", Val::Null)
                .set("rate_limit_per_user", 0)
                .set("topic", dice.once_in(2).then(|| text::sentence(dice, 9)));
        }
        VOICE | STAGE => {
            channel
                .set("bitrate", 64_000)
                .set("last_message_id", Val::Null)
                .set("rate_limit_per_user", 0)
                .set("rtc_region", Val::Null)
                .set("user_limit", if kind == STAGE { 10_000 } else { 0 });
            if kind == STAGE {
                channel.set("topic", Val::Null);
            }
        }
        FORUM => {
            channel
                .set(
                    "available_tags",
                    vec![obj! {
                        "emoji_id" => Val::Null,
                        "emoji_name" => dice.one(&text::UNICODE_EMOJI),
                        "id" => Val::Id(id + 1),
                        "moderated" => false,
                        "name" => "solved",
                    }],
                )
                .set("default_forum_layout", 0)
                .set("default_reaction_emoji", Val::Null)
                .set("default_sort_order", Val::Null)
                .set("last_message_id", Val::Null)
                .set("rate_limit_per_user", 0)
                .set("template", "")
                .set("topic", Val::Null);
        }
        _ => {}
    }
    channel
}

/// A category, text, news, voice, stage and forum channels.
pub(crate) fn begin(lane: &mut Lane, guild: &mut Guild) {
    let mut parent = None;
    let more = lane.dice.below(8);
    let kinds = [CATEGORY, TEXT, TEXT, NEWS, FORUM, CATEGORY, VOICE, VOICE, STAGE];
    for kind in kinds.into_iter().chain(std::iter::repeat_n(TEXT, more)) {
        let id = lane.id_since(guild.joined_ms);
        let under = if kind == CATEGORY { None } else { parent };
        let channel = build(lane, guild, id, kind, under);
        guild.channels.push(channel);
        if kind == CATEGORY {
            parent = Some(id);
        }
    }
}

pub(crate) fn create(lane: &mut Lane, guild: &mut Guild) {
    if guild.channels.len() >= 40 {
        return delete(lane, guild);
    }
    let id = lane.clock.id();
    let kind = lane.dice.one(&[TEXT, TEXT, VOICE, NEWS, FORUM, STAGE]);
    let categories = guild.channels_of(&[CATEGORY]);
    let parent = lane.dice.pick(&categories).map(|at| guild.channels[*at].id("id"));
    let channel = build(lane, guild, id, kind, parent);
    guild.channels.push(channel.clone());
    lane.emit(Event::guild(Kind::CHANNEL_CREATE, guild.id, channel));
}

pub(crate) fn update(lane: &mut Lane, guild: &mut Guild) {
    let at = lane.dice.below(guild.channels.len());
    let dice = &mut lane.dice;
    let channel = &mut guild.channels[at];
    let before = channel.get("name").cloned();
    channel.set("name", text::slug(dice));
    if channel.get("topic").is_some() {
        channel.set("topic", text::sentence(dice, 8));
    }
    if channel.int("type") == TEXT {
        channel.set("rate_limit_per_user", dice.one(&[0, 5, 60]));
    }
    let channel = channel.clone();
    let change = obj! { "key" => "name", "new_value" => channel.get("name").cloned(), "old_value" => before };
    let id = channel.id("id");
    lane.emit(Event::guild(Kind::CHANNEL_UPDATE, guild.id, channel));
    super::moderation::audit(lane, guild, 11, id, vec![change]);
}

/// Deletes a channel; its threads, messages and whoever sat in it go with it. The first text
/// channel and the categories stay.
pub(crate) fn delete(lane: &mut Lane, guild: &mut Guild) {
    let choices = guild.channels_of(&[TEXT, VOICE, NEWS, FORUM, STAGE]);
    if choices.len() < 8 {
        return create(lane, guild);
    }
    let at = choices[1 + lane.dice.below(choices.len() - 1)];
    let id = guild.channels[at].id("id");
    leave_voice(lane, guild, id);
    super::stage::channel_gone(lane, guild, id);
    super::schedule::channel_gone(lane, guild, id);
    let channel = guild.channels.remove(at);
    let gone: Vec<u64> = guild
        .threads
        .iter()
        .map(|thread| &thread.fields)
        .filter(|thread| thread.id("parent_id") == id)
        .map(|thread| thread.id("id"))
        .collect();
    guild.threads.retain(|thread| !gone.contains(&thread.fields.id("id")));
    guild.retain_messages(|message| {
        let channel = message.id("channel_id");
        channel != id && !gone.contains(&channel)
    });
    guild.invites.retain(|invite| invite.id("channel_id") != id);
    lane.emit(Event::guild(Kind::CHANNEL_DELETE, guild.id, channel));
}

/// Everybody in the voice channel leaves it, one event each.
fn leave_voice(lane: &mut Lane, guild: &mut Guild, channel: u64) {
    while let Some(at) =
        guild.voice_states.iter().position(|state| state.id("channel_id") == channel)
    {
        super::voice::leave(lane, guild, at);
    }
}

/// A message was pinned, or unpinned: only the moment is told.
pub(crate) fn pins(lane: &mut Lane, guild: &mut Guild) {
    let choices = guild.channels_of(&WRITABLE);
    let Some(&at) = lane.dice.pick(&choices) else { return };
    tell_pins(lane, guild, at);
}

/// Pins or unpins the message at this place.
pub(crate) fn pin(lane: &mut Lane, guild: &mut Guild, message: usize, pinned: bool) {
    guild.messages[message].set("pinned", pinned);
    let message = guild.messages[message].clone();
    let id = message.id("channel_id");
    if let Some(at) = guild.channels.iter().position(|channel| channel.id("id") == id) {
        tell_pins(lane, guild, at);
    }
    super::message::tell(lane, guild.id, Kind::MESSAGE_UPDATE, message);
}

fn tell_pins(lane: &mut Lane, guild: &mut Guild, at: usize) {
    let stamp = super::clock::timestamp(lane.clock.now_ms());
    guild.channels[at].set("last_pin_timestamp", stamp.clone());
    let body = obj! {
        "channel_id" => Val::Id(guild.channels[at].id("id")),
        "guild_id" => Val::Id(guild.id),
        "last_pin_timestamp" => stamp,
    };
    lane.emit(Event::guild(Kind::CHANNEL_PINS_UPDATE, guild.id, body));
}

/// The status of a voice channel.
pub(crate) fn status(lane: &mut Lane, guild: &mut Guild) {
    let choices = guild.channels_of(&[VOICE]);
    let Some(&at) = lane.dice.pick(&choices) else { return };
    let status = text::title(&mut lane.dice);
    guild.channels[at].set("status", status.clone());
    let body = obj! {
        "guild_id" => Val::Id(guild.id),
        "id" => Val::Id(guild.channels[at].id("id")),
        "status" => status,
    };
    lane.emit(Event::guild(Kind::VOICE_CHANNEL_STATUS_UPDATE, guild.id, body));
}
