//! SIGKILL of gateway, cache and consumer while the shard count changes.

use anyhow::{Result, ensure};
use mixcord_e2e::Told;
use serde_json::Value;

use crate::dice::Dice;
use crate::rig::{Plan, Rig, Victim};

/// So many die while a change is under way; then it is left to end.
const KILLS_MOST: usize = 8;

/// Kills by chance until it is over, or enough have died.
fn killed(seed: u64, shards: u16, to: u16) -> Result<()> {
    let mut dice = Dice(seed);
    let mut rig = Rig::start(&Plan { shards, ..Plan::default() })?;
    let mut command = rig.ask(&["--to", &to.to_string()])?;
    let mut kills = 0;
    while command.is_running() && kills < KILLS_MOST {
        rig.until_given(1 + dice.below(150))?;
        let victim = Victim::ALL[dice.below(3) as usize];
        rig.kill(victim)?;
        kills += 1;
    }
    ensure!(kills > 2, "{kills} kills prove nothing");
    rig.done(command, to)?;
    rig.finish(Told::Both)
}

#[test]
#[ignore = "takes long: scripts/test.sh --full"]
fn by_chance_from_two_to_three() -> Result<()> {
    killed(21, 2, 3)
}

#[test]
#[ignore = "takes long: scripts/test.sh --full"]
fn by_chance_from_three_to_two() -> Result<()> {
    killed(22, 3, 2)
}

/// At the first sight of each stage one of them dies; which one is another's turn each time.
fn killed_at_each_stage(first: usize) -> Result<()> {
    const STAGES: [&str; 4] = ["overlapping", "cutting", "cut", "leaving"];
    let mut rig = Rig::start(&Plan::default())?;
    let command = rig.ask(&["--to", "3"])?;
    for (turn, stage) in STAGES.into_iter().enumerate() {
        // A stage may pass unseen: then it is killed in a later one.
        rig.until_status(stage, |status| is_at(status, &STAGES[turn..]))?;
        rig.kill(Victim::ALL[(first + turn) % 3])?;
    }
    rig.done(command, 3)?;
    rig.finish(Told::Both)
}

fn is_at(status: &Value, stages: &[&str]) -> bool {
    status["stage"].as_str().is_some_and(|stage| stages.contains(&stage) || stage == "done")
}

#[test]
fn at_each_stage_the_gateway_first() -> Result<()> {
    killed_at_each_stage(0)
}

#[test]
fn at_each_stage_the_cache_first() -> Result<()> {
    killed_at_each_stage(1)
}

#[test]
fn at_each_stage_the_consumer_first() -> Result<()> {
    killed_at_each_stage(2)
}

/// All three at once, in the midst of it.
#[test]
#[ignore = "takes long: scripts/test.sh --full"]
fn all_at_once() -> Result<()> {
    let mut rig = Rig::start(&Plan::default())?;
    let command = rig.ask(&["--to", "3"])?;
    rig.until_status("the new sessions", |status| status["sessions"] == 3)?;
    for victim in Victim::ALL {
        rig.kill(victim)?;
    }
    rig.done(command, 3)?;
    rig.finish(Told::Both)
}
