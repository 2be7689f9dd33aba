//! Clients of mixcord-proxy: what the process costs for each event and each session, and how much later than a consumer
//! of the SDK a client is. The runs are `mixcord_pipeline::proxied`.

use anyhow::Result;
use mixcord_pipeline::contender::Place;
use mixcord_pipeline::process;
use mixcord_pipeline::proxied::{Bench, Extent, Memory, Run};

use crate::report::Report;
use crate::round::{Effort, Spread};

const PART: &str = "proxy";
const CLIENTS: [u64; 3] = [1, 4, 16];
const MICRO: f64 = 1e-3;
const KIB: f64 = 1024.0;

/// How much of everything.
struct Plan {
    extent: Extent,
    rates: &'static [u32],
    rounds: usize,
    sessions: u64,
}

impl Plan {
    const fn of(effort: Effort) -> Self {
        match effort {
            Effort::Quick => Self {
                extent: Extent { events: 2_000, guilds: 10 },
                rates: &[2_000],
                rounds: 1,
                sessions: 32,
            },
            Effort::Full => Self {
                extent: Extent { events: 20_000, guilds: 50 },
                rates: &[1_000, 5_000],
                rounds: 3,
                sessions: 64,
            },
        }
    }
}

pub(crate) fn run(effort: Effort, report: &mut Report) -> Result<()> {
    process::end_on_signals()?;
    let plan = Plan::of(effort);
    let folder = tempfile::tempdir()?;
    let place = Place::beside_this_program(folder.path())?;
    let mut bench = Bench::new(&place, plan.extent)?;
    let cases: Vec<_> =
        plan.rates.iter().flat_map(|&rate| CLIENTS.map(|clients| (clients, rate))).collect();
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); cases.len()];
    // In turn, so that a machine whose speed drifts is as unfair to one as to another.
    for _ in 0..plan.rounds {
        for (&(clients, rate), runs) in cases.iter().zip(&mut runs) {
            runs.push(bench.run(clients, rate)?);
        }
    }
    for (&(clients, rate), runs) in cases.iter().zip(&runs) {
        let case = match clients {
            1 => format!("1 client, {rate} events/s"),
            many => format!("{many} clients, {rate} events/s"),
        };
        put(report, &case, clients, runs);
    }
    put_memory(report, bench.memory(plan.sessions)?);
    Ok(())
}

fn put(report: &mut Report, case: &str, clients: u64, runs: &[Run]) {
    let of = |figure: &dyn Fn(&Run) -> f64| Spread::of(runs.iter().map(figure));
    let proxy = of(&|run| run.proxy_cpu_s_per_million);
    let beside = [
        ("proxy", proxy),
        ("gateway", of(&|run| run.gateway_cpu_s_per_million)),
        ("cache", of(&|run| run.cache_cpu_s_per_million)),
        ("consumer of the SDK", of(&|run| run.consumer_cpu_s_per_million)),
    ];
    report.row(PART, case, "cpu", "CPU-s/M events", &beside, &[]);
    let each = of(&|run| run.proxy_cpu_s_per_million / clients as f64);
    report.row(PART, case, "cpu for each client", "CPU-s/M events", &[("proxy", each)], &[]);
    for (name, percentile) in PERCENTILES {
        let told = of(&|run| percentile(&run.through_proxy) * MICRO);
        let direct = of(&|run| percentile(&run.direct) * MICRO);
        let figures = [("through the proxy", told), ("consumer of the SDK", direct)];
        report.row(PART, case, &format!("latency {name}"), "µs", &figures, &[]);
        let added = of(&|run| (percentile(&run.through_proxy) - percentile(&run.direct)) * MICRO);
        report.row(PART, case, &format!("latency added {name}"), "µs", &[("added", added)], &[]);
    }
    let memory = of(&|run| run.private_bytes as f64 / KIB);
    report.row(PART, case, "memory after the events", "KiB", &[("proxy", memory)], &[]);
}

type Percentile = fn(&mixcord_pipeline::probe::Latencies) -> f64;

const PERCENTILES: [(&str, Percentile); 2] =
    [("p50", |times| times.from_write.p50), ("p99", |times| times.from_write.p99)];

fn put_memory(report: &mut Report, memory: Memory) {
    let case = format!("{} sessions that wait for events", memory.sessions);
    let row = |report: &mut Report, metric: &str, bytes: f64| {
        report.exact(PART, &case, metric, "KiB", &[("proxy", bytes / KIB)], &[]);
    };
    row(report, "memory for each session", memory.private_bytes_each());
    row(report, "shared memory for each session", memory.shared_bytes_each());
    row(report, "memory without sessions", memory.private_bytes_before as f64);
}
