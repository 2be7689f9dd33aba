//! The audit log, automod rules, integrations, webhooks and command permissions.

use super::event::Event;
use super::guild::Guild;
use super::kind::Kind;
use super::lane::Lane;
use crate::value::{Val, obj};

/// The audit log says who was banned.
pub(crate) fn audit_ban(lane: &mut Lane, guild: &Guild, target: u64) {
    let body = obj! {
        "action_type" => 22,
        "changes" => Val::List(Vec::new()),
        "guild_id" => Val::Id(guild.id),
        "id" => Val::Id(lane.clock.id()),
        "reason" => "spam",
        "target_id" => Val::Id(target),
        "user_id" => Val::Id(guild.owner_id()),
    };
    lane.emit(Event::guild(Kind::GUILD_AUDIT_LOG_ENTRY_CREATE, guild.id, body));
}
