//! `mixcord cache export`: the state as JSON lines.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use mixcord::event::Document;
use mixcord::state::{Found, Resource};
use mixcord::{State, Value};
use serde::{Serialize, Serializer};

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
}

/// One line of output.
#[derive(Serialize)]
struct Line<'a> {
    resource: &'a str,
    #[serde(skip_serializing_if = "Owner::is_nobody", flatten)]
    owner: Owner,
    #[serde(serialize_with = "text")]
    id: u64,
    data: Value<'a>,
}

/// Whose an entity is.
enum Owner {
    Nobody,
    /// `None` for what is private.
    Guild(Option<u64>),
    Channel(u64),
}

impl Owner {
    const fn is_nobody(&self) -> bool {
        matches!(self, Self::Nobody)
    }

    fn of(resource: Resource, found: &Found) -> Self {
        match resource {
            Resource::Guilds | Resource::Users => Self::Nobody,
            Resource::Messages => Self::Channel(found.owner),
            _ => Self::Guild(Some(found.owner).filter(|&guild| guild != 0)),
        }
    }
}

impl Serialize for Owner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (name, id) = match self {
            Self::Nobody => return serializer.collect_map(None::<((), ())>),
            Self::Guild(id) => ("guild_id", *id),
            Self::Channel(id) => ("channel_id", Some(*id)),
        };
        serializer.collect_map([(name, id.map(|id| id.to_string()))])
    }
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    let state = State::attach(&options.instance.name)?;
    let mut output = std::io::BufWriter::new(std::io::stdout().lock());
    if options.resource.is_empty()
        && let Some(me) = state.me()?
    {
        let id = me.get(mixcord::atoms::ID).and_then(Value::as_id).unwrap_or(0);
        write(&mut output, "me", Owner::Nobody, id, &me)?;
    }
    let all = if options.resource.is_empty() { Resource::ALL } else { &options.resource };
    for &resource in all {
        for found in state.entities(resource) {
            let found = found?;
            let owner = Owner::of(resource, &found);
            write(&mut output, resource.name(), owner, found.id, &found.document)?;
        }
    }
    output.flush().context("writing the entities")?;
    Ok(ExitCode::SUCCESS)
}

fn write(
    output: &mut impl Write,
    resource: &str,
    owner: Owner,
    id: u64,
    document: &Document,
) -> Result<()> {
    let line = Line { resource, owner, id, data: document.value() };
    // One write for the line: what a full pipe breaks off is told as what it is.
    let mut bytes = serde_json::to_vec(&line)?;
    bytes.push(b'\n');
    output.write_all(&bytes).context("writing the entities")
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn text<S: Serializer>(id: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}
