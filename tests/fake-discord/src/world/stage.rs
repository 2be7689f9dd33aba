//! Stage instances.

use super::event::Event;
use super::guild::Guild;
use super::kind::Kind;
use super::lane::Lane;

/// A stage channel is deleted: its stage ends first.
pub(crate) fn channel_gone(lane: &mut Lane, guild: &mut Guild, channel: u64) {
    if let Some(at) = guild.stages.iter().position(|stage| stage.id("channel_id") == channel) {
        end(lane, guild, at);
    }
}

pub(crate) fn end(lane: &mut Lane, guild: &mut Guild, at: usize) {
    let stage = guild.stages.remove(at);
    lane.emit(Event::guild(Kind::STAGE_INSTANCE_DELETE, guild.id, stage));
}
