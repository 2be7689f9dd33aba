//! The page that a person reads: tables of medians by axis, with charts.

mod chart;
mod goals;
mod median;
mod rows;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use self::chart::Bar;
pub use self::goals::{Goal, goals};
pub use self::median::{Median, medians};
use crate::case::Axis;
use crate::measure::Run;
use crate::recovery::Recovery;
use crate::report::Machine;

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

/// What stands above the tables.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// Where it was measured.
    pub machine: Machine,
    /// Of the peers.
    pub versions: Vec<(String, String)>,
    /// What was run.
    pub command: String,
}

/// How to read the figures.
const METHOD: &str = "\
CPU-s/M: CPU-seconds for a million events, of all threads of all processes, from the moment that the handler has seen \
all guilds until it has seen the last event. The source encodes everything before the first event is sent, and is not \
counted. Contenders of a section run in turn, round by round: compare within a section only. Figures are medians of the \
rounds. × twilight: of the same events parsed, cached and handled in one process by twilight; it reads JSON, also where \
ours reads ETF. Sleeps are voluntary context switches, by process. Latencies are from the write into the socket to the \
handler, under events that are written when they are due, however far the client is; from due: with what the source was \
late.
";

impl Results {
    /// Writes `report.md` and its charts into a folder; gives the page.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write(&self, folder: &Path, setting: &Setting) -> Result<PathBuf> {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        let medians = medians(&self.runs);
        let mut text = format!("# The pipeline\n\n{}\n{METHOD}", self.heading(setting));
        goals_table(&mut text, &goals(&medians));
        for axis in Axis::ALL {
            let rows: Vec<_> = medians.iter().filter(|median| median.axis == axis).collect();
            if !rows.is_empty() {
                section(&mut text, axis, &rows, &medians);
                charts(&mut text, folder, axis, &rows)?;
            }
            if axis == Axis::Recovery {
                self.recovery(&mut text);
            }
        }
        for left_out in &self.left_out {
            let _ = write!(text, "\nLeft out: {left_out}\n");
        }
        let path = folder.join("report.md");
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    fn heading(&self, setting: &Setting) -> String {
        let Machine { cpu, cores, memory_kib, kernel, rustc, commit } = &setting.machine;
        let mut text = format!("* {cpu}, {cores} cores, {} GiB, {kernel}\n", memory_kib >> 20);
        let _ = write!(text, "* mixcord {commit}, {rustc}");
        for (name, version) in &setting.versions {
            let _ = write!(text, ", {name} {version}");
        }
        let _ = write!(text, "\n* `{}`\n", setting.command);
        let loads = self.runs.iter().map(|run| run.load_average);
        let (least, most) = loads.fold((f64::INFINITY, 0.0_f64), |(a, b), l| (a.min(l), b.max(l)));
        if least <= most {
            let _ = writeln!(
                text,
                "* load average meanwhile, with the benchmark's own: {least:.1} to {most:.1}"
            );
        }
        text
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

fn goals_table(text: &mut String, goals: &[Goal]) {
    if goals.is_empty() {
        return;
    }
    text.push_str("\n## Goals\n\n| | is | goal | |\n|---|---|---|---|\n");
    for goal in goals {
        let Goal { what, figure, most } = goal;
        let verdict = if goal.is_met() { "met" } else { "**missed**" };
        let figure = if *most < 10.0 { format!("{figure:.2}") } else { format!("{figure:.0}") };
        let _ = writeln!(text, "| {what} | {figure} | ≤ {most} | {verdict} |");
    }
}

fn section(text: &mut String, axis: Axis, rows: &[&Median], all: &[Median]) {
    let _ = write!(text, "\n## {}\n\n", axis.title());
    let has_latency = rows.iter().any(|row| row.latency_us.is_some());
    let mut heads = vec![
        "load",
        "who",
        "CPU-s/M",
        "least…most (rounds)",
        "× twilight",
        "by process",
        "sleeps an event",
        "preempted",
        "events/s",
        "own memory (RSS), MB",
        "/dev/shm, MB",
    ];
    if has_latency {
        heads.extend(["p50, p99, p99.9, µs", "from due"]);
    }
    let _ = writeln!(text, "| {} |\n|{}", heads.join(" | "), "---|".repeat(heads.len()));
    let mut before = "";
    for row in rows {
        let case = if row.case == before { "" } else { &row.case };
        before = &row.case;
        let ratio = row.yardstick(all).map(|peer| row.cpu_s_per_million / peer.cpu_s_per_million);
        let ratio = ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
        let parts = joined(row, |part| format!("{} {:.2}", part.name, part.cpu_s_per_million));
        let sleeps = joined(row, |part| format!("{:.2}", part.sleeps_per_event));
        let preempted = joined(row, |part| format!("{:.2}", part.preemptions_per_event));
        let memory = joined(row, |part| {
            let [private, all] =
                [part.memory.private, part.memory.resident].map(|b| b as f64 / 1e6);
            format!("{private:.0} ({all:.0})")
        });
        let (least, most) = row.range;
        let _ = write!(
            text,
            "| {case} | {} | **{:.2}** | {least:.2}…{most:.2} ({}) | {ratio} | {parts} | {sleeps} | {preempted} | {:.0} | {memory} | {:.0} |",
            row.contender,
            row.cpu_s_per_million,
            row.rounds,
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
}

fn charts(text: &mut String, folder: &Path, axis: Axis, rows: &[&Median]) -> Result<()> {
    let chart = format!("pipeline-{}.svg", axis.name());
    let bars: Vec<_> = rows.iter().map(|row| Bar::of_parts(row)).collect();
    fs::write(
        folder.join(&chart),
        chart::bars("CPU-seconds for a million events, by process", &bars),
    )?;
    let _ = write!(text, "\n![CPU-seconds by process]({chart})\n");
    if rows.iter().any(|row| row.latency_us.is_some()) {
        let chart = format!("pipeline-{}-latency.svg", axis.name());
        let bars: Vec<_> = rows.iter().filter_map(|row| Bar::of_latency(row)).collect();
        let svg = chart::logarithmic("microseconds: half, 99 %, 99.9 % of the events", &bars);
        fs::write(folder.join(&chart), svg)?;
        let _ = write!(text, "\n![latency]({chart})\n");
    }
    Ok(())
}

fn joined(row: &Median, tell: impl Fn(&crate::measure::Part) -> String) -> String {
    row.processes.iter().map(tell).collect::<Vec<_>>().join(", ")
}
