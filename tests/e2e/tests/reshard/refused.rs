//! What is called off, refused, or has to wait.

use anyhow::{Result, ensure};
use mixcord_e2e::{Exit, Told, until};

use crate::rig::{DEADLINE, Plan, Rig, STEADY};

/// One new session after the other, so that there is time.
const SLOWLY: [&str; 2] = ["--identify-spacing-ms", "1500"];
const ONE_AT_A_TIME: [&str; 2] = ["--max-concurrency", "1"];

fn slowly() -> Plan<'static> {
    Plan { world: &ONE_AT_A_TIME, gateway: &SLOWLY, ..Plan::default() }
}

/// The exit code of a change that was called off.
const CALLED_OFF: i32 = 4;

/// Nothing was begun, and one line says why.
fn is_refused(exit: &Exit, why: &str) -> Result<()> {
    ends_with(exit, 1, why)
}

fn ends_with(exit: &Exit, code: i32, why: &str) -> Result<()> {
    ensure!(exit.code == Some(code), "{exit:?}");
    ensure!(exit.stderr.contains(why), "no {why:?} in {exit:?}");
    ensure!(exit.stderr.trim().lines().count() == 1, "{exit:?}");
    Ok(())
}

/// Before the first guild changes sides it is as if nothing had been, and may be tried again.
#[test]
#[ignore = "takes long: scripts/test.sh --full"]
fn called_off_and_tried_again() -> Result<()> {
    let rig = Rig::start(&slowly())?;
    let command = rig.ask(&["--to", "3"])?;
    rig.until_status("a new session", |status| status["sessions"] == 1)?;
    rig.fake.until_happened(200, DEADLINE)?;
    let status = rig.status()?;
    ensure!(status["cut"] == 0 && status["stage"] == "overlapping", "{status}");

    let off = rig.ask(&["--call-off"])?.wait(DEADLINE)?;
    ensure!(off.code == Some(0), "{off:?}");
    ends_with(&command.wait(DEADLINE)?, CALLED_OFF, "called off")?;
    let status = rig.status()?;
    ensure!(status["stage"] == "back" && status["under_way"] == false, "{status}");
    rig.nothing_is_kept(&status)?;
    is_refused(&rig.ask(&["--call-off"])?.wait(DEADLINE)?, "not being changed")?;

    let command = rig.ask(&["--to", "3"])?;
    rig.done(command, 3)?;
    rig.finish(Told::Both)
}

/// The new set of a change that is called off leaves nothing behind.
#[test]
fn called_off_for_good() -> Result<()> {
    let rig = Rig::start(&slowly())?;
    let command = rig.ask(&["--to", "3"])?;
    rig.until_status("two new sessions", |status| status["sessions"] == 2)?;
    let off = rig.ask(&["--call-off"])?.wait(DEADLINE)?;
    ensure!(off.code == Some(0), "{off:?}");
    ends_with(&command.wait(DEADLINE)?, CALLED_OFF, "called off")?;
    rig.finish(Told::Both)
}

/// A second one meanwhile is refused, and the first goes on; once guilds were cut there is no way back.
#[test]
#[ignore = "takes long: scripts/test.sh --full"]
fn a_second_one_meanwhile_and_a_call_off_too_late() -> Result<()> {
    let rig = Rig::start(&Plan { mix: STEADY, ..Plan::default() })?;
    // Of one guild the new set says nothing for a while.
    let held = rig.guild_of(0, 3)?;
    rig.fake.post(&format!("/fake/outage?guild={held}&shards=3"))?;
    let command = rig.ask(&["--to", "3"])?;
    rig.until_status("guilds that are cut", |status| {
        status["stage"] == "cutting" && status["cut"].as_u64().is_some_and(|cut| cut > 0)
    })?;
    is_refused(&rig.ask(&["--to", "4"])?.wait(DEADLINE)?, "another change is under way")?;
    is_refused(&rig.ask(&["--call-off"])?.wait(DEADLINE)?, "no way back")?;
    let status = rig.status()?;
    ensure!(status["to"] == 3 && status["under_way"] == true, "{status}");
    rig.fake.post(&format!("/fake/outage?guild={held}&shards=3&back=1"))?;
    rig.done(command, 3)?;
    // What happened in that guild meanwhile the old set alone was told.
    rig.finish(Told::OneAlone)
}

/// With too few identifies left nothing is begun.
#[test]
fn a_budget_that_is_too_small() -> Result<()> {
    let rig = Rig::start(&Plan::default())?;
    rig.fake.post("/fake/bot?remaining=2")?;
    let identified = rig.identifies()?;
    // The gateway, which asks Discord, is the one that knows.
    ends_with(&rig.ask(&["--to", "3"])?.wait(DEADLINE)?, CALLED_OFF, "identif")?;
    ensure!(rig.identifies()? == identified, "a new session began");
    rig.finish(Told::Both)
}

/// Half way nothing is left of the budget: what runs goes on until there is, and so does the change.
#[test]
#[ignore = "takes long: scripts/test.sh --full"]
fn a_budget_that_is_spent_half_way() -> Result<()> {
    let rig = Rig::start(&slowly())?;
    rig.fake.post("/fake/bot?remaining=4&reset_after=8000")?;
    let command = rig.ask(&["--to", "3"])?;
    rig.until_status("a new session", |status| status["sessions"] == 1)?;
    // It is lost, and so are two identifies of the three that are left.
    for _ in 0..2 {
        let before = rig.identifies()?;
        rig.fake.post("/fake/fault?how=op9false&shard=0&shards=3")?;
        until("another new session", DEADLINE, || rig.identifies().is_ok_and(|now| now > before))?;
    }
    rig.done(command, 3)?;
    rig.finish(Told::Both)
}

/// The count that runs already, and one that none has.
#[test]
fn a_count_that_makes_no_sense() -> Result<()> {
    let rig = Rig::start(&Plan::default())?;
    is_refused(&rig.ask(&["--to", "2"])?.wait(DEADLINE)?, "runs 2 shards already")?;
    let none = rig.ask(&["--to", "0"])?.wait(DEADLINE)?;
    ensure!(none.code.is_some_and(|code| code != 0), "{none:?}");
    rig.finish(Told::Both)
}
