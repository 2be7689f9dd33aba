//! `mixcord drain`: no event comes in any more, and the rings run empty.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use mixcord::Stop;
use mixcord::commands::{self, Commands};
use mixcord::operator::{GroupStatus, Instance, Overview, RingStatus};
use mixcord_process::command_line;

use crate::say;
use crate::terminal::thousands;

pub(super) const HELP: &str = "\
The gateways give their connections up, so that their sessions can be resumed, and make no others. Then cache and \
consumers read what there is. Once nothing is left, everything can be stopped and started in another release. Where \
UPGRADING.md says that it takes the rings over, it resumes the sessions, and Discord sends what happened meanwhile.\n\
\n\
Discord keeps a session for a few minutes only. So the gateways go on by themselves three minutes after the rings \
are empty, a minute after this command was killed, and at once when it was interrupted or its time was up. Said again and again it keeps a shard away for five minutes at most.\n\
\n\
Exit codes: 0 drained, 3 not within --timeout, or interrupted.";

/// The pause that is asked for while the rings run empty: should this process die, events soon flow again.
const WHILE: u16 = 60;
/// And once they are: so long the operator has.
const DRAINED: u16 = 180;
/// How often it is asked for.
const ASK: Duration = Duration::from_secs(10);
/// How often the rings are looked at.
const LOOK: Duration = Duration::from_millis(100);
/// The longest wait. With the pause behind it, it is as long as Discord keeps a session.
const TIMEOUT_MAX: Duration = Duration::from_secs((commands::PAUSE_MAX - DRAINED) as u64);
/// The exit code when the time is up, and where somebody interrupts.
const EXIT_NOT_DRAINED: u8 = 3;

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    instance: crate::Instance,
    /// Give up after this time, at most two minutes, and have events flow again.
    #[arg(long, value_name = "TIME", env = "MIXCORD_TIMEOUT", default_value = "60", value_parser = command_line::duration)]
    timeout: Duration,
    /// Have events flow again now.
    #[arg(long, env = "MIXCORD_UNDO")]
    undo: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let name = &options.instance.name;
    let commands = Commands::open(name)?;
    if options.undo {
        commands.pause_blocking(0)?;
        return say("events flow again");
    }
    if options.timeout > TIMEOUT_MAX {
        let most = TIMEOUT_MAX.as_secs();
        bail!(
            "--timeout is at most {most} s: Discord would give the sessions up, and events would be lost"
        );
    }
    let instance = Instance::open(name)?;
    if instance.overview()?.is_empty() {
        bail!("instance \"{name}\" has no rings{}", crate::ls::others(name));
    }
    let stop = Stop::new();
    stop.on_signals()?;
    let gateways = Gateways { commands };
    match wait(&instance, &gateways, options.timeout, &stop) {
        Ok(End::Drained(Taken::Nobody)) => {
            say("drained: no gateway runs, and nothing is left in the rings")
        }
        Ok(End::Drained(_)) => say(&format!(
            "drained: stop mixcord-gateway within {DRAINED} s, then mixcord-cache and the consumers, and start the new \
             ones; or take events in again: mixcord drain --undo --instance {name}"
        )),
        Ok(End::Left(left)) => {
            let again = gateways.go_on()?;
            let why = if stop.is_stopped() { "interrupted" } else { "not drained" };
            say(&format!("{why}, and events flow again{again}: {left}"))?;
            Ok(ExitCode::from(EXIT_NOT_DRAINED))
        }
        Err(error) => {
            // What it says matters more than whether anybody is left to hear this.
            let _ = gateways.go_on();
            Err(error)
        }
    }
}

/// How the wait ended.
enum End {
    /// The rings are empty, and the gateways stay away for [`DRAINED`].
    Drained(Taken),
    /// It took too long, or was interrupted: what is left.
    Left(String),
}

/// Waits until the rings are empty.
fn wait(instance: &Instance, gateways: &Gateways, timeout: Duration, stop: &Stop) -> Result<End> {
    let (began, mut progress) = (Instant::now(), Progress::new());
    let mut asked: Option<Instant> = None;
    let mut taken = None;
    loop {
        let is_old = asked.is_none_or(|asked| asked.elapsed() >= ASK);
        let mut now = match taken.take() {
            Some(taken) if !is_old && !matches!(taken, Taken::Waits(_)) => taken,
            _ => {
                asked = Some(Instant::now());
                gateways.pause(WHILE)?
            }
        };
        let mut left = look(&instance.overview()?);
        if left.is_none() && !matches!(now, Taken::Waits(_)) {
            // Also a gateway that began meanwhile; what it took in is seen by a look behind that.
            now = gateways.pause(DRAINED)?;
            left = look(&instance.overview()?);
        }
        let left = match (&now, left) {
            (_, Some(left)) => left,
            (Taken::Waits(why), None) => {
                format!("the rings are empty, but not every gateway holds: {why}")
            }
            (_, None) => {
                progress.end();
                return Ok(End::Drained(now));
            }
        };
        taken = Some(now);
        if began.elapsed() >= timeout || stop.is_stopped() {
            progress.end();
            return Ok(End::Left(left));
        }
        progress.tell(&left);
        std::thread::sleep(LOOK);
    }
}

/// What is in the rings, and for whom; `None` when nothing is.
fn look(overview: &Overview) -> Option<String> {
    let behind = overview.rings.iter().flat_map(|ring| {
        let groups =
            ring.groups.iter().filter(|group| group.lag > 0 && !group.evicted && !group.damaged);
        groups.map(move |group| (ring, group))
    });
    let behind: Vec<(&RingStatus, &GroupStatus)> = behind.collect();
    let (ring, group) = behind.iter().max_by_key(|(_, group)| group.lag)?;
    let all: u64 = behind.iter().map(|(_, group)| group.lag).sum();
    let members = match group.members {
        0 => ", and has no member",
        _ => "",
    };
    Some(format!(
        "{} records to go; group {} is {} behind in ring {}{members}",
        thousands(all),
        group.name,
        thousands(group.lag),
        ring.name
    ))
}

/// Whether events are taken in.
enum Taken {
    /// No gateway runs.
    Nobody,
    /// No more.
    No,
    /// Not every shard has said that it takes none: why. It is to be asked again.
    Waits(String),
}

struct Gateways {
    commands: Commands,
}

impl Gateways {
    fn pause(&self, seconds: u16) -> Result<Taken> {
        match self.commands.pause_blocking(seconds) {
            Ok(()) => Ok(Taken::No),
            Err(commands::Error::NoGateway { .. }) => Ok(Taken::Nobody),
            Err(error) if error.retry_after().is_some() => Ok(Taken::Waits(error.to_string())),
            // A gateway asks its shards one by one, and one on a dead network is slow to answer.
            Err(error @ commands::Error::Timeout { .. }) => Ok(Taken::Waits(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    /// Has events flow again; says when, where that is not at once.
    fn go_on(&self) -> Result<&'static str> {
        Ok(match self.pause(0)? {
            // The pauses end by themselves.
            Taken::Waits(_) => ", within three minutes",
            Taken::Nobody | Taken::No => "",
        })
    }
}

/// How far it is, for whoever waits at a terminal.
struct Progress {
    shown: bool,
    told: bool,
}

impl Progress {
    fn new() -> Self {
        Self { shown: std::io::stderr().is_terminal(), told: false }
    }

    fn tell(&mut self, left: &str) {
        if self.shown {
            self.told = true;
            eprint!("\r{left}\x1b[K");
        }
    }

    fn end(&self) {
        if self.told {
            eprint!("\r\x1b[K");
        }
    }
}
