//! What has no guild and so is told to shard 0 alone (G-39): direct messages, entitlements,
//! subscriptions, the bot's own user.

use std::collections::VecDeque;

use super::clock::timestamp;
use super::event::Event;
use super::kind::Kind;
use super::lane::Lane;
use super::{channel, interaction, message, text};
use crate::value::{Obj, Val, obj};

/// Direct messages remembered, over all channels.
const KEPT: usize = 40;
/// Channels a bot may open.
const OPEN_MAX: usize = 1000;

/// Direct message channels and what was said in them; things bought.
#[derive(Debug, Default)]
pub(crate) struct Direct {
    /// Channel and the place of its user in the lane's list.
    pub(crate) channels: Vec<(u64, usize)>,
    pub(crate) messages: VecDeque<Obj>,
    entitlements: Vec<Obj>,
    subscriptions: Vec<Obj>,
}

/// Everything here happens on the first lane only; on the others it is passed over.
fn is_here(lane: &Lane) -> bool {
    lane.index == 0
}

fn some_channel(lane: &mut Lane) -> (u64, usize) {
    if lane.direct.channels.len() < 10 {
        let id = lane.clock.id();
        let user = lane.some_user();
        lane.direct.channels.push((id, user));
    }
    lane.dice.one(&lane.direct.channels)
}

/// A direct message is written, edited, deleted, pinned, reacted to, or somebody types one.
pub(crate) fn step(lane: &mut Lane) {
    if !is_here(lane) {
        return;
    }
    let (channel_id, user) = some_channel(lane);
    let now_ms = lane.clock.now_ms();
    let held = lane.direct.messages.iter().rposition(|held| held.id("channel_id") == channel_id);
    match (lane.dice.below(12), held) {
        (0, Some(at)) => {
            let content = text::content(&mut lane.dice);
            edit(lane, at, |message| {
                message.set("content", content);
            });
        }
        (1, Some(at)) => {
            let id = lane.direct.messages[at].id("id");
            remove(lane, id);
        }
        (2, Some(at)) => {
            let emoji = obj! { "id" => Val::Null, "name" => lane.dice.one(&text::UNICODE_EMOJI) };
            let (id, user) = (lane.direct.messages[at].id("id"), lane.users[user].id);
            react(lane, channel_id, id, &emoji, user, true);
            react(lane, channel_id, id, &emoji, user, false);
        }
        (3, Some(_)) => {
            let body = obj! {
                "channel_id" => Val::Id(channel_id), "last_pin_timestamp" => timestamp(now_ms),
            };
            lane.emit(Event::direct(Kind::CHANNEL_PINS_UPDATE, body));
        }
        (4 | 5, _) => {
            let body = obj! {
                "channel_id" => Val::Id(channel_id),
                "timestamp" => (now_ms / 1000) as i64,
                "user_id" => Val::Id(lane.users[user].id),
            };
            lane.emit(Event::direct(Kind::TYPING_START, body));
        }
        (6, _) => interaction::direct(lane, channel_id, user),
        _ => {
            let id = lane.clock.id();
            let author = lane.users[user].object();
            let content = text::content(&mut lane.dice);
            let message = message::blank(id, channel_id, author, now_ms)
                .with("channel_type", channel::DIRECT)
                .with("content", content);
            post(lane, message);
        }
    }
}

/// The channel as REST and interactions show it; none when there is no such channel.
pub(crate) fn channel_object(lane: &Lane, id: u64) -> Option<Obj> {
    let (_, user) = lane.direct.channels.iter().find(|held| held.0 == id)?;
    let last = lane.direct.messages.iter().rfind(|message| message.id("channel_id") == id);
    Some(obj! {
        "flags" => 0,
        "id" => Val::Id(id),
        "last_message_id" => Val::id_or_null(last.map(|message| message.id("id"))),
        "recipients" => vec![lane.users[*user].object()],
        "type" => channel::DIRECT,
    })
}

/// The channel the bot and that user write to each other in; none when too many are open.
pub(crate) fn open(lane: &mut Lane, user: usize) -> Option<Obj> {
    let known = lane.direct.channels.iter().find(|held| held.1 == user).map(|held| held.0);
    let id = match known {
        Some(id) => id,
        None if lane.direct.channels.len() >= OPEN_MAX => return None,
        None => {
            let id = lane.clock.id();
            lane.direct.channels.push((id, user));
            id
        }
    };
    channel_object(lane, id)
}

/// The author changes the message at this place of the list.
pub(crate) fn edit(lane: &mut Lane, at: usize, change: impl FnOnce(&mut Obj)) -> &Obj {
    let stamp = timestamp(lane.clock.now_ms());
    change(lane.direct.messages[at].set("edited_timestamp", stamp));
    let message = lane.direct.messages[at].clone();
    lane.emit(Event::direct(Kind::MESSAGE_UPDATE, message));
    &lane.direct.messages[at]
}

