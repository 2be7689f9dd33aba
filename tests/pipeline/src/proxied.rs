//! What mixcord-proxy costs: gateway, cache, a consumer of the SDK, and beside that clients of the proxy. Each event
//! goes to the consumer and to every client, so what a client is later is what the proxy adds.

use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::contender::{Contender, Mixcord, Place, Running};
use crate::measure::Source;
use crate::probe::{Counts, Latencies, Question};
use crate::process::{Process, Usage, until};
use crate::source::{Compression, Encoding, Load};
use crate::workload::Blend;

/// A run that takes longer is stuck.
const STUCK: Duration = Duration::from_secs(240);
const ASK: Duration = Duration::from_millis(20);
/// From the last guild to the first event: what loading left behind is done by then.
const SETTLE: Duration = Duration::from_millis(500);

/// How much is sent.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Events of a run.
    pub events: u64,
    /// Guilds, of [`MEMBERS`](crate::workload::guild::MEMBERS) members.
    pub guilds: u64,
}

/// What one run used.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// Clients of the proxy, each of which was sent every event.
    pub clients: u64,
    /// Events a second.
    pub rate: u32,
    /// CPU-seconds of the proxy for a million events of the gateway, however many clients there are.
    pub proxy_cpu_s_per_million: f64,
    /// The same of the gateway.
    pub gateway_cpu_s_per_million: f64,
    /// The same of the cache.
    pub cache_cpu_s_per_million: f64,
    /// The same of the consumer.
    pub consumer_cpu_s_per_million: f64,
    /// Of the clients, all in one histogram.
    pub through_proxy: Latencies,
    /// Of the consumer.
    pub direct: Latencies,
    /// The proxy's own memory after the events, in bytes.
    pub private_bytes: u64,
}

/// What sessions take that have had their guilds and wait for events.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Memory {
    /// How many there are.
    pub sessions: u64,
    /// The proxy's own memory before the first, in bytes.
    pub private_bytes_before: u64,
    /// With all of them.
    pub private_bytes: u64,
    /// Their files in shared memory, in bytes.
    pub shared_bytes: u64,
}

impl Memory {
    /// Bytes of the proxy's own for each session.
    #[must_use]
    pub fn private_bytes_each(&self) -> f64 {
        self.private_bytes.saturating_sub(self.private_bytes_before) as f64 / self.sessions as f64
    }

    /// Bytes of its file for each session.
    #[must_use]
    pub fn shared_bytes_each(&self) -> f64 {
        self.shared_bytes as f64 / self.sessions as f64
    }
}

/// Runs against one source, one after the other.
#[derive(Debug)]
pub struct Bench<'p> {
    place: &'p Place,
    source: Source,
    extent: Extent,
    load: Load,
}

