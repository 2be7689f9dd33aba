//! `mixcord top`: what flows, live.

mod app;
mod picker;
mod plain;
mod screen;
mod update;
mod view;

use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use mixcord::Stop;
use mixcord::operator::{Instance, Overview};
use mixcord_monitor::findings::{Finding, of_instance};
use mixcord_monitor::rates::Rates;
use mixcord_process::command_line;

use self::picker::Picker;

/// How often the picture is drawn.
const TICK: Duration = Duration::from_secs(1);

pub(crate) const HELP: &str = "\
Keys: q ends it; 1 to 4, Tab and the arrows left and right choose overview, shards, groups, kinds; the other \
arrows, PgUp, PgDn, Home and End scroll; < and > choose the column that is sorted by, r turns the order; ? shows \
them. Into a file or a pipe it writes plain lines, each of which stands for itself.";

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    instance: crate::Instance,
    /// End after this time (20, 0.5, 15m); without it, on q or Ctrl-C.
    #[arg(long, value_name = "TIME", env = "MIXCORD_SECONDS", value_parser = command_line::duration)]
    seconds: Option<Duration>,
    /// Shown above the picture.
    #[arg(long, value_name = "TEXT", env = "MIXCORD_TITLE")]
    title: Option<String>,
    /// Measure for one second, print it once, end; with 1 if there is nothing.
    #[arg(long, env = "MIXCORD_ONCE")]
    once: bool,
}

/// An instance at one moment, and what flowed since the moment before.
struct Look {
    overview: Overview,
    rates: Rates,
    findings: Vec<Finding>,
    /// Since the first look.
    running: Duration,
}

/// Looks again and again.
struct Looks {
    instance: Instance,
    started: Instant,
    rates: Rates,
}

impl Looks {
    fn begin(instance: Instance) -> Result<Self> {
        let rates = Rates::of(&instance.overview()?);
        Ok(Self { instance, started: Instant::now(), rates })
    }

    fn next(&mut self) -> Result<Look> {
        let overview = self.instance.overview()?;
        let mut rates = std::mem::replace(&mut self.rates, Rates::of(&overview));
        rates.now();
        let findings = of_instance(&overview);
        Ok(Look { overview, rates, findings, running: self.started.elapsed() })
    }
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let stop = Stop::new();
    stop.on_signals()?;
    let looks = Looks::begin(Instance::open(&options.instance.name)?)?;
    let picker = Picker::start(&options.instance.name, &stop)?;
    let is_live =
        std::io::stdout().is_terminal() && std::io::stdin().is_terminal() && !options.once;
    if is_live {
        screen::run(looks, &picker, options, &stop)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(title) = &options.title {
        std::io::stdout().write_all(format!("{title}\n").as_bytes())?;
    }
    let is_there = print(looks, &picker, options, &stop)?;
    Ok(ExitCode::from(u8::from(options.once && !is_there)))
}

/// Plain lines, a picture a second; whether there was anything at last.
fn print(mut looks: Looks, picker: &Picker, options: &Options, stop: &Stop) -> Result<bool> {
    let end = if options.once { Some(TICK) } else { options.seconds };
    let mut is_there = false;
    while !stop.is_stopped() {
        let left = end.map_or(TICK, |end| end.saturating_sub(looks.started.elapsed()));
        if left.is_zero() {
            break;
        }
        picker.wait(left.min(TICK), stop);
        let look = looks.next()?;
        is_there = !look.overview.is_empty();
        std::io::stdout().write_all(plain::lines(&look, picker.take()).as_bytes())?;
    }
    Ok(is_there)
}
