//! What it costs to send a shard's ring to another machine, and how much later it is there. The ring is written here, as its
//! gateway writes it; both machines are this one, with an instance each, and the servers are real.

mod copied;
mod feed;
mod servers;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use mixcord::event::topology;
use mixcord::ring::{Namespace, Ring};

pub use self::copied::{Copied, state_from};
use self::feed::{Events, Feed, SHARD};
pub use self::servers::Keeping;
use self::servers::Servers;
use crate::contender::mixcord::{self as programs, Instance};
use crate::contender::{Pace, Place, Store, Take};
use crate::probe::{Counts, Latencies, Question};
use crate::process::{Process, Usage};

/// How often the far ring is looked at.
const LOOK: Duration = Duration::from_millis(2);
/// How often consumers are asked: each answer is a wake.
const ASK: Duration = Duration::from_millis(20);
/// From the last guild to the first event: what loading left behind is done by then.
const SETTLE: Duration = Duration::from_millis(500);
/// What the log may have, and what it keeps where nobody reads it.
const STREAM: [&str; 4] = ["--stream-bytes", "1GiB", "--retain", "64MiB"];

/// How much is made.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Events that differ; a longer flood has them again.
    pub events: u64,
    /// Guilds, of [`MEMBERS`](crate::workload::guild::MEMBERS) members.
    pub guilds: u64,
}

/// What one run used.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Events a second that arrived.
    pub rate: f64,
    /// CPU-seconds for a million events: of `mixcord-bridge send`, of all servers, and of `mixcord-bridge receive`.
    pub send: f64,
    /// See there.
    pub broker: f64,
    /// See there.
    pub receive: f64,
}

impl Run {
    /// Of all three.
    #[must_use]
    pub fn in_all(&self) -> f64 {
        self.send + self.broker + self.receive
    }
}

/// What cache and consumer of one machine used, and how late its consumer was.
#[derive(Clone, Debug)]
pub struct Worker {
    /// CPU-seconds for a million events of the cache, and of the consumer.
    pub cache: f64,
    /// See there.
    pub consumer: f64,
    /// From the write into the gateway's ring to the handler.
    pub latencies: Latencies,
}

/// A worker on the machine with the gateway, and one on the other, both at once.
#[derive(Clone, Debug)]
pub struct Workers {
    /// What the way between them used.
    pub log: Run,
    /// Where the gateway is.
    pub local: Worker,
    /// On the other machine.
    pub remote: Worker,
}

/// Runs over the same events, one after the other.
#[derive(Debug)]
pub struct Bench<'p> {
    place: &'p Place,
    server: PathBuf,
    events: Events,
    guilds: u64,
}

impl<'p> Bench<'p> {
    /// Makes the events.
    ///
    /// # Errors
    /// They cannot be encoded.
    pub fn new(place: &'p Place, server: &Path, extent: Extent) -> Result<Self> {
        let Extent { events, guilds } = extent;
        let events = Events::new(events, guilds)?;
        Ok(Self { place, server: server.to_owned(), events, guilds })
    }

    /// So many events, as fast as they are taken; nobody reads the rings where they arrive.
    ///
    /// # Errors
    /// A process ended, an event was lost or came twice, or something takes too long.
    pub fn flood(&mut self, keeping: Keeping, events: u64) -> Result<Run> {
        let (log, feed) = Log::start(self.place, &self.server, keeping, &[])?;
        let mut rig = Rig { workers: None, feed, log, before: self.guilds };
        rig.load()?;
        let from = &self.events;
        rig.measure(events, |feed, stop| feed.flood(from, events, stop)).map(|(log, _)| log)
    }

    /// So many events, each when it is due, to workers on both machines.
    ///
    /// # Errors
    /// As with [`flood`](Self::flood); there are not so many.
    pub fn paced(&mut self, events: u64, rate: u32) -> Result<Workers> {
        let keeping = Keeping { servers: 1, sync_always: false };
        let feeds = [topology::CACHE_GROUP];
        let (log, feed) = Log::start(self.place, &self.server, keeping, &feeds)?;
        let workers = [&log.near, &log.far].map(|instance| Pair::start(self.place, &instance.0));
        let [local, remote] = workers;
        let mut rig = Rig { workers: Some([local?, remote?]), feed, log, before: self.guilds };
        rig.load()?;
        let from = &mut self.events;
        let (log, workers) =
            rig.measure(events, |feed, stop| feed.paced(from, events, rate, stop))?;
        let [local, remote] = workers.context("two workers")?;
        Ok(Workers { log, local, remote })
    }
}

/// Both ends of a bridge and the servers between them, in the order in which they end.
struct Log {
    send: Process,
    receive: Process,
    servers: Servers,
    near: Instance,
    far: Instance,
}

impl Log {
    /// Starts it with rings that feed these groups on both machines; gives who writes the near one.
    fn start(
        place: &Place,
        server: &Path,
        keeping: Keeping,
        feeds: &[&str],
    ) -> Result<(Self, Feed)> {
        let (near, far) = (Instance::new(), Instance::new());
        let feed = Feed::new(&near.0, &[feeds, &[topology::BRIDGE_GROUP]].concat())?;
        let servers = Servers::start(place, server, keeping)?;
        let replicas = keeping.servers.to_string();
        let options = [&STREAM[..], &["--replicas", &replicas]].concat();
        let send = bridge(place, &near.0, &near.0, &servers, "send", &options)?;
        // Of a received ring that group is left out: without another one it has none.
        let feeds =
            if feeds.is_empty() { topology::BRIDGE_GROUP.to_owned() } else { feeds.join(",") };
        let receive = bridge(place, &far.0, &near.0, &servers, "receive", &["--feeds", &feeds])?;
        Ok((Self { send, receive, servers, near, far }, feed))
    }

