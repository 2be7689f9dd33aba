//! `mixcord groups`: consumer groups seen, moved and ended.

mod create;
mod letters;
mod list;
mod place;
mod show;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use mixcord::operator;

use self::place::Where;
use crate::terminal::thousands;
use crate::{Instance, Source, say};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The groups there are: how far behind, and who is in them.
    List(list::Options),
    /// A group in detail: its members, its oldest event and who has it, what happened so far.
    Show(show::Options),
    /// Declare a group before its members start, so that it misses nothing.
    Create(create::Options),
    /// Let a group go on elsewhere: what comes before is not given any more.
    Reset(Reset),
    /// Give up one event: it counts as acknowledged, whoever has it.
    Skip(Skip),
    /// Print what a group has before it, oldest first, as JSON lines. Nothing is taken.
    Peek(letters::Peek),
    /// Print the events that a group gave up, oldest first, as JSON lines.
    Dead(letters::Dead),
    /// Have events that were given up given again.
    Retry(letters::Retry),
    /// Remove a group without members, and its backlog with it.
    Rm(Remove),
}

/// Which group.
#[derive(Debug, Args)]
pub(crate) struct Group {
    /// Its name.
    #[arg(id = "group", value_name = "NAME")]
    name: String,
    #[command(flatten)]
    instance: Instance,
    #[command(flatten)]
    source: Source,
}

#[derive(Debug, Args)]
pub(crate) struct Reset {
    #[command(flatten)]
    group: Group,
    /// earliest, latest, the number of a record, or a time: 15m (ago), 14:02:11 (UTC), 2026-11-29T14:02:11Z.
    #[arg(long, value_name = "WHERE", env = "MIXCORD_TO")]
    to: Where,
    /// Though members live: they end with an error, and whoever starts them anew goes on there.
    #[arg(long, env = "MIXCORD_FORCE")]
    force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Skip {
    #[command(flatten)]
    group: Group,
    /// Which one, by its number: the one that holds the group up, unless said otherwise.
    #[arg(long, value_name = "POSITION", env = "MIXCORD_POSITION")]
    position: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    #[command(flatten)]
    group: Group,
    /// Though members live: they end with an error.
    #[arg(long, env = "MIXCORD_FORCE")]
    force: bool,
}

impl Group {
    fn open(&self) -> Result<operator::Instance> {
        Ok(operator::Instance::open(&self.instance.name)?.of_source(&self.source.name)?)
    }
}

pub(crate) fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::List(options) => list::run(options),
        Command::Show(options) => show::run(options),
        Command::Create(options) => create::run(options),
        Command::Reset(options) => reset(options),
        Command::Skip(options) => skip(options),
        Command::Peek(options) => letters::peek(options),
        Command::Dead(options) => letters::dead(options),
        Command::Retry(options) => letters::retry(options),
        Command::Rm(options) => remove(options),
    }
}

fn reset(options: &Reset) -> Result<ExitCode> {
    let name = &options.group.name;
    let at = options
        .group
        .open()?
        .reset_group(name, options.to.place(), options.force)
        .map_err(|error| with_force(error, options.force))?;
    say(&format!("group \"{name}\" goes on at {}", thousands(at)))
}

fn skip(options: &Skip) -> Result<ExitCode> {
    let name = &options.group.name;
    let Some(skipped) = options.group.open()?.skip(name, options.position)? else {
        return say(&format!("group \"{name}\" has nothing to skip there"));
    };
    let what = skipped.record().map_or("an event", |record| record.kind_name());
    say(&format!("group \"{name}\" goes on without {what} at {}", skipped.position))
}

fn remove(options: &Remove) -> Result<ExitCode> {
    let name = &options.group.name;
    options
        .group
        .open()?
        .end_group(name, options.force)
        .map_err(|error| with_force(error, options.force))?;
    say(&format!("group \"{name}\" removed"))
}

/// Says what would have done it.
fn with_force(error: operator::Error, forced: bool) -> anyhow::Error {
    if !forced && error.is_in_use() {
        return anyhow::anyhow!("{error}, or say --force");
    }
    error.into()
}
