//! Scheduled events.

use super::event::Event;
use super::guild::Guild;
use super::kind::Kind;
use super::lane::Lane;

/// The channel of scheduled events is deleted: they are cancelled first.
pub(crate) fn channel_gone(lane: &mut Lane, guild: &mut Guild, channel: u64) {
    while let Some(at) = guild.scheduled.iter().position(|event| event.id("channel_id") == channel)
    {
        cancel(lane, guild, at);
    }
}

pub(crate) fn cancel(lane: &mut Lane, guild: &mut Guild, at: usize) {
    let mut event = guild.scheduled.remove(at);
    event.set("status", 4);
    lane.emit(Event::guild(Kind::GUILD_SCHEDULED_EVENT_DELETE, guild.id, event));
}
