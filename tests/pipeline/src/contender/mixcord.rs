//! Mixcord: gateway, cache, and consumers in groups.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;

use super::{Place, Running};
use crate::process::Process;
use crate::source::Load;

/// How its three processes are run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mixcord {
    /// How the consumer takes events.
    pub take: Take,
    /// What the cache keeps.
    pub store: Store,
    /// Groups of consumers, which get every event each.
    pub groups: usize,
    /// Members of each group, which share its events.
    pub members: usize,
    /// How all three wait.
    pub pace: Pace,
}

/// How a process waits for what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pace {
    /// Woken at once.
    LowLatency,
    /// The default: naps where events come fast.
    Balanced,
    /// Longer naps.
    LowCpu,
}

/// How a consumer takes events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Take {
    /// `Consumer::run` on a tokio runtime of several threads.
    Run,
    /// `Consumer::run_blocking`
    RunBlocking,
    /// `Consumer::next_blocking` in a loop.
    Next,
}

/// What the cache keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Store {
    /// Everything.
    Whole,
    /// No messages.
    WithoutMessages,
    /// Nothing: no old values.
    None,
}

impl Default for Mixcord {
    fn default() -> Self {
        let (take, store, pace) = (Take::Run, Store::Whole, Pace::Balanced);
        Self { take, store, groups: 1, members: 1, pace }
    }
}

impl Mixcord {
    pub(super) fn name(&self) -> String {
        let mut name = format!("mixcord, {}", self.take.name());
        match self.store {
            Store::Whole => {}
            Store::WithoutMessages => name += ", no messages",
            Store::None => name += ", no store",
        }
        if self.pace != Pace::Balanced {
            name += &format!(", {}", self.pace.name());
        }
        if self.groups > 1 {
            name += &format!(", {} groups", self.groups);
        }
        if self.members > 1 {
            name += &format!(", {} members", self.members);
        }
        name
    }

    pub(super) fn start(&self, place: &Place, port: u16, load: &Load) -> Result<Running> {
        let instance = next_instance();
        let mut running =
            Running { processes: Vec::new(), groups: Vec::new(), instance: Some(instance.clone()) };
        running.processes.push(cache(place, &instance, self.store, self.pace)?);
        for group in 0..self.groups {
            let first = running.processes.len() + 1;
            for _ in 0..self.members {
                running.processes.push(consumer(place, &instance, self.take, group, self.pace)?);
            }
            running.groups.push(first..first + self.members);
        }
        // Who joins later may find the first guilds overwritten: a ring that no group holds keeps the newest.
        for consumer in &mut running.processes[1..] {
            consumer.line("joined")?;
        }
        let api = format!("http://127.0.0.1:{port}/api/v10");
        running.processes.insert(0, gateway(place, &instance, &api, load, self.pace)?);
        Ok(running)
    }
}

impl Take {
    /// As the consumer's option spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::RunBlocking => "run-blocking",
            Self::Next => "next",
        }
    }
}

impl Pace {
    /// As options spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LowLatency => "low-latency",
            Self::Balanced => "balanced",
            Self::LowCpu => "low-cpu",
        }
    }
}

/// A name that no other run has.
pub(crate) fn next_instance() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    format!("t{}-pipeline-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// Such a name, with what lies in shared memory under it: gone with this.
#[derive(Debug)]
pub(crate) struct Instance(pub(crate) String);

impl Instance {
    pub(crate) fn new() -> Self {
        Self(next_instance())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

pub(crate) fn gateway(
    place: &Place,
    instance: &str,
    api: &str,
    load: &Load,
    pace: Pace,
) -> Result<Process> {
    let mut command = program(place, "gateway", "mixcord-gateway", pace);
    command
        .args(["--instance", instance, "--intents", "ALL", "--api-url", api])
        .args(["--shards", &load.shards.to_string(), "--encoding", load.encoding.name()])
        .args(["--compression", load.compression.stream()])
        .args(["--ring-bytes", if load.shards > 16 { "1MiB" } else { "4MiB" }])
        .args(["--identify-spacing-ms", "1", "--log-level", "warn"])
        .arg("--identify-dir")
        .arg(&place.folder)
        .env("DISCORD_TOKEN", "bench");
    Process::start("gateway", &place.folder, &mut command)
}

pub(crate) fn cache(place: &Place, instance: &str, store: Store, pace: Pace) -> Result<Process> {
    cache_with(place, instance, store, pace, &[])
}

/// The same with some options more.
pub(crate) fn cache_with(
    place: &Place,
    instance: &str,
    store: Store,
    pace: Pace,
    options: &[String],
) -> Result<Process> {
    let mut command = program(place, "cache", "mixcord-cache", pace);
    command.args(["--instance", instance, "--log-level", "warn"]).args(options);
    match store {
        Store::Whole => &mut command,
        Store::WithoutMessages => command.args(["--no-cache", "messages"]),
        Store::None => command.args(["--store", "none"]),
    };
    Process::start("cache", &place.folder, &mut command)
}

pub(crate) fn consumer(
    place: &Place,
    instance: &str,
    take: Take,
    group: usize,
    pace: Pace,
) -> Result<Process> {
    let mut command = program(place, "consumer", "pipeline-consumer", pace);
    command.args(["--instance", instance, "--take", take.name()]);
    command.args(["--group", &format!("group-{group}")]);
    Process::start_talking("consumer", &place.folder, &mut command)
}

/// One of the three, whatever the environment says of pace.
fn program(place: &Place, process: &str, name: &str, pace: Pace) -> Command {
    let mut command = place.command(process, name);
    command.env("MIXCORD_PACE", pace.name());
    command
}

/// What lies in shared memory under an instance's name.
fn entries(instance: &str) -> impl Iterator<Item = fs::DirEntry> {
    let head = format!("mixcord.{instance}.");
    let all = fs::read_dir("/dev/shm").into_iter().flatten().flatten();
    all.filter(move |entry| entry.file_name().to_string_lossy().starts_with(&head))
}

pub(super) fn shared_bytes(instance: &str) -> u64 {
    entries(instance).map(|entry| pages(&entry.path())).sum()
}

/// Bytes of the pages that a file, or what is in a folder, has.
fn pages(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(data) = fs::symlink_metadata(path) else { return 0 };
    if !data.is_dir() {
        return data.blocks() * 512;
    }
    fs::read_dir(path).into_iter().flatten().flatten().map(|entry| pages(&entry.path())).sum()
}

pub(crate) fn remove(instance: &str) {
    for entry in entries(instance) {
        let path = entry.path();
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
    }
}
