//! How often each thing happens.

use super::dice::Dice;
use super::guild::Guild;
use super::lane::Lane;
use super::{
    channel, direct, expression, guilds, integration, interaction, message, moderation, oddity,
    people, reaction, role, schedule, stage, thread, voice,
};

/// A thing that can happen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Guild(fn(&mut Lane, &mut Guild)),
    Lane(fn(&mut Lane)),
}

/// The names, with the weight each has when nothing else is asked for: about what a large bot sees.
const STEPS: [(&str, u32, Step); 67] = [
    ("presence", 4000, Step::Guild(people::presence)),
    ("message", 2500, Step::Guild(message::create)),
    ("typing", 900, Step::Guild(people::typing)),
    ("voice", 600, Step::Guild(voice::step)),
    ("message-update", 450, Step::Guild(message::update)),
    ("member-update", 350, Step::Guild(people::update)),
    ("message-delete", 150, Step::Guild(message::delete)),
    ("member-add", 80, Step::Guild(people::join)),
    ("member-remove", 80, Step::Guild(people::leave)),
    ("user-rename", 40, Step::Guild(people::rename)),
    ("message-delete-bulk", 12, Step::Guild(message::delete_bulk)),
    ("channel-update", 30, Step::Guild(channel::update)),
    ("channel-create", 15, Step::Guild(channel::create)),
    ("channel-delete", 15, Step::Guild(channel::delete)),
    ("pins", 15, Step::Guild(channel::pins)),
    ("voice-status", 15, Step::Guild(channel::status)),
    ("voice-effect", 20, Step::Guild(voice::effect)),
    ("voice-server", 8, Step::Guild(voice::server)),
    ("role-update", 25, Step::Guild(role::update)),
    ("role-create", 12, Step::Guild(role::create)),
    ("role-delete", 12, Step::Guild(role::delete)),
    ("emojis", 10, Step::Guild(expression::emojis)),
    ("stickers", 8, Step::Guild(expression::stickers)),
    ("sounds", 12, Step::Guild(expression::sounds)),
    ("ban", 8, Step::Guild(people::ban)),
    ("unban", 8, Step::Guild(people::unban)),
    ("guild-update", 15, Step::Guild(guilds::update)),
    ("reaction-add", 300, Step::Guild(reaction::add)),
    ("reaction-remove", 60, Step::Guild(reaction::remove)),
    ("reaction-remove-all", 8, Step::Guild(reaction::remove_all)),
    ("reaction-remove-emoji", 8, Step::Guild(reaction::remove_emoji)),
    ("poll", 6, Step::Guild(message::create_poll)),
    ("vote", 25, Step::Guild(reaction::vote)),
    ("interaction", 120, Step::Guild(interaction::in_guild)),
    ("thread-create", 15, Step::Guild(thread::create)),
    ("thread-update", 12, Step::Guild(thread::update)),
    ("thread-delete", 8, Step::Guild(thread::delete)),
    ("thread-members", 25, Step::Guild(thread::members)),
    ("thread-own-member", 6, Step::Guild(thread::own_member)),
    ("thread-list-sync", 6, Step::Guild(thread::list_sync)),
    ("stage-create", 6, Step::Guild(stage::create)),
    ("stage-update", 6, Step::Guild(stage::update)),
    ("stage-delete", 6, Step::Guild(stage::delete)),
    ("scheduled-create", 8, Step::Guild(schedule::create)),
    ("scheduled-update", 8, Step::Guild(schedule::update)),
    ("scheduled-delete", 6, Step::Guild(schedule::delete)),
    ("scheduled-interest", 15, Step::Guild(schedule::interest)),
    ("automod-rules", 12, Step::Guild(moderation::rules)),
    ("automod-execution", 12, Step::Guild(moderation::execution)),
    ("integrations", 12, Step::Guild(integration::step)),
    ("webhooks", 6, Step::Guild(integration::webhooks)),
    ("invites", 12, Step::Guild(integration::invites)),
    ("command-permissions", 5, Step::Guild(integration::command_permissions)),
    ("own-member", 4, Step::Guild(guilds::own_member)),
    ("direct", 60, Step::Lane(direct::step)),
    ("entitlements", 8, Step::Lane(direct::entitlements)),
    ("subscriptions", 8, Step::Lane(direct::subscriptions)),
    ("own-user", 3, Step::Lane(direct::own_user)),
    ("guild-outage", 4, Step::Lane(guilds::outage)),
    ("guild-come-and-go", 3, Step::Lane(guilds::come_and_go)),
    // Only on demand.
    ("unknown", 0, Step::Guild(oddity::unknown)),
    ("new-keys", 0, Step::Guild(oddity::new_keys)),
    ("stale-update", 0, Step::Guild(oddity::stale_update)),
    ("stray-presence", 0, Step::Lane(oddity::stray_presence)),
    ("hidden-channel", 0, Step::Guild(oddity::hidden_channel)),
    ("early-member", 0, Step::Lane(oddity::early_member)),
    ("equal", 0, Step::Guild(oddity::equal)),
];

/// Weights over the things that can happen.
#[derive(Clone, Debug)]
pub(crate) struct Mix {
    /// Running totals and what they stand for.
    steps: Vec<(u32, Step)>,
    total: u32,
    /// The names that may come up.
    names: Vec<&'static str>,
}

impl Mix {
    /// The names and usual weights, for `--help` and errors.
    pub(crate) fn names() -> String {
        STEPS
            .iter()
            .map(|(name, weight, _)| format!("{name}={weight}"))
            .collect::<Vec<_>>()
            .join(",")
    }

    /// `name=weight,name=weight`: names left out never happen. An empty text means the usual mix,
    /// `even` that everything is as likely as everything else.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut chosen = Vec::new();
        for part in text.split(',').filter(|part| !part.is_empty() && *part != "even") {
            let (name, weight) = part.split_once('=').unwrap_or((part, "1"));
            let step = STEPS.iter().find(|step| step.0 == name);
            let Some((name, _, step)) = step else {
                return Err(format!("no event is called {name:?}; known: {}", Self::names()));
            };
            let weight: u32 = weight.parse().map_err(|_| format!("{weight:?} is no weight"))?;
            chosen.push((*name, weight.min(1_000_000), *step));
        }
        if text == "even" {
            chosen =
                STEPS.iter().map(|(name, weight, step)| (*name, (*weight).min(1), *step)).collect();
        }
        if chosen.is_empty() {
            chosen.extend(STEPS);
        }
        chosen.retain(|(_, weight, _)| *weight > 0);
        let mut total = 0;
        let names = chosen.iter().map(|(name, _, _)| *name).collect();
        let add_up = |(_, weight, step)| {
            total += weight;
            (total, step)
        };
        let steps = chosen.into_iter().map(add_up).collect();
        if total == 0 {
            Err("every weight is 0".to_owned())
        } else {
            Ok(Self { steps, total, names })
        }
    }

    /// Whether the thing of that name may happen.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains(&name)
    }

    pub(crate) fn roll(&self, dice: &mut Dice) -> Step {
        let point = dice.below(self.total as usize) as u32;
        let at = self.steps.partition_point(|(up_to, _)| *up_to <= point);
        self.steps[at.min(self.steps.len() - 1)].1
    }
}
