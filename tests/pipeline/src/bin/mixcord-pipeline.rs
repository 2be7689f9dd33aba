//! Measures the pipeline and writes a page about it: `scripts/bench.sh pipeline` builds what is needed first.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use mixcord_pipeline::case::Axis;
use mixcord_pipeline::cases::Extent;
use mixcord_pipeline::contender::{Place, versions};
use mixcord_pipeline::page::{Setting, goals, medians};
use mixcord_pipeline::plan::Plan;
use mixcord_pipeline::report::Report;
use mixcord_pipeline::{process, profile};

/// The whole pipeline under load, beside its peers
#[derive(Debug, Parser)]
struct Options {
    /// Does every part run? Seconds, no peers
    #[arg(long)]
    quick: bool,
    /// Only these axes, in this order
    #[arg(long, value_enum, value_delimiter = ',', value_name = "AXIS,…")]
    axis: Vec<Axis>,
    /// Only cases whose name holds this text
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Only contenders whose name holds this text
    #[arg(long, value_name = "TEXT", default_value = "")]
    who: String,
    /// Rounds of each case [default: 3]
    #[arg(long)]
    rounds: Option<usize>,
    /// Ends in so many minutes: rounds that take longer are not begun. 0: never
    #[arg(long, default_value_t = 15)]
    minutes: u64,
    /// Instead: where the time goes, by callgrind and perf, into where.md
    #[arg(long, conflicts_with_all = ["quick", "axis"])]
    profile: bool,
    /// Lists the cases
    #[arg(long)]
    list: bool,
    /// Where report.md, its charts, report.json and runs.json go
    #[arg(long, default_value = "target/bench")]
    to: PathBuf,
    /// Where gateway, cache and peers are, if not beside this program
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
    let plan = plan(&options);
    if options.list {
        list(&plan);
        return Ok(());
    }
    process::end_on_signals()?;
    let folder = tempfile::tempdir()?;
    let place = match options.programs {
        Some(programs) => Place::new(&programs, folder.path()),
        None => Place::beside_this_program(folder.path())?,
    };
    if options.profile {
        fs::create_dir_all(&options.to)?;
        let page = options.to.join("where.md");
        profile::write(&place, &page, |what| eprintln!("{what}"))?;
        eprintln!("wrote {}", page.display());
        return Ok(());
    }
    // What is installed while it runs is not what ran.
    let mut report = Report::new();
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let setting = Setting {
        machine: report.machine.clone(),
        versions: versions(Path::new("Cargo.lock")),
        command: format!("scripts/bench.sh pipeline {}", arguments.join(" ")).trim_end().to_owned(),
    };
    let results = plan.run(&place, |run| println!("{run}"))?;
    results.recoveries.iter().for_each(|recovery| println!("{recovery}"));
    for goal in goals(&medians(&results.runs)) {
        let verdict = if goal.is_met() { "met" } else { "MISSED" };
        println!("{:54} {:9.2}  goal: at most {}: {verdict}", goal.what, goal.figure, goal.most);
    }
    let page = results.write(&options.to, &setting)?;
    report.rows = results.rows();
    report.write(&options.to.join("report.json"))?;
    let runs = options.to.join("runs.json");
    fs::write(&runs, serde_json::to_string_pretty(&results)? + "\n")
        .with_context(|| format!("writing {}", runs.display()))?;
    eprintln!("wrote {}, report.json and runs.json", page.display());
    Ok(())
}

fn plan(options: &Options) -> Plan {
    let extent = if options.quick { Extent::Quick } else { Extent::Usual };
    let whole = Plan::whole(extent);
    Plan {
        axes: if options.axis.is_empty() { whole.axes.clone() } else { options.axis.clone() },
        only: options.only.clone(),
        who: options.who.clone(),
        rounds: options.rounds.unwrap_or(whole.rounds),
        limit: match options.minutes {
            0 => Duration::MAX,
            minutes => Duration::from_secs(60 * minutes),
        },
        ..whole
    }
}

fn list(plan: &Plan) {
    for &axis in &plan.axes {
        println!("{}: {}", axis.name(), axis.title());
        for case in plan.extent.cases(axis) {
            let contenders: Vec<_> = case.contenders.iter().map(|who| who.name()).collect();
            println!("  {}: {}", case.name(), contenders.join("; "));
        }
    }
}
