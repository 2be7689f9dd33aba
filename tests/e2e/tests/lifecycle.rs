//! The three processes start in any order, wait for each other, and end on SIGTERM.

use std::time::Duration;

use anyhow::Result;
use mixcord_e2e::{Fake, FakeOptions, Follower, Order, Program, Stack, compare, until};
use nix::sys::signal::Signal;

const DEADLINE: Duration = Duration::from_secs(60);
/// What DESIGN §8 promises for an end after SIGTERM.
const END: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Gateway,
    Cache,
    Consumer,
}

fn start_in(order: [Part; 3]) -> Result<()> {
    let stack = Stack::new()?;
    let fake = Fake::start(stack.folder(), &FakeOptions { shards: 2, ..FakeOptions::default() })?;
    let mut running: Vec<(Part, Program)> = Vec::new();
    for part in order {
        let program = match part {
            Part::Gateway => stack.gateway(&fake, "auto", &[])?,
            Part::Cache => stack.cache(&[])?,
            Part::Consumer => stack.tail(&["--group", "first", "--from", "earliest"])?,
        };
        running.push((part, program));
    }
    let consumer = &running.iter().find(|(part, _)| *part == Part::Consumer).expect("started").1;
    let mut follower = Follower::new(consumer, &[])?;
    let sent = follower.read_all(&fake, DEADLINE)?;
    compare(&sent, &follower.delivered, Order::Shard)?;

    for (part, program) in running {
        let exit = program.terminate(END)?;
        assert_eq!(exit.code, Some(0), "{part:?} said: {}", exit.stderr);
    }
    Ok(())
}

#[test]
fn gateway_cache_consumer() -> Result<()> {
    start_in([Part::Gateway, Part::Cache, Part::Consumer])
}

#[test]
fn gateway_consumer_cache() -> Result<()> {
    start_in([Part::Gateway, Part::Consumer, Part::Cache])
}

#[test]
fn cache_gateway_consumer() -> Result<()> {
    start_in([Part::Cache, Part::Gateway, Part::Consumer])
}

#[test]
fn cache_consumer_gateway() -> Result<()> {
    start_in([Part::Cache, Part::Consumer, Part::Gateway])
}

#[test]
fn consumer_gateway_cache() -> Result<()> {
    start_in([Part::Consumer, Part::Gateway, Part::Cache])
}

#[test]
fn consumer_cache_gateway() -> Result<()> {
    start_in([Part::Consumer, Part::Cache, Part::Gateway])
}

#[test]
fn each_process_ends_on_sigterm_while_it_waits_alone() -> Result<()> {
    let stack = Stack::new()?;
    let fake = Fake::start(stack.folder(), &FakeOptions::default())?;
    fake.post("/fake/pause")?;
    let waiting = |program: &Program| {
        until("the process to say what it waits for", DEADLINE, || !program.stderr().is_empty())
    };
    for (name, program) in [
        ("cache", stack.cache(&[])?),
        ("gateway", stack.gateway(&fake, "0..0/4", &[])?),
        ("consumer", Stack::new()?.tail(&[])?),
    ] {
        waiting(&program)?;
        let exit = program.terminate(END)?;
        assert_eq!(exit.code, Some(0), "the {name} said: {}", exit.stderr);
    }
    Ok(())
}

/// Killed where it stands it would end as well, but with another code (O-4).
#[test]
fn a_gateway_whose_server_hangs_ends_in_order() -> Result<()> {
    let stack = Stack::new()?;
    let fake = Fake::start(stack.folder(), &FakeOptions { events: 50, ..FakeOptions::default() })?;
    for _ in 0..5 {
        let gateway = stack.gateway(&fake, "4", &["--ring-bytes", "1MiB"])?;
        let connected = || gateway.stderr().matches("connected").count() >= 4;
        until("all shards to connect", DEADLINE, connected)?;
        fake.signal(Signal::SIGSTOP)?;
        let exit = gateway.terminate(DEADLINE)?;
        fake.signal(Signal::SIGCONT)?;
        assert_eq!(exit.code, Some(0), "it said: {}", exit.stderr);
    }
    Ok(())
}
