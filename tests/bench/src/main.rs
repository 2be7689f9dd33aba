//! Mixcord against its peers, in one run on the same cores.
//!
//! Every case interleaves ours and the peers round by round, so that a machine whose speed drifts
//! is as unfair to one as to the other. Read the medians and the ratios; CPU-seconds stand beside
//! wall time because the machine may be shared. Like all benchmarks, these are flawed: the cases
//! say what they measure, and what they leave out.

#![recursion_limit = "256"] // json! of a whole guild

mod cache;
mod clock;
mod cluster;
mod event;
mod payload;
mod proxy;
mod report;
mod reshard;
mod ring;
mod round;
mod state;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::report::Report;
use crate::round::Effort;

/// The name of a part and what runs it.
type Part = (&'static str, Runs);

/// What runs a part.
#[derive(Clone, Copy)]
enum Runs {
    Plain(fn(Effort, &mut Report) -> Result<()>),
    /// At so many events a second, where that is said.
    AtRate(fn(Effort, Option<u32>, &mut Report) -> Result<()>),
}

/// The parts of the benchmark, each a list of cases that appends its rows to the report.
const PARTS: &[Part] = &[
    ("event", Runs::Plain(event::run)),
    ("ring", Runs::Plain(ring::run)),
    ("cache", Runs::Plain(cache::run)),
    ("state", Runs::Plain(state::run)),
    // Last, for they end in order when they are told to.
    ("copy", Runs::Plain(cache::copies::run)),
    ("cluster", Runs::Plain(cluster::run)),
    ("proxy", Runs::Plain(proxy::run)),
    ("reshard", Runs::AtRate(reshard::run)),
];

const USAGE: &str = "usage: mixcord-bench [PART|all] [--quick] [--rate N] [--list] [--report FILE]";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    // Processes that a part starts of itself.
    match given.split_first().map(|(first, rest)| (&**first, rest)) {
        Some((ring::CHILD, rest)) => return ring::child(rest).map(|()| ExitCode::SUCCESS),
        Some((state::CHILD, rest)) => return state::child(rest).map(|()| ExitCode::SUCCESS),
        Some((cache::CHILD, rest)) => return cache::child(rest).map(|()| ExitCode::SUCCESS),
        Some((cache::ALONE, rest)) => return cache::alone(rest).map(|()| ExitCode::SUCCESS),
        Some((ring::instructions::CHILD, rest)) => {
            return ring::instructions::child(rest).map(|()| ExitCode::SUCCESS);
        }
        _ => {}
    }
    let mut wanted = String::from("all");
    let mut effort = Effort::Full;
    let mut rate = None;
    let mut path = PathBuf::from("target/bench/report.json");
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => effort = Effort::Quick,
            "--report" => path = arguments.next().context("--report needs a file")?.into(),
            "--rate" => {
                let given = arguments.next().context("--rate needs events a second")?;
                let given: u32 = given.parse().with_context(|| format!("--rate {given}"))?;
                rate = Some(given);
            }
            "--list" => {
                PARTS.iter().for_each(|(name, _)| println!("{name}"));
                return Ok(ExitCode::SUCCESS);
            }
            "-h" | "--help" => {
                println!("{USAGE}");
                return Ok(ExitCode::SUCCESS);
            }
            part if !part.starts_with('-') => wanted = part.to_owned(),
            other => anyhow::bail!("no such option: {other}\n{USAGE}"),
        }
    }

    let chosen: Vec<_> =
        PARTS.iter().filter(|(name, _)| wanted == "all" || wanted == *name).collect();
    anyhow::ensure!(!chosen.is_empty(), "no such part: {wanted} (see --list)");

    let mut report = Report::new();
    for (name, part) in chosen {
        eprintln!("bench: {name}");
        let done = match part {
            Runs::Plain(run) => run(effort, &mut report),
            Runs::AtRate(run) => run(effort, rate, &mut report),
        };
        done.with_context(|| format!("part {name}"))?;
    }
    report.print();
    report.write(&path)?;
    eprintln!("bench: wrote {}", path.display());
    Ok(ExitCode::SUCCESS)
}
