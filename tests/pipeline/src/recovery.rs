//! What a kill costs: each process ends by SIGKILL under a steady stream of events, and is started again at once.
//! `fake-discord` is the server here, as it resumes sessions.

use std::fmt;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use crate::contender::{Place, Twilight, mixcord, twilight};
use crate::probe::clock::now_ns;
use crate::probe::{Counts, Question};
use crate::process::{Process, until};
use crate::source::{Compression, Encoding, Load};
use crate::workload::Blend;

/// The longest pause at the handler around one kill.
#[derive(Clone, Debug, Serialize)]
pub struct Recovery {
    /// What was killed.
    pub victim: String,
    /// From the last event before to the first after, in milliseconds.
    pub pause_ms: f64,
    /// Until all guilds were cached again, where they have to be sent again.
    pub whole_ms: Option<f64>,
}

/// One line for whoever waits.
impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kill -9 {:20} pause {:.0} ms", self.victim, self.pause_ms)?;
        self.whole_ms.map_or(Ok(()), |ms| write!(f, ", all guilds again after {ms:.0} ms"))
    }
}

/// How it is tried.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// Guilds cached, of `MEMBERS` members.
    pub guilds: u64,
    /// Events a second.
    pub rate: u32,
    /// Kills of each process.
    pub rounds: usize,
    /// How long events flow before and after a kill.
    pub calm: Duration,
}

const MEMBERS: u64 = 200;
const STUCK: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);

/// fake-discord with its guilds; the port.
fn server(place: &Place, trial: Trial) -> Result<(Process, u16)> {
    let mut command = Command::new(place.program("fake-discord"));
    command
        .args(["--guilds", &trial.guilds.to_string(), "--members", &MEMBERS.to_string()])
        .args(["--rate", &trial.rate.to_string(), "--identify-seconds", "0.1"]);
    let mut process = Process::start_talking("fake-discord", &place.folder, &mut command)?;
    let url = process.line("listening on ")?;
    let port = url.rsplit(':').next().and_then(|rest| rest.split('/').next()?.parse().ok());
    let port = port.ok_or_else(|| anyhow::anyhow!("no port in {url:?}"))?;
    Ok((process, port))
}

/// Kills each of our processes.
///
/// # Errors
/// A process ends by itself, or nothing comes any more.
pub fn ours(place: &Place, trial: Trial) -> Result<Vec<Recovery>> {
    let (_server, port) = server(place, trial)?;
    let mut stack = Stack::start(place, port)?;
    until(
        "all guilds",
        STUCK,
        LOOK,
        || Ok((stack.counts()?.guilds >= trial.guilds).then_some(())),
    )?;
    let mut all = Vec::new();
    for _ in 0..trial.rounds {
        for victim in [Victim::Cache, Victim::Gateway, Victim::Consumer] {
            sleep(trial.calm);
            let pause_ms = stack.kill(victim, trial.calm)?;
            all.push(Recovery { victim: victim.name().to_owned(), pause_ms, whole_ms: None });
        }
    }
    Ok(all)
}

/// Whether a twilight bot can be killed here.
#[must_use]
pub fn has_twilight(place: &Place) -> bool {
    twilight::missing(place, Compression::None).is_none()
}

/// Kills the one process of a twilight bot, which has to identify and to load all guilds again.
///
/// # Errors
/// As with [`ours`].
pub fn twilight(place: &Place, trial: Trial) -> Result<Vec<Recovery>> {
    let load = load(Compression::None, Encoding::Json);
    let (_server, port) = server(place, trial)?;
    let start = || -> Result<Process> {
        let mut command = twilight::gateway(place, port, &load, Twilight::Cached.mode());
        Process::start_talking("twilight", &place.folder, &mut command)
    };
    let guilds = |bot: &mut Process| -> Result<Option<()>> {
        Ok((bot.ask::<Counts>(Question::Counts)?.guilds >= trial.guilds).then_some(()))
    };
    let mut bot = start()?;
    until("all guilds", STUCK, LOOK, || guilds(&mut bot))?;
    let mut all = Vec::new();
    for _ in 0..trial.rounds {
        sleep(trial.calm);
        let last = bot.ask::<Counts>(Question::Counts)?.last_ns;
        let killed = Instant::now();
        bot.kill()?;
        bot = start()?;
        until("all guilds", STUCK, LOOK, || guilds(&mut bot))?;
        let whole_ms = Some(killed.elapsed().as_secs_f64() * 1e3);
        let first = bot.ask::<Counts>(Question::Counts)?.first_ns;
        let pause_ms = ms(first.saturating_sub(last));
        all.push(Recovery { victim: "twilight, whole".to_owned(), pause_ms, whole_ms });
    }
    Ok(all)
}

