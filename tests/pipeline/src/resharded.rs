//! What a change of the shard count costs while events go on: how long it takes, and what gateway, cache and consumer use
//! beside what they use anyway. `fake-discord` is the server, as it has both sets of sessions at once.

use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::contender::mixcord::{self, Instance};
use crate::contender::{Pace, Place, Store, Take};
use crate::probe::{Counts, Question};
use crate::process::{Process, Usage, until};
use crate::source::{Compression, Encoding, Load};
use crate::workload::Blend;

/// A change that takes longer is stuck.
const STUCK: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(100);
/// From the last guild to the first figure: what loading left behind is done by then.
const SETTLE: Duration = Duration::from_secs(1);
const MEMBERS: u32 = 50;

/// What is changed, and under what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The shard count before.
    pub from: u16,
    /// The one after.
    pub to: u16,
    /// Guilds, of 50 members.
    pub guilds: u32,
    /// Events a second.
    pub rate: u32,
    /// How long events flow before it: what is used anyway.
    pub calm: Duration,
    /// How long one of the two sets of sessions is waited for, where that is to be another time than usual.
    pub window: Option<Duration>,
}

/// What one change took.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Run {
    /// From the command to its end, in seconds.
    pub whole_s: f64,
    /// Until every new shard had a session.
    pub sessions_s: f64,
    /// Until the new set delivered every guild.
    pub cut_s: f64,
    /// What the gateway used.
    pub gateway: Cost,
    /// The same of the cache.
    pub cache: Cost,
    /// The same of the consumer.
    pub consumer: Cost,
    /// The longest time between two events at the consumer before the change, in milliseconds.
    pub pause_before_ms: f64,
    /// The same during it.
    pub pause_ms: f64,
}

/// What a process used.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Cost {
    /// CPU-seconds a second before the change.
    pub before: f64,
    /// The same during it.
    pub during: f64,
    /// CPU-seconds of the change that would not have been used without it.
    pub extra_cpu_s: f64,
    /// Its own memory before, in bytes.
    pub private_bytes_before: u64,
    /// The most during it, as far as it was looked at.
    pub private_bytes_most: u64,
}

/// Changes the count once.
///
/// # Errors
/// A process ended, the change failed, or something takes too long.
pub fn run(place: &Place, change: Change) -> Result<Run> {
    let mut rig = Rig::start(place, change)?;
    let run = rig.measure(place, change);
    let logs = place.folder.display();
    run.with_context(|| format!("from {} to {} shards (logs: {logs})", change.from, change.to))
}

/// Everything that runs, in the order in which it ends.
struct Rig {
    instance: Instance,
    /// Gateway, cache, consumer.
    all: Vec<Process>,
    _server: Process,
}

impl Rig {
    /// Starts everything; every guild is there.
    fn start(place: &Place, change: Change) -> Result<Self> {
        let mut command = Command::new(place.program("fake-discord"));
        command
            .args(["--shards", &change.from.to_string(), "--guilds", &change.guilds.to_string()])
            .args(["--members", &MEMBERS.to_string(), "--rate", &change.rate.to_string()])
            // Discord's pace of identifies is not ours: five seconds for each sixteen shards come on top.
            .args(["--identify-seconds", "0", "--journal-max", "0"]);
        let mut server = Process::start_talking("fake-discord", &place.folder, &mut command)?;
        let url = server.line("listening on ")?;
        let pace = Pace::Balanced;
        let instance = Instance::new();
        let window =
            change.window.map(|window| format!("--reshard-window={}ms", window.as_millis()));
        let options = window.as_slice();
        let cache = mixcord::cache_with(place, &instance.0, Store::Whole, pace, options)?;
        let mut consumer = mixcord::consumer(place, &instance.0, Take::Run, 0, pace)?;
        consumer.line("joined")?;
        let (encoding, compression) = (Encoding::Etf, Compression::Zstd);
        let (blend, shards) = (Blend::Everything, change.from);
        let load = Load { blend, events: 0, guilds: 0, shards, encoding, compression };
        let api = format!("{url}/api/v10");
        let gateway = mixcord::gateway(place, &instance.0, &api, &load, pace)?;
        let mut rig = Self { instance, all: vec![gateway, cache, consumer], _server: server };
        until("all guilds", STUCK, LOOK, || {
            rig.check()?;
            Ok((rig.counts(Question::Counts)?.guilds >= u64::from(change.guilds)).then_some(()))
        })?;
        sleep(SETTLE);
        Ok(rig)
    }

