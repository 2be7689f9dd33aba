//! The medians as rows of `report.json`.

use std::collections::BTreeMap;

use super::Results;
use super::goals::goals;
use super::median::{Median, medians};
use crate::report::Row;

const PART: &str = "pipeline";

/// A figure of a median, if it has it, its name and unit.
type Figure = (&'static str, &'static str, fn(&Median) -> Option<f64>);

const FIGURES: [Figure; 8] = [
    ("cpu", "CPU-s/M", |row| Some(row.cpu_s_per_million)),
    ("rate", "events/s", |row| Some(row.rate)),
    ("sleeps", "an event", |row| Some(row.processes.iter().map(|p| p.sleeps_per_event).sum())),
    ("private memory", "B", |row| {
        Some(row.processes.iter().map(|p| p.memory.private as f64).sum())
    }),
    ("shared memory", "B", |row| Some(row.shared_bytes as f64)),
    ("p50", "µs", |row| row.latency_us.map(|times| times[0])),
    ("p99", "µs", |row| row.latency_us.map(|times| times[1])),
    ("p99.9", "µs", |row| row.latency_us.map(|times| times[2])),
];

impl Results {
    /// For each row of ours its figures, with those of the peers in the same case; recoveries; goals.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let medians = medians(&self.runs);
        let mut rows = Vec::new();
        for ours in medians.iter().filter(|row| row.is_ours) {
            for (metric, unit, figure) in FIGURES {
                let Some(value) = figure(ours) else { continue };
                let peers = medians
                    .iter()
                    .filter(|row| !row.is_ours && (row.axis, &row.case) == (ours.axis, &ours.case));
                let peers = peers.filter_map(|row| Some((row.contender.clone(), figure(row)?)));
                let range = if metric == "cpu" { vec![ours.range.0, ours.range.1] } else { vec![] };
                let case = format!("{}: {}: {}", ours.axis.name(), ours.case, ours.contender);
                rows.push(Row {
                    ours_range: range,
                    peers: peers.collect(),
                    ..row(case, metric, unit, value)
                });
            }
        }
        for recovery in &self.recoveries {
            let case = format!("recovery: {}", recovery.victim);
            rows.push(row(case, "pause", "ms", recovery.pause_ms));
        }
        rows.extend(goals(&medians).into_iter().map(|goal| Row {
            goal: Some(format!("≤ {}", goal.most)),
            met: Some(goal.is_met()),
            ..row("goals".to_owned(), goal.what, "", goal.figure)
        }));
        rows
    }
}

fn row(case: String, metric: &str, unit: &str, ours: f64) -> Row {
    Row {
        part: PART.to_owned(),
        case,
        metric: metric.to_owned(),
        unit: unit.to_owned(),
        ours,
        ours_range: vec![],
        peers: BTreeMap::new(),
        limit: None,
        goal: None,
        met: None,
    }
}
