//! One run of one contender: what each process used from the moment that all guilds are known until the last event
//! was handled.

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::case::{Axis, Case};
use crate::contender::{Contender, Place, Running};
use crate::probe::{Counts, Latencies, Question};
use crate::process::{Footprint, Process, Usage, until};
use crate::source::{Load, Status};
use crate::workload::Blend;

/// A run that takes longer is stuck.
const STUCK: Duration = Duration::from_secs(240);
/// How often one handler is asked how far it is; many are asked less often, for each answer is a wake.
const ASK: Duration = Duration::from_millis(20);
const ASK_EACH: Duration = Duration::from_millis(3);
/// From the last guild to the first event: what loading left behind is done by then.
const SETTLE: Duration = Duration::from_millis(300);

/// What one run used.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// What was varied.
    pub axis: Axis,
    /// The load, and how it was sent.
    pub case: String,
    /// The load.
    pub load: Load,
    /// Who took it.
    pub contender: String,
    /// Whether it is Mixcord.
    pub is_ours: bool,
    /// From 0.
    pub round: usize,
    /// Events handled by each group.
    pub events: u64,
    /// Events a second; 0 is as fast as they are taken.
    pub rate_wanted: u32,
    /// Events a second from the first to the last.
    pub rate: f64,
    /// By role: several consumers are one.
    pub processes: Vec<Part>,
    /// Pages in shared memory, in bytes, and before the load.
    pub shared_bytes: u64,
    /// The same before the load.
    pub shared_bytes_before: u64,
    /// Of the first group's members that had stamps, the slowest member's.
    pub latencies: Option<Latencies>,
    /// Of the machine, as the run ended.
    pub load_average: f64,
}

/// What the processes of one role used.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    /// The role.
    pub name: String,
    /// CPU-seconds for a million events.
    pub cpu_s_per_million: f64,
    /// Sleeps for each event.
    pub sleeps_per_event: f64,
    /// Times that it was put aside for another, for each event.
    pub preemptions_per_event: f64,
    /// Memory after the load.
    pub memory: Footprint,
}

impl Run {
    /// CPU-seconds of all processes for a million events.
    #[must_use]
    pub fn cpu_s_per_million(&self) -> f64 {
        self.processes.iter().map(|part| part.cpu_s_per_million).sum()
    }
}

/// One line for whoever waits.
impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cpu, rate) = (self.cpu_s_per_million(), self.rate / 1e3);
        write!(f, "{:44} {:34} {cpu:7.2} CPU-s/M {rate:7.1} k/s ", self.case, self.contender)?;
        for Part { name, cpu_s_per_million, sleeps_per_event, .. } in &self.processes {
            write!(f, " {name} {cpu_s_per_million:.2} ({sleeps_per_event:.2} sleeps)")?;
        }
        if let Some(Latencies { from_write, .. }) = &self.latencies {
            let [p50, p99, p999] =
                [from_write.p50, from_write.p99, from_write.p999].map(|ns| ns / 1e3);
            write!(f, " p50 {p50:.0} p99 {p99:.0} p99.9 {p999:.0} µs")?;
        }
        Ok(())
    }
}

/// A server that has encoded a load.
#[derive(Debug)]
pub struct Source {
    process: Process,
    port: u16,
    load: Load,
}

impl Source {
    /// Starts one, and waits until everything is encoded.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(place: &Place, load: &Load) -> Result<Self> {
        let mut command = Command::new(place.program("pipeline-source"));
        command
            .args(["--events", &load.events.to_string(), "--guilds", &load.guilds.to_string()])
            .args(["--shards", &load.shards.to_string(), "--encoding", load.encoding.name()])
            .args(["--compression", load.compression.name()]);
        if load.blend == Blend::Messages {
            command.arg("--messages");
        }
        let mut process = Process::start_talking("source", &place.folder, &mut command)?;
        let port = process.line("listening on ")?.parse().context("its port")?;
        Ok(Self { process, port, load: *load })
    }

    /// Mean length of an event, in bytes.
    ///
    /// # Errors
    /// It does not answer.
    pub fn mean_bytes(&self) -> Result<f64> {
        Ok(self.control("status")?.mean_bytes)
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn control(&self, what: &str) -> Result<Status> {
        let url = format!("http://127.0.0.1:{}/{what}", self.port);
        let text = ureq::get(&url).call()?.body_mut().read_to_string()?;
        Ok(serde_json::from_str(&text)?)
    }
}

/// Measures one contender once.
///
/// # Errors
/// A process ended, or something takes too long.
pub fn run(
    place: &Place,
    source: &mut Source,
    case: &Case,
    contender: &Contender,
    round: usize,
) -> Result<Run> {
    let run = run_watched(place, source, case, contender, |_| Ok(()))?;
    Ok(Run { round, ..run })
}

/// Measures one contender once; `watch` is given each process just before the first event.
///
/// # Errors
/// As with [`run`]; what `watch` gives.
pub fn run_watched(
    place: &Place,
    source: &mut Source,
    case: &Case,
    contender: &Contender,
    watch: impl FnMut(&Process) -> Result<()>,
) -> Result<Run> {
    source.control("again")?;
    let mut running = contender.start(place, source.port, &source.load)?;
    let measured = under_load(&mut running, source, case, watch);
    let measured = measured.with_context(|| {
        format!("{} under {} (logs: {})", contender.name(), case.name(), place.folder.display())
    });
    running.stop();
    let mut run = measured?;
    run.contender = contender.name();
    run.is_ours = contender.is_ours();
    Ok(run)
}