/// Forgets the message and tells it.
pub(crate) fn remove(lane: &mut Lane, id: u64) {
    let held = lane.direct.messages.iter().position(|message| message.id("id") == id);
    let Some(message) = held.and_then(|at| lane.direct.messages.remove(at)) else { return };
    let body = obj! {
        "channel_id" => Val::Id(message.id("channel_id")), "id" => Val::Id(id),
    };
    lane.emit(Event::direct(Kind::MESSAGE_DELETE, body));
}

/// Somebody reacts to a direct message, or takes it back. Direct messages do not remember it.
pub(crate) fn react(
    lane: &mut Lane,
    channel: u64,
    message: u64,
    emoji: &Obj,
    user: u64,
    added: bool,
) {
    let mut body = obj! {
        "burst" => false,
        "channel_id" => Val::Id(channel),
        "emoji" => emoji.clone(),
        "message_id" => Val::Id(message),
        "type" => 0,
        "user_id" => Val::Id(user),
    };
    if added {
        let held = lane.direct.messages.iter().find(|held| held.id("id") == message);
        let author = held.and_then(|held| held.get("author")?.as_obj()).map(|it| it.id("id"));
        body.set("message_author_id", Val::id_or_null(author));
        lane.emit(Event::direct(Kind::MESSAGE_REACTION_ADD, body));
    } else {
        lane.emit(Event::direct(Kind::MESSAGE_REACTION_REMOVE, body));
    }
}

/// Remembers and tells a direct message.
pub(crate) fn post(lane: &mut Lane, message: Obj) {
    if lane.direct.messages.len() >= KEPT {
        lane.direct.messages.pop_front();
    }
    lane.direct.messages.push_back(message.clone());
    lane.emit(Event::direct(Kind::MESSAGE_CREATE, message));
}

/// Somebody buys, uses up or loses something.
pub(crate) fn entitlements(lane: &mut Lane) {
    if !is_here(lane) {
        return;
    }
    let count = lane.direct.entitlements.len();
    let now_ms = lane.clock.now_ms();
    let choice = lane.dice.below(3);
    let (kind, body) = match choice {
        0 if count > 1 => {
            let at = lane.dice.below(count);
            let gone = lane.direct.entitlements.remove(at);
            (Kind::ENTITLEMENT_DELETE, gone.with("deleted", true))
        }
        1 if count > 0 => {
            let at = lane.dice.below(count);
            let held = &mut lane.direct.entitlements[at];
            held.set("ends_at", timestamp(now_ms + 2_592_000_000));
            (Kind::ENTITLEMENT_UPDATE, held.clone())
        }
        _ if count < 10 => {
            let at = lane.some_user();
            let body = obj! {
                "application_id" => Val::Id(lane.bot_id),
                "consumed" => false,
                "deleted" => false,
                "ends_at" => Val::Null,
                "id" => Val::Id(lane.clock.id()),
                "sku_id" => Val::Id(lane.bot_id + 10),
                "starts_at" => timestamp(now_ms),
                "type" => 8,
                "user_id" => Val::Id(lane.users[at].id),
            };
            lane.direct.entitlements.push(body.clone());
            (Kind::ENTITLEMENT_CREATE, body)
        }
        _ => return,
    };
    lane.emit(Event::direct(kind, body));
}

/// As [`entitlements`], for subscriptions.
pub(crate) fn subscriptions(lane: &mut Lane) {
    if !is_here(lane) {
        return;
    }
    let count = lane.direct.subscriptions.len();
    let now_ms = lane.clock.now_ms();
    let choice = lane.dice.below(3);
    let (kind, body) = match choice {
        0 if count > 1 => {
            let at = lane.dice.below(count);
            (Kind::SUBSCRIPTION_DELETE, lane.direct.subscriptions.remove(at))
        }
        1 if count > 0 => {
            let at = lane.dice.below(count);
            let held = &mut lane.direct.subscriptions[at];
            held.set("canceled_at", timestamp(now_ms)).set("status", 1);
            (Kind::SUBSCRIPTION_UPDATE, held.clone())
        }
        _ if count < 10 => {
            let at = lane.some_user();
            let body = obj! {
                "canceled_at" => Val::Null,
                "current_period_end" => timestamp(now_ms + 2_592_000_000),
                "current_period_start" => timestamp(now_ms),
                "entitlement_ids" => Val::ids(&[lane.clock.id()]),
                "id" => Val::Id(lane.clock.id()),
                "renewal_sku_ids" => Val::Null,
                "sku_ids" => Val::ids(&[lane.bot_id + 10]),
                "status" => 0,
                "user_id" => Val::Id(lane.users[at].id),
            };
            lane.direct.subscriptions.push(body.clone());
            (Kind::SUBSCRIPTION_CREATE, body)
        }
        _ => return,
    };
    lane.emit(Event::direct(kind, body));
}

/// The bot's own user changes: only what nobody else sees, so that no member object differs.
pub(crate) fn own_user(lane: &mut Lane) {
    if !is_here(lane) {
        return;
    }
    let bio = text::sentence(&mut lane.dice, 6);
    let mut bot = lane.bot.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    bot.bio = bio;
    let body = bot.own_object();
    drop(bot);
    lane.emit(Event::direct(Kind::USER_UPDATE, body).everywhere());
}
