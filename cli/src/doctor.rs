//! `mixcord doctor`: what is wrong, and which command mends it.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use mixcord::operator::{self, Overview};
use mixcord_monitor::findings::{self, Finding, Machine, Severity};
use serde::Serialize;

use crate::ls::others;
use crate::report::ReportOptions;
use crate::terminal::{Style, bytes};

pub(crate) const HELP: &str = "\
Each finding is two lines: what is so, and what to type. It looks at the rings (who writes them, who holds them, \
what cannot be read, what is left of other shard counts), the shards (connected, read, silent, identifies left), the \
groups (empty, late, let go, damaged, dead letters), stages, proxies and bridges that do not run, a standby that \
waits while nobody runs its shards, the releases of the programs, and the machine: /dev/shm, permissions, limits, \
kernel, clock, what removes segments at a logout.\n\
\n\
Exit codes: 0 nothing is wrong, 1 there are warnings, 2 something is broken.";

#[derive(Serialize)]
struct Report<'a> {
    instance: &'a str,
    findings: Vec<Finding>,
    machine: Machine,
    #[serde(skip)]
    overview: &'a Overview,
}

pub(crate) fn run(options: &ReportOptions) -> Result<ExitCode> {
    let instance = operator::Instance::open(&options.instance.name)?;
    let overview = instance.overview()?;
    let machine = findings::look_around(&instance)?;
    let findings = findings::all(&overview, &machine);
    let report = Report { instance: instance.name(), findings, machine, overview: &overview };
    options.print(&report, table)?;
    let worst = report.findings.iter().map(|finding| finding.severity).max();
    Ok(ExitCode::from(match worst {
        None => 0,
        Some(Severity::Warning) => 1,
        Some(Severity::Broken) => 2,
    }))
}

fn table(report: &Report<'_>, style: Style) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        let severity = match finding.severity {
            Severity::Broken => style.red("broken "),
            Severity::Warning => style.yellow("warning"),
        };
        // An instance that is not there may have been meant by another name.
        let hint = if report.overview.is_empty() && finding.name == "nothing-there" {
            others(report.instance)
        } else {
            String::new()
        };
        let _ = writeln!(out, "{severity} {}{hint}", finding.text);
        let _ = writeln!(out, "        {}", style.cyan(&finding.command));
    }
    let shards = report.overview.shards().count();
    let taken = report.machine.segments.iter().map(|segment| segment.bytes).sum();
    let free = report.machine.shm.as_ref().map_or(0, |shm| shm.free_bytes);
    let verdict = match report.findings.len() {
        0 => style.green("all is well"),
        1 => "1 finding".to_owned(),
        several => format!("{several} findings"),
    };
    let _ = writeln!(
        out,
        "{verdict}: instance {}, {shards} shards, {} of /dev/shm, {} free there",
        report.instance,
        bytes(taken),
        bytes(free)
    );
    out
}
