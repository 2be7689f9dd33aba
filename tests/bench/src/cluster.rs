//! A shard's ring on another machine, through JetStream: CPU-seconds of each end and of the servers, beside the split that
//! bots run today, which publishes each event as JSON. The runs are `mixcord_pipeline::clustered`.

use anyhow::{Context, Result};
use mixcord_pipeline::case::{Axis, Case};
use mixcord_pipeline::clustered::{Bench, Extent, Keeping, Run, Worker, Workers};
use mixcord_pipeline::contender::{Contender, Nats, Place, Twilight, nats};
use mixcord_pipeline::measure::{self, Source};
use mixcord_pipeline::probe::{Latencies, Percentiles};
use mixcord_pipeline::process;
use mixcord_pipeline::source::{Compression, Encoding, Load};
use mixcord_pipeline::workload::Blend;

use crate::report::{Goal, Report};
use crate::round::{Effort, Spread};

const PART: &str = "cluster";
const CPU: &str = "CPU-s/M events";
const MICRO: f64 = 1e-3;

const ONE: Keeping = Keeping { servers: 1, sync_always: false };
/// How else the log may be kept.
const OTHERS: [(&str, Keeping); 2] = [
    ("three servers", Keeping { servers: 3, sync_always: false }),
    ("one server, sync_interval: always", Keeping { servers: 1, sync_always: true }),
];

/// twilight-gateway, which publishes JSON, and a bot that parses it, in memory: its best case.
const PEER: Contender = Contender::Nats(Nats { stream: true, cache: false });
const PEER_NAME: &str = "JetStream, JSON";
/// What reading the socket costs it anyway.
const SOCKET: Contender = Contender::Twilight(Twilight::Raw);

/// How much of everything.
struct Plan {
    extent: Extent,
    flood: u64,
    /// The same where it is slower.
    kept: u64,
    /// Events a second, and seconds.
    rates: &'static [(u32, u32)],
    rounds: usize,
    has_peers: bool,
}

impl Plan {
    const fn of(effort: Effort) -> Self {
        match effort {
            Effort::Quick => Self {
                extent: Extent { events: 4_000, guilds: 10 },
                flood: 40_000,
                kept: 10_000,
                rates: &[(2_000, 2)],
                rounds: 1,
                has_peers: false,
            },
            Effort::Full => Self {
                extent: Extent { events: 100_000, guilds: 100 },
                flood: 1_000_000,
                kept: 200_000,
                rates: &[(1_000, 10), (10_000, 6)],
                rounds: 3,
                has_peers: true,
            },
        }
    }

    /// What the peer's source encodes.
    const fn load(&self, events: u64) -> Load {
        let (encoding, compression) = (Encoding::Json, Compression::None);
        let guilds = self.extent.guilds;
        Load { blend: Blend::Everything, events, guilds, shards: 1, encoding, compression }
    }
}

pub(crate) fn run(effort: Effort, report: &mut Report) -> Result<()> {
    process::end_on_signals()?;
    // Not in memory: the log is to be written to a disk.
    let folder = tempfile::tempdir_in("/var/tmp")?;
    let place = Place::beside_this_program(folder.path())?;
    let Some(server) = nats::server(&place) else {
        eprintln!("bench: part {PART} is left out: there is no nats-server 2.11 or newer");
        return Ok(());
    };
    let plan = Plan::of(effort);
    let mut bench = Bench::new(&place, &server, plan.extent)?;
    let mut peers = Peers::start(&place, &plan)?;
    let (mut floods, mut paced) = (Vec::new(), vec![Vec::new(); plan.rates.len()]);
    let mut others = OTHERS.map(|_| Vec::new());
    // In turn, so that a machine whose speed drifts is as unfair to one as to another.
    for _ in 0..plan.rounds {
        floods.push(bench.flood(ONE, plan.flood)?);
        peers.flood()?;
        for (runs, (_, keeping)) in others.iter_mut().zip(OTHERS) {
            runs.push(bench.flood(keeping, plan.kept)?);
        }
        for (at, &(rate, lasts_s)) in plan.rates.iter().enumerate() {
            paced[at].push(bench.paced(u64::from(rate) * u64::from(lasts_s), rate)?);
            peers.paced(at)?;
        }
    }
    put_flood(report, &floods, &peers);
    for (runs, (name, _)) in others.iter().zip(OTHERS) {
        let case = format!("flood, {name}");
        put_parts(report, &case, runs, &[], &[]);
        put_in_all(report, &case, runs, &[], &[]);
        put_rate(report, &case, runs, &[], &[]);
    }
    for (at, (runs, (rate, _))) in paced.iter().zip(plan.rates).enumerate() {
        put_paced(report, &format!("{rate} events/s"), runs, &peers.paced[at].runs);
    }
    Ok(())
}

