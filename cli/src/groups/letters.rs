//! Events that a group has before it, or gave up: as JSON lines, and given again.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use mixcord::event::{Record, RecordError};
use serde::Serialize;

use super::Group;
use crate::line::Line;
use crate::say;

#[derive(Debug, Args)]
pub(crate) struct Peek {
    #[command(flatten)]
    group: Group,
    /// So many at most.
    #[arg(long, value_name = "N", env = "MIXCORD_COUNT", default_value_t = 10)]
    count: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Dead {
    #[command(flatten)]
    group: Group,
}

#[derive(Debug, Args)]
pub(crate) struct Retry {
    #[command(flatten)]
    group: Group,
    /// Which ones, by their numbers; all, unless said.
    #[arg(long, value_name = "POSITION,POSITION", value_delimiter = ',', env = "MIXCORD_POSITION")]
    position: Vec<u64>,
}

/// One event that waits, as a line.
#[derive(Serialize)]
struct WaitingLine<'a> {
    position: u64,
    identity: Option<String>,
    state: &'a str,
    pid: Option<u32>,
    failures: u8,
    deaths: u8,
    #[serde(flatten)]
    event: EventPart<'a>,
}

/// One that was given up.
#[derive(Serialize)]
struct DeadLine<'a> {
    position: u64,
    identity: Option<String>,
    group: &'a str,
    error: &'a str,
    failures: u8,
    deaths: u8,
    /// When it was given up, in seconds since the Unix epoch.
    written: f64,
    #[serde(flatten)]
    event: EventPart<'a>,
}

/// The members that `tail` prints, or why there are none.
#[derive(Serialize)]
#[serde(untagged)]
enum EventPart<'a> {
    Event(Line<'a>),
    Unreadable { unreadable: String },
}

impl<'a> EventPart<'a> {
    fn of(record: Result<Record<'a>, RecordError>) -> Self {
        match record {
            Ok(record) => Self::Event(Line::of_record(&record)),
            Err(error) => Self::Unreadable { unreadable: error.to_string() },
        }
    }
}

pub(super) fn peek(options: &Peek) -> Result<ExitCode> {
    let waiting = options.group.open()?.peek(&options.group.name, options.count)?;
    print(waiting.iter().map(|it| WaitingLine {
        position: it.position,
        identity: it.identity().ok().map(|identity| identity.to_string()),
        state: it.state,
        pid: it.pid,
        failures: it.failures,
        deaths: it.deaths,
        event: EventPart::of(it.record()),
    }))
}

pub(super) fn dead(options: &Dead) -> Result<ExitCode> {
    let name = &options.group.name;
    let dead = options.group.open()?.dead_letters(name)?;
    print(dead.iter().map(|it| DeadLine {
        position: it.position,
        identity: it.identity().ok().map(|identity| identity.to_string()),
        group: name,
        error: &it.error,
        failures: it.failures,
        deaths: it.deaths,
        written: it.written.as_secs_f64(),
        event: EventPart::of(it.record()),
    }))
}

pub(super) fn retry(options: &Retry) -> Result<ExitCode> {
    let name = &options.group.name;
    let which = (!options.position.is_empty()).then_some(&*options.position);
    let count = options.group.open()?.retry_dead_letters(name, which)?;
    let what = if count == 1 { "event is" } else { "events are" };
    say(&format!("group \"{name}\": {count} {what} given again"))
}

fn print(lines: impl Iterator<Item = impl Serialize>) -> Result<ExitCode> {
    let mut output = std::io::stdout().lock();
    for line in lines {
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        output.write_all(&text).context("writing an event")?;
    }
    Ok(ExitCode::SUCCESS)
}
