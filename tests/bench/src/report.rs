//! The table on the terminal and `report.json`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use mixcord_pipeline::report::{self as pipeline, Row};

use crate::round::{Samples, Spread};

/// Everything one run measured.
#[derive(Debug)]
pub(crate) struct Report(pipeline::Report);

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
    /// At least this figure.
    AtLeast(f64),
    /// At most this many times the named peer.
    AtMostTimes(f64, &'static str),
}

impl Report {
    pub(crate) fn new() -> Self {
        Self(pipeline::Report::new())
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
        self.0.rows.push(Row {
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
        let pipeline::Machine { cpu, cores, kernel, .. } = &self.0.machine;
        println!("{cpu} · {cores} cores · {kernel}");
        for row in &self.0.rows {
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
        self.0.write(path)
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
        Goal::AtLeast(least) => ours >= least,
        Goal::AtMostTimes(factor, peer) => peers.get(peer).is_some_and(|p| ours <= factor * p),
    };
    let words: Vec<_> = goals
        .iter()
        .map(|goal| match goal {
            Goal::Times(factor, peer) => format!("≥ {factor} × {peer}"),
            Goal::OfLimit(share) => format!("≥ {share} of the limit"),
            Goal::AtMost(most) => format!("≤ {}", figure(*most)),
            Goal::AtLeast(least) => format!("≥ {}", figure(*least)),
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
