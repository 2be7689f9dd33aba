//! What gateway, cache and bridge tell the service manager that started them.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mixcord_e2e::{Fake, FakeOptions, Program, Stack, TOKEN};

const DEADLINE: Duration = Duration::from_secs(60);
const END: Duration = Duration::from_secs(5);

/// A service manager that hears one process.
struct Manager(UnixDatagram);

impl Manager {
    fn listen(socket: &Path) -> Result<Self> {
        let heard = UnixDatagram::bind(socket)?;
        heard.set_read_timeout(Some(DEADLINE))?;
        Ok(Self(heard))
    }

    fn start(&self, stack: &Stack, mut command: Command) -> Result<Program> {
        let socket = self.0.local_addr()?;
        let socket = socket.as_pathname().context("a socket with a name")?;
        command.env("NOTIFY_SOCKET", socket).env("WATCHDOG_USEC", "300000");
        Program::start("service", stack.folder(), &mut command)
    }

    /// Reads until all of `wanted` was told, in any order.
    fn hear(&self, wanted: &[&str]) -> Result<()> {
        let mut left = wanted.to_vec();
        let mut told = Vec::new();
        let mut buffer = [0; 4096];
        let begun = Instant::now();
        while !left.is_empty() {
            let heard = self.0.recv(&mut buffer);
            // Signs of life go on for ever: they must not hide that something else never comes.
            let Some(length) = heard.ok().filter(|_| begun.elapsed() < DEADLINE) else {
                bail!("{left:?} never came, but {told:?}");
            };
            let text = String::from_utf8(buffer[..length].to_vec())?;
            left.retain(|line| !text.lines().any(|said| said == *line));
            told.extend(text.lines().map(ToOwned::to_owned));
        }
        Ok(())
    }
}

#[test]
fn the_gateway_tells_that_it_runs_how_many_shards_are_connected_and_that_it_stops() -> Result<()> {
    let stack = Stack::new()?;
    let fake = Fake::start(stack.folder(), &FakeOptions { shards: 2, ..FakeOptions::default() })?;
    let manager = Manager::listen(&stack.folder().join("notify"))?;
    let mut command = stack.command("mixcord-gateway");
    command.env("DISCORD_TOKEN", TOKEN).args(["--api-url", &fake.api_url(), "--shards", "2"]);
    let gateway = manager.start(&stack, command)?;
    manager.hear(&["READY=1", "STATUS=2 of 2 shards connected", "WATCHDOG=1"])?;
    // A watchdog that is passed on once and never again is none.
    manager.hear(&["WATCHDOG=1"])?;
    let exit = gateway.terminate(END)?;
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    manager.hear(&["STOPPING=1"])
}

#[test]
fn the_cache_tells_that_it_runs_and_what_it_waits_for() -> Result<()> {
    let stack = Stack::new()?;
    let manager = Manager::listen(&stack.folder().join("notify"))?;
    let cache = manager.start(&stack, stack.command("mixcord-cache"))?;
    let waiting = format!(
        "STATUS=waiting for mixcord-gateway --instance {}: there is no ring of a shard yet",
        stack.instance()
    );
    manager.hear(&["READY=1", &waiting, "WATCHDOG=1"])?;
    let exit = cache.terminate(END)?;
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    manager.hear(&["STOPPING=1"])
}

/// A start that waits for the broker would be given up by the manager, again and again.
#[test]
fn a_bridge_runs_though_its_broker_does_not() -> Result<()> {
    let stack = Stack::new()?;
    for end in ["send", "receive"] {
        let manager = Manager::listen(&stack.folder().join(end))?;
        let mut command = stack.command("mixcord-bridge");
        // Nothing listens at port 1.
        command.args(["--nats", "nats://127.0.0.1:1", end]);
        let bridge = manager.start(&stack, command)?;
        manager.hear(&["READY=1", "STATUS=waits for the broker", "WATCHDOG=1"])?;
        let exit = bridge.terminate(END)?;
        // With nothing in hand it has ended before it could say that it ends.
        assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    }
    Ok(())
}
