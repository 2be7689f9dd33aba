//! `mixcord groups`: declaring and removing consumer groups.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use mixcord::operator;

use crate::tail::From;
use crate::{Instance, say, seconds};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Declare a group before its members start, so that it misses nothing.
    Create(Create),
    /// Remove a group without members, and its backlog with it.
    Rm(Remove),
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Its name.
    group: String,
    #[command(flatten)]
    instance: Instance,
    /// Where it starts.
    #[arg(long, value_name = "WHERE", env = "MIXCORD_FROM", default_value = "latest")]
    from: From,
    /// What happens to its backlog while it has no member.
    #[arg(long, value_name = "POLICY", env = "MIXCORD_POLICY", default_value = "durable")]
    policy: Policy,
    /// With the durable policy: when the ring is full, let the group go after so many seconds
    /// without a member.
    #[arg(long, value_name = "SECONDS", env = "MIXCORD_MAX_ABSENCE", value_parser = seconds)]
    max_absence: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Its name.
    group: String,
    #[command(flatten)]
    instance: Instance,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Policy {
    /// Its backlog is kept, and the pipeline waits when the ring is full.
    Durable,
    /// It goes with its last member.
    Ephemeral,
}

pub(crate) fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::Create(create) => {
            let instance = operator::Instance::open(&create.instance.name)?;
            let (earliest, ephemeral) =
                (create.from == From::Earliest, create.policy == Policy::Ephemeral);
            let name = &create.group;
            let made = instance.create_group(name, earliest, ephemeral, create.max_absence)?;
            let what = if made { "created" } else { "is there already and stays as it is" };
            say(&format!("group \"{name}\" {what}"))
        }
        Command::Rm(remove) => {
            let name = &remove.group;
            operator::Instance::open(&remove.instance.name)?.remove_group(name)?;
            say(&format!("group \"{name}\" removed"))
        }
    }
}