impl<'p> Bench<'p> {
    /// Starts the source.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn new(place: &'p Place, extent: Extent) -> Result<Self> {
        let Extent { events, guilds } = extent;
        // Uncompressed, so that events have the times in them.
        let (encoding, compression) = (Encoding::Etf, Compression::None);
        let load =
            Load { blend: Blend::Everything, events, guilds, shards: 1, encoding, compression };
        Ok(Self { place, source: Source::start(place, &load)?, extent, load })
    }

    /// Sends all events at a rate, to so many clients.
    ///
    /// # Errors
    /// A process ended, an event was lost, or something takes too long.
    pub fn run(&mut self, clients: u64, rate: u32) -> Result<Run> {
        let mut rig = self.start(clients)?;
        let events = self.extent.events;
        let run = rig.under_load(&self.source, events, rate);
        rig.stop();
        run.with_context(|| {
            let logs = self.place.folder.display();
            format!("{clients} clients, {rate} events a second (logs: {logs})")
        })
    }

    /// Begins so many sessions, and sends nothing but their guilds.
    ///
    /// # Errors
    /// A process ended, or something takes too long.
    pub fn memory(&mut self, sessions: u64) -> Result<Memory> {
        let rig = self.start(sessions)?;
        sleep(SETTLE);
        let private_bytes = rig.proxy.footprint()?.private;
        let files = std::fs::read_dir(&rig.sessions)?.flatten().filter_map(|it| it.metadata().ok());
        // The proxy's note of itself is among them, and less than a page.
        let shared_bytes =
            files.map(|file| std::os::unix::fs::MetadataExt::blocks(&file) * 512).sum();
        let private_bytes_before = rig.private_bytes_before;
        rig.stop();
        Ok(Memory { sessions, private_bytes_before, private_bytes, shared_bytes })
    }

    /// Everything, until each client has its guilds.
    fn start(&mut self, clients: u64) -> Result<Rig> {
        self.source.control("again")?;
        let guilds = self.extent.guilds;
        let mixcord = Contender::Mixcord(Mixcord::default());
        let mut running = mixcord.start(self.place, self.source.port(), &self.load)?;
        until("all guilds", STUCK, ASK, || {
            check(&mut running.processes)?;
            let counts: Counts = consumer(&mut running)?.ask(Question::Counts)?;
            Ok((counts.guilds >= guilds).then_some(()))
        })?;
        let instance = running.instance().context("an instance")?.to_owned();
        let mut command = Command::new(self.place.program("mixcord-proxy"));
        command
            .args(["--instance", &instance, "--listen", "127.0.0.1:0", "--no-rest"])
            .args(["--log-level", "warn"])
            // It goes by what the gateway has noted.
            .env_remove("DISCORD_TOKEN");
        let mut proxy = Process::start_talking("proxy", &self.place.folder, &mut command)?;
        let address = proxy.line("listening on http://")?;
        sleep(SETTLE);
        let private_bytes_before = proxy.footprint()?.private;
        let mut command = Command::new(self.place.program("pipeline-client"));
        command.args(["--address", &address, "--clients", &clients.to_string()]);
        let mut all = Process::start_talking("clients", &self.place.folder, &mut command)?;
        until("the clients' guilds", STUCK, ASK, || {
            check([&mut proxy, &mut all])?;
            Ok((all.ask::<Counts>(Question::Counts)?.guilds >= guilds * clients).then_some(()))
        })?;
        let sessions = PathBuf::from(format!("/dev/shm/mixcord.{instance}.proxy"));
        Ok(Rig { all, count: clients, proxy, running, sessions, private_bytes_before })
    }
}

/// What runs.
struct Rig {
    /// All clients, in one process.
    all: Process,
    count: u64,
    proxy: Process,
    running: Running,
    sessions: PathBuf,
    private_bytes_before: u64,
}

impl Rig {
    fn under_load(&mut self, source: &Source, events: u64, rate: u32) -> Result<Run> {
        sleep(SETTLE);
        self.all.ask::<Counts>(Question::Reset)?;
        consumer(&mut self.running)?.ask::<Counts>(Question::Reset)?;
        let before = self.usage()?;
        source.control(&format!("go?rate={rate}"))?;
        until("all events", STUCK, ASK, || {
            check(&mut self.running.processes)?;
            check([&mut self.proxy, &mut self.all])?;
            let told: Counts = self.all.ask(Question::Counts)?;
            ensure!(told.errors == 0, "a client was told something else than events");
            let direct: Counts = consumer(&mut self.running)?.ask(Question::Counts)?;
            Ok((told.events >= events * self.count && direct.events >= events).then_some(()))
        })?;
        let after = self.usage()?;
        let [gateway, cache, consumed, proxy] =
            [0, 1, 2, 3].map(|at| after[at].since(before[at]).cpu_s * 1e6 / events as f64);
        let told: Counts = self.all.ask(Question::Counts)?;
        let wanted = events * self.count;
        ensure!(told.events == wanted, "{} events came to clients, not {wanted}", told.events);
        Ok(Run {
            clients: self.count,
            rate,
            proxy_cpu_s_per_million: proxy,
            gateway_cpu_s_per_million: gateway,
            cache_cpu_s_per_million: cache,
            consumer_cpu_s_per_million: consumed,
            through_proxy: self.all.ask(Question::Latencies)?,
            direct: consumer(&mut self.running)?.ask(Question::Latencies)?,
            private_bytes: self.proxy.footprint()?.private,
        })
    }

    /// Of gateway, cache, consumer and proxy.
    fn usage(&self) -> Result<Vec<Usage>> {
        self.running.processes.iter().chain([&self.proxy]).map(Process::usage).collect()
    }

    fn stop(self) {
        self.all.stop();
        self.proxy.stop();
        self.running.stop();
    }
}

fn consumer(running: &mut Running) -> Result<&mut Process> {
    running.processes.last_mut().context("a consumer")
}

fn check<'a>(processes: impl IntoIterator<Item = &'a mut Process>) -> Result<()> {
    processes.into_iter().try_for_each(Process::check)
}
