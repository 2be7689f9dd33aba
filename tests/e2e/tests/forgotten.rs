//! P10: a group that was tried once and forgotten stops the others only until somebody reads a log, whichever.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mixcord_e2e::{Fake, FakeOptions, Follower, Stack, until};

const DEADLINE: Duration = Duration::from_secs(120);

#[test]
fn a_forgotten_group_is_named_by_everybody_who_waits_and_ended_by_what_they_say() -> Result<()> {
    let stack = Stack::new()?;
    let options = FakeOptions { shards: 1, events: 60_000, ..FakeOptions::default() };
    let fake = Fake::start(stack.folder(), &options)?;
    let cache = stack.cache(&["--output-bytes", "2MiB"])?;
    let tail = stack.tail(&["--group", "prod", "--from", "earliest"])?;
    until("the output ring", DEADLINE, || {
        let mut create = stack.mixcord();
        create.args(["groups", "create", "greeter", "--instance", stack.instance()]);
        let made = create.output();
        made.is_ok_and(|output| output.status.success())
    })?;
    let mut follower = Follower::new(&tail, &[])?;
    let gateway = stack.gateway(&fake, "auto", &["--ring-bytes", "1MiB"])?;

    let holds = "group \"greeter\" holds it (no member for ";
    until("the cache to say who holds it up", DEADLINE, || {
        follower.read().is_ok_and(|_| cache.stderr().contains(holds))
    })?;
    let passes_on = format!("which waits for the output ring: {holds}");
    until("the gateway to say so too", DEADLINE, || {
        follower.read().is_ok_and(|_| gateway.stderr().contains(&passes_on))
    })?;
    let (log, listing) =
        (gateway.stderr(), stack.mixcord().args(["ls", "--instance", stack.instance()]).output()?);
    let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
    ensure!(listing.contains(&format!("nearly full: {holds}")), "{listing}");

    // As an operator would copy it.
    let line = log.lines().find(|line| line.contains(&passes_on)).context("the line")?;
    ensure!(line.contains(", oldest ") && line.contains(" UTC, "), "{line}");
    let (_, command) = line.split_once("it ends with: mixcord ").context("a command")?;
    let done = stack.mixcord().args(command.split_whitespace()).output()?;
    ensure!(done.status.success(), "{command}: {done:?}");

    // Nobody is held up any more.
    let before = follower.delivered.len();
    follower.read_until(before + 2_000, DEADLINE)?;
    Ok(())
}
