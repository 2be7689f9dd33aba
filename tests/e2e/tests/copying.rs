//! `mixcord cache copy` and `mixcord-cache --state-from`: from one instance into another.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mixcord::State;
use mixcord_e2e::{Fake, FakeOptions, Stack, View, differences, until};

const DEADLINE: Duration = Duration::from_secs(120);

fn is_the_world(fake: &Fake, stack: &Stack) -> Result<()> {
    let state = State::attach(stack.instance())?;
    let mut found = vec!["it was never read".to_owned()];
    let whole = until("the state to be the world", DEADLINE, || {
        let Ok(world) = fake.world() else { return false };
        let read = differences(&world, &state, View::WHOLE);
        found = read.unwrap_or_else(|error| vec![error.to_string()]);
        found.is_empty()
    });
    whole.with_context(|| format!("{:#?}", &found[..found.len().min(5)]))
}

#[test]
fn a_state_is_copied_while_events_flow_and_begins_another_instance() -> Result<()> {
    let (stack, other, third) = (Stack::new()?, Stack::new()?, Stack::new()?);
    let options = FakeOptions { events: 20_000, ..FakeOptions::default() };
    let fake = Fake::start(stack.folder(), &options)?;
    let _gateway = stack.gateway(&fake, "auto", &[])?;
    let _cache = stack.cache(&[])?;
    let state = State::attach(stack.instance())?;
    until("guilds", DEADLINE, || state.guilds().next().is_some_and(|guild| guild.is_ok()))?;
    let copy = |to: &str| {
        let mut command = stack.mixcord();
        command.args(["cache", "copy", "--instance", stack.instance(), "--to", to]);
        command
    };
    // Whatever it is of: it is whole, and ends.
    let early = stack.folder().join("early");
    let output = copy(early.to_str().context("a path")?).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    ensure!(fs::metadata(&early)?.permissions().mode() & 0o777 == 0o600);
    let again = copy(early.to_str().context("a path")?).output()?;
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    ensure!(!again.status.success() && said.contains("is there already"), "{said}");
    let cache = third.cache(&["--state-from", early.to_str().context("a path")?])?;
    let loaded = State::attach(third.instance())?;
    until("the early state", DEADLINE, || {
        loaded.guilds().next().is_some_and(|guild| guild.is_ok())
    })?;
    cache.terminate(Duration::from_secs(10))?;

    // Once all is said, the copy is the world; through a pipe.
    fake.until_finished(DEADLINE)?;
    is_the_world(&fake, &stack)?;
    let mut piped = copy("-").stdout(Stdio::piped()).spawn()?;
    let mut command = other.command("mixcord-cache");
    command.args(["--state-from", "-"]).stdin(piped.stdout.take().context("a pipe")?);
    let mut cache = command.stderr(Stdio::null()).spawn()?;
    let whole = is_the_world(&fake, &other);
    cache.kill()?;
    cache.wait()?;
    ensure!(piped.wait()?.success());
    whole
}

#[test]
fn a_file_that_is_no_copy_is_refused_on_one_line() -> Result<()> {
    let stack = Stack::new()?;
    let file = stack.folder().join("nothing");
    fs::write(&file, "not a copy")?;
    let mut command = stack.command("mixcord-cache");
    let output = command.args(["--state-from", file.to_str().context("a path")?]).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(78), "{:?}: {said}", output.status);
    ensure!(said.contains("--state-from") && said.contains("no whole copy"), "{said}");
    ensure!(said.trim().lines().count() == 1, "{said}");
    Ok(())
}
