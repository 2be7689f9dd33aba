//! Measures the pipeline and writes a page about it: `scripts/bench.sh pipeline` builds what is needed first.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use mixcord_pipeline::case::Extent;
use mixcord_pipeline::contender::Place;
use mixcord_pipeline::plan::Plan;
use mixcord_pipeline::process;

/// The whole pipeline under load, beside its peers
#[derive(Debug, Parser)]
struct Options {
    /// Does every part run? Seconds, no peers
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Every dimension: hours
    #[arg(long)]
    full: bool,
    /// Only cases whose name holds this text
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Only contenders whose name holds this text
    #[arg(long, value_name = "TEXT")]
    who: Option<String>,
    /// Rounds of each case
    #[arg(long)]
    rounds: Option<usize>,
    /// Lists the cases
    #[arg(long)]
    list: bool,
    /// Where report.md, its charts and runs.json go
    #[arg(long, default_value = "target/bench")]
    to: PathBuf,
    /// Where gateway and cache are, if not beside this program
    #[arg(long)]
    programs: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mixcord-pipeline: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<()> {
    let extent = match (options.quick, options.full) {
        (true, _) => Extent::Quick,
        (_, true) => Extent::Full,
        _ => Extent::Usual,
    };
    if options.list {
        for case in extent.cases() {
            let contenders: Vec<_> = case.contenders.iter().map(|who| who.name()).collect();
            println!("{}: {}", case.name(), contenders.join("; "));
        }
        return Ok(());
    }
    process::end_on_signals()?;
    let only = match (options.only, options.who) {
        (None, None) => None,
        (case, who) => Some((case.unwrap_or_default(), who.unwrap_or_default())),
    };
    let plan = Plan { extent, only, rounds: options.rounds };
    let folder = tempfile::tempdir()?;
    let place = match options.programs {
        Some(programs) => Place { programs, folder: folder.path().to_owned() },
        None => Place::beside_this_program(folder.path())?,
    };
    let results = plan.run(&place, |run| println!("{run}"))?;
    for recovery in &results.recoveries {
        println!("{recovery}");
    }
    results.write(&options.to, &machine())?;
    let runs = options.to.join("runs.json");
    std::fs::write(&runs, serde_json::to_string_pretty(&results)? + "\n")
        .with_context(|| format!("writing {}", runs.display()))?;
    eprintln!("wrote {} and report.md beside it", runs.display());
    Ok(())
}

fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("a processor without a name", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{model}, {cores} cores, Linux {}", read("/proc/sys/kernel/osrelease").trim())
}