fn under_load(
    running: &mut Running,
    source: &mut Source,
    case: &Case,
    watch: impl FnMut(&Process) -> Result<()>,
) -> Result<Run> {
    let Load { guilds, shards, events, .. } = source.load;
    let handlers_count = handlers(running).count();
    let ask = ASK.max(ASK_EACH * u32::try_from(handlers_count)?);
    until("all guilds", STUCK, ask, || {
        alive(running, source)?;
        let status = source.control("status")?;
        ensure!(status.refused.is_empty(), "the source refused what asked for {}", status.refused);
        let is_ready = status.ready == usize::from(shards);
        Ok((is_ready && least(running, |counts| counts.guilds)? >= guilds).then_some(()))
    })?;
    running.processes.iter().try_for_each(watch)?;
    std::thread::sleep(SETTLE);
    let handled = least(running, |counts| counts.events)?;
    ensure!(handled == 0, "{handled} events before any was sent");
    for process in handlers(running) {
        process.ask::<Counts>(Question::Reset)?;
    }
    let before: Vec<Usage> = running.processes.iter().map(Process::usage).collect::<Result<_>>()?;
    let shared_bytes_before = running.shared_bytes();
    source.control(&format!("go?rate={}", case.rate))?;
    until("all events", STUCK, ask, || {
        alive(running, source)?;
        Ok((least(running, |counts| counts.events)? >= events).then_some(()))
    })?;
    let after: Vec<Usage> = running.processes.iter().map(Process::usage).collect::<Result<_>>()?;
    let mut processes: Vec<Part> = Vec::new();
    for ((process, before), after) in running.processes.iter().zip(before).zip(after) {
        add(&mut processes, process, after.since(before), events)?;
    }
    let shared_bytes = running.shared_bytes();
    let (mut first, mut last, mut latencies) = (u64::MAX, 0, None::<Latencies>);
    for process in handlers(running) {
        let counts: Counts = process.ask(Question::Counts)?;
        ensure!(counts.errors == 0, "{} could not read {} events", process.name(), counts.errors);
        // Of several members one may have had nothing to do.
        if counts.events > 0 {
            (first, last) = (first.min(counts.first_ns), last.max(counts.last_ns));
        }
        let own: Latencies = process.ask(Question::Latencies)?;
        let slowest = latencies.as_ref().is_none_or(|l| own.from_write.p99 > l.from_write.p99);
        if own.from_write.count > 0 && slowest {
            latencies = Some(own);
        }
    }
    // Nothing came twice either.
    let most = handled_in_all(running)?;
    let wanted = events * running.groups.len() as u64;
    ensure!(most == wanted, "{most} events were handled, {wanted} sent");
    Ok(Run {
        axis: case.axis,
        case: case.name(),
        load: case.load,
        contender: String::new(),
        is_ours: false,
        round: 0,
        events,
        rate_wanted: case.rate,
        rate: events as f64 * 1e9 / last.saturating_sub(first).max(1) as f64,
        processes,
        shared_bytes,
        shared_bytes_before,
        latencies: latencies.filter(|_| case.rate > 0),
        load_average: load_average(Path::new("/proc/loadavg")),
    })
}

/// Adds what a process used to those of its name.
fn add(parts: &mut Vec<Part>, process: &Process, used: Usage, events: u64) -> Result<()> {
    let events = events as f64;
    let memory = process.footprint()?;
    let place = parts.iter().position(|part| part.name == process.name()).unwrap_or_else(|| {
        parts.push(Part {
            name: process.name().to_owned(),
            cpu_s_per_million: 0.0,
            sleeps_per_event: 0.0,
            preemptions_per_event: 0.0,
            memory: Footprint::default(),
        });
        parts.len() - 1
    });
    let part = &mut parts[place];
    part.cpu_s_per_million += used.cpu_s * 1e6 / events;
    part.sleeps_per_event += used.voluntary_switches as f64 / events;
    part.preemptions_per_event += used.involuntary_switches as f64 / events;
    part.memory += memory;
    Ok(())
}

fn alive(running: &mut Running, source: &mut Source) -> Result<()> {
    running.processes.iter_mut().chain([&mut source.process]).try_for_each(Process::check)
}

/// Those that answer for what was handled.
fn handlers(running: &mut Running) -> impl Iterator<Item = &mut Process> {
    let first = running.groups.first().map_or(0, |group| group.start);
    running.processes[first..].iter_mut()
}

/// What the group has that has least.
fn least(running: &mut Running, of: impl Fn(&Counts) -> u64) -> Result<u64> {
    let mut least = u64::MAX;
    for group in &running.groups {
        let mut sum = 0;
        for process in &mut running.processes[group.clone()] {
            sum += of(&process.ask(Question::Counts)?);
        }
        least = least.min(sum);
    }
    Ok(least)
}

fn handled_in_all(running: &mut Running) -> Result<u64> {
    let mut sum = 0;
    for process in handlers(running) {
        sum += process.ask::<Counts>(Question::Counts)?.events;
    }
    Ok(sum)
}

fn load_average(path: &Path) -> f64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().next().and_then(|load| load.parse().ok()).unwrap_or(0.0)
}
