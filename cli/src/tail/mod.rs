//! `mixcord tail`: events as JSON lines.

mod diff;
mod output;
mod wanted;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use mixcord::{Consumer, Event, Kind, Next, Stop};
use mixcord_process::command_line;
use serde::Serialize;

use self::output::Output;
use self::wanted::Wanted;
use crate::line::Line;
use crate::terminal::Style;
use crate::{Instance, Source};

const EXIT_TIMEOUT: u8 = 3;

/// After this long without an output ring it is said what is being waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often it is looked, while nothing is to be printed, whether anybody still reads.
const LOOK: Duration = Duration::from_millis(250);

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    instance: Instance,
    #[command(flatten)]
    source: Source,
    /// Join this durable group and acknowledge what was printed. Without it tail only looks on, and
    /// says what it missed as {"kind":"LOST",…}.
    #[arg(long, value_name = "GROUP", env = "MIXCORD_GROUP")]
    group: Option<String>,
    /// Keep the group's backlog however long nobody comes back for it. Without it a group made here is let go
    /// after 15 minutes without a member, once the ring is full because of it.
    #[arg(long, env = "MIXCORD_FOREVER", requires = "group")]
    forever: bool,
    /// Only these kinds: MESSAGE_CREATE,GAP,…
    #[arg(long, value_name = "KIND,KIND", value_delimiter = ',', env = "MIXCORD_KIND")]
    kind: Vec<String>,
    #[command(flatten)]
    wanted: Wanted,
    /// For people: what each event changed, old → new, in colour on a terminal, instead of JSON.
    #[arg(long, env = "MIXCORD_DIFF")]
    diff: bool,
    /// Where to start, unless the group has been here before.
    #[arg(long, value_name = "WHERE", env = "MIXCORD_FROM", default_value = "latest")]
    from: From,
    /// End after so many events, with exit code 0.
    #[arg(long, value_name = "N", env = "MIXCORD_COUNT")]
    count: Option<u64>,
    /// End after this time (20, 0.5, 15m), with exit code 3.
    #[arg(long, value_name = "TIME", env = "MIXCORD_TIMEOUT", value_parser = command_line::duration)]
    timeout: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum From {
    /// The oldest event that is still in the ring.
    Earliest,
    /// What comes from now on.
    Latest,
}

#[derive(Serialize)]
struct LostLine {
    kind: &'static str,
    data: LostCount,
}

#[derive(Serialize)]
struct LostCount {
    count: u64,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if options.count == Some(0) {
        return Ok(ExitCode::SUCCESS);
    }
    let deadline = options.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let left = || deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let stop = Stop::new();
    stop.on_signals()?;
    let Some(mut consumer) = connect(options, &stop, deadline)? else {
        return Ok(ExitCode::from(EXIT_TIMEOUT));
    };

    let (mut output, style) = (Output::open(), Style::detect());
    let is_over = || left().is_some_and(|left| left.is_zero());
    let mut line = Vec::new();
    let mut printed = 0;
    loop {
        let next = consumer.next_timeout(left().map_or(LOOK, |left| left.min(LOOK)))?;
        let event = match next {
            Next::Event(event) => event,
            Next::Stopped => return Ok(ExitCode::SUCCESS),
            Next::Timeout if is_over() => return Ok(ExitCode::from(EXIT_TIMEOUT)),
            Next::Timeout if output.is_closed() => return Ok(ExitCode::SUCCESS),
            Next::Timeout => continue,
        };
        if !options.wanted.wants(&event) {
            event.ack();
            if is_over() {
                return Ok(ExitCode::from(EXIT_TIMEOUT));
            }
            continue;
        }
        line.clear();
        if options.diff {
            line.extend_from_slice(diff::lines(&event, style).as_bytes());
        } else {
            write_line(&event, &mut line)?;
        }
        let go_on = || !stop.is_stopped() && !is_over();
        let written = output.write(&line, go_on).context("writing an event");
        if !matches!(written, Ok(true)) {
            // What was not printed is another's: it did not fail.
            drop(consumer);
            written?;
            let is_told_to = stop.is_stopped();
            return Ok(if is_told_to { ExitCode::SUCCESS } else { ExitCode::from(EXIT_TIMEOUT) });
        }
        event.ack();
        printed += u64::from(event.lost().is_none());
        if options.count.is_some_and(|count| printed >= count) {
            return Ok(ExitCode::SUCCESS);
        }
        // A busy stream must not outrun the deadline.
        if is_over() {
            return Ok(ExitCode::from(EXIT_TIMEOUT));
        }
    }
}

/// `None` when the time is up.
fn connect(options: &Options, stop: &Stop, deadline: Option<Instant>) -> Result<Option<Consumer>> {
    let names = options.kind.iter().map(|name| name.trim().to_uppercase());
    let names: Vec<_> = names.filter(|name| !name.is_empty()).collect();
    for name in names.iter().filter(|name| Kind::from_name(name.as_bytes()).is_none()) {
        eprintln!("mixcord: no event {name} is known; waiting for it all the same");
    }
    let mut builder = Consumer::builder()
        .instance(&options.instance.name)
        .source(&options.source.name)
        .names(names.iter().map(String::as_str))
        .stop(stop);
    builder = match &options.group {
        // Whoever reads the lines may stop for as long as he likes: nothing is given up, or too old, for that.
        Some(group) => builder
            .group(group)
            .in_ring_order()
            .handler_timeout(None)
            .attempts(0)
            .max_age(Kind::INTERACTION_CREATE, None),
        None => builder.observer(),
    };
    if options.group.is_some() && options.forever {
        builder = builder.forever();
    }
    if options.from == From::Earliest {
        builder = builder.from_earliest();
    }

    let left = || deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let patience = left().map_or(PATIENCE, |left| left.min(PATIENCE));
    match builder.clone().wait(patience).connect_blocking() {
        Err(mixcord::Error::Timeout { .. } | mixcord::Error::NoStage { .. }) => {}
        connected => return Ok(Some(connected?)),
    }
    let (instance, source) = (&options.instance.name, &options.source.name);
    let missing = match source.as_str() {
        "out" => "output ring yet, waiting for its mixcord-cache".to_owned(),
        stage => format!("stage \"{stage}\" yet, waiting for it"),
    };
    eprintln!("mixcord: instance \"{instance}\" has no {missing}{}", crate::ls::others(instance));
    if let Some(left) = left() {
        builder = builder.wait(left);
    }
    match builder.connect_blocking() {
        Err(mixcord::Error::Timeout { .. } | mixcord::Error::NoStage { .. }) => Ok(None),
        connected => Ok(Some(connected?)),
    }
}

fn write_line(event: &Event, line: &mut Vec<u8>) -> serde_json::Result<()> {
    match event.lost() {
        Some(count) => {
            serde_json::to_writer(&mut *line, &LostLine { kind: "LOST", data: LostCount { count } })
        }
        None => serde_json::to_writer(&mut *line, &Line::of_event(event)),
    }?;
    line.push(b'\n');
    Ok(())
}
