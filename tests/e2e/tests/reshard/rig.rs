//! One instance over one world, whose shard count is changed.

use std::process::Output;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mixcord::State;
use mixcord_e2e::{
    Delivered, Fake, FakeOptions, Follower, Program, Stack, Told, View, compare_world, differences,
    once, until,
};
use serde_json::Value;

pub(crate) const DEADLINE: Duration = Duration::from_secs(90);

macro_rules! steady {
    () => {
        "presence=400,message=250,typing=90,voice=60,message-update=45,member-update=35,message-delete=15,member-add=20,\
         member-remove=20,user-rename=10,equal=60,channel-update=5,channel-create=5,channel-delete=5,role-update=5,\
         role-create=3,role-delete=3,reaction-add=30,reaction-remove=10,thread-create=5,thread-update=3,\
         thread-delete=3,direct=30,own-user=2,interaction=10"
    };
}

/// About what a large bot sees, with what a change of the shard count has to tell apart: events that are equal in a row,
/// direct messages, the bot's own user. All guilds are there.
pub(crate) const STEADY: &str = steady!();
/// The same with guilds that come, go, and are away for a while.
pub(crate) const WORLD: &str = concat!(steady!(), ",guild-outage=3,guild-come-and-go=2");

/// What is to come comes within this.
const SETTLE: Duration = Duration::from_secs(30);

/// How soon one session is given up on, so that a change takes seconds: what Discord does in minutes happens here in
/// tenths of a second.
const TIMES: [&str; 4] = ["--reshard-slack", "1s", "--reshard-window", "4s"];

/// What is started.
pub(crate) struct Plan<'a> {
    /// The shard count before.
    pub(crate) shards: u16,
    /// `--shards` of each gateway; without any there is one with all of them.
    pub(crate) gateways: &'a [&'a str],
    pub(crate) guilds: u32,
    pub(crate) members: u32,
    /// Events a second.
    pub(crate) rate: u64,
    pub(crate) mix: &'a str,
    pub(crate) seed: u64,
    /// Other options of fake-discord.
    pub(crate) world: &'a [&'a str],
    /// Other options of the gateway.
    pub(crate) gateway: &'a [&'a str],
}

impl Default for Plan<'_> {
    fn default() -> Self {
        Self {
            shards: 2,
            gateways: &[],
            guilds: 10,
            members: 20,
            rate: 300,
            mix: WORLD,
            seed: 7,
            world: &[],
            gateway: &[],
        }
    }
}

/// Everything that runs. Any of the three processes may be killed.
pub(crate) struct Rig {
    gateways: Vec<Program>,
    cache: Option<Program>,
    consumer: Option<(Program, Follower)>,
    /// What consumers that died were given.
    before: Vec<Delivered>,
    /// `--shards` of each gateway, and its other options.
    shards: Vec<String>,
    options: Vec<String>,
    pub(crate) fake: Fake,
    // Behind all that is in its folder and its shared memory.
    pub(crate) stack: Stack,
}

impl Rig {
    /// Everything is started; every guild is there, and the world moves.
    pub(crate) fn start(plan: &Plan<'_>) -> Result<Self> {
        let stack = Stack::new()?;
        // The world goes on without whoever is away, and brings all of it when he is back.
        let mut more: Vec<String> =
            ["--identify-seconds", "0", "--replay", "100000", "--mix", plan.mix]
                .map(str::to_owned)
                .to_vec();
        more.extend(plan.world.iter().map(|option| (*option).to_owned()));
        let &Plan { shards, guilds, members, rate, seed, .. } = plan;
        // Nobody stays for all of them.
        let events = 100_000_000;
        let options = FakeOptions { shards, guilds, members, events, rate, seed, more };
        let fake = Fake::start(stack.folder(), &options)?;
        let mut options =
            ["--ring-bytes", "1MiB", "--reconnect-min-ms", "50"].map(str::to_owned).to_vec();
        if !plan.gateway.contains(&"--identify-spacing-ms") {
            options.extend(["--identify-spacing-ms", "20"].map(str::to_owned));
        }
        options.extend(plan.gateway.iter().map(|option| (*option).to_owned()));
        let mut rig = Self {
            stack,
            fake,
            shards: plan.gateways.iter().map(|&shards| shards.to_owned()).collect(),
            options,
            gateways: Vec::new(),
            cache: None,
            consumer: None,
            before: Vec::new(),
        };
        if rig.shards.is_empty() {
            rig.shards.push(shards.to_string());
        }
        rig.begin_consumer()?;
        rig.begin_cache()?;
        rig.begin_gateways()?;
        let begun = || rig.identifies().is_ok_and(|count| count >= usize::from(shards));
        until("all shards to have a session", DEADLINE, begun)?;
        rig.until_given(u64::from(guilds) * 2)?;
        Ok(rig)
    }

