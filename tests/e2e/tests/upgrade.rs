//! P11: gateway, cache, consumers and tools of two releases, in every combination, with live sessions.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mixcord_e2e::next::{self, KIND, SUFFIX};
use mixcord_e2e::{Delivered, Fake, FakeOptions, Follower, Order, Program, Stack, compare, until};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(120);
/// What DESIGN §8 promises for an end after SIGTERM.
const END: Duration = Duration::from_secs(5);
const EVENTS: u64 = 16_000;
const SHARDS: u16 = 2;
/// Roles get keys that only the next release knows, and events come that only it knows.
const MIX: &str = "message=400,typing=200,role-update=150,new-keys=150,unknown=100,role-create=20";
/// Roles, as they are told.
const ROLE: &str = "GUILD_ROLE_UPDATE";

/// Which release each process is of: this one, or the next.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Combination {
    gateway: bool,
    cache: bool,
    consumer: bool,
}

/// All of them, each next to one that differs in one process only, and back to the first: every process
/// is updated, and taken back, while the others run.
fn combinations() -> impl Iterator<Item = Combination> {
    let gray = |n: u8| n ^ (n >> 1);
    (0..=8).map(move |n| {
        let bits = gray(n % 8);
        Combination { gateway: bits & 1 != 0, cache: bits & 2 != 0, consumer: bits & 4 != 0 }
    })
}

struct Releases {
    this: Stack,
    next: Stack,
}

impl Releases {
    fn stack(&self, next: bool) -> &Stack {
        if next { &self.next } else { &self.this }
    }

    /// What `mixcord` of both releases print, which must be the same.
    fn both(&self, arguments: &[&str]) -> Result<String> {
        let run = |stack: &Stack| -> Result<String> {
            let output =
                stack.mixcord().args(arguments).args(["--instance", stack.instance()]).output()?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Ok(String::from_utf8(output.stdout)?)
        };
        let (this, next) = (run(&self.this)?, run(&self.next)?);
        ensure!(this == next, "{arguments:?}: this release prints\n{this}\nthe next one\n{next}");
        Ok(this)
    }
}

fn field<'a>(value: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(value, |value, key| &value[*key])
}

/// How both releases say the shards stand: connected, in their first session.
fn connected(releases: &Releases) -> bool {
    [&releases.this, &releases.next].iter().all(|stack| {
        let Ok(listing) = stack.ls() else { return false };
        let rings = listing["rings"].as_array().cloned().unwrap_or_default();
        let shards: Vec<&Value> =
            rings.iter().map(|ring| &ring["shard"]).filter(|shard| !shard.is_null()).collect();
        shards.len() == usize::from(SHARDS)
            && shards.iter().all(|shard| shard["state"] == "connected" && shard["session"] == 1)
    })
}

