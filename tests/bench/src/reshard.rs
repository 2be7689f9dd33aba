//! A change of the shard count without a pause: how long it takes, and what it costs beside what events cost anyway. The
//! runs are `mixcord_pipeline::resharded`.

use std::time::Duration;

use anyhow::Result;
use mixcord_pipeline::contender::Place;
use mixcord_pipeline::process;
use mixcord_pipeline::resharded::{self, Change, Cost, Run};

use crate::report::Report;
use crate::round::{Effort, Spread};

const PART: &str = "reshard";
/// Events a second, unless it is said.
const RATE: u32 = 2_000;
const KIB: f64 = 1024.0;

/// How much of everything.
struct Plan {
    counts: &'static [(u16, u16)],
    rounds: usize,
    calm: Duration,
}

impl Plan {
    const fn of(effort: Effort) -> Self {
        match effort {
            Effort::Quick => Self { counts: &[(2, 3)], rounds: 1, calm: Duration::from_secs(3) },
            Effort::Full => Self {
                counts: &[(2, 3), (16, 17), (64, 80)],
                // Each takes minutes, most of which is waiting on purpose: no two differ by much.
                rounds: 1,
                calm: Duration::from_secs(15),
            },
        }
    }
}

pub(crate) fn run(effort: Effort, rate: Option<u32>, report: &mut Report) -> Result<()> {
    process::end_on_signals()?;
    let plan = Plan::of(effort);
    let folder = tempfile::tempdir()?;
    let place = Place::beside_this_program(folder.path())?;
    let change = |&(from, to): &(u16, u16)| Change {
        from,
        to,
        guilds: u32::from(from) * 10 + 80,
        rate: rate.unwrap_or(RATE),
        calm: plan.calm,
        window: None,
    };
    let changes: Vec<Change> = plan.counts.iter().map(change).collect();
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); changes.len()];
    // In turn, so that a machine whose speed drifts is as unfair to one as to another.
    for _ in 0..plan.rounds {
        for (&change, runs) in changes.iter().zip(&mut runs) {
            eprintln!("{} → {} shards (some minutes)", change.from, change.to);
            runs.push(resharded::run(&place, change)?);
        }
    }
    for (change, runs) in changes.iter().zip(&runs) {
        put(report, change, runs);
    }
    Ok(())
}

fn put(report: &mut Report, change: &Change, runs: &[Run]) {
    let Change { from, to, rate, .. } = change;
    let case = format!("{from} → {to} shards, {rate} events/s");
    let of = |figure: &dyn Fn(&Run) -> f64| Spread::of(runs.iter().map(figure));
    let mut row = |metric: &str, unit: &str, figures: &[(&str, Spread)]| {
        report.row(PART, &case, metric, unit, figures, &[]);
    };
    row("from start to end", "s", &[("whole", of(&|run| run.whole_s))]);
    row("until all sessions are there", "s", &[("sessions", of(&|run| run.sessions_s))]);
    row("until all guilds are cut", "s", &[("cut", of(&|run| run.cut_s))]);
    let extra = [
        ("cache", of(&|run| run.cache.extra_cpu_s)),
        ("gateway", of(&|run| run.gateway.extra_cpu_s)),
        ("consumer", of(&|run| run.consumer.extra_cpu_s)),
    ];
    row("extra cpu of the change", "CPU-s", &extra);
    for (name, cost) in COSTS {
        let figures = [
            ("during", of(&|run| cost(run).during * 1e3)),
            ("before", of(&|run| cost(run).before * 1e3)),
        ];
        row(&format!("cpu of the {name}"), "CPU-ms/s", &figures);
        let figures = [
            ("most during", of(&|run| cost(run).private_bytes_most as f64 / KIB)),
            ("before", of(&|run| cost(run).private_bytes_before as f64 / KIB)),
        ];
        row(&format!("memory of the {name}"), "KiB", &figures);
    }
    let pauses = [("during", of(&|run| run.pause_ms)), ("before", of(&|run| run.pause_before_ms))];
    row("longest pause at the consumer", "ms", &pauses);
}

/// A process, and what it cost in a run.
type CostOf = (&'static str, fn(&Run) -> &Cost);
const COSTS: [CostOf; 3] = [
    ("cache", |run| &run.cache),
    ("gateway", |run| &run.gateway),
    ("consumer", |run| &run.consumer),
];