/// What the split of today costs in the same rounds; nothing where its programs are not there.
struct Peers<'p> {
    place: &'p Place,
    flood: Option<(Source, Case)>,
    floods: Vec<measure::Run>,
    sockets: Vec<measure::Run>,
    /// By rate.
    paced: Vec<Paced>,
}

/// At one rate.
struct Paced {
    source: Option<(Source, Case)>,
    runs: Vec<measure::Run>,
}

impl<'p> Peers<'p> {
    fn start(place: &'p Place, plan: &Plan) -> Result<Self> {
        let flood = Case::flood(Axis::Flood, plan.load(plan.extent.events), vec![PEER]);
        let missing = PEER.missing(place, &flood.load);
        if let Some(why) = missing.as_ref().filter(|_| plan.has_peers) {
            eprintln!("bench: {PEER_NAME} is left out: {why}");
        }
        let is_there = plan.has_peers && missing.is_none();
        let with_source = |case: Case| -> Result<Option<(Source, Case)>> {
            is_there.then(|| Ok((Source::start(place, &case.load)?, case))).transpose()
        };
        let steady = |&(rate, lasts_s): &(u32, u32)| {
            let case = Case::steady(Axis::Rate, plan.load(0), rate, lasts_s, vec![PEER]);
            Ok(Paced { source: with_source(case)?, runs: Vec::new() })
        };
        let paced = plan.rates.iter().map(steady).collect::<Result<_>>()?;
        let flood = with_source(flood)?;
        Ok(Self { place, flood, floods: Vec::new(), sockets: Vec::new(), paced })
    }

    fn flood(&mut self) -> Result<()> {
        let Some((source, case)) = &mut self.flood else { return Ok(()) };
        for (contender, runs) in [(PEER, &mut self.floods), (SOCKET, &mut self.sockets)] {
            let run = measure::run(self.place, source, case, &contender, runs.len());
            runs.push(run.with_context(|| contender.name())?);
        }
        Ok(())
    }

    fn paced(&mut self, at: usize) -> Result<()> {
        let Paced { source: Some((source, case)), runs } = &mut self.paced[at] else {
            return Ok(());
        };
        let run = measure::run(self.place, source, case, &PEER, runs.len());
        runs.push(run.context(PEER_NAME)?);
        Ok(())
    }
}

/// A figure over the runs of somebody, where there are any.
fn of<R>(runs: &[R], figure: impl Fn(&R) -> f64) -> Option<Spread> {
    (!runs.is_empty()).then(|| Spread::of(runs.iter().map(figure)))
}

/// Figures of those that ran.
fn present<'n>(all: &[(&'n str, Option<Spread>)]) -> Vec<(&'n str, Spread)> {
    all.iter().filter_map(|&(name, spread)| Some((name, spread?))).collect()
}

fn put_flood(report: &mut Report, ours: &[Run], peers: &Peers<'_>) {
    let case = "flood, one server";
    let goals = [Goal::AtMost(0.8), Goal::AtMost(2.5), Goal::AtMost(0.7)];
    put_parts(report, case, ours, &peers.floods, &goals);
    let both: Vec<_> = peers.floods.iter().zip(&peers.sockets).collect();
    let beside = [
        (PEER_NAME, of(&peers.floods, measure::Run::cpu_s_per_million)),
        (
            "the same without reading the socket",
            of(&both, |(run, socket)| run.cpu_s_per_million() - socket.cpu_s_per_million()),
        ),
    ];
    let goal = Goal::AtMostTimes(1.0 / 8.0, PEER_NAME);
    let goals = if peers.floods.is_empty() { vec![] } else { vec![goal] };
    put_in_all(report, case, ours, &beside, &goals);
    let beside = [(PEER_NAME, of(&peers.floods, |run| run.rate))];
    put_rate(report, case, ours, &beside, &[Goal::AtLeast(100e3)]);
}

