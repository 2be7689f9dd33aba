use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use mixcord::operator::{self, GroupStatus};
use serde::Serialize;

use crate::Source;
use crate::ls::group_line;
use crate::report::ReportOptions;
use crate::terminal::Style;

#[derive(Serialize)]
struct Listing<'a> {
    instance: &'a str,
    groups: Vec<GroupStatus>,
}

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    report: ReportOptions,
    #[command(flatten)]
    source: Source,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    let instance = operator::Instance::open(&options.report.instance.name)?;
    let instance = instance.of_source(&options.source.name)?;
    let listing = Listing { instance: instance.name(), groups: instance.groups()? };
    options.report.print(&listing, table)?;
    Ok(ExitCode::SUCCESS)
}

fn table(listing: &Listing<'_>, style: Style) -> String {
    let mut out = String::new();
    if listing.groups.is_empty() {
        let _ = writeln!(
            out,
            "instance \"{}\" has no groups: a consumer makes its own, or mixcord groups create NAME",
            listing.instance
        );
    }
    for group in &listing.groups {
        let _ = writeln!(out, "{}", group_line(group, style));
    }
    out
}