    /// With the count that they began with: which one is in force they know.
    fn begin_gateways(&mut self) -> Result<()> {
        for shards in self.shards.clone() {
            let gateway = self.gateway(&shards, &[])?;
            self.gateways.push(gateway);
        }
        Ok(())
    }

    /// A gateway beside those that run, or in the place of one.
    pub(crate) fn gateway(&self, shards: &str, more: &[&str]) -> Result<Program> {
        let options: Vec<&str> =
            self.options.iter().map(String::as_str).chain(more.iter().copied()).collect();
        self.stack.gateway(&self.fake, shards, &options)
    }

    /// A process of its own runs the new set; the old ones end by themselves. The new one is to be kept.
    pub(crate) fn done_beside(&mut self, command: Program, to: u16) -> Result<Program> {
        self.until_status("the change to begin", |status| status["under_way"] == true)?;
        let beside = self.gateway(&format!("0..{}/{to}", to - 1), &["--beside"])?;
        self.done(command, to)?;
        for old in self.take_gateways() {
            let exit = old.wait(DEADLINE)?;
            ensure!(exit.code == Some(0), "{exit:?}");
        }
        Ok(beside)
    }

    /// The gateways that were started first.
    pub(crate) fn take_gateways(&mut self) -> Vec<Program> {
        std::mem::take(&mut self.gateways)
    }

    fn begin_cache(&mut self) -> Result<()> {
        self.cache = Some(self.stack.cache(&TIMES)?);
        Ok(())
    }

    fn begin_consumer(&mut self) -> Result<()> {
        let tail = self.stack.tail(&["--group", "journal", "--from", "earliest"])?;
        let follower = Follower::new(&tail, &["READY", "SHARD_STATE", "GUILD_DELETE"])?;
        self.consumer = Some((tail, follower));
        Ok(())
    }

    /// SIGKILL, and another one at once.
    pub(crate) fn kill(&mut self, victim: Victim) -> Result<()> {
        match victim {
            Victim::Gateway => {
                for gateway in self.take_gateways() {
                    gateway.kill()?;
                }
                self.begin_gateways()
            }
            Victim::Cache => {
                self.cache.take().context("a cache")?.kill()?;
                self.begin_cache()
            }
            Victim::Consumer => {
                let (tail, mut follower) = self.consumer.take().context("a consumer")?;
                tail.kill()?;
                follower.read()?;
                self.before.append(&mut follower.delivered);
                self.begin_consumer()
            }
        }
    }

    /// How much consumers were given, deaths included.
    fn given(&mut self) -> Result<u64> {
        let (_, follower) = self.consumer.as_mut().context("a consumer")?;
        follower.read()?;
        Ok((self.before.len() + follower.delivered.len()) as u64)
    }

    /// Waits until the consumer is given so much more.
    pub(crate) fn until_given(&mut self, more: u64) -> Result<()> {
        let wanted = self.given()? + more;
        let mut given = Ok(0);
        let reached = until("the consumer to be given more", DEADLINE, || {
            given = self.given();
            given.as_ref().map_or(true, |given| *given >= wanted)
        });
        given?;
        reached
    }

    /// `mixcord reshard` with these words, as a program that runs.
    pub(crate) fn ask(&self, words: &[&str]) -> Result<Program> {
        let mut command = self.stack.mixcord();
        command.args(["reshard", "--instance", self.stack.instance()]).args(words);
        Program::start("reshard", self.stack.folder(), &mut command)
    }

    /// The same, to its end.
    pub(crate) fn asked(&self, words: &[&str]) -> Result<Output> {
        let mut command = self.stack.mixcord();
        command.args(["reshard", "--instance", self.stack.instance()]).args(words);
        Ok(command.output()?)
    }

    /// What `--status` says; null where nothing was ever asked for.
    pub(crate) fn status(&self) -> Result<Value> {
        let output = self.asked(&["--status", "--json"])?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{said}");
        let status: Value = serde_json::from_slice(&output.stdout)?;
        Ok(status["reshard"].clone())
    }

