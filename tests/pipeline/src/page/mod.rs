//! The page that a person reads: tables of medians, with charts.

mod chart;
mod median;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use self::chart::Bar;
pub use self::median::{Median, medians};
use crate::measure::Run;
use crate::recovery::Recovery;

/// Everything that was measured.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Results {
    /// Each run of each contender.
    pub runs: Vec<Run>,
    /// Each kill.
    pub recoveries: Vec<Recovery>,
    /// Who was left out, and why.
    pub left_out: Vec<String>,
}

/// How to read the figures.
const METHOD: &str = "\
CPU-seconds for a million events, of all threads of a process, from the moment that the handler has seen all guilds \
until it has seen the last event. The source encodes everything before the first event is sent, and is not counted. \
Contenders of a case run in turn, round by round: compare within a case only. Latencies are from the write into the \
socket to the handler, under events that are written when they are due, however far the client is.
";

impl Results {
    /// Writes `report.md` and its charts into a folder, for a machine that is described so; gives the page.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write(&self, folder: &Path, machine: &str) -> Result<PathBuf> {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        let medians = medians(&self.runs);
        let mut text = format!("# The pipeline\n\n{machine}\n\n{METHOD}");
        for (number, case) in cases(&medians).into_iter().enumerate() {
            let rows: Vec<_> = medians.iter().filter(|median| median.case == case).collect();
            section(&mut text, case, &rows);
            let chart = format!("pipeline-{number}.svg");
            let bars: Vec<_> = rows.iter().map(|row| Bar::of_parts(row)).collect();
            let svg = chart::bars("CPU-seconds for a million events", &bars);
            fs::write(folder.join(&chart), svg)?;
            let _ = write!(text, "\n![CPU-seconds by process]({chart})\n");
            if rows.iter().any(|row| row.latency_us.is_some()) {
                let chart = format!("pipeline-{number}-latency.svg");
                let bars: Vec<_> = rows.iter().filter_map(|row| Bar::of_latency(row)).collect();
                let svg =
                    chart::logarithmic("microseconds: half, 99 %, 99.9 % of the events", &bars);
                fs::write(folder.join(&chart), svg)?;
                let _ = write!(text, "\n![latency]({chart})\n");
            }
        }
        self.recovery(&mut text);
        for left_out in &self.left_out {
            let _ = write!(text, "\nLeft out: {left_out}\n");
        }
        let path = folder.join("report.md");
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    fn recovery(&self, text: &mut String) {
        if self.recoveries.is_empty() {
            return;
        }
        text.push_str("\n## After kill -9\n\n");
        text.push_str("| killed | kills | pause at the handler, ms: median, longest | all guilds cached again, ms |\n");
        text.push_str("|---|---|---|---|\n");
        let victims: BTreeSet<&str> = self.recoveries.iter().map(|r| &*r.victim).collect();
        for victim in victims {
            let of: Vec<_> = self.recoveries.iter().filter(|r| r.victim == victim).collect();
            let mut pauses: Vec<f64> = of.iter().map(|r| r.pause_ms).collect();
            pauses.sort_by(f64::total_cmp);
            let whole: Vec<f64> = of.iter().filter_map(|r| r.whole_ms).collect();
            let whole = whole.iter().copied().reduce(f64::max);
            let whole = whole.map_or_else(|| "at once".to_owned(), |ms| format!("{ms:.0}"));
            let (half, most) = (pauses[pauses.len() / 2], pauses[pauses.len() - 1]);
            let _ = writeln!(text, "| {victim} | {} | {half:.0}, {most:.0} | {whole} |", of.len());
        }
    }
}

/// In the order they were measured.
fn cases(medians: &[Median]) -> Vec<&str> {
    let mut cases: Vec<&str> = Vec::new();
    for median in medians {
        if !cases.contains(&&*median.case) {
            cases.push(&median.case);
        }
    }
    cases
}

fn section(text: &mut String, case: &str, rows: &[&Median]) {
    let _ = write!(text, "\n## {case}\n\n");
    let has_latency = rows.iter().any(|row| row.latency_us.is_some());
    let mut heads = vec![
        "",
        "CPU-s/M",
        "least…most",
        "by process",
        "sleeps an event",
        "events/s",
        "own memory, MB",
        "/dev/shm, MB",
    ];
    if has_latency {
        heads.extend(["p50, p99, p99.9, µs", "the same from due"]);
    }
    let _ = writeln!(text, "| {} |\n|{}", heads.join(" | "), "---|".repeat(heads.len()));
    for row in rows {
        let parts = joined(row, |part| format!("{} {:.2}", part.name, part.cpu_s_per_million));
        let sleeps = joined(row, |part| format!("{:.2}", part.sleeps_per_event));
        let memory = joined(row, |part| format!("{:.0}", part.memory.private as f64 / 1e6));
        let (least, most) = row.range;
        let _ = write!(
            text,
            "| {} | **{:.2}** | {least:.2}…{most:.2} | {parts} | {sleeps} | {:.0} | {memory} | {:.0} |",
            row.contender,
            row.cpu_s_per_million,
            row.rate,
            row.shared_bytes as f64 / 1e6
        );
        if has_latency {
            let told = |times: Option<[f64; 3]>| {
                times.map_or(String::new(), |[a, b, c]| format!("{a:.0}, {b:.0}, {c:.0}"))
            };
            let _ = write!(text, " {} | {} |", told(row.latency_us), told(row.latency_due_us));
        }
        text.push('\n');
    }
    if let Some((ours, peer)) = compared(rows) {
        let ratio = ours.cpu_s_per_million / peer.cpu_s_per_million;
        let _ = write!(text, "\n{} needs {ratio:.2} × {}.\n", ours.contender, peer.contender);
    }
}

/// Ours and the first peer.
fn compared<'r>(rows: &[&'r Median]) -> Option<(&'r Median, &'r Median)> {
    let ours = rows.iter().find(|row| row.is_ours)?;
    Some((ours, rows.iter().find(|row| !row.is_ours)?))
}

fn joined(row: &Median, tell: impl Fn(&crate::measure::Part) -> String) -> String {
    row.processes.iter().map(tell).collect::<Vec<_>>().join(", ")
}
