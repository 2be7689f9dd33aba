//! `mixcord cache stats`: entities of each resource, what they are and what they take, and the file.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use mixcord::State;
use mixcord::state::{ResourceSizes, ResourceStats};
use serde::Serialize;

use crate::report::ReportOptions;
use crate::terminal::{Style, bytes, thousands};

/// Everything that is shown.
#[derive(Serialize)]
struct Report<'a> {
    instance: &'a str,
    directory: String,
    /// By name.
    resources: Vec<Resource>,
    /// Maps, counts and positions.
    other_bytes: u64,
    /// What holds something.
    used_bytes: u64,
    /// What of the file holds nothing: used before it grows.
    free_bytes: u64,
    /// All of the file.
    file_bytes: u64,
    /// How often the cache has committed, over all its runs.
    commits: u64,
}

#[derive(Serialize)]
struct Resource {
    resource: &'static str,
    entities: u64,
    /// Their documents, as events have them.
    raw_bytes: u64,
    /// The same as they are stored.
    stored_bytes: u64,
    /// Heads, what keeps their order, and what is left over at the ends of their places.
    overhead_bytes: u64,
    /// What they take: stored, with the overhead.
    bytes: u64,
}

pub(super) fn run(options: &ReportOptions) -> Result<ExitCode> {
    let state = State::attach(&options.instance.name)?;
    let stats = state.stats()?;
    let sizes = state.sizes()?;
    let report = Report {
        instance: state.instance(),
        directory: state.directory()?.display().to_string(),
        resources: stats.resources.iter().zip(&sizes).map(Resource::of).collect(),
        other_bytes: stats.other_bytes,
        used_bytes: stats.bytes(),
        free_bytes: stats.file_bytes.saturating_sub(stats.bytes()),
        file_bytes: stats.file_bytes,
        commits: stats.commit,
    };
    options.print(&report, table)?;
    Ok(ExitCode::SUCCESS)
}

impl Resource {
    /// Of both in the same order of resources.
    fn of((stats, sizes): (&ResourceStats, &ResourceSizes)) -> Self {
        let ResourceSizes { raw_bytes, stored_bytes, overhead_bytes, .. } = *sizes;
        let (entities, bytes) = (stats.entities, stats.bytes);
        let resource = stats.resource.name();
        Self { resource, entities, raw_bytes, stored_bytes, overhead_bytes, bytes }
    }
}

fn table(report: &Report<'_>, style: Style) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "instance {}", style.bold(report.instance));
    let _ = writeln!(out, "state in {}\n", report.directory);
    let line = |name: &str, figures: [String; 5]| {
        let [entities, raw, stored, overhead, all] = figures;
        format!("{name:<18}{entities:>11}  {raw:>10}  {stored:>10}  {overhead:>10}  {all:>10}")
    };
    let head = ["entities", "raw", "stored", "overhead", "bytes"].map(str::to_owned);
    let _ = writeln!(out, "{}", style.bold(&line("resource", head)));
    for of in &report.resources {
        let sizes = [of.raw_bytes, of.stored_bytes, of.overhead_bytes, of.bytes].map(bytes);
        let [raw, stored, overhead, all] = sizes;
        let line = line(of.resource, [thousands(of.entities), raw, stored, overhead, all]);
        let _ = writeln!(out, "{}", if of.entities == 0 { style.dim(&line) } else { line });
    }
    let none = String::new;
    let other = [none(), none(), none(), none(), bytes(report.other_bytes)];
    let _ = writeln!(out, "{}", line("maps, positions", other));
    let share = report.used_bytes as f64 / report.file_bytes.max(1) as f64;
    let _ = writeln!(
        out,
        "\nfile {}  {} used, {} free, {} commits",
        style.bar(share, 10),
        bytes(report.used_bytes),
        bytes(report.free_bytes),
        thousands(report.commits),
    );
    out
}
