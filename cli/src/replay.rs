//! `mixcord replay`: what was recorded, in the rings of another instance.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context, Result};
use clap::Args;
use mixcord::Stop;
use mixcord::event::topology;
use mixcord::ring::Namespace;
use mixcord_recording::{Player, Progress, Reader, Speed};

use crate::terminal::thousands;
use crate::{Instance, say};

pub(crate) const HELP: &str = "\
It writes the rings of the shards as a gateway would have done. Start mixcord-cache and your consumers with the same \
--instance, before or after; no gateway and no token is needed. `mixcord rm --instance …` removes all of it again.";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The file that `mixcord record` wrote.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    instance: Instance,
    /// So many times as fast as it came (1, 10, 0.5), or max, as fast as it is read.
    #[arg(long, value_name = "1|N|max", env = "MIXCORD_SPEED", default_value = "1")]
    speed: Pace,
}

#[derive(Debug, Clone, Copy)]
struct Pace(Speed);

impl FromStr for Pace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self(Speed::Max));
        }
        let times = text.parse().ok().filter(|times: &f64| times.is_finite() && *times > 0.0);
        let times =
            times.ok_or_else(|| "neither max nor a number above 0, like 1 or 10".to_owned())?;
        Ok(Self(Speed::Times(times)))
    }
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let (name, path) = (&options.instance.name, options.file.display());
    mixcord::operator::Instance::open(name)?;
    let namespace = Namespace::new(&topology::namespace(name))?;
    let stop = Stop::new();
    stop.on_signals()?;
    let file = File::open(&options.file).with_context(|| format!("opening {path}"))?;
    let reader = Reader::open(BufReader::new(file)).with_context(|| format!("reading {path}"))?;
    let player = Player::new(namespace, options.speed.0)?;
    let played = player.play(reader, || stop.is_stopped(), |progress| tell(name, &progress));
    let played = played.with_context(|| format!("replaying {path}"))?;
    if played.unknown > 0 {
        eprintln!(
            "mixcord: {} pieces of {path} are of kinds that this build does not know, and were passed over: \
             update mixcord",
            thousands(played.unknown)
        );
    }
    let end = if played.whole { "all of it" } else { "stopped before its end" };
    say(&format!(
        "{} records replayed into instance \"{name}\", {end}; {} were lost when it was recorded",
        thousands(played.records),
        thousands(played.lost)
    ))
}

fn tell(instance: &str, progress: &Progress) {
    match progress {
        Progress::Lost { ring, count } => {
            eprintln!("mixcord: {ring}: {} records are missing here", thousands(*count));
        }
        Progress::Full { ring, read: false } => {
            eprintln!("mixcord: {ring} is full: waiting for mixcord-cache --instance {instance}");
        }
        Progress::Full { ring, read: true } => {
            eprintln!(
                "mixcord: {ring} is full: its mixcord-cache does not go on; its log says why"
            );
        }
        Progress::Unread { ring, read: false } => {
            eprintln!(
                "mixcord: another ring takes the place of {ring} once it is read: waiting for mixcord-cache --instance {instance}"
            );
        }
        Progress::Unread { ring, read: true } => {
            eprintln!(
                "mixcord: another ring takes the place of {ring} once it is read: its mixcord-cache does not go on; its \
                 log says why"
            );
        }
        _ => {}
    }
}
