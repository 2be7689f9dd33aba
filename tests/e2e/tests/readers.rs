//! Readers of the store: none, whether stopped, killed or slow, holds anything up or makes it grow.

use std::io::{BufRead, BufReader, Lines};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use mixcord::{State, atoms};
use mixcord_e2e::{Program, Shard, Stack, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

const DEADLINE: Duration = Duration::from_secs(60);
const STATE_MAX: u64 = 16 << 20;
const STATE_MAX_OPTION: [&str; 2] = ["--state-max", "16MiB"];
/// What one event writes over again.
const CONTENT_BYTES: usize = 100_000;
const MEMBERS: usize = 1_000;

/// A process that reads all the time; killed with the test.
struct Reader {
    child: Child,
    /// What it says after a while, on a slow machine, has somewhere to go.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Reader {
    fn start(instance: &str) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--exact", "child_that_reads", "--nocapture"])
            .env("READ_INSTANCE", instance)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("its output")?).lines();
        for line in lines.by_ref() {
            if line?.ends_with("reading") {
                return Ok(Self { child, _output: lines });
            }
        }
        anyhow::bail!("the reader ended")
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(self.child.id().cast_signed()), signal)?)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test of its own: a process that is in a query nearly always.
#[test]
fn child_that_reads() -> Result<()> {
    let Ok(instance) = std::env::var("READ_INSTANCE") else { return Ok(()) };
    let state = State::attach(&instance)?;
    let mut said = false;
    loop {
        let members = state.members(100).collect::<Result<Vec<_>, _>>()?;
        anyhow::ensure!(members.len() == MEMBERS, "{} members", members.len());
        state.message(200, 300)?;
        if !std::mem::replace(&mut said, true) {
            println!("reading");
        }
    }
}

/// A cache with little space, and who feeds it.
struct Feed {
    shard: Shard,
    sent: u64,
    state: State,
    dir: PathBuf,
}

impl Feed {
    fn start(stack: &Stack) -> Result<(Self, Program)> {
        let mut shard = Shard::new(stack)?;
        let members: Vec<_> =
            (0..MEMBERS).map(|id| json!({"user": {"id": id.to_string()}, "roles": []})).collect();
        let guild = json!({"id": "100", "name": "guild", "members": members,
                           "channels": [{"id": "200", "name": "channel"}]});
        shard.send("GUILD_CREATE", 100, &guild)?;
        let cache = stack.cache(&STATE_MAX_OPTION)?;
        let state = State::attach(stack.instance())?;
        until("the state", DEADLINE, || state.channel(200).is_ok_and(|it| it.is_some()))?;
        let dir = state.directory()?;
        Ok((Self { shard, sent: 0, state, dir }, cache))
    }

    /// Overwrites the same message; false when the cache does not read.
    fn overwrite(&mut self) -> Result<bool> {
        let next = self.sent + 1;
        let content = format!("{next} {}", "x".repeat(CONTENT_BYTES));
        let message =
            json!({"id": "300", "channel_id": "200", "guild_id": "100", "content": content});
        let fits = self.shard.offer("MESSAGE_CREATE", 100, &message, Duration::from_millis(50))?;
        self.sent += u64::from(fits);
        Ok(fits)
    }

    /// Overwrites it so often that without reuse ten times the space would be used, each time in a
    /// commit of its own.
    fn overwrite_all(&mut self) -> Result<()> {
        let times = 10 * STATE_MAX / CONTENT_BYTES as u64;
        let before = self.sent;
        let mut waited = 0;
        while self.sent < before + times {
            if !self.overwrite()? {
                waited += 1;
                anyhow::ensure!(waited < 1_000, "the cache does not read");
            } else if self.sent.is_multiple_of(8) {
                self.until_seen()?;
            }
        }
        self.until_seen()
    }

    /// Waits until the state holds what was sent last.
    fn until_seen(&self) -> Result<()> {
        let wanted = format!("{} ", self.sent);
        until("the last message in the state", DEADLINE, || {
            self.state.message(200, 300).is_ok_and(|message| {
                let content = message.as_ref().and_then(|it| it.get(atoms::CONTENT)?.as_str());
                content.is_some_and(|content| content.starts_with(&wanted))
            })
        })
    }

    fn file_bytes(&self) -> Result<u64> {
        Ok(self.dir.join("table").metadata()?.len())
    }
}

#[test]
fn readers_that_are_stopped_or_killed_in_a_query_hold_nothing_up() -> Result<()> {
    let stack = Stack::new()?;
    let (mut feed, cache) = Feed::start(&stack)?;
    let stopped = Reader::start(stack.instance())?;
    stopped.signal(Signal::SIGSTOP)?;
    drop(Reader::start(stack.instance())?);
    let mut reading = Reader::start(stack.instance())?;
    feed.overwrite_all()?;
    assert!(feed.file_bytes()? <= STATE_MAX, "the file is larger than its limit");
    assert!(!cache.stderr().contains("full"), "{}", cache.stderr());
    assert_eq!(feed.state.members(100).count(), MEMBERS);
    stopped.signal(Signal::SIGCONT)?;
    feed.overwrite_all()?;
    assert_eq!(reading.child.try_wait()?, None, "it read something that cannot be");
    Ok(())
}

#[test]
fn an_iterator_that_is_kept_holds_nothing() -> Result<()> {
    let stack = Stack::new()?;
    let (mut feed, cache) = Feed::start(&stack)?;
    let mut half = feed.state.members(100);
    half.next().context("a member")??;
    feed.overwrite_all()?;
    assert!(feed.file_bytes()? <= STATE_MAX);
    assert!(!cache.stderr().contains("full"), "{}", cache.stderr());
    assert_eq!(half.count(), MEMBERS - 1);
    Ok(())
}
