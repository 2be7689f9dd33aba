//! What goes wrong on Discord's side while both sets run.

use anyhow::{Result, ensure};
use mixcord_e2e::Told;

use crate::rig::{DEADLINE, Plan, Rig, STEADY};

/// Connections are cut, told to go and closed, by chance in either set, guilds are away for a while, and either set is
/// told late and in another order: no session is lost, so nothing is.
fn whatever_happens(seed: u64, shards: u16, to: u16) -> Result<()> {
    let sets = [format!("shards={shards},delay=0..40"), format!("shards={to},delay=10..90")];
    let world = [
        "--set",
        &sets[0],
        "--set",
        &sets[1],
        "--faults",
        "cut=5,op7=3,op9true=3,stall=1,outage=2,slow-accept=1,restart=1",
        "--fault-seconds",
        "0.3",
    ];
    let rig = Rig::start(&Plan { shards, seed, world: &world, ..Plan::default() })?;
    let command = rig.ask(&["--to", &to.to_string()])?;
    rig.done(command, to)?;
    rig.finish(Told::Both)
}

#[test]
#[ignore = "takes long: scripts/test.sh --full"]
fn random_faults_from_two_to_three() -> Result<()> {
    whatever_happens(11, 2, 3)
}

#[test]
#[ignore = "takes long: scripts/test.sh --full"]
fn random_faults_from_three_to_two() -> Result<()> {
    whatever_happens(12, 3, 2)
}

#[test]
#[ignore = "takes long: scripts/test.sh --full"]
fn random_faults_from_four_to_seven() -> Result<()> {
    whatever_happens(13, 4, 7)
}

/// A rig whose change to 3 shards stands still with guilds cut, as the new set says nothing of one guild of its shard 0.
fn half_cut() -> Result<(Rig, String, mixcord_e2e::Program)> {
    let rig = Rig::start(&Plan { mix: STEADY, ..Plan::default() })?;
    let held = rig.guild_of(0, 3)?;
    rig.fake.post(&format!("/fake/outage?guild={held}&shards=3"))?;
    let command = rig.ask(&["--to", "3"])?;
    rig.until_status("all guilds but one to be cut", |status| {
        let (cut, guilds) = (status["cut"].as_u64(), status["guilds"].as_u64());
        cut.zip(guilds).is_some_and(|(cut, guilds)| cut > 0 && cut + 1 >= guilds)
    })?;
    Ok((rig, held, command))
}

fn go_on(rig: Rig, held: &str, command: mixcord_e2e::Program) -> Result<()> {
    rig.fake.until_happened(100, DEADLINE)?;
    rig.fake.post(&format!("/fake/outage?guild={held}&shards=3&back=1"))?;
    rig.done(command, 3)?;
    rig.finish(Told::OneAlone)
}

/// Its guilds go back to the old set, which cancelled all the while: no gap, nothing twice.
#[test]
#[ignore = "takes long: scripts/test.sh --full"]
fn a_new_session_is_lost_that_delivered() -> Result<()> {
    let (rig, held, command) = half_cut()?;
    rig.fake.post("/fake/fault?how=op9false&shard=1&shards=3")?;
    let status = rig.until_status("guilds that were taken over", |status| {
        status["taken_over"].as_u64().is_some_and(|count| count > 0)
    })?;
    ensure!(status["under_way"] == true, "{status}");
    go_on(rig, &held, command)
}

/// Its guilds are the new set's by now: no gap.
#[test]
#[ignore = "takes long: scripts/test.sh --full"]
fn an_old_session_is_lost_whose_guilds_are_cut() -> Result<()> {
    let (rig, held, command) = half_cut()?;
    let other = 1 - held.parse::<u64>()? / (1 << 22) % 2;
    rig.fake.post(&format!("/fake/fault?how=op9false&shard={other}&shards=2"))?;
    rig.fake.until_happened(100, DEADLINE)?;
    go_on(rig, &held, command)
}

/// One guild after the other is away in one of the sets alone, while it is changed.
#[test]
#[ignore = "takes long: scripts/test.sh --full"]
fn guilds_are_away_in_one_set_alone() -> Result<()> {
    let rig = Rig::start(&Plan { mix: STEADY, ..Plan::default() })?;
    let command = rig.ask(&["--to", "3"])?;
    rig.until_status("the new sessions", |status| status["sessions"] == 3)?;
    for (shards, shard) in [(2, 0), (3, 1), (2, 1)] {
        let guild = rig.guild_of(shard, shards)?;
        let outage = format!("/fake/outage?guild={guild}&shards={shards}");
        rig.fake.post(&outage)?;
        rig.fake.until_happened(40, DEADLINE)?;
        rig.fake.post(&format!("{outage}&back=1"))?;
    }
    rig.done(command, 3)?;
    rig.finish(Told::OneAlone)
}