fn run(encoding: &str) -> Result<()> {
    next::build()?;
    let this = Stack::new()?;
    let releases = Releases { next: this.release(SUFFIX), this };
    let options = FakeOptions {
        shards: SHARDS,
        events: EVENTS,
        more: vec!["--mix".into(), MIX.into()],
        ..FakeOptions::default()
    };
    let fake = Fake::start(releases.this.folder(), &options)?;
    let start_gateway =
        |next| releases.stack(next).gateway(&fake, "auto", &["--encoding", encoding]);
    let start_cache = |next| releases.stack(next).cache(&[]);
    let start_consumer = |next| -> Result<(Program, Follower)> {
        let tail = releases.stack(next).tail(&["--group", "journal", "--from", "earliest"])?;
        let follower = Follower::new(&tail, &[])?;
        Ok((tail, follower))
    };
    // Both releases look on from the first event to the last, and at what only one knows.
    let looks_on = |next, options: &[&str]| {
        let group = if next { "next" } else { "this" };
        let name = format!("{group}-{}", options.len());
        let tail = [&["--group", &name, "--from", "earliest"], options].concat();
        releases.stack(next).tail(&tail)
    };
    let all = [looks_on(false, &[])?, looks_on(true, &[])?];
    let new = [looks_on(false, &["--kind", KIND])?, looks_on(true, &["--kind", KIND])?];

    let mut now = combinations().next().context("a first")?;
    let (mut consumer, mut follower) = start_consumer(now.consumer)?;
    let mut cache = start_cache(now.cache)?;
    let mut gateway = start_gateway(now.gateway)?;
    let mut delivered: Vec<Delivered> = Vec::new();
    let mut seen = 0;
    for (place, to) in combinations().enumerate() {
        if to.gateway != now.gateway {
            stop(gateway, place)?;
            gateway = start_gateway(to.gateway)?;
        }
        if to.cache != now.cache {
            stop(cache, place)?;
            cache = start_cache(to.cache)?;
        }
        if to.consumer != now.consumer {
            // It acknowledges what it printed: nothing comes twice.
            consumer.terminate(END)?;
            seen += follower.read()?;
            delivered.append(&mut follower.delivered);
            (consumer, follower) = start_consumer(to.consumer)?;
        }
        now = to;
        let wanted = (place + 1) * EVENTS as usize / 10;
        until("events to come", DEADLINE, || {
            follower.read().is_ok_and(|read| seen + read >= wanted)
        })
        .with_context(|| format!("{now:?}; the cache said: {}", cache.stderr()))?;
        until("both releases to see every shard connected", DEADLINE, || connected(&releases))
            .with_context(|| format!("{now:?}"))?;
        for stack in [&releases.this, &releases.next] {
            let sent = stack
                .mixcord()
                .args(["send", "presence", "idle", "--patience", "30"])
                .args(["--instance", stack.instance()])
                .output()?;
            ensure!(sent.status.success(), "{now:?}: {}", String::from_utf8_lossy(&sent.stderr));
        }
    }

    fake.until_finished(DEADLINE)?;
    let sent = loop {
        let sent = fake.journal()?;
        until("everything to come", DEADLINE, || {
            follower.read().is_ok_and(|read| seen + read >= sent.len())
        })?;
        if fake.journal()?.len() == sent.len() {
            break sent;
        }
    };
    delivered.append(&mut follower.delivered);
    compare(&sent, &delivered, Order::Shard)?;
    let status = fake.status()?;
    ensure!(status.iter().all(|shard| shard.identifies == 1), "a session was lost: {status:?}");
    ensure!(status.iter().all(|shard| shard.resumes >= 4), "nothing was resumed: {status:?}");

    // Every word of every event is the same to both.
    let lines = |tails: &[Program; 2], wanted: usize| -> Result<Vec<Value>> {
        until("those who look on to print it", DEADLINE, || {
            tails.iter().all(|tail| tail.stdout().lines().count() >= wanted)
        })?;
        let [this, next] = tails.each_ref().map(Program::stdout);
        ensure!(this == next, "the two releases do not print the same");
        this.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    };
    let printed = lines(&all, delivered.len())?;
    let of = |kind: &str| printed.iter().filter(|line| line["kind"] == kind).collect::<Vec<_>>();
    let unknown = of(KIND);
    ensure!(unknown.len() > 50, "{} unknown events prove nothing", unknown.len());
    for line in &unknown {
        ensure!(field(line, &["data", "something_new", "level"]) == 3, "{line}");
    }
    let only = lines(&new, unknown.len())?;
    ensure!(only.iter().eq(unknown), "a filter by name gives the same events");

    // What is new in a role was kept by every cache, and given as `old` by every other.
    let mut kept = std::collections::HashMap::new();
    let mut compared = 0;
    for line in of(ROLE) {
        let role = field(line, &["data", "role"]);
        let old = line["old"].get("role").unwrap_or_else(|| &line["old"]);
        if let Some(before) = kept.insert(role["id"].to_string(), role) {
            ensure!(before == old, "old is {old}, the event before left {before}");
            compared += usize::from(!before["something_new"].is_null());
        }
    }
    ensure!(compared > 50, "{compared} roles with new keys prove nothing");

    // And both read the state, whoever wrote it.
    until("the group to have acknowledged everything", DEADLINE, || {
        releases.this.lag("journal").is_ok_and(|lag| lag == 0)
    })?;
    let exported = releases.both(&["cache", "export", "--resource", "roles"])?;
    let roles: BTreeSet<&str> =
        exported.lines().filter(|line| line.contains("something_new_id")).collect();
    ensure!(!roles.is_empty(), "no role of the state has what is new");
    Ok(())
}

/// Every other one is killed.
fn stop(program: Program, place: usize) -> Result<()> {
    if place.is_multiple_of(2) {
        program.kill()?;
        return Ok(());
    }
    let exit = program.terminate(END)?;
    ensure!(exit.code == Some(0), "it said: {}", exit.stderr);
    Ok(())
}

#[test]
fn two_releases_in_every_combination_in_etf() -> Result<()> {
    run("etf")
}

#[test]
fn two_releases_in_every_combination_in_json() -> Result<()> {
    run("json")
}
