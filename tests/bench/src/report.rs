//! The table on the terminal and `report.json`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::round::{Samples, Spread};

/// Everything one run measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Machine {
    cpu: String,
    cores: usize,
    memory_kib: u64,
    kernel: String,
}

/// One figure of ours beside the same figure of the peers.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) part: String,
    pub(crate) case: String,
    pub(crate) metric: String,
    pub(crate) unit: String,
    /// Median over the rounds.
    pub(crate) ours: f64,
    /// Minimum and maximum over the rounds; empty where the figure is exact.
    pub(crate) ours_range: Vec<f64>,
    /// Medians over the same rounds.
    pub(crate) peers: BTreeMap<String, f64>,
    /// What the machine allows at most (a structural skip, a memcpy), where there is such a thing.
    pub(crate) limit: Option<f64>,
    /// The bar, in words; `None` where nobody set one.
    pub(crate) goal: Option<String>,
    pub(crate) met: Option<bool>,
}

/// A bar that our figure should reach. All compare medians of one run.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "each part uses the bars that its issue names")]
pub(crate) enum Goal {
    /// At least this many times the named peer.
    Times(f64, &'static str),
    /// At least this share of the limit.
    OfLimit(f64),
    /// At most this figure.
    AtMost(f64),
    /// At most this many times the named peer.
    AtMostTimes(f64, &'static str),
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { machine: Machine::read(), rows: Vec::new() }
    }

    /// Adds a row for units per CPU-second and one for units per second of wall time.
    ///
    /// The first of `all` is ours; the one named `limit`, if any, is the limit. The goals belong
    /// to the CPU row: wall time on a shared machine proves nothing.
    pub(crate) fn rates(
        &mut self,
        part: &str,
        case: &str,
        unit: &str,
        all: &[Samples],
        goals: &[Goal],
    ) {
        let cpu: Vec<_> =
            all.iter().map(|s| (s.name, s.spread(crate::clock::Sample::per_cpu_second))).collect();
        let wall: Vec<_> =
            all.iter().map(|s| (s.name, s.spread(crate::clock::Sample::per_second))).collect();
        self.row(part, case, "rate", &format!("{unit}/CPU-s"), &cpu, goals);
        self.row(part, case, "rate", &format!("{unit}/s"), &wall, &[]);
    }

    /// Adds one row of any figure; the first of `figures` is ours.
    pub(crate) fn row(
        &mut self,
        part: &str,
        case: &str,
        metric: &str,
        unit: &str,
        figures: &[(&str, Spread)],
        goals: &[Goal],
    ) {
        let ours = figures[0].1;
        let limit = figures.iter().find(|(name, _)| *name == "limit").map(|(_, s)| s.median);
        let peers: BTreeMap<_, _> = figures[1..]
            .iter()
            .filter(|(name, _)| *name != "limit")
            .map(|(name, spread)| ((*name).to_owned(), spread.median))
            .collect();
        let (goal, met) = judge(ours.median, limit, &peers, goals);
        self.rows.push(Row {
            part: part.to_owned(),
            case: case.to_owned(),
            metric: metric.to_owned(),
            unit: unit.to_owned(),
            ours: ours.median,
            ours_range: vec![ours.min, ours.max],
            peers,
            limit,
            goal,
            met,
        });
    }

    /// Adds a row of a figure that has no spread (bytes, allocations, instructions).
    #[allow(dead_code, reason = "for parts with exact figures")]
    pub(crate) fn exact(
        &mut self,
        part: &str,
        case: &str,
        metric: &str,
        unit: &str,
        figures: &[(&str, f64)],
        goals: &[Goal],
    ) {
        let spreads: Vec<_> = figures
            .iter()
            .map(|&(name, value)| (name, Spread { median: value, min: value, max: value }))
            .collect();
        self.row(part, case, metric, unit, &spreads, goals);
    }

    pub(crate) fn print(&self) {
        println!("{} · {} cores · {}", self.machine.cpu, self.machine.cores, self.machine.kernel);
        for row in &self.rows {
            println!();
            println!("{} · {} · {} ({})", row.part, row.case, row.metric, row.unit);
            println!("  {:<24} {:>14}", "ours", figure(row.ours));
            if let [min, max] = row.ours_range[..]
                && min < max
            {
                println!("  {:<24} {:>14}", "", format!("{}…{}", figure(min), figure(max)));
            }
            for (name, value) in &row.peers {
                println!("  {name:<24} {:>14}   ours is {:.2} ×", figure(*value), row.ours / value);
            }
            if let Some(limit) = row.limit {
                println!(
                    "  {:<24} {:>14}   ours is {:.2} of it",
                    "limit",
                    figure(limit),
                    row.ours / limit
                );
            }
            if let (Some(goal), Some(met)) = (&row.goal, row.met) {
                println!("  goal: {goal}: {}", if met { "met" } else { "MISSED" });
            }
        }
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        }
        let text = serde_json::to_string_pretty(self)?;
        fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))
    }
}

fn judge(
    ours: f64,
    limit: Option<f64>,
    peers: &BTreeMap<String, f64>,
    goals: &[Goal],
) -> (Option<String>, Option<bool>) {
    if goals.is_empty() {
        return (None, None);
    }
    // A goal against a peer that did not run is not met: absence is no victory.
    let verdict = |goal: &Goal| match *goal {
        Goal::Times(factor, peer) => peers.get(peer).is_some_and(|p| ours >= factor * p),
        Goal::OfLimit(share) => limit.is_some_and(|l| ours >= share * l),
        Goal::AtMost(most) => ours <= most,
        Goal::AtMostTimes(factor, peer) => peers.get(peer).is_some_and(|p| ours <= factor * p),
    };
    let words: Vec<_> = goals
        .iter()
        .map(|goal| match goal {
            Goal::Times(factor, peer) => format!("≥ {factor} × {peer}"),
            Goal::OfLimit(share) => format!("≥ {share} of the limit"),
            Goal::AtMost(most) => format!("≤ {}", figure(*most)),
            Goal::AtMostTimes(factor, peer) => format!("≤ {factor} × {peer}"),
        })
        .collect();
    (Some(words.join(", ")), Some(goals.iter().all(verdict)))
}

/// Three significant digits and a thousands suffix.
fn figure(value: f64) -> String {
    let (scaled, suffix) = match value.abs() {
        v if v >= 1e9 => (value / 1e9, " G"),
        v if v >= 1e6 => (value / 1e6, " M"),
        v if v >= 1e3 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let decimals = match scaled.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    format!("{scaled:.decimals$}{suffix}")
}

impl Machine {
    fn read() -> Self {
        let field = |file: &str, key: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find(|l| l.starts_with(key)).unwrap_or_default();
            line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let memory = field("/proc/meminfo", "MemTotal");
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cpu: field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_kib: memory.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0),
            kernel: format!("Linux {}", kernel.trim()),
        }
    }
}
