//! mixcord-cache's engine between two rings: another thread feeds the one and drains the other.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mixcord_cache::engine::{Engine, Plan, Progress};
use mixcord_cache::settings::Settings;
use mixcord_event::{Decoder, RecordMeta, Shard, topology};
use mixcord_pipeline::workload::guild;
use mixcord_ring::{Geometry, GroupSpec, Limits, Member, Meta, Namespace, Producer, Ring, Start};
use mixcord_state::{State, StateStats};

use crate::clock::{Sample, thread_cpu};
use crate::ring::pin;

/// How long a round may take before it counts as stuck.
const STUCK: Duration = Duration::from_secs(100);
pub(super) const STATE_BYTES_MAX: u64 = 8 << 30;

/// The rings and the store of a run; gone with it.
pub(super) struct Ours {
    instance: String,
    namespace: Namespace,
    /// `None` in a run.
    engine: Option<Engine>,
    ends: Option<Ends>,
    received_us: u64,
}

/// What stands around the cache.
struct Ends {
    shard: Producer,
    consumer: Member,
    decoder: Decoder,
}

impl Ours {
    pub(super) fn new() -> Result<Self> {
        sweep();
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let instance = format!("bench-{}-{number}", std::process::id());
        let namespace = Namespace::new(&topology::namespace(&instance))?;
        let mut this = Self {
            instance,
            namespace,
            engine: None,
            ends: None,
            received_us: 1_795_080_861_000_000,
        };
        let bell = this.namespace.bell()?;
        let cache = GroupSpec::durable(topology::CACHE_GROUP).from(Start::Earliest);
        let shard = Producer::create(
            &this.namespace,
            &topology::shard_ring(0, 1),
            Geometry::new(8192, 4 << 20, 4, 1, 4)?,
            &[cache],
            &bell,
        )?;
        let engine = Engine::start(&this.plan()?)?;
        let ring = Ring::attach(&this.namespace, topology::OUTPUT_RING)?;
        let consumer = ring.join(&GroupSpec::durable("bench").from(Start::Earliest), &bell)?;
        this.engine = Some(engine);
        let decoder = Decoder::new(mixcord_event::Limits::default());
        this.ends = Some(Ends { shard, consumer, decoder });
        Ok(this)
    }

    /// The guilds arrive, as in a session's beginning.
    pub(super) fn load(&mut self, guilds: u64) -> Result<()> {
        let step = 64;
        for first in (0..guilds).step_by(step) {
            let last = guilds.min(first + step as u64);
            let batch: Vec<String> = (first..last).map(guild::create).collect();
            let records = self.records(&batch)?;
            self.run(records)?;
        }
        Ok(())
    }

    /// What the gateway makes of events, which is no part of a run.
    pub(super) fn records(&mut self, batch: &[String]) -> Result<Vec<Vec<u8>>> {
        let ends = self.ends.as_mut().context("between two runs")?;
        let mut records = Vec::with_capacity(batch.len());
        for text in batch {
            self.received_us += 10;
            let meta = RecordMeta {
                shard: Shard { id: 0, count: 1 },
                session: 1,
                received_us: self.received_us,
                ..RecordMeta::default()
            };
            records.push(ends.decoder.json(text.as_bytes())?.record(&meta).to_vec());
        }
        Ok(records)
    }

