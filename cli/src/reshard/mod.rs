//! `mixcord reshard`: another shard count without a pause.
//!
//! It asks, and watches. The change needs nobody who watches: the cache decides and ends it, the gateway follows, and
//! both go on when this command is gone.

mod check;
mod watch;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use mixcord::Stop;
use mixcord::event::topology::{self, ReshardOrder};
use mixcord::operator::{Instance, ReshardStatus};
use mixcord_process::folder;
use serde_json::json;

use self::check::Change;
use crate::say;

pub(super) const HELP: &str = "\
The gateway begins a second set of sessions with the new count beside the first, and both run. The cache compares what \
they bring and delivers each event once, guild by guild from the new set; then the old one is closed. Nothing is lost, \
nothing comes twice, and consumers notice nothing. It takes about five seconds for each new shard, and a minute more.\n\
\n\
It can be called off until the first guild is cut. Ended with Ctrl-C the command leaves the change going on; said again \
it shows it again. A gateway that runs some of the shards does not begin the new set by itself: start \
`mixcord-gateway --shards A..B/N --beside` for each part of it.\n\
\n\
Exit codes: 0 over (or called off, where that was asked for), 1 refused, 3 interrupted, 4 called off.";

/// How long the cache may take to obey.
const OBEYS: Duration = Duration::from_secs(15);
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(200);
/// The exit code where somebody interrupts.
const EXIT_INTERRUPTED: u8 = 3;
/// And where the change was called off, by whomever.
const EXIT_CALLED_OFF: u8 = 4;

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    instance: crate::Instance,
    /// The shard count to change to; auto: what Discord recommends.
    #[arg(
        long,
        value_name = "N|auto",
        env = "MIXCORD_TO",
        value_parser = count,
        required_unless_present_any = ["call_off", "status"],
        conflicts_with_all = ["call_off", "status"]
    )]
    to: Option<Count>,
    /// Call a change off, before the first guild is cut.
    #[arg(long, env = "MIXCORD_CALL_OFF", conflicts_with = "status")]
    call_off: bool,
    /// Say how far it is, once.
    #[arg(long, env = "MIXCORD_STATUS")]
    status: bool,
    /// Print that as one JSON object, where --status is given.
    #[arg(long, env = "MIXCORD_JSON")]
    json: bool,
}

/// What to change to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Count {
    Auto,
    Fixed(u16),
}

fn count(text: &str) -> Result<Count, String> {
    match text {
        "auto" => Ok(Count::Auto),
        text => match text.parse() {
            Ok(0) | Err(_) => Err("expected auto, or a number from 1 to 65535".to_owned()),
            Ok(count) => Ok(Count::Fixed(count)),
        },
    }
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let instance = Instance::open(&options.instance.name)?;
    if options.status {
        return status(&instance, options.json);
    }
    let stop = Stop::new();
    stop.on_signals()?;
    match options.to {
        None => call_off(&instance, &stop),
        Some(to) => change(&instance, to, &stop),
    }
}

fn status(instance: &Instance, as_json: bool) -> Result<ExitCode> {
    let status = instance.overview()?.reshard.filter(|status| status.stage != "none");
    if as_json {
        return say(&json!({"instance": instance.name(), "reshard": status}).to_string());
    }
    let text = status.as_ref().and_then(ReshardStatus::text);
    say(&text.unwrap_or_else(|| "the shard count was not changed".to_owned()))
}

fn change(instance: &Instance, to: Count, stop: &Stop) -> Result<ExitCode> {
    let to = match check::check(&instance.overview()?, instance, to)? {
        Change::IsOver(to) => return say(&format!("{to} shards run: the change is over")),
        Change::Goes(to) => to,
        Change::Begins(to) => {
            if let Some(interrupted) = ask(instance, &ReshardOrder::To(to), stop)? {
                return Ok(interrupted);
            }
            to
        }
    };
    watch::watch(instance, to, stop)?.code()
}

fn call_off(instance: &Instance, stop: &Stop) -> Result<ExitCode> {
    let overview = instance.overview()?;
    let Some(status) = overview.reshard.as_ref().filter(|status| status.under_way) else {
        bail!("the shard count of instance \"{}\" is not being changed", instance.name());
    };
    let (from, to) = (status.from, status.to);
    if status.stage != "called-off" {
        if !status.may_be_called_off {
            bail!(
                "{} of {} guilds are cut: there is no way back before the change to {to} shards is over; then \
                 `mixcord reshard --to {from}` changes the count again",
                status.cut,
                status.guilds
            );
        }
        check::cache_lives(&overview)?;
        if let Some(interrupted) = ask(instance, &ReshardOrder::CallOff(String::new()), stop)? {
            return Ok(interrupted);
        }
    }
    watch::watch(instance, to, stop)?.code_of_call_off()
}

/// Asks the cache, and waits until it has obeyed and committed that; gives an exit code where somebody interrupts.
fn ask(instance: &Instance, order: &ReshardOrder, stop: &Stop) -> Result<Option<ExitCode>> {
    let file = topology::reshard_order(instance.name());
    let file = Path::new(&file);
    folder::put(file, order.to_string().as_bytes())
        .with_context(|| format!("the cache cannot be asked by {}", file.display()))?;
    let began = Instant::now();
    while file.exists() {
        if stop.is_stopped() {
            say("interrupted: mixcord-cache was asked all the same")?;
            return Ok(Some(ExitCode::from(EXIT_INTERRUPTED)));
        }
        if began.elapsed() >= OBEYS {
            // Whenever it goes on it would obey.
            let _ = std::fs::remove_file(file);
            bail!("mixcord-cache does not obey: see its log, and `mixcord doctor`");
        }
        std::thread::sleep(LOOK / 4);
    }
    // The board was written before the file went.
    let status = instance.overview()?.reshard;
    if let Some(refused) = status.and_then(|status| status.refused) {
        bail!("mixcord-cache refused \"{refused}\"");
    }
    Ok(None)
}

/// Prints a line of progress, at once.
fn print(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes())?;
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_a_number_or_what_discord_recommends() {
        assert_eq!(count("auto"), Ok(Count::Auto));
        assert_eq!(count("65535"), Ok(Count::Fixed(u16::MAX)));
        for wrong in ["0", "-1", "65536", "two", ""] {
            assert!(count(wrong).is_err(), "{wrong}");
        }
    }
}
