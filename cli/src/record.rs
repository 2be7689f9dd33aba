//! `mixcord record`: what comes from Discord, in a file.

use std::fs::{File, OpenOptions};
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Args;
use mixcord::Stop;
use mixcord::event::topology;
use mixcord::ring::Namespace;
use mixcord_process::command_line;
use mixcord_recording::{Recorder, Redactor, Wanted, Writer};

use crate::tail::From;
use crate::terminal::{bytes, thousands};
use crate::{Instance, say};

pub(crate) const HELP: &str = "\
It looks on at the rings that the gateway writes, and holds nobody up: what it is too slow for it counts. It ends with \
--seconds, Ctrl-C or SIGTERM.\n\
The file has everything that Discord sent, messages of people too: keep it as you keep those, or say --redact. The bot's \
token is not in it.\n\
Started before the gateway, or while the rings still hold their first records, it has all that a replay's cache needs. \
Later, the cache of a replay does not know the guilds: its events have no old values until a GUILD_CREATE comes.";

/// The longest sleep: how long a stop may go unnoticed.
const LOOK: Duration = Duration::from_millis(50);
/// After this long without a ring it is said what is being waited for.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    instance: Instance,
    /// The file, which must not be there yet.
    #[arg(long, value_name = "FILE", env = "MIXCORD_OUT")]
    out: PathBuf,
    /// Only these kinds, and those that tell of sessions: MESSAGE_CREATE,GUILD_CREATE,…
    #[arg(long, value_name = "KIND,KIND", value_delimiter = ',', env = "MIXCORD_KINDS")]
    kinds: Vec<String>,
    /// Only events of these guilds, and those that tell of sessions.
    #[arg(long, value_name = "ID,ID", value_delimiter = ',', env = "MIXCORD_GUILD")]
    guild: Vec<u64>,
    /// End after this time (90, 15m, 2h).
    #[arg(long, value_name = "TIME", env = "MIXCORD_SECONDS", value_parser = command_line::duration)]
    seconds: Option<Duration>,
    /// Where to start: with what the rings still hold, or with what comes from now on.
    #[arg(long, value_name = "WHERE", env = "MIXCORD_FROM", default_value = "earliest")]
    from: From,
    /// Replace contents, names and all other text of people: the same text by the same.
    #[arg(long, env = "MIXCORD_REDACT")]
    redact: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let name = &options.instance.name;
    mixcord::operator::Instance::open(name)?;
    let namespace = Namespace::new(&topology::namespace(name))?;
    let stop = Stop::new();
    stop.on_signals()?;
    let kinds = options.kinds.iter().map(|name| name.trim().to_uppercase());
    let wanted = Wanted {
        kinds: kinds.filter(|name| !name.is_empty()).collect(),
        guilds: options.guild.clone(),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let started_us = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
    let writer = Writer::new(BufWriter::new(create(&options.out)?), started_us, options.redact)?;
    let redactor = options.redact.then(Redactor::new);
    let from_earliest = options.from == From::Earliest;
    let mut recorder = Recorder::new(namespace, writer, wanted, redactor, from_earliest)?;

    let began = Instant::now();
    let left = || options.seconds.map(|all| all.saturating_sub(began.elapsed()));
    let mut told = false;
    while !stop.is_stopped() && left().is_none_or(|left| !left.is_zero()) {
        if !recorder.round()? {
            if recorder.rings() == 0 && !told && began.elapsed() >= PATIENCE {
                told = true;
                eprintln!(
                    "mixcord: instance \"{name}\" has no rings of shards yet, waiting for its mixcord-gateway{}",
                    crate::ls::others(name)
                );
            }
            recorder.wait(left().map_or(LOOK, |left| left.min(LOOK)));
        }
    }
    let (_, recorded) = recorder.finish()?;
    let file = options.out.display();
    say(&format!(
        "{} records of {} rings in {file}, {}; {} lost",
        thousands(recorded.records),
        recorded.rings,
        bytes(recorded.bytes),
        thousands(recorded.lost)
    ))
}

/// A new file that nobody else may read.
fn create(path: &PathBuf) -> Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.with_context(|| format!("making {}", path.display()))
}