    /// Waits until the status is so.
    pub(crate) fn until_status(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut status = Ok(Value::Null);
        let reached = until(what, DEADLINE, || {
            status = self.status();
            status.as_ref().map_or(true, &holds)
        });
        let status = status?;
        reached.with_context(|| format!("status: {status}"))?;
        Ok(status)
    }

    /// The command ends well, and says that it is over.
    pub(crate) fn done(&self, command: Program, to: u16) -> Result<()> {
        let exit = command.wait(DEADLINE);
        let status = self.status()?;
        let exit = exit.with_context(|| format!("status: {status}"))?;
        ensure!(exit.code == Some(0), "{exit:?}; status: {status}");
        ensure!(status["stage"] == "done" && status["to"] == to, "{status}");
        ensure!(status["under_way"] == false, "{status}");
        self.nothing_is_kept(&status)
    }

    /// Of what waited nothing is left, nor of the other set.
    pub(crate) fn nothing_is_kept(&self, status: &Value) -> Result<()> {
        for figure in ["waiting", "waiting_bytes", "counted"] {
            ensure!(status[figure] == 0, "{figure}: {status}");
        }
        let status = self.until_status("the rings of one set to go", |status| {
            status["old_rings"] == 0 || status["new_rings"] == 0
        })?;
        let left = if status["stage"] == "done" { "to" } else { "from" };
        let listing = self.stack.ls()?;
        let rings = listing["rings"].as_array().context("rings")?;
        let shards: Vec<&Value> =
            rings.iter().map(|ring| &ring["shard"]["shards"]).filter(|it| it.is_u64()).collect();
        ensure!(!shards.is_empty() && shards.iter().all(|it| **it == status[left]), "{listing}");
        Ok(())
    }

    /// The world goes on for a moment and stands still; then the consumer was given what happened, and the state is it.
    pub(crate) fn finish(mut self, told: Told) -> Result<()> {
        self.fake.until_happened(100, DEADLINE)?;
        self.check(told)
    }

    /// The same without a moment before.
    pub(crate) fn check(&mut self, told: Told) -> Result<()> {
        self.fake.stand_still(DEADLINE)?;
        let happened = self.fake.happened()?;
        let mut found = Ok(());
        let all = until("the consumer to be given what happened", SETTLE, || {
            let given = self.given().is_ok() && self.stack.lag("journal").is_ok_and(|lag| lag == 0);
            if given {
                found = self.compare(&happened, told);
            }
            given && found.is_ok()
        });
        found.and(all)?;
        let mut different = Vec::new();
        let same = until("the state to be the world", SETTLE, || {
            different = self.differences().unwrap_or_else(|error| vec![error.to_string()]);
            different.is_empty()
        });
        let first = different.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
        same.with_context(|| format!("{} differences, the first ones:\n{first}", different.len()))
    }

    fn compare(&self, happened: &[mixcord_e2e::Happened], told: Told) -> Result<()> {
        let (_, follower) = self.consumer.as_ref().context("a consumer")?;
        let given: Vec<Delivered> =
            self.before.iter().chain(&follower.delivered).cloned().collect();
        compare_world(happened, &self.fake.dispatched()?, &once(&given), told)
    }

    fn differences(&self) -> Result<Vec<String>> {
        let state = State::attach(self.stack.instance())?;
        differences(&self.fake.world()?, &state, View::WHOLE)
    }

    /// A guild that is there now and is of this shard.
    pub(crate) fn guild_of(&self, shard: u64, shards: u64) -> Result<String> {
        let world = self.fake.world()?;
        let guilds = world["guilds"].as_object().context("guilds")?;
        let is_of = |id: &str| id.parse::<u64>().is_ok_and(|id| (id >> 22) % shards == shard);
        let found = guilds.iter().find(|(id, guild)| is_of(id) && guild["unavailable"] == false);
        Ok(found.context("a guild of the shard")?.0.clone())
    }

    /// How many sessions were begun.
    pub(crate) fn identifies(&self) -> Result<usize> {
        Ok(self.fake.log()?.iter().filter(|line| line["what"] == "identify").count())
    }
}

/// A process that dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    Gateway,
    Cache,
    Consumer,
}

impl Victim {
    pub(crate) const ALL: [Self; 3] = [Self::Gateway, Self::Cache, Self::Consumer];
}
