//! fake-discord as a test drives it: started as a program, asked over HTTP.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::journal::Sent;
use crate::process::{Program, until};
use crate::sets::{Dispatched, Happened};

/// What world to make and how fast it moves.
#[derive(Debug, Clone)]
pub struct FakeOptions {
    /// Shards that `/gateway/bot` recommends.
    pub shards: u16,
    /// Guilds in the world.
    pub guilds: u32,
    /// Members of each guild.
    pub members: u32,
    /// Events after the start-up series, over all shards.
    pub events: u64,
    /// Events per second; 0 = as fast as the socket takes them.
    pub rate: u64,
    /// The same seed is the same world, and the same faults.
    pub seed: u64,
    /// Everything else, as on the command line.
    pub more: Vec<String>,
}

impl Default for FakeOptions {
    fn default() -> Self {
        Self {
            shards: 4,
            guilds: 12,
            members: 30,
            events: 1_000,
            rate: 0,
            seed: 7,
            more: Vec::new(),
        }
    }
}

/// A running fake-discord.
#[derive(Debug)]
pub struct Fake {
    program: Program,
    base: String,
}

/// Where one shard stands, from `/fake/status` and `/fake/log`.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ShardStatus {
    /// Is a client connected to its newest session?
    pub connected: bool,
    /// Has everything been made that the options asked for, and handed to a connection?
    pub finished: bool,
    /// Dispatches handed to a connection, over all sessions.
    pub sent: u64,
    /// Heartbeats seen.
    pub heartbeats: u64,
    /// Identifies seen.
    pub identifies: u64,
    /// Resumes accepted.
    pub resumes: u64,
}

#[derive(Deserialize)]
struct Status {
    shards: Vec<Lane>,
    sessions: Vec<Session>,
}

#[derive(Deserialize)]
struct Lane {
    /// Everything is made, and handed to the connection of whoever listens.
    drained: bool,
}

#[derive(Deserialize)]
struct Session {
    shard: usize,
    connected: bool,
    sent_seq: u64,
}

#[derive(Deserialize)]
struct LogLine {
    shard: Option<usize>,
    what: String,
}

impl Fake {
    /// Starts the server and waits until it listens.
    ///
    /// # Errors
    /// When it does not say within a minute where it listens.
    pub fn start(folder: &Path, options: &FakeOptions) -> Result<Self> {
        let mut command = Command::new(Program::path("fake-discord"));
        command
            .args(["--port", "0", "--seed", &options.seed.to_string()])
            .args(["--shards", &options.shards.to_string()])
            .args(["--guilds", &options.guilds.to_string()])
            .args(["--members", &options.members.to_string()])
            .args(["--events", &options.events.to_string()])
            .args(["--rate", &options.rate.to_string()])
            .args(&options.more);
        let program = Program::start("fake-discord", folder, &mut command)?;
        until("fake-discord to listen", Duration::from_secs(60), || {
            program.stdout().contains('\n')
        })?;
        let output = program.stdout();
        let first = output.lines().next().unwrap_or_default();
        let base = first
            .strip_prefix("listening on ")
            .with_context(|| format!("the first line is {first:?}"))?
            .to_owned();
        Ok(Self { program, base })
    }

    /// What the gateway gets as `--api-url`.
    pub fn api_url(&self) -> String {
        format!("{}/api/v10", self.base)
    }