/// Somebody else's figure, where it was measured.
type Beside<'n> = (&'n str, Option<Spread>);

fn put_in_all(
    report: &mut Report,
    case: &str,
    ours: &[Run],
    beside: &[Beside<'_>],
    goals: &[Goal],
) {
    let all = [&[("send, broker, receive", of(ours, Run::in_all))], beside].concat();
    report.row(PART, case, "cpu in all", CPU, &present(&all), goals);
}

fn put_rate(report: &mut Report, case: &str, ours: &[Run], beside: &[Beside<'_>], goals: &[Goal]) {
    let all = [&[("through one stream", of(ours, |run| run.rate))], beside].concat();
    report.row(PART, case, "rate", "events/s", &present(&all), goals);
}

type Figure = fn(&Run) -> f64;
/// Each part of ours, and the process that does as much of the peer's.
const PARTS: [(&str, Figure, &str); 3] = [
    ("send", |run| run.send, "gateway"),
    ("broker", |run| run.broker, "nats-server"),
    ("receive", |run| run.receive, "consumer"),
];

fn put_parts(
    report: &mut Report,
    case: &str,
    ours: &[Run],
    peers: &[measure::Run],
    goals: &[Goal],
) {
    for (at, (name, figure, process)) in PARTS.into_iter().enumerate() {
        let of_process = |run: &measure::Run| {
            let parts = run.processes.iter().filter(|part| part.name == process);
            parts.map(|part| part.cpu_s_per_million).sum()
        };
        let all = [(name, of(ours, figure)), (PEER_NAME, of(peers, of_process))];
        let goals = goals.get(at..=at).unwrap_or_default();
        report.row(PART, case, &format!("cpu of {name}"), CPU, &present(&all), goals);
    }
}

fn put_paced(report: &mut Report, case: &str, ours: &[Workers], peers: &[measure::Run]) {
    let logs: Vec<Run> = ours.iter().map(|run| run.log).collect();
    put_parts(report, case, &logs, peers, &[]);
    let mut row = |metric: &str, unit: &str, all: &[Beside<'_>]| {
        report.row(PART, case, metric, unit, &present(all), &[]);
    };
    for (name, percentile) in PERCENTILES {
        let late = |worker: &Worker| percentile(&worker.latencies.from_write) * MICRO;
        let peer = |run: &measure::Run| {
            let of = |latencies: &Latencies| percentile(&latencies.from_write) * MICRO;
            run.latencies.as_ref().map_or(f64::NAN, of)
        };
        let all = [
            ("other machine", of(ours, |run| late(&run.remote))),
            ("gateway's machine", of(ours, |run| late(&run.local))),
            (PEER_NAME, of(peers, peer)),
        ];
        row(&format!("latency {name}"), "µs", &all);
        let added = of(ours, |run| late(&run.remote) - late(&run.local));
        row(&format!("latency added {name}"), "µs", &[("added", added)]);
    }
    let of_worker = |worker: &Worker| worker.cache + worker.consumer;
    let all = [
        (
            "other: receive, cache, consumer",
            of(ours, |run| run.log.receive + of_worker(&run.remote)),
        ),
        ("gateway's: cache, consumer", of(ours, |run| of_worker(&run.local))),
    ];
    row("cpu of a worker machine", CPU, &all);
    for (name, figure) in WORKERS {
        let all = [
            ("other machine", of(ours, |run| figure(&run.remote))),
            ("gateway's machine", of(ours, |run| figure(&run.local))),
        ];
        row(&format!("cpu of the {name}"), CPU, &all);
    }
}

type OfWorker = fn(&Worker) -> f64;
const WORKERS: [(&str, OfWorker); 2] =
    [("cache", |worker| worker.cache), ("consumer", |worker| worker.consumer)];

type Percentile = fn(&Percentiles) -> f64;

const PERCENTILES: [(&str, Percentile); 2] =
    [("p50", |times| times.p50), ("p99", |times| times.p99)];
