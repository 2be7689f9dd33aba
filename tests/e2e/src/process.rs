//! One child process: its output in files, its end within a deadline.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How often a condition outside this process is looked at again.
pub(crate) const LOOK: Duration = Duration::from_millis(10);

/// A program of this workspace, running. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// How a program ended.
#[derive(Debug, Clone)]
pub struct Exit {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Everything it wrote to standard output.
    pub stdout: String,
    /// Everything it wrote to standard error.
    pub stderr: String,
    /// Time from the call that waited to the end.
    pub took: Duration,
}

impl Program {
    /// Starts `command`, with its output in files of `folder` named after `name`.
    ///
    /// # Errors
    /// When the program cannot be started: run `cargo build` first.
    pub fn start(name: &str, folder: &Path, command: &mut Command) -> Result<Self> {
        let unique = format!("{name}-{}", next_number());
        let stdout = folder.join(format!("{unique}.out"));
        let stderr = folder.join(format!("{unique}.err"));
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&stdout)?)
            .stderr(File::create(&stderr)?)
            .spawn()
            .with_context(|| format!("starting {name}: run `cargo build` first"))?;
        Ok(Self { name: name.to_owned(), child, stdout, stderr })
    }

    /// The path of a program that `cargo build` made, beside this test's own.
    ///
    /// # Panics
    /// When a test binary runs outside of cargo's target folder.
    pub fn path(name: &str) -> PathBuf {
        let test = std::env::current_exe().expect("a test knows its own path");
        let profile = test.ancestors().nth(2).expect("tests live in target/<profile>/deps");
        profile.join(name)
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Where its standard output goes.
    pub fn stdout_path(&self) -> &Path {
        &self.stdout
    }

    /// What it has written to standard output so far.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Is it still running?
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Resident memory now, in bytes; 0 when it is gone.
    pub fn resident_bytes(&self) -> u64 {
        let status = read(Path::new(&format!("/proc/{}/status", self.child.id())));
        // Anonymous memory only: mapped ring pages are counted by the ring, not by the process.
        let line = status.lines().find(|l| l.starts_with("RssAnon:")).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 1024
    }

    /// Processor time so far, of the kernel for it too; none when it is gone.
    pub fn cpu(&self) -> Duration {
        let stat = read(Path::new(&format!("/proc/{}/stat", self.child.id())));
        // Behind the name, which may hold anything, the 12th and 13th word: hundredths of a second.
        let words = stat.rsplit_once(')').map_or("", |(_, words)| words).split_whitespace();
        let ticks: u64 = words.skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process is gone already.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(self.pid(), signal).with_context(|| format!("signalling {}", self.name))
    }

    /// SIGKILL, and wait for the end.
    ///
    /// # Errors
    /// When the process cannot be waited for.
    pub fn kill(mut self) -> Result<Exit> {
        self.child.kill()?;
        self.wait(Duration::from_secs(60))
    }

    /// SIGTERM, and wait for the end.
    ///
    /// # Errors
    /// When it does not end within `deadline`.
    pub fn terminate(self, deadline: Duration) -> Result<Exit> {
        self.signal(Signal::SIGTERM)?;
        self.wait(deadline)
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// When it does not end within `deadline`; the error carries the end of what it said.
    pub fn wait(mut self, deadline: Duration) -> Result<Exit> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Exit {
                    code: status.code(),
                    stdout: self.stdout(),
                    stderr: self.stderr(),
                    took: started.elapsed(),
                });
            }
            if started.elapsed() > deadline {
                bail!("{} did not end within {deadline:?}; it said:\n{}", self.name, self.stderr());
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let running = self.is_running();
        if running {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            let said = self.stderr();
            let tail: Vec<_> = said.lines().rev().take(25).collect();
            eprintln!("--- {} (pid {}) said last:", self.name, self.child.id());
            tail.into_iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// Looks at `condition` until it holds.
///
/// # Errors
/// When it does not hold within `deadline`; `what` says what was waited for.
pub fn until(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) -> Result<()> {
    let started = Instant::now();
    while !condition() {
        if started.elapsed() > deadline {
            bail!("waited {deadline:?} in vain for: {what}");
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

fn next_number() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
