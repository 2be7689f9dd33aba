//! `mixcord top` on a terminal of 80 × 24, as tmux has it.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Result, ensure};
use mixcord_e2e::{Fake, FakeOptions, Stack, until};

const PATIENCE: Duration = Duration::from_secs(60);
const SHARDS: u16 = 64;

/// A tmux of its own with one window; ended when dropped.
struct Terminal {
    folder: PathBuf,
}

impl Terminal {
    fn open(stack: &Stack, command: &Command) -> Result<Self> {
        let terminal = Self { folder: stack.folder().to_owned() };
        let mut tmux = terminal.tmux();
        tmux.args(["new-session", "-d", "-x", "80", "-y", "24"]);
        // A tmux server outlives a test that was killed: what runs in it ends by itself, and it with that.
        tmux.args(["timeout", "--foreground", "300"]);
        tmux.arg(command.get_program()).args(command.get_args());
        ensure!(tmux.status()?.success(), "tmux new-session");
        Ok(terminal)
    }

    /// Nothing of whoever runs the tests: neither his sessions nor his settings.
    fn tmux(&self) -> Command {
        let mut tmux = Command::new("tmux");
        tmux.args(["-u", "-f", "/dev/null"]).env_clear().stderr(Stdio::null());
        tmux.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        tmux.env("TERM", "xterm-256color").env("TMUX_TMPDIR", &self.folder);
        tmux
    }

    fn press(&self, key: &str) -> Result<()> {
        ensure!(self.tmux().args(["send-keys", key]).status()?.success(), "tmux send-keys {key}");
        Ok(())
    }

    fn shown(&self) -> String {
        let output = self.tmux().args(["capture-pane", "-p"]).output();
        output
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default()
    }

    fn until_shows(&self, wanted: &[&str]) -> Result<()> {
        let shows = || wanted.iter().all(|text| self.shown().contains(text));
        until(&format!("{wanted:?}"), PATIENCE, shows).map_err(|error| error.context(self.shown()))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.tmux().arg("kill-server").status();
    }
}

#[test]
fn top_is_of_use_on_a_small_terminal_with_many_shards() -> Result<()> {
    let version = Command::new("tmux").arg("-V").stdout(Stdio::null()).status();
    if !version.is_ok_and(|status| status.success()) {
        eprintln!("left out: tmux is not installed (on Debian: apt-get install tmux)");
        return Ok(());
    }
    let stack = Stack::new()?;
    let more =
        ["--identify-seconds", "0.01", "--max-concurrency", "64"].map(str::to_owned).to_vec();
    let options = FakeOptions {
        shards: SHARDS,
        guilds: 64,
        members: 5,
        events: 1_000_000,
        rate: 300,
        more,
        ..FakeOptions::default()
    };
    let fake = Fake::start(stack.folder(), &options)?;
    let small = ["--ring-bytes", "64KiB", "--ring-slots", "512", "--identify-spacing-ms", "20"];
    let _gateway = stack.gateway(&fake, "64", &small)?;
    let _cache = stack.cache(&["--output-bytes", "4MiB", "--output-slots", "4096"])?;
    let _tail = stack.tail(&["--group", "bot"])?;
    let mut command = stack.mixcord();
    command.args(["top", "--instance", stack.instance()]);
    let terminal = Terminal::open(&stack, &command)?;

    terminal.until_shows(&["Discord 64/64", "bot", "some updates, old → new", "q end"])?;
    let presence = ["send", "presence", "idle", "--instance", stack.instance()];
    ensure!(stack.mixcord().args(presence).status()?.success());
    terminal.until_shows(&["presence by command: idle on 64 shards"])?;
    terminal.press("2")?;
    terminal.until_shows(&["shard▴", "0/64", "of 64"])?;
    terminal.press("End")?;
    terminal.until_shows(&["63/64"])?;
    terminal.press("3")?;
    terminal.until_shows(&["group", "behind▾", "bot"])?;
    terminal.press("4")?;
    terminal.until_shows(&["PRESENCE_UPDATE"])?;
    terminal.press("?")?;
    terminal.until_shows(&["scroll"])?;
    terminal.press("q")?;
    until("top to end", PATIENCE, || terminal.shown().is_empty())?;
    Ok(())
}