    /// Events through the cache; the CPU time of its thread alone.
    pub(super) fn run(&mut self, records: Vec<Vec<u8>>) -> Result<Sample> {
        let mut ends = self.ends.take().context("between two runs")?;
        let mut engine = self.engine.take().context("between two runs")?;
        let events = records.len() as u64;
        let (begun, fed, done) =
            (AtomicBool::new(false), AtomicBool::new(false), AtomicBool::new(false));
        let sample = std::thread::scope(|scope| -> Result<Sample> {
            let (begun, fed, done) = (&begun, &fed, &done);
            let helper =
                std::thread::Builder::new().name("ends".into()).spawn_scoped(scope, move || {
                    pin(1);
                    let seen = ends.serve(&records, begun, fed, done);
                    (ends, seen)
                })?;
            pin(0);
            // What the round begins with is there: no time is spent in waiting for the first record.
            while !begun.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
            let (cpu, wall) = (thread_cpu(), Instant::now());
            let mut failed = None;
            while wall.elapsed() < STUCK {
                let all = fed.load(Ordering::Acquire);
                match engine.round() {
                    Ok(Progress::Worked) => {}
                    Ok(Progress::Idle) if all => break,
                    Ok(progress) => engine.wait(progress, Duration::from_millis(50)),
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
            let sample = Sample { units: events, cpu: thread_cpu() - cpu, wall: wall.elapsed() };
            done.store(true, Ordering::Release);
            let (ends, seen) = helper.join().map_err(|_| anyhow::anyhow!("the helper"))?;
            self.ends = Some(ends);
            if let Some(error) = failed {
                return Err(error.into());
            }
            ensure!(seen >= events, "{seen} records came out of {events} events");
            Ok(sample)
        })?;
        self.engine = Some(engine);
        Ok(sample)
    }

    /// Events through the cache, all in this thread, `batch` at a time; the time is that of the cache alone.
    pub(super) fn run_alone(&mut self, records: &[Vec<u8>], batch: usize) -> Result<Sample> {
        let ends = self.ends.as_mut().context("between two runs")?;
        let engine = self.engine.as_mut().context("between two runs")?;
        let mut sample =
            Sample { units: records.len() as u64, cpu: Duration::ZERO, wall: Duration::ZERO };
        let mut left = records;
        let mut seen = 0;
        while !left.is_empty() {
            let staged = ends.feed(&left[..batch.min(left.len())]);
            left = &left[staged..];
            let (cpu, wall) = (thread_cpu(), Instant::now());
            while engine.round()? == Progress::Worked {}
            sample.cpu += thread_cpu() - cpu;
            sample.wall += wall.elapsed();
            seen += ends.drain();
        }
        ensure!(seen >= sample.units, "{seen} records came out of {} events", sample.units);
        Ok(sample)
    }

    /// Bytes of memory in use.
    pub(super) fn state_bytes(&self) -> Result<u64> {
        Ok(self.stats()?.bytes())
    }

    /// What is in the store.
    pub(super) fn stats(&self) -> Result<StateStats> {
        Ok(State::open(&self.state_dir())?.stats()?)
    }

    /// Where it is.
    pub(super) fn state_dir(&self) -> PathBuf {
        topology::state_dir(&self.instance).into()
    }

    fn plan(&self) -> Result<Plan> {
        Ok(Plan {
            instance: self.instance.clone(),
            state: Some(self.state_dir()),
            state_from: None,
            state_bytes_max: STATE_BYTES_MAX,
            settings: Settings::default(),
            output: Geometry::new(65_536, 64 << 20, 64, 64, 64)?,
            old_rings_kept: Duration::MAX,
        })
    }
}

/// Removes what a run left that was ended from outside.
fn sweep() {
    for entry in std::fs::read_dir(Namespace::directory()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix("mixcord.bench-").and_then(|rest| rest.split('-').next());
        let gone = process
            .and_then(|process| process.parse::<u32>().ok())
            .is_some_and(|process| !std::path::Path::new(&format!("/proc/{process}")).exists());
        if gone {
            let path = entry.path();
            let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(&path));
        }
    }
}

impl Ends {
    /// Feeds the shard's ring and drains the output ring; says how many records came.
    fn serve(
        &mut self,
        records: &[Vec<u8>],
        begun: &AtomicBool,
        fed: &AtomicBool,
        done: &AtomicBool,
    ) -> u64 {
        let (mut next, mut seen) = (0, 0);
        loop {
            let mut idle = true;
            // Before the look: what comes out until then is seen by it.
            let last_look = done.load(Ordering::Acquire);
            let staged = self.feed(&records[next..]);
            next += staged;
            idle &= staged == 0;
            begun.store(true, Ordering::Release);
            if next == records.len() {
                fed.store(true, Ordering::Release);
            }
            let came = self.drain();
            seen += came;
            idle &= came == 0;
            if idle && last_look {
                return seen;
            }
        }
    }

    /// Puts as many records into the shard's ring as it takes; says how many.
    fn feed(&mut self, records: &[Vec<u8>]) -> usize {
        let mut staged = 0;
        for record in records {
            if self.shard.stage(&Meta::default(), &[record]).is_err() {
                break;
            }
            staged += 1;
        }
        self.shard.publish();
        staged
    }

    /// Takes what lies in the output ring; says how many records.
    fn drain(&mut self) -> u64 {
        let mut seen = 0;
        while let Ok(Some(batch)) = self.consumer.take(Limits { records: 1024, bytes: 1 << 20 }) {
            seen += batch.len() as u64;
            batch.ack();
        }
        seen
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.engine = None;
        self.ends = None;
        let _ = std::fs::remove_dir_all(topology::state_dir(&self.instance));
        let _ = self.namespace.remove_all();
    }
}
