//! The audit log, automod rules and what they catch, bans.

use super::event::Event;
use super::guild::Guild;
use super::intents::Intents;
use super::kind::Kind;
use super::lane::Lane;
use super::text;
use crate::value::{Obj, Val, obj};

/// The audit log says what was done, to what, by the owner.
pub(crate) fn audit(lane: &mut Lane, guild: &Guild, action: i64, target: u64, changes: Vec<Obj>) {
    let mut body = obj! {
        "action_type" => action,
        "changes" => changes,
        "guild_id" => Val::Id(guild.id),
        "id" => Val::Id(lane.clock.id()),
        "target_id" => Val::Id(target),
        "user_id" => Val::Id(guild.owner_id()),
    };
    if lane.dice.once_in(3) {
        body.set("reason", text::title(&mut lane.dice));
    }
    lane.emit(Event::guild(Kind::GUILD_AUDIT_LOG_ENTRY_CREATE, guild.id, body));
}

/// A rule comes, changes or goes.
pub(crate) fn rules(lane: &mut Lane, guild: &mut Guild) {
    let count = guild.rules.len();
    let choice = lane.dice.below(3);
    let (kind, rule) = match choice {
        0 if count > 1 => {
            let rule = guild.rules.remove(lane.dice.below(count));
            (Kind::AUTO_MODERATION_RULE_DELETE, rule)
        }
        1 if count > 0 => {
            let at = lane.dice.below(count);
            let on = lane.dice.once_in(2);
            let name = text::title(&mut lane.dice);
            let rule = guild.rules[at].set("enabled", on).set("name", name).clone();
            (Kind::AUTO_MODERATION_RULE_UPDATE, rule)
        }
        _ if count < 6 => {
            let rule = build(lane, guild);
            guild.rules.push(rule.clone());
            (Kind::AUTO_MODERATION_RULE_CREATE, rule)
        }
        _ => return,
    };
    lane.emit(Event::guild(kind, guild.id, rule));
}

fn build(lane: &mut Lane, guild: &Guild) -> Obj {
    let channel = guild.fields.id("system_channel_id");
    let role = super::role::grantable(lane, guild);
    let trigger = lane.dice.one(&[1, 3, 4, 5]);
    let metadata = match trigger {
        1 => obj! {
            "allow_list" => Val::List(Vec::new()),
            "keyword_filter" => vec!["stupid", "ugly*"],
            "regex_patterns" => vec![r"\bbad\b"],
        },
        4 => obj! { "allow_list" => vec!["feo"], "presets" => vec![1, 2, 3] },
        5 => obj! { "mention_raid_protection_enabled" => true, "mention_total_limit" => 20 },
        _ => Obj::new(),
    };
    let mut actions = vec![
        obj! { "metadata" => obj! { "custom_message" => "no" }, "type" => 1 },
        obj! { "metadata" => obj! { "channel_id" => Val::Id(channel) }, "type" => 2 },
    ];
    if trigger == 1 {
        actions.push(obj! { "metadata" => obj! { "duration_seconds" => 600 }, "type" => 3 });
    }
    obj! {
        "actions" => actions,
        "creator_id" => Val::Id(guild.owner_id()),
        "enabled" => true,
        "event_type" => 1,
        "exempt_channels" => Val::ids(&[channel]),
        "exempt_roles" => Val::ids(role.as_slice()),
        "guild_id" => Val::Id(guild.id),
        "id" => Val::Id(lane.clock.id()),
        "name" => text::title(&mut lane.dice),
        "trigger_metadata" => metadata,
        "trigger_type" => trigger,
    }
}

/// A message is caught by a rule before anybody sees it.
pub(crate) fn execution(lane: &mut Lane, guild: &mut Guild) {
    let Some(rule) = lane.dice.pick(&guild.rules) else { return rules(lane, guild) };
    let channel = guild.fields.id("system_channel_id");
    let member = &guild.members[lane.dice.below(guild.members.len())];
    let body = obj! {
        "action" => obj! { "metadata" => obj! { "channel_id" => Val::Id(channel) }, "type" => 2 },
        "alert_system_message_id" => Val::Id(lane.clock.id()),
        "channel_id" => Val::Id(channel),
        "content" => "you're stupid",
        "guild_id" => Val::Id(guild.id),
        "matched_content" => "stupid",
        "matched_keyword" => "stupid",
        "rule_id" => Val::Id(rule.id("id")),
        "rule_trigger_type" => rule.int("trigger_type"),
        "user_id" => Val::Id(member.user_id),
    };
    let event = Event::guild(Kind::AUTO_MODERATION_ACTION_EXECUTION, guild.id, body);
    lane.emit(event.limited(Intents::MESSAGE_CONTENT, Some(redacted)));
}

/// The execution as it looks without the MESSAGE_CONTENT intent.
fn redacted(body: &Obj) -> Obj {
    body.with("content", "").with("matched_content", "")
}
