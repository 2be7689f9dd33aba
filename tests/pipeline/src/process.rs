//! A process under measurement: started, asked what it used, ended.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use mixcord_process::signals::{self, Registration};
use nix::sys::signal::{Signal, kill};
use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::probe::Question;

/// How long an orderly end may take before it is forced: a tool that watches has to write what it saw.
const STOP: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(2);

/// A child of this process. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    talk: Option<(ChildStdin, BufReader<ChildStdout>)>,
}

/// What a process has used since it began.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time of all its threads, also of those that ended, in seconds.
    pub cpu_s: f64,
    /// Times that a thread of it slept.
    pub voluntary_switches: u64,
    /// Times that a thread had to make room for another.
    pub involuntary_switches: u64,
}

/// Memory of a process now, in bytes.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Footprint {
    /// All that is mapped and in memory, shared or not.
    pub resident: u64,
    /// Its own.
    pub private: u64,
}

impl Process {
    /// Starts a program whose output nobody needs; it goes into a file of `folder`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(name: &str, folder: &Path, command: &mut Command) -> Result<Self> {
        let log = log_path(name, folder);
        command.stdin(Stdio::null()).stdout(File::create(&log)?);
        Self::spawn(name, log, command)
    }

    /// Starts a program that answers questions, line by line, and ends with its standard input.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_talking(name: &str, folder: &Path, command: &mut Command) -> Result<Self> {
        let log = log_path(name, folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut this = Self::spawn(name, log, command)?;
        let (input, output) = (this.child.stdin.take(), this.child.stdout.take());
        this.talk = input.zip(output).map(|(input, output)| (input, BufReader::new(output)));
        Ok(this)
    }

    fn spawn(name: &str, log: PathBuf, command: &mut Command) -> Result<Self> {
        let program = command.get_program().to_owned();
        let child = command
            .stderr(File::options().append(true).create(true).open(&log)?)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        Ok(Self { name: name.to_owned(), child, log, talk: None })
    }

    /// What it is called in the report.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number in the system.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that begins so, and gives the rest of it.
    ///
    /// # Errors
    /// The process ended.
    pub fn line(&mut self, head: &str) -> Result<String> {
        loop {
            let line = self.read_line()?;
            if let Some(rest) = line.strip_prefix(head) {
                return Ok(rest.trim().to_owned());
            }
        }
    }

    /// Asks its probe.
    ///
    /// # Errors
    /// The process ended, or says something else.
    pub fn ask<A: DeserializeOwned>(&mut self, question: Question) -> Result<A> {
        let Some((input, _)) = &mut self.talk else { bail!("{} answers nothing", self.name) };
        let asked = writeln!(input, "{}", question.word());
        if asked.is_err() {
            return Err(self.ended());
        }
        let line = self.read_line()?;
        serde_json::from_str(&line).with_context(|| format!("{} answered {line:?}", self.name))
    }

    fn read_line(&mut self) -> Result<String> {
        let Some((_, output)) = &mut self.talk else { bail!("{} says nothing", self.name) };
        let mut line = String::new();
        match output.read_line(&mut line) {
            Ok(bytes) if bytes > 0 => Ok(line),
            _ => Err(self.ended()),
        }
    }

    /// Is it running? Else the error has the end of what it said.
    ///
    /// # Errors
    /// It ended.
    pub fn check(&mut self) -> Result<()> {
        let is_running = self.child.try_wait()?.is_none();
        if is_running { Ok(()) } else { Err(self.ended()) }
    }

    /// Whether it has ended well.
    ///
    /// # Errors
    /// It failed: the error has the end of what it said.
    pub fn is_done(&mut self) -> Result<bool> {
        match self.child.try_wait()? {
            None => Ok(false),
            Some(status) if status.success() => Ok(true),
            Some(_) => Err(self.ended()),
        }
    }

    fn ended(&self) -> anyhow::Error {
        let said = std::fs::read_to_string(&self.log).unwrap_or_default();
        let tail: Vec<_> = said.lines().rev().take(10).collect();
        let tail: Vec<_> = tail.into_iter().rev().collect();
        anyhow::anyhow!("{} ended; it said last:\n{}", self.name, tail.join("\n"))
    }

    /// What it has used.
    ///
    /// # Errors
    /// It ended.
    pub fn usage(&self) -> Result<Usage> {
        let clock = clock_getcpuclockid(self.pid()).context("its clock")?;
        let cpu = nix::time::clock_gettime(clock).map(Duration::from).context("its clock")?;
        let mut usage = Usage { cpu_s: cpu.as_secs_f64(), ..Usage::default() };
        for task in std::fs::read_dir(format!("/proc/{}/task", self.pid()))? {
            // A thread may end meanwhile.
            let status = std::fs::read_to_string(task?.path().join("status")).unwrap_or_default();
            usage.voluntary_switches += field(&status, "voluntary_ctxt_switches:");
            usage.involuntary_switches += field(&status, "nonvoluntary_ctxt_switches:");
        }
        Ok(usage)
    }

    /// Its memory.
    ///
    /// # Errors
    /// It ended.
    pub fn footprint(&self) -> Result<Footprint> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let bytes = |key| field(&status, key) << 10;
        Ok(Footprint { resident: bytes("VmRSS:"), private: bytes("RssAnon:") })
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// SIGTERM, and what it takes.
    pub fn stop(mut self) {
        // Those that talk end with their input.
        self.talk = None;
        let _ = kill(self.pid(), Signal::SIGTERM);
        let until = Instant::now() + STOP;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Usage {
    /// What was used since.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            cpu_s: self.cpu_s - earlier.cpu_s,
            voluntary_switches: self.voluntary_switches.saturating_sub(earlier.voluntary_switches),
            involuntary_switches: self
                .involuntary_switches
                .saturating_sub(earlier.involuntary_switches),
        }
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, more: Self) {
        self.cpu_s += more.cpu_s;
        self.voluntary_switches += more.voluntary_switches;
        self.involuntary_switches += more.involuntary_switches;
    }
}

impl std::ops::AddAssign for Footprint {
    fn add_assign(&mut self, more: Self) {
        self.resident += more.resident;
        self.private += more.private;
    }
}

/// Looks at `condition` until it gives something.
///
/// # Errors
/// The condition's own; nothing came within `limit`, or the benchmark is to end.
pub fn until<T>(
    what: &str,
    limit: Duration,
    every: Duration,
    mut condition: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(it) = condition()? {
            return Ok(it);
        }
        ensure!(begun.elapsed() < limit, "waited {limit:?} in vain for {what}");
        ensure!(!is_interrupted(), "interrupted");
        std::thread::sleep(every);
    }
}

/// From now on SIGTERM and SIGINT end the benchmark in order, and what it started with it.
///
/// # Errors
/// The system gives no handler.
pub fn end_on_signals() -> std::io::Result<()> {
    signals::watch()?;
    static REGISTERED: OnceLock<Registration> = OnceLock::new();
    REGISTERED.get_or_init(|| signals::on_stop(|| INTERRUPTED.store(1, Ordering::Relaxed)));
    Ok(())
}

fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed) != 0
}

static INTERRUPTED: AtomicU64 = AtomicU64::new(0);

/// A number behind a key at the beginning of a line.
fn field(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn log_path(name: &str, folder: &Path) -> PathBuf {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    folder.join(format!("{name}-{}.log", NUMBER.fetch_add(1, Ordering::Relaxed)))
}