#[derive(Clone, Copy)]
enum Victim {
    Gateway,
    Cache,
    Consumer,
}

impl Victim {
    const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Cache => "cache",
            Self::Consumer => "consumer",
        }
    }
}

/// The three processes.
struct Stack<'p> {
    place: &'p Place,
    instance: String,
    api: String,
    load: Load,
    gateway: Option<Process>,
    cache: Option<Process>,
    consumer: Option<Process>,
}

impl<'p> Stack<'p> {
    fn start(place: &'p Place, port: u16) -> Result<Self> {
        let mut this = Self {
            place,
            instance: mixcord::next_instance(),
            api: format!("http://127.0.0.1:{port}/api/v10"),
            load: load(Compression::Zstd, Encoding::Etf),
            gateway: None,
            cache: None,
            consumer: None,
        };
        this.begin(Victim::Cache)?;
        this.begin(Victim::Consumer)?;
        this.consumer()?.line("joined")?;
        this.begin(Victim::Gateway)?;
        Ok(this)
    }

    fn begin(&mut self, who: Victim) -> Result<()> {
        let Self { place, instance, api, load, .. } = self;
        let pace = mixcord::Pace::Balanced;
        let process = match who {
            Victim::Gateway => mixcord::gateway(place, instance, api, load, pace)?,
            Victim::Cache => mixcord::cache(place, instance, mixcord::Store::Whole, pace)?,
            Victim::Consumer => mixcord::consumer(place, instance, mixcord::Take::Run, 0, pace)?,
        };
        *self.of(who) = Some(process);
        Ok(())
    }

    fn of(&mut self, who: Victim) -> &mut Option<Process> {
        match who {
            Victim::Gateway => &mut self.gateway,
            Victim::Cache => &mut self.cache,
            Victim::Consumer => &mut self.consumer,
        }
    }

    fn consumer(&mut self) -> Result<&mut Process> {
        self.consumer.as_mut().ok_or_else(|| anyhow::anyhow!("no consumer"))
    }

    fn counts(&mut self) -> Result<Counts> {
        self.consumer()?.ask(Question::Counts)
    }

    /// Kills it, and gives the pause that this made, in milliseconds.
    fn kill(&mut self, who: Victim, calm: Duration) -> Result<f64> {
        let last = match who {
            Victim::Consumer => self.counts()?.last_ns,
            _ => self.consumer()?.ask::<Counts>(Question::Reset)?.last_ns,
        };
        let killed = now_ns();
        if let Some(process) = self.of(who).take() {
            process.kill()?;
        }
        self.begin(who)?;
        if matches!(who, Victim::Consumer) {
            self.consumer()?.line("joined")?;
        }
        until("events after a kill", STUCK, LOOK, || {
            Ok((self.counts()?.last_ns > killed).then_some(()))
        })?;
        // What was on its way still came at once: the pause may begin after it.
        sleep(calm);
        let counts = self.counts()?;
        Ok(ms(match who {
            Victim::Consumer => counts.first_ns.saturating_sub(last.max(killed)),
            _ => counts.pause_ns,
        }))
    }
}

impl Drop for Stack<'_> {
    fn drop(&mut self) {
        (self.gateway, self.cache, self.consumer) = (None, None, None);
        mixcord::remove(&self.instance);
    }
}

fn load(compression: Compression, encoding: Encoding) -> Load {
    Load { blend: Blend::Everything, events: 0, guilds: 0, shards: 1, encoding, compression }
}

fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}