    fn check(&mut self) -> Result<()> {
        self.send.check()?;
        self.receive.check()?;
        self.servers.check()
    }

    /// Records that arrived.
    fn arrived(&self) -> Result<u64> {
        let namespace = Namespace::new(&topology::namespace(&self.far.0))?;
        // It is made with the first of them.
        let ring = Ring::attach(&namespace, &topology::shard_ring(SHARD.0, SHARD.1));
        Ok(ring.map_or(0, |ring| ring.tail()))
    }

    fn usage(&self) -> Result<[Usage; 3]> {
        Ok([self.send.usage()?, self.servers.usage()?, self.receive.usage()?])
    }
}

/// One end.
fn bridge(
    place: &Place,
    instance: &str,
    bot: &str,
    servers: &Servers,
    end: &str,
    options: &[&str],
) -> Result<Process> {
    let mut command = Command::new(place.program("mixcord-bridge"));
    command
        .args(["--instance", instance, "--bot", bot, "--nats", &servers.urls()])
        .args(["--log-level", "warn", end])
        .args(options)
        .arg("--copy-dir")
        .arg(&place.folder);
    Process::start(end, &place.folder, &mut command)
}

/// Cache and consumer of one machine.
struct Pair {
    cache: Process,
    consumer: Process,
}

impl Pair {
    fn start(place: &Place, instance: &str) -> Result<Self> {
        let cache = programs::cache(place, instance, Store::Whole, Pace::Balanced)?;
        let mut consumer = programs::consumer(place, instance, Take::Run, 0, Pace::Balanced)?;
        consumer.line("joined")?;
        Ok(Self { cache, consumer })
    }

    fn check(&mut self) -> Result<()> {
        self.cache.check()?;
        self.consumer.check()
    }

    fn counts(&mut self, question: Question) -> Result<Counts> {
        self.consumer.ask(question)
    }

    fn usage(&self) -> Result<[Usage; 2]> {
        Ok([self.cache.usage()?, self.consumer.usage()?])
    }
}

/// All that runs.
struct Rig {
    workers: Option<[Pair; 2]>,
    feed: Feed,
    log: Log,
    /// Guilds, each of which is a record before the first event.
    before: u64,
}

impl Rig {
    /// Everybody has the guilds.
    fn load(&mut self) -> Result<()> {
        let guilds = self.before;
        let all = Wanted { records: guilds, counted: guilds, of: |counts| counts.guilds };
        self.write(|feed, stop| feed.guilds(guilds, stop), &all)?;
        sleep(SETTLE);
        for worker in self.workers.iter_mut().flatten() {
            worker.counts(Question::Reset)?;
        }
        Ok(())
    }

    fn measure(
        &mut self,
        events: u64,
        feed: impl FnOnce(&mut Feed, &AtomicBool) -> Result<()> + Send,
    ) -> Result<(Run, Option<[Worker; 2]>)> {
        let (before, workers_before) = (self.log.usage()?, self.usage()?);
        let records = self.before + events;
        let all = Wanted { records, counted: events, of: |counts| counts.events };
        let took = self.write(feed, &all)?;
        let (after, workers_after) = (self.log.usage()?, self.usage()?);
        let per_million = |after: Usage, before| after.since(before).cpu_s * 1e6 / events as f64;
        let [send, broker, receive] = [0, 1, 2].map(|at| per_million(after[at], before[at]));
        let run = Run { rate: events as f64 / took.as_secs_f64(), send, broker, receive };
        let Some(workers) = &mut self.workers else { return Ok((run, None)) };
        let mut measured = Vec::with_capacity(workers.len());
        for (at, worker) in workers.iter_mut().enumerate() {
            let [cache, consumer] =
                [0, 1].map(|of| per_million(workers_after[at][of], workers_before[at][of]));
            let counts = worker.counts(Question::Counts)?;
            ensure!(counts.events == events, "{} events were handled, not {events}", counts.events);
            let latencies = worker.consumer.ask(Question::Latencies)?;
            measured.push(Worker { cache, consumer, latencies });
        }
        let measured = measured.try_into().map_err(|_| anyhow!("not two workers"))?;
        Ok((run, Some(measured)))
    }

    /// Has the ring written, and waits until all of it is everywhere; gives the time.
    fn write(
        &mut self,
        write: impl FnOnce(&mut Feed, &AtomicBool) -> Result<()> + Send,
        wanted: &Wanted,
    ) -> Result<Duration> {
        let Self { workers, feed, log, .. } = self;
        let begun = Instant::now();
        let every = if workers.is_some() { ASK } else { LOOK };
        let took = feed.write_until(write, every, || {
            log.check()?;
            let mut is_everywhere = log.arrived()? >= wanted.records;
            for worker in workers.iter_mut().flatten() {
                worker.check()?;
                is_everywhere &= (wanted.of)(&worker.counts(Question::Counts)?) >= wanted.counted;
            }
            Ok(is_everywhere.then(|| begun.elapsed()))
        })?;
        let arrived = log.arrived()?;
        ensure!(arrived == wanted.records, "{arrived} records came of {}", wanted.records);
        Ok(took)
    }

    fn usage(&self) -> Result<Vec<[Usage; 2]>> {
        self.workers.iter().flatten().map(Pair::usage).collect()
    }
}

/// What has to be where before it is over.
struct Wanted {
    /// In the far ring.
    records: u64,
    /// Seen by each consumer, of that.
    counted: u64,
    /// See there.
    of: fn(&Counts) -> u64,
}
