//! Scheduled events and who is interested in them.

use super::clock::timestamp;
use super::event::Event;
use super::guild::Guild;
use super::kind::Kind;
use super::lane::Lane;
use super::member::user_of;
use super::{channel, text};
use crate::value::{Val, obj};

const MOST: usize = 6;

pub(crate) fn create(lane: &mut Lane, guild: &mut Guild) {
    if guild.scheduled.len() >= MOST {
        return delete(lane, guild);
    }
    let member = &guild.members[lane.dice.below(guild.members.len())];
    let creator = user_of(member, &lane.users, &lane.bot_object);
    let places = guild.channels_of(&[channel::VOICE, channel::STAGE]);
    let place = lane.dice.pick(&places).map(|at| &guild.channels[*at]);
    let place = place.filter(|_| !lane.dice.once_in(2));
    let start_ms = lane.clock.now_ms() + 86_400_000;
    let id = lane.clock.id();
    let dice = &mut lane.dice;
    let event = obj! {
        "channel_id" => Val::id_or_null(place.map(|place| place.id("id"))),
        "creator" => creator,
        "creator_id" => Val::Id(member.user_id),
        "description" => dice.once_in(2).then(|| text::sentence(dice, 15)),
        "entity_id" => Val::Null,
        "entity_metadata" => place.is_none().then(|| obj! { "location" => "Madrid" }),
        "entity_type" => match place {
            None => 3,
            Some(place) if place.int("type") == channel::STAGE => 1,
            Some(_) => 2,
        },
        "guild_id" => Val::Id(guild.id),
        "id" => Val::Id(id),
        "image" => Val::Null,
        "name" => text::title(dice),
        "privacy_level" => 2,
        "recurrence_rule" => Val::Null,
        "scheduled_end_time" => place.is_none().then(|| timestamp(start_ms + 7_200_000)),
        "scheduled_start_time" => timestamp(start_ms),
        "sku_ids" => Val::List(Vec::new()),
        "status" => 1,
        "user_count" => 0,
    };
    guild.scheduled.push(event.clone());
    lane.emit(Event::guild(Kind::GUILD_SCHEDULED_EVENT_CREATE, guild.id, event));
}

pub(crate) fn update(lane: &mut Lane, guild: &mut Guild) {
    if guild.scheduled.is_empty() {
        return create(lane, guild);
    }
    let at = lane.dice.below(guild.scheduled.len());
    let name = text::title(&mut lane.dice);
    let status = lane.dice.between(1, 2);
    let event = guild.scheduled[at].set("name", name).set("status", status).clone();
    lane.emit(Event::guild(Kind::GUILD_SCHEDULED_EVENT_UPDATE, guild.id, event));
}

pub(crate) fn delete(lane: &mut Lane, guild: &mut Guild) {
    if guild.scheduled.is_empty() {
        return create(lane, guild);
    }
    let at = lane.dice.below(guild.scheduled.len());
    cancel(lane, guild, at);
}

/// Somebody becomes interested, or loses interest.
pub(crate) fn interest(lane: &mut Lane, guild: &mut Guild) {
    if guild.scheduled.is_empty() {
        return create(lane, guild);
    }
    let at = lane.dice.below(guild.scheduled.len());
    let user = guild.members[lane.dice.below(guild.members.len())].user_id;
    let id = guild.scheduled[at].id("id");
    let known = guild.interested.iter().position(|pair| *pair == (id, user));
    let (kind, by) = match known {
        Some(place) => {
            guild.interested.remove(place);
            (Kind::GUILD_SCHEDULED_EVENT_USER_REMOVE, -1)
        }
        None => {
            guild.interested.push((id, user));
            (Kind::GUILD_SCHEDULED_EVENT_USER_ADD, 1)
        }
    };
    let count = guild.scheduled[at].int("user_count") + by;
    guild.scheduled[at].set("user_count", count);
    let body = obj! {
        "guild_id" => Val::Id(guild.id),
        "guild_scheduled_event_id" => Val::Id(id),
        "user_id" => Val::Id(user),
    };
    lane.emit(Event::guild(kind, guild.id, body));
}

/// The channel of scheduled events is deleted: they are cancelled first.
pub(crate) fn channel_gone(lane: &mut Lane, guild: &mut Guild, channel: u64) {
    while let Some(at) = guild.scheduled.iter().position(|event| event.id("channel_id") == channel)
    {
        cancel(lane, guild, at);
    }
}

fn cancel(lane: &mut Lane, guild: &mut Guild, at: usize) {
    let mut event = guild.scheduled.remove(at);
    let id = event.id("id");
    guild.interested.retain(|pair| pair.0 != id);
    event.set("status", 4);
    lane.emit(Event::guild(Kind::GUILD_SCHEDULED_EVENT_DELETE, guild.id, event));
}
