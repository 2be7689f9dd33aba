//! Stage instances.

use super::event::Event;
use super::guild::Guild;
use super::kind::Kind;
use super::lane::Lane;
use super::{channel, text};
use crate::value::{Val, obj};

pub(crate) fn create(lane: &mut Lane, guild: &mut Guild) {
    let free: Vec<u64> = guild
        .channels_of(&[channel::STAGE])
        .into_iter()
        .map(|at| guild.channels[at].id("id"))
        .filter(|id| !guild.stages.iter().any(|stage| stage.id("channel_id") == *id))
        .collect();
    let Some(&place) = lane.dice.pick(&free) else { return delete(lane, guild) };
    let planned = guild.scheduled.iter().find(|event| event.id("channel_id") == place);
    let stage = obj! {
        "channel_id" => Val::Id(place),
        "discoverable_disabled" => true,
        "guild_id" => Val::Id(guild.id),
        "guild_scheduled_event_id" => Val::id_or_null(planned.map(|event| event.id("id"))),
        "id" => Val::Id(lane.clock.id()),
        "privacy_level" => 2,
        "topic" => text::title(&mut lane.dice),
    };
    guild.stages.push(stage.clone());
    lane.emit(Event::guild(Kind::STAGE_INSTANCE_CREATE, guild.id, stage));
}

pub(crate) fn update(lane: &mut Lane, guild: &mut Guild) {
    if guild.stages.is_empty() {
        return create(lane, guild);
    }
    let topic = text::title(&mut lane.dice);
    let at = lane.dice.below(guild.stages.len());
    let stage = guild.stages[at].set("topic", topic).clone();
    lane.emit(Event::guild(Kind::STAGE_INSTANCE_UPDATE, guild.id, stage));
}

pub(crate) fn delete(lane: &mut Lane, guild: &mut Guild) {
    if !guild.stages.is_empty() {
        let at = lane.dice.below(guild.stages.len());
        end(lane, guild, at);
    }
}

/// A stage channel is deleted: its stage ends first.
pub(crate) fn channel_gone(lane: &mut Lane, guild: &mut Guild, channel: u64) {
    if let Some(at) = guild.stages.iter().position(|stage| stage.id("channel_id") == channel) {
        end(lane, guild, at);
    }
}

fn end(lane: &mut Lane, guild: &mut Guild, at: usize) {
    let stage = guild.stages.remove(at);
    lane.emit(Event::guild(Kind::STAGE_INSTANCE_DELETE, guild.id, stage));
}
