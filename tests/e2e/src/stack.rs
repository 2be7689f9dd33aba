//! One instance of Mixcord, with its own name and folder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::broker::Broker;
use crate::fake::Fake;
use crate::process::{Program, until};

/// The token that every test uses, and that must never be seen anywhere.
pub const TOKEN: &str = "MTE3NTYyMzQ4MjM3NDkxODE5NA.e2e-Secret.0123456789abcdefghijklmnopqrstuv";

/// Every documented intent, so that what was sent is what the world did (gateway contract §13).
const ALL_INTENTS: &str = "53608447";

/// One instance: a name no other test has, and a folder for what its programs print.
#[derive(Debug)]
pub struct Stack {
    inner: Arc<Inner>,
    /// What the names of its programs end with.
    suffix: &'static str,
}

#[derive(Debug)]
struct Inner {
    instance: String,
    folder: TempDir,
}

impl Stack {
    /// A new instance, of which nothing exists yet.
    ///
    /// # Errors
    /// When no temporary folder can be made.
    pub fn new() -> Result<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let instance = format!("t{}-{number}", std::process::id());
        Ok(Self { inner: Arc::new(Inner { instance, folder: TempDir::new()? }), suffix: "" })
    }

    /// The same instance, with programs of another release: those whose names end with `suffix`.
    #[must_use]
    pub fn release(&self, suffix: &'static str) -> Self {
        Self { inner: Arc::clone(&self.inner), suffix }
    }

    /// The name of the instance.
    pub fn instance(&self) -> &str {
        &self.inner.instance
    }

    /// A folder that goes with the instance.
    pub fn folder(&self) -> &Path {
        self.inner.folder.path()
    }

    /// Starts a gateway for `shards` of `fake`, with every intent unless `options` says which.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn gateway(&self, fake: &Fake, shards: &str, options: &[&str]) -> Result<Program> {
        let mut command = self.command("mixcord-gateway");
        command.env("DISCORD_TOKEN", TOKEN);
        command.args(["--api-url", &fake.api_url(), "--shards", shards]);
        if !options.contains(&"--intents") {
            command.args(["--intents", ALL_INTENTS]);
        }
        command.args(options);
        Program::start("gateway", self.folder(), &mut command)
    }

    /// Starts the cache.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn cache(&self, options: &[&str]) -> Result<Program> {
        let mut command = self.command("mixcord-cache");
        command.args(options);
        Program::start("cache", self.folder(), &mut command)
    }

    /// Starts the proxy on a free port; gives it and its address, `127.0.0.1:PORT`. It knows the bot's token unless
    /// `options` has a file of secrets.
    ///
    /// # Errors
    /// When it cannot be started, or does not say in time where it listens.
    pub fn proxy(&self, options: &[&str]) -> Result<(Program, String)> {
        let mut command = self.command("mixcord-proxy");
        if !options.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.args(options);
        let program = Program::start("proxy", self.folder(), &mut command)?;
        until("the proxy to listen", Duration::from_secs(60), || program.stdout().contains('\n'))?;
        let said = program.stdout();
        let address = said.trim().strip_prefix("listening on http://");
        let address = address.with_context(|| format!("it said {said:?}"))?.to_owned();
        Ok((program, address))
    }

    /// Starts one end of a bridge to `broker`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn bridge(&self, end: &str, broker: &Broker, options: &[&str]) -> Result<Program> {
        let mut command = self.command("mixcord-bridge");
        // A server takes no more streams than fit its disk.
        command.env("MIXCORD_BRIDGE_STREAM_BYTES", "256MiB").env("MIXCORD_BRIDGE_RETAIN", "64MiB");
        command.args(["--nats", &broker.url(), end]).args(options);
        Program::start(&format!("bridge-{end}"), self.folder(), &mut command)
    }

    /// Starts `mixcord tail`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn tail(&self, options: &[&str]) -> Result<Program> {
        let mut command = self.mixcord();
        command.args(["tail", "--instance", self.instance()]).args(options);
        Program::start("tail", self.folder(), &mut command)
    }

    /// `mixcord ls --json`, as it is now.
    ///
    /// # Errors
    /// When it fails or prints something else.
    pub fn ls(&self) -> Result<serde_json::Value> {
        let output =
            self.mixcord().args(["ls", "--json", "--instance", self.instance()]).output()?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// How many records of the output ring a group has not acknowledged.
    ///
    /// # Errors
    /// When there is no such ring or group.
    pub fn lag(&self, group: &str) -> Result<u64> {
        let rings = mixcord::operator::Instance::open(self.instance())?.rings()?;
        let out = rings.into_iter().find(|ring| ring.name == "out").context("no output ring")?;
        let found = out.groups.into_iter().find(|found| found.name == group);
        Ok(found.with_context(|| format!("no group {group}"))?.lag)
    }

    /// A program of the workspace, told the instance, with nothing of our environment that could
    /// change what it does.
    pub fn command(&self, program: &str) -> Command {
        let mut command = self.bare(program);
        command.env("MIXCORD_IDENTIFY_DIR", self.folder());
        command.args(["--instance", self.instance()]);
        command
    }

    /// The operator's program, which is still to be told a command and the instance.
    pub fn mixcord(&self) -> Command {
        self.bare("mixcord")
    }

    fn bare(&self, program: &str) -> Command {
        let mut command = Command::new(Program::path(&format!("{program}{}", self.suffix)));
        for (name, _) in std::env::vars_os() {
            if is_ours(&name.to_string_lossy()) {
                command.env_remove(name);
            }
        }
        command
    }

    /// Everything in /dev/shm that belongs to the instance.
    pub fn segments(&self) -> Vec<PathBuf> {
        self.inner.segments()
    }
}

impl Inner {
    fn segments(&self) -> Vec<PathBuf> {
        let prefix = format!("mixcord.{}.", self.instance);
        let Ok(entries) = std::fs::read_dir("/dev/shm") else { return Vec::new() };
        let mut found: Vec<_> = entries
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
            .map(|entry| entry.path())
            .collect();
        found.sort();
        found
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for path in self.segments() {
            let _ = if path.is_dir() {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
        }
    }
}

/// What programs of ours read, and what the service manager of whoever runs the tests told them.
fn is_ours(variable: &str) -> bool {
    const OTHERS: [&str; 4] = ["DISCORD_TOKEN", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];
    variable.starts_with("MIXCORD_") || OTHERS.contains(&variable)
}
