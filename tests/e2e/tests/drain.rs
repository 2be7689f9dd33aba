//! `mixcord drain`: for an upgrade, nothing comes in and the rings run empty, and nothing is lost behind it.

use std::process::Output;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mixcord_e2e::{Fake, FakeOptions, Follower, Order, Program, Stack, compare, until};

const DEADLINE: Duration = Duration::from_secs(120);

fn drain(stack: &Stack, options: &[&str]) -> Result<Output> {
    let mut command = stack.mixcord();
    command.args(["drain", "--instance", stack.instance()]).args(options);
    Ok(command.output()?)
}

fn said(output: &Output) -> String {
    let texts = [&output.stdout, &output.stderr];
    texts.iter().map(|text| String::from_utf8_lossy(text)).collect()
}

fn states(stack: &Stack) -> Result<Vec<String>> {
    let listing = stack.ls()?;
    let rings = listing["rings"].as_array().context("rings")?;
    let states = rings.iter().filter_map(|ring| ring["shard"]["state"].as_str());
    Ok(states.map(str::to_owned).collect())
}

#[test]
fn the_rings_run_empty_and_the_next_gateway_resumes() -> Result<()> {
    let stack = Stack::new()?;
    let nothing = drain(&stack, &[])?;
    ensure!(nothing.status.code() == Some(1), "{}", said(&nothing));
    ensure!(said(&nothing).contains("has no rings"), "{}", said(&nothing));

    // By Discord's own rule so small a session is lost within two seconds.
    let more = vec!["--hold-while-away".to_owned()];
    let options =
        FakeOptions { shards: 2, events: 10_000, rate: 500, more, ..FakeOptions::default() };
    let fake = Fake::start(stack.folder(), &options)?;
    let spacing = ["--identify-spacing-ms", "50"];
    let gateway = stack.gateway(&fake, "2", &spacing)?;
    let cache = stack.cache(&[])?;
    let tail = stack.tail(&["--group", "bot", "--from", "earliest"])?;
    let mut follower = Follower::new(&tail, &[])?;
    follower.read_until(200, DEADLINE)?;

    // Somebody is behind for ever: it says who, and leaves the bot as it was.
    let mut create = stack.mixcord();
    create.args(["groups", "create", "forgotten", "--instance", stack.instance()]);
    ensure!(create.output()?.status.success());
    follower.read_until(400, DEADLINE)?;
    let long = drain(&stack, &["--timeout", "121"])?;
    ensure!(long.status.code() == Some(1), "{}", said(&long));
    ensure!(said(&long).contains("at most 120 s"), "{}", said(&long));
    // Of all who are behind the one that is most behind is named.
    follower.read_until(1_400, DEADLINE)?;
    let late = drain(&stack, &["--timeout", "3"])?;
    ensure!(late.status.code() == Some(3), "{}", said(&late));
    let text = said(&late);
    ensure!(text.contains("group forgotten") && text.contains("has no member"), "{text}");
    until("events to flow again", DEADLINE, || {
        states(&stack).is_ok_and(|states| states == ["connected", "connected"])
    })?;
    // Whoever interrupts it is not told that it drained.
    let mut command = stack.mixcord();
    command.args(["drain", "--instance", stack.instance(), "--timeout", "120"]);
    let child = Program::start("drain", stack.folder(), &mut command)?;
    until("the gateway to hold", DEADLINE, || {
        states(&stack).is_ok_and(|states| states == ["paused", "paused"])
    })?;
    let interrupted = child.terminate(DEADLINE)?;
    ensure!(interrupted.code == Some(3), "{interrupted:?}");
    ensure!(interrupted.stdout.contains("interrupted"), "{interrupted:?}");
    until("events to flow again", DEADLINE, || {
        states(&stack).is_ok_and(|states| states == ["connected", "connected"])
    })?;
    let mut remove = stack.mixcord();
    remove.args(["groups", "rm", "forgotten", "--instance", stack.instance()]);
    ensure!(remove.output()?.status.success());

    let done = drain(&stack, &[])?;
    ensure!(done.status.success(), "{}", said(&done));
    ensure!(said(&done).contains("stop mixcord-gateway within"), "{}", said(&done));
    ensure!(states(&stack)? == ["paused", "paused"], "{:?}", states(&stack)?);
    for ring in mixcord::operator::Instance::open(stack.instance())?.rings()? {
        for group in ring.groups {
            ensure!(group.lag == 0, "{} of {} is {} behind", group.name, ring.name, group.lag);
        }
    }
    let undone = drain(&stack, &["--undo"])?;
    ensure!(undone.status.success(), "{}", said(&undone));
    until("events to flow again", DEADLINE, || {
        states(&stack).is_ok_and(|states| states == ["connected", "connected"])
    })?;

    // All is stopped and started, as by an upgrade.
    ensure!(drain(&stack, &[])?.status.success());
    ensure!(gateway.terminate(DEADLINE)?.code == Some(0));
    let again = drain(&stack, &[])?;
    ensure!(said(&again).contains("no gateway runs"), "{}", said(&again));
    ensure!(cache.terminate(DEADLINE)?.code == Some(0));
    let _cache = stack.cache(&[])?;
    let _gateway = stack.gateway(&fake, "2", &spacing)?;
    fake.until_finished(DEADLINE)?;
    let sent = fake.journal()?;
    follower.read_until(sent.len(), DEADLINE)?;
    compare(&sent, &follower.delivered, Order::Shard)?;
    let identified: u64 = fake.status()?.iter().map(|shard| shard.identifies).sum();
    ensure!(identified == 2, "{identified} sessions: the first ones were not resumed");
    Ok(())
}
