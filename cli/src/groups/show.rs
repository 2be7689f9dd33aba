use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use mixcord::operator::{self, GroupDetail, MemberStatus, RecordStatus, span};

use crate::Source;
use crate::ls::group_line;
use crate::report::ReportOptions;
use crate::terminal::{Style, thousands};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Its name.
    #[arg(id = "group", value_name = "NAME")]
    name: String,
    #[command(flatten)]
    report: ReportOptions,
    #[command(flatten)]
    source: Source,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    let instance = operator::Instance::open(&options.report.instance.name)?;
    let instance = instance.of_source(&options.source.name)?;
    options.report.print(&instance.group(&options.name)?, table)?;
    Ok(ExitCode::SUCCESS)
}

fn table(group: &GroupDetail, style: Style) -> String {
    let mut out = group_line(&group.status, style) + "\n";
    let _ = writeln!(out, "  order     {}", order(group));
    for member in &group.living {
        let _ = writeln!(out, "  member    {}", member_line(member));
    }
    if let Some(oldest) = &group.oldest {
        let _ = writeln!(out, "  oldest    {}", oldest_line(group, oldest));
    }
    let (redelivered, aside) = (thousands(group.status.redelivered), thousands(group.status.aside));
    let _ =
        writeln!(out, "  so far    given again {redelivered}, set aside {aside}, {}", dead(group));
    if group.letters_damaged > 0 {
        let _ = writeln!(out, "  damage    {}", damage(group));
    }
    out
}

fn order(group: &GroupDetail) -> String {
    let kept = if group.sticky { "; guilds stay with their members" } else { "" };
    order_by_key(group) + kept
}

fn order_by_key(group: &GroupDetail) -> String {
    match group.order {
        "batches" => format!(
            "of a guild, in batches: {} of {} partitions have something before them",
            group.partitions_behind, group.partitions
        ),
        "ring" | "follow" => "of the ring, one at a time".to_owned(),
        "none" => "none".to_owned(),
        "own" => "of a key that its members work out".to_owned(),
        key => format!("of a {key}"),
    }
}

fn member_line(member: &MemberStatus) -> String {
    let Some(pid) = member.pid else {
        return format!("in seat {}, which does not say whose it is", member.seat);
    };
    let ago = |seconds: Option<u64>| span(Duration::from_secs(seconds.unwrap_or_default()));
    let has = member.partitions.map_or_else(String::new, |own| format!("has {own} partitions, "));
    format!(
        "pid {pid}, joined {} ago, {has}settled {}, last moved {} ago",
        ago(member.age_seconds),
        thousands(member.settled),
        ago(member.still_seconds)
    )
}

fn oldest_line(group: &GroupDetail, oldest: &RecordStatus) -> String {
    let mut line = oldest.text.clone();
    if let Some(age) = oldest.age_seconds {
        let _ = write!(line, " ({:.0} s ago)", age);
    }
    let _ = write!(line, ", position {}, identity {}", oldest.position, oldest.identity);
    if let Some(state) = group.status.oldest_state {
        let _ = write!(line, ": {state}");
    }
    if let Some(pid) = group.oldest_pid {
        let _ = write!(line, " with pid {pid}");
    }
    let (failures, deaths) = (group.oldest_failures, group.oldest_deaths);
    if failures > 0 || deaths > 0 {
        let _ = write!(line, ", failed {failures} times, {deaths} processes died with it");
    }
    line
}

fn dead(group: &GroupDetail) -> String {
    match group.status.dead_dropped {
        0 => format!("given up {}", thousands(group.status.dead)),
        dropped => format!(
            "given up {}, of which {} were dropped for want of room",
            thousands(group.status.dead),
            thousands(dropped)
        ),
    }
}

fn damage(group: &GroupDetail) -> String {
    let (times, lost) = (thousands(group.letters_damaged), thousands(group.letters_lost));
    format!(
        "its file of dead letters was damaged {times} times, {lost} entries are lost; what it was is kept \
         beside it, as ….damaged"
    )
}
