//! An entity as a line of JSON.

use std::io::Write;

use anyhow::{Context, Result};
use mixcord::Value;
use mixcord::event::Document;
use mixcord::state::{Found, Resource};
use serde::{Serialize, Serializer};

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
pub(super) enum Owner {
    Nobody,
    /// `None` for what is private.
    Guild(Option<u64>),
    Channel(u64),
}

impl Owner {
    const fn is_nobody(&self) -> bool {
        matches!(self, Self::Nobody)
    }

    pub(super) fn of(resource: Resource, found: &Found) -> Self {
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

/// Writes an entity as a line.
pub(super) fn write(
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