    /// The server's own process.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Every dispatch it has made, in order within each shard.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn journal(&self) -> Result<Vec<Sent>> {
        self.lines("/fake/journal")
    }

    /// What happened in its world, each event once.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn happened(&self) -> Result<Vec<Happened>> {
        self.lines("/fake/events")
    }

    /// Every dispatch of every session, of whatever shard count.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn dispatched(&self) -> Result<Vec<Dispatched>> {
        self.lines("/fake/journal")
    }

    fn lines<T: for<'a> Deserialize<'a>>(&self, path: &str) -> Result<Vec<T>> {
        let text = self.get(path)?;
        text.lines()
            .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
            .collect()
    }

    /// What `/fake/status` says.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn report(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.get("/fake/status")?)?)
    }

    /// Waits until so many more events have happened in the world.
    ///
    /// # Errors
    /// When that takes longer than `deadline`.
    pub fn until_happened(&self, more: u64, deadline: Duration) -> Result<()> {
        let count = || self.report().ok().and_then(|report| report["happened"].as_u64());
        let before = count().unwrap_or(0);
        until("events of the world", deadline, || count().is_some_and(|now| now >= before + more))
    }

    /// The world stands still from now on; waits until whoever is connected was sent all of it.
    ///
    /// # Errors
    /// When that takes longer than `deadline`.
    pub fn stand_still(&self, deadline: Duration) -> Result<()> {
        self.post("/fake/pause")?;
        until("everybody to be told everything", deadline, || {
            let Ok(report) = self.report() else { return false };
            let mut sessions = report["sessions"].as_array().into_iter().flatten();
            sessions.all(|session| {
                session["connected"] == false
                    || session["held"] == 0 && session["sent_seq"] == session["last_seq"]
            })
        })
    }

    /// Where each shard stands; the shard is the index.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn status(&self) -> Result<Vec<ShardStatus>> {
        let status: Status = serde_json::from_str(&self.get("/fake/status")?)?;
        let log: Vec<LogLine> = serde_json::from_str(&self.get("/fake/log")?)?;
        let mut shards: Vec<ShardStatus> = status
            .shards
            .iter()
            .map(|lane| ShardStatus { finished: lane.drained, ..ShardStatus::default() })
            .collect();
        for session in status.sessions {
            if let Some(shard) = shards.get_mut(session.shard) {
                shard.connected = session.connected;
                shard.sent += session.sent_seq;
            }
        }
        for line in log {
            let Some(shard) = line.shard.and_then(|shard| shards.get_mut(shard)) else { continue };
            match line.what.as_str() {
                "heartbeat" => shard.heartbeats += 1,
                "identify" => shard.identifies += 1,
                "resume" => shard.resumes += 1,
                _ => {}
            }
        }
        Ok(shards)
    }

    /// The state of its world.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn world(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.get("/fake/world")?)?)
    }

    /// What happened, oldest first: `what`, `shard` and `detail` of each.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn log(&self) -> Result<Vec<Value>> {
        Ok(serde_json::from_str(&self.get("/fake/log")?)?)
    }

    /// Waits until every shard has handed all that the options asked for to the connection of a client that is there.
    /// That the client has read it is not said: whoever ends one waits for what it wrote.
    ///
    /// # Errors
    /// When that takes longer than `deadline`.
    pub fn until_finished(&self, deadline: Duration) -> Result<()> {
        until("fake-discord to have sent everything", deadline, || {
            self.status().is_ok_and(|shards| {
                !shards.is_empty() && shards.iter().all(|shard| shard.finished && shard.connected)
            })
        })
    }

    /// Sends the server a signal: stopped, it hangs.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: nix::sys::signal::Signal) -> Result<()> {
        self.program.signal(signal)
    }

    /// A command to the server, such as `/fake/disconnect?shard=0&how=cut`.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn post(&self, path: &str) -> Result<()> {
        ureq::post(format!("{}{path}", self.base)).send_empty().with_context(|| path.to_owned())?;
        Ok(())
    }

    /// Posts a message as the bot.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn say(&self, channel: u64, content: &str) -> Result<()> {
        let url = format!("{}/channels/{channel}/messages", self.api_url());
        let request = ureq::post(url).header("Authorization", format!("Bot {}", crate::TOKEN));
        request.send_json(serde_json::json!({ "content": content })).context("posting")?;
        Ok(())
    }

    fn get(&self, path: &str) -> Result<String> {
        let mut answer =
            ureq::get(format!("{}{path}", self.base)).call().with_context(|| path.to_owned())?;
        let body = answer.body_mut().with_config().limit(1 << 30).read_to_string()?;
        Ok(body)
    }
}
