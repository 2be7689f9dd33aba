//! The middle of a contender's rounds.

use crate::case::Axis;
use crate::contender::Twilight;
use crate::measure::{Part, Run};
use crate::probe::Percentiles;
use crate::process::Footprint;
use crate::source::Load;

/// One contender under one case.
#[derive(Clone, Debug)]
pub struct Median {
    /// What was varied.
    pub axis: Axis,
    /// The case.
    pub case: String,
    /// Its load.
    pub load: Load,
    /// The contender.
    pub contender: String,
    /// Whether it is Mixcord.
    pub is_ours: bool,
    /// Events a second that were sent; 0 is as fast as they are taken.
    pub rate_wanted: u32,
    /// Runs that these are the middle of.
    pub rounds: usize,
    /// Of all processes.
    pub cpu_s_per_million: f64,
    /// Least and most of the rounds.
    pub range: (f64, f64),
    /// Events a second.
    pub rate: f64,
    /// Each role's medians.
    pub processes: Vec<Part>,
    /// Pages in shared memory.
    pub shared_bytes: u64,
    /// p50, p99 and p99.9, in microseconds, from the write into the socket.
    pub latency_us: Option<[f64; 3]>,
    /// The same from when events were due.
    pub latency_due_us: Option<[f64; 3]>,
}

impl Median {
    /// What a process of it used, in CPU-seconds for a million events.
    #[must_use]
    pub fn cpu_of(&self, process: &str) -> Option<f64> {
        let part = self.processes.iter().find(|part| part.name == process)?;
        Some(part.cpu_s_per_million)
    }

    /// What it is compared with: everything in one process, under the same events, rate and compression.
    #[must_use]
    pub fn yardstick<'m>(&self, medians: &'m [Self]) -> Option<&'m Self> {
        let same = |other: &&Self| {
            let of = |median: &Self| {
                let Load { blend, guilds, compression, .. } = median.load;
                (median.axis, median.rate_wanted, blend, guilds, compression)
            };
            !other.is_ours && of(other) == of(self)
        };
        let with = |name: &str| medians.iter().filter(same).find(|other| other.contender == name);
        let spare = self.contender.contains("no messages");
        with(if spare { YARDSTICK_SPARE } else { YARDSTICK })
    }
}

const YARDSTICK: &str = Twilight::Cached.name();
const YARDSTICK_SPARE: &str = Twilight::CachedWithoutMessages.name();

/// Medians, in the order of first runs.
#[must_use]
pub fn medians(runs: &[Run]) -> Vec<Median> {
    let mut order: Vec<(Axis, &str, &str)> = Vec::new();
    for run in runs {
        let key = (run.axis, &*run.case, &*run.contender);
        if !order.contains(&key) {
            order.push(key);
        }
    }
    order
        .into_iter()
        .map(|key| {
            let of = |run: &&Run| (run.axis, &*run.case, &*run.contender) == key;
            median(&runs.iter().filter(of).collect::<Vec<_>>())
        })
        .collect()
}

fn median(runs: &[&Run]) -> Median {
    let first = runs[0];
    let cpu: Vec<f64> = runs.iter().map(|run| run.cpu_s_per_million()).collect();
    let processes = (0..first.processes.len())
        .map(|place| {
            let of = |figure: fn(&Part) -> f64| {
                middle(runs.iter().map(|run| figure(&run.processes[place])).collect())
            };
            Part {
                name: first.processes[place].name.clone(),
                cpu_s_per_million: of(|part| part.cpu_s_per_million),
                sleeps_per_event: of(|part| part.sleeps_per_event),
                preemptions_per_event: of(|part| part.preemptions_per_event),
                memory: Footprint {
                    resident: of(|part| part.memory.resident as f64) as u64,
                    private: of(|part| part.memory.private as f64) as u64,
                },
            }
        })
        .collect();
    let latency = |due: bool| {
        let times: Vec<Percentiles> = runs
            .iter()
            .filter_map(|run| run.latencies.as_ref())
            .map(|latencies| if due { latencies.from_due } else { latencies.from_write })
            .collect();
        let of = |time: fn(&Percentiles) -> f64| middle(times.iter().map(time).collect()) / 1e3;
        (!times.is_empty()).then(|| [of(|t| t.p50), of(|t| t.p99), of(|t| t.p999)])
    };
    let (latency_us, latency_due_us) = (latency(false), latency(true));
    Median {
        axis: first.axis,
        case: first.case.clone(),
        load: first.load,
        rounds: runs.len(),
        contender: first.contender.clone(),
        is_ours: first.is_ours,
        rate_wanted: first.rate_wanted,
        range: (
            cpu.iter().copied().fold(f64::INFINITY, f64::min),
            cpu.iter().copied().fold(0.0, f64::max),
        ),
        cpu_s_per_million: middle(cpu),
        rate: middle(runs.iter().map(|run| run.rate).collect()),
        processes,
        shared_bytes: middle(runs.iter().map(|run| run.shared_bytes as f64).collect()) as u64,
        latency_us,
        latency_due_us,
    }
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
