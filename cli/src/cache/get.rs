//! `mixcord cache get`: one entity of the state.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use mixcord::State;
use mixcord::state::{Found, Resource};

use super::entity::{Owner, write};

pub(super) const HELP: &str = "\
Whose an entity is, is said by --guild, or by --channel of a message. Guilds, users, channels and threads are found \
without it. It prints the line that `cache export` prints, and ends with 1 when the entity is not cached.";

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    instance: crate::Instance,
    /// Of what it is one: guilds, members, messages, …
    #[arg(value_name = "RESOURCE")]
    resource: Resource,
    /// Its id; the user's, of what a member has.
    #[arg(value_name = "ID")]
    id: u64,
    /// The guild that it belongs to.
    #[arg(long, value_name = "ID", env = "MIXCORD_GUILD")]
    guild: Option<u64>,
    /// The channel that it belongs to, of a message.
    #[arg(long, value_name = "ID", env = "MIXCORD_CHANNEL")]
    channel: Option<u64>,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    let state = State::attach(&options.instance.name)?;
    let (resource, id) = (options.resource, options.id);
    let owner = match resource {
        Resource::Guilds | Resource::Users => Some(0),
        Resource::Messages => options.channel,
        Resource::Channels | Resource::Threads if options.guild.is_none() => {
            state.guild_of_channel(id)?
        }
        _ => options.guild,
    };
    let Some(owner) = owner else {
        let option = if resource == Resource::Messages { "--channel" } else { "--guild" };
        if matches!(resource, Resource::Channels | Resource::Threads) {
            bail!("{} {id} is not cached", resource.name());
        }
        bail!("say whose it is with {option} ID: {} are kept by that", resource.name());
    };
    let Some(document) = state.entity(resource, owner, id)? else {
        bail!("{} {id} is not cached", resource.name());
    };
    let found = Found { owner, id, document };
    let whose = Owner::of(resource, &found);
    write(&mut std::io::stdout().lock(), resource.name(), whose, id, &found.document)?;
    Ok(ExitCode::SUCCESS)
}
