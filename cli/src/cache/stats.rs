//! `mixcord cache stats`: entities and bytes of each resource, and the file.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use mixcord::State;
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
    bytes: u64,
}

pub(super) fn run(options: &ReportOptions) -> Result<ExitCode> {
    let state = State::attach(&options.instance.name)?;
    let stats = state.stats()?;
    let report = Report {
        instance: state.instance(),
        directory: state.directory()?.display().to_string(),
        resources: stats.resources.iter().map(Resource::from).collect(),
        other_bytes: stats.other_bytes,
        used_bytes: stats.bytes(),
        free_bytes: stats.file_bytes.saturating_sub(stats.bytes()),
        file_bytes: stats.file_bytes,
        commits: stats.commit,
    };
    options.print(&report, table)?;
    Ok(ExitCode::SUCCESS)
}

impl From<&mixcord::state::ResourceStats> for Resource {
    fn from(stats: &mixcord::state::ResourceStats) -> Self {
        let (entities, bytes) = (stats.entities, stats.bytes);
        Self { resource: stats.resource.name(), entities, bytes }
    }
}

fn table(report: &Report<'_>, style: Style) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "instance {}", style.bold(report.instance));
    let _ = writeln!(out, "state in {}\n", report.directory);
    let _ = writeln!(out, "{}", style.bold("resource            entities       bytes"));
    for Resource { resource, entities, bytes: size } in &report.resources {
        let line = format!("{resource:<18}{:>10}  {:>10}", thousands(*entities), bytes(*size));
        let _ = writeln!(out, "{}", if *entities == 0 { style.dim(&line) } else { line });
    }
    let _ = writeln!(out, "{:<18}{:>10}  {:>10}", "maps, positions", "", bytes(report.other_bytes));
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
