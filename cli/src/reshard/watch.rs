//! How far a change is, until it is over: a line that changes on a terminal, lines elsewhere.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use mixcord::Stop;
use mixcord::operator::{Instance, Overview, ReshardStatus, span};
use mixcord_process::log;

use super::{EXIT_CALLED_OFF, EXIT_INTERRUPTED, LOOK, print};
use crate::say;

/// How often figures are printed where no line can be changed.
const PRINT: Duration = Duration::from_secs(5);
/// How long the rings of the set that went are waited for: the cache removes them with its next batch.
const RINGS_GO: Duration = Duration::from_secs(10);
/// So long a gateway may take to begin the new set.
const BEGINS: Duration = Duration::from_secs(10);

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The new set runs alone.
    Done(String),
    /// The old one does.
    Back(String),
    /// Somebody interrupted.
    Interrupted,
}

impl End {
    /// What a change comes to.
    pub(super) fn code(self) -> Result<ExitCode> {
        let why = match self {
            Self::Done(text) => return say(&text),
            Self::Interrupted => return interrupted(),
            Self::Back(why) if why.is_empty() => "the shard count stays".to_owned(),
            Self::Back(why) => why,
        };
        log::say("mixcord", &format!("called off: {why}"));
        Ok(ExitCode::from(EXIT_CALLED_OFF))
    }

    /// And a call to call it off.
    pub(super) fn code_of_call_off(self) -> Result<ExitCode> {
        match self {
            Self::Done(text) => bail!("it was too late: {text}"),
            Self::Back(_) => say("called off: the old set of sessions runs alone"),
            Self::Interrupted => interrupted(),
        }
    }
}

fn interrupted() -> Result<ExitCode> {
    say(
        "interrupted: it goes on; `mixcord reshard --status` says how far it is, --call-off ends it until guilds are cut",
    )?;
    Ok(ExitCode::from(EXIT_INTERRUPTED))
}

/// Shows the change to this count until it is over.
pub(super) fn watch(instance: &Instance, to: u16, stop: &Stop) -> Result<End> {
    let mut progress = Progress::new();
    let mut over: Option<Instant> = None;
    loop {
        let overview = instance.overview()?;
        let Some(status) = overview.reshard.as_ref().filter(|status| status.to == to) else {
            progress.end();
            bail!("the change to {to} shards is not known any more: was the instance removed?");
        };
        let went = match status.stage {
            "done" => Some(status.old_rings),
            "back" => Some(status.new_rings),
            _ => None,
        };
        if let Some(rings) = went {
            let since = *over.get_or_insert_with(Instant::now);
            if rings == 0 || since.elapsed() >= RINGS_GO {
                progress.end();
                return Ok(end(status, rings));
            }
        }
        if stop.is_stopped() {
            progress.end();
            return Ok(End::Interrupted);
        }
        progress.tell(&overview, status)?;
        std::thread::sleep(LOOK);
    }
}

fn end(status: &ReshardStatus, rings: usize) -> End {
    if status.stage == "back" {
        return End::Back(status.why.clone().unwrap_or_default());
    }
    let ReshardStatus { from, to, guilds, cancelled, one_sided_old, one_sided_new, .. } = status;
    let left = match rings {
        0 => String::new(),
        rings => format!("; {rings} old rings go as soon as every group has read them"),
    };
    End::Done(format!(
        "done: {to} shards instead of {from}, {guilds} guilds cut, {cancelled} copies recognised, {} events from one set alone{left}",
        one_sided_old + one_sided_new
    ))
}

/// What was shown.
struct Progress {
    is_terminal: bool,
    is_shown: bool,
    told: String,
    stage: &'static str,
    printed: Option<Instant>,
    pace: Pace,
}

/// How fast shards identify.
struct Pace {
    began: Instant,
    /// Those that had when the watch began.
    first: Option<u16>,
}

impl Progress {
    fn new() -> Self {
        Self {
            is_terminal: std::io::stderr().is_terminal(),
            is_shown: false,
            told: String::new(),
            stage: "",
            printed: None,
            pace: Pace { began: Instant::now(), first: None },
        }
    }

    fn tell(&mut self, overview: &Overview, status: &ReshardStatus) -> Result<()> {
        let text = self.line(overview, status);
        if self.is_terminal {
            self.is_shown = true;
            eprint!("\r{text}\x1b[K");
            return Ok(());
        }
        let is_due = self.printed.is_none_or(|at| at.elapsed() >= PRINT);
        if text == self.told || !is_due && self.stage == status.stage {
            return Ok(());
        }
        print(&text)?;
        (self.printed, self.stage, self.told) = (Some(Instant::now()), status.stage, text);
        Ok(())
    }

    fn line(&mut self, overview: &Overview, status: &ReshardStatus) -> String {
        let mut text = status.text().unwrap_or_default();
        if status.stage == "overlapping" && status.sessions < status.to {
            match self.pace.left(status) {
                Some(left) => text += &format!(", about {} to go", span(left)),
                None if status.new_rings == 0 && self.pace.began.elapsed() >= BEGINS => {
                    text += &format!(
                        ": no mixcord-gateway begins them; where each runs some of the shards, start mixcord-gateway \
                         --shards A..B/{} --beside",
                        status.to
                    );
                }
                None => {}
            }
        }
        if !overview.output().is_some_and(|ring| ring.producer_alive) {
            text += "; mixcord-cache does not run";
        }
        text
    }

    /// Clears the line.
    fn end(&self) {
        if self.is_shown {
            eprint!("\r\x1b[K");
        }
    }
}

impl Pace {
    /// How long the others will take.
    fn left(&mut self, status: &ReshardStatus) -> Option<Duration> {
        let first = *self.first.get_or_insert(status.sessions);
        let since = status.sessions.checked_sub(first).filter(|since| *since > 0)?;
        let each = self.began.elapsed() / u32::from(since);
        Some(each * u32::from(status.to.saturating_sub(status.sessions)))
    }
}
