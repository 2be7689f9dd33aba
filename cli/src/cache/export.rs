//! `mixcord cache export`: the state as JSON lines.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use mixcord::state::Resource;
use mixcord::{State, Value};

use super::entity::{Owner, write};
use crate::terminal::thousands;

pub(super) const HELP: &str = "\
Each line is {\"resource\",\"guild_id\",\"id\",\"data\"}; a message has \"channel_id\" in the place of \
\"guild_id\", guilds, users and the bot itself (\"me\") have neither. Ids are strings, and \"id\" of \
what a member has is the user's.\n\
\n\
The entities are read in pages, so that neither the cache nor memory suffers: while events flow, each \
line is whole, but not all are of one moment. It works while the cache is stopped, too.";

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    instance: crate::Instance,
    /// Only these resources: guilds,members,messages,… Without it all, and the bot's own user.
    #[arg(long, value_name = "RESOURCE,RESOURCE", value_delimiter = ',', env = "MIXCORD_RESOURCE")]
    resource: Vec<Resource>,
    /// Only what belongs to this guild: itself, its channels and their messages, its members, …
    #[arg(long, value_name = "ID", env = "MIXCORD_GUILD")]
    guild: Option<u64>,
}

/// How often it is told how far it is.
const TELL: Duration = Duration::from_millis(200);

/// How far it is, for whoever waits at a terminal while the lines go elsewhere.
struct Progress {
    shown: bool,
    told: Instant,
    entities: u64,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    let state = State::attach(&options.instance.name)?;
    let mut output = std::io::BufWriter::new(std::io::stdout().lock());
    let mut progress = Progress::new();
    if options.resource.is_empty()
        && options.guild.is_none()
        && let Some(me) = state.me()?
    {
        let id = me.get(mixcord::atoms::ID).and_then(Value::as_id).unwrap_or(0);
        write(&mut output, "me", Owner::Nobody, id, &me)?;
    }
    let all = if options.resource.is_empty() { Resource::ALL } else { &options.resource };
    for &resource in all {
        let owners = match options.guild {
            None => vec![None],
            Some(guild) => owners(&state, resource, guild)?.into_iter().map(Some).collect(),
        };
        for owner in owners {
            let found = match (owner, resource) {
                (None, _) => state.entities(resource),
                // Of the one guild that it is.
                (Some(guild), Resource::Guilds) => {
                    if let Some(document) = state.guild(guild)? {
                        write(&mut output, resource.name(), Owner::Nobody, guild, &document)?;
                    }
                    continue;
                }
                (Some(owner), _) => state.entities_of(resource, owner),
            };
            for found in found {
                let found = found?;
                let owner = Owner::of(resource, &found);
                write(&mut output, resource.name(), owner, found.id, &found.document)?;
                progress.another(resource);
            }
        }
    }
    output.flush().context("writing the entities")?;
    progress.end();
    Ok(ExitCode::SUCCESS)
}

/// By whom the entities of a guild are kept: itself, or its channels. Users belong to no guild: a member's line
/// has its user.
fn owners(state: &State, resource: Resource, guild: u64) -> Result<Vec<u64>> {
    match resource {
        Resource::Users => Ok(Vec::new()),
        Resource::Messages => {
            let rooms = state.channels(guild).chain(state.threads(guild));
            rooms.map(|room| Ok(room?.id)).collect()
        }
        _ => Ok(vec![guild]),
    }
}

impl Progress {
    fn new() -> Self {
        let shown = std::io::stderr().is_terminal() && !std::io::stdout().is_terminal();
        Self { shown, told: Instant::now(), entities: 0 }
    }

    fn another(&mut self, resource: Resource) {
        self.entities += 1;
        // The clock is asked once in a while.
        if self.shown && self.entities.is_multiple_of(256) && self.told.elapsed() >= TELL {
            self.told = Instant::now();
            eprint!("\r{} entities, {}\x1b[K", thousands(self.entities), resource.name());
        }
    }

    fn end(&self) {
        if self.shown {
            eprintln!("\r{} entities\x1b[K", thousands(self.entities));
        }
    }
}