    fn measure(&mut self, place: &Place, change: Change) -> Result<Run> {
        self.counts(Question::Reset)?;
        let (begun, at_first) = (Instant::now(), self.usage()?);
        sleep(change.calm);
        let (calm_s, before) = (begun.elapsed().as_secs_f64(), self.usage()?);
        let pause_before_ms = ms(self.counts(Question::Counts)?.pause_ns);
        self.counts(Question::Reset)?;
        let private_before = self.private_bytes()?;

        let mut private_most = private_before.clone();
        let begun = Instant::now();
        let mut command = self.command(place);
        command.args(["--to", &change.to.to_string()]);
        let mut asked = Process::start("reshard", &place.folder, &mut command)?;
        let (mut sessions_s, mut cut_s) = (None, None);
        until("the change", STUCK, LOOK, || {
            self.check()?;
            let is_done = asked.is_done()?;
            let (status, now_s) = (self.status(place)?, begun.elapsed().as_secs_f64());
            if status["sessions"] == change.to || is_done {
                sessions_s.get_or_insert(now_s);
            }
            if is_done || matches!(status["stage"].as_str(), Some("cut" | "leaving" | "done")) {
                cut_s.get_or_insert(now_s);
            }
            for (most, now) in private_most.iter_mut().zip(self.private_bytes()?) {
                *most = now.max(*most);
            }
            Ok(is_done.then_some(()))
        })?;
        let (whole_s, after) = (begun.elapsed().as_secs_f64(), self.usage()?);
        let status = self.status(place)?;
        ensure!(status["stage"] == "done" && status["to"] == change.to, "it ended as {status}");
        let costs: Vec<Cost> = (0..after.len())
            .map(|at| {
                let anyway = before[at].since(at_first[at]).cpu_s / calm_s;
                let used = after[at].since(before[at]).cpu_s;
                Cost {
                    before: anyway,
                    during: used / whole_s,
                    extra_cpu_s: used - anyway * whole_s,
                    private_bytes_before: private_before[at],
                    private_bytes_most: private_most[at],
                }
            })
            .collect();
        let &[gateway, cache, consumer] = &costs[..] else { bail!("not three processes") };
        Ok(Run {
            whole_s,
            sessions_s: sessions_s.unwrap_or(whole_s),
            cut_s: cut_s.unwrap_or(whole_s),
            gateway,
            cache,
            consumer,
            pause_before_ms,
            pause_ms: ms(self.counts(Question::Counts)?.pause_ns),
        })
    }

    /// `mixcord reshard`, which is still to be told what.
    fn command(&self, place: &Place) -> Command {
        let mut command = Command::new(place.program("mixcord"));
        command.args(["reshard", "--instance", &self.instance.0]);
        command
    }

    fn status(&self, place: &Place) -> Result<Value> {
        let output = self.command(place).args(["--status", "--json"]).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "mixcord reshard --status: {said}");
        let status: Value = serde_json::from_slice(&output.stdout).context("its status")?;
        Ok(status["reshard"].clone())
    }

    fn check(&mut self) -> Result<()> {
        self.all.iter_mut().try_for_each(Process::check)
    }

    fn counts(&mut self, question: Question) -> Result<Counts> {
        self.all.last_mut().context("a consumer")?.ask(question)
    }

    fn usage(&self) -> Result<Vec<Usage>> {
        self.all.iter().map(Process::usage).collect()
    }

    fn private_bytes(&self) -> Result<Vec<u64>> {
        self.all.iter().map(|process| Ok(process.footprint()?.private)).collect()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // Before what they have in shared memory.
        self.all.drain(..).for_each(Process::stop);
    }
}

fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}
