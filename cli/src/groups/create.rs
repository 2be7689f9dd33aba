use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
use mixcord::operator::{GroupOrder, GroupPlan};
use mixcord_process::command_line;

use super::Group;
use crate::say;
use crate::tail::From;

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    group: Group,
    /// Where it starts.
    #[arg(long, value_name = "WHERE", env = "MIXCORD_FROM", default_value = "latest")]
    from: From,
    /// What happens to its backlog while it has no member.
    #[arg(long, value_name = "POLICY", env = "MIXCORD_POLICY", default_value = "durable")]
    policy: Policy,
    /// Which events wait for each other; what a consumer asks for that says nothing, unless given. A member
    /// that asks for another order is refused.
    #[arg(long, value_name = "ORDER", env = "MIXCORD_ORDER")]
    order: Option<Order>,
    /// Guilds stay with the members that have them, which may keep in memory what they know of these. A member that
    /// does not ask for it is refused.
    #[arg(long, env = "MIXCORD_STICKY")]
    sticky: bool,
    /// With the durable policy: when the ring is full, let the group go after this time (900, 15m, 1d)
    /// without a member.
    #[arg(long, value_name = "TIME", env = "MIXCORD_MAX_ABSENCE", value_parser = command_line::duration)]
    max_absence: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Policy {
    /// Its backlog is kept, and the pipeline waits when the ring is full.
    Durable,
    /// It goes with its last member.
    Ephemeral,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Order {
    /// Those of a guild.
    Guild,
    /// Those of a channel.
    Channel,
    /// None.
    None,
    /// All: one at a time, in the order of the ring.
    Ring,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    let name = &options.group.name;
    let plan = GroupPlan {
        earliest: options.from == From::Earliest,
        ephemeral: options.policy == Policy::Ephemeral,
        max_absence: options.max_absence,
        order: options.order.map(|order| match order {
            Order::Guild => GroupOrder::Guild,
            Order::Channel => GroupOrder::Channel,
            Order::None => GroupOrder::None,
            Order::Ring => GroupOrder::Ring,
        }),
        sticky: options.sticky,
    };
    let made = options.group.open()?.declare_group(name, &plan)?;
    let what = if made { "created" } else { "is there already and stays as it is" };
    say(&format!("group \"{name}\" {what}"))
}
