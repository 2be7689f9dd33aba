//! Changes that nobody disturbs, between sessions that are each a little otherwise.

use anyhow::{Result, ensure};
use mixcord_e2e::Told;

use crate::rig::{DEADLINE, Plan, Rig, WORLD};

/// Changes the count, and compares everything.
fn changes(plan: &Plan<'_>, to: u16) -> Result<()> {
    let rig = Rig::start(plan)?;
    let command = rig.ask(&["--to", &to.to_string()])?;
    rig.done(command, to)?;
    rig.finish(Told::Both)
}

#[test]
fn from_two_to_three() -> Result<()> {
    changes(&Plan::default(), 3)
}

#[test]
fn from_three_to_two() -> Result<()> {
    changes(&Plan { shards: 3, ..Plan::default() }, 2)
}

#[test]
#[ignore = "takes long: scripts/test.sh --full"]
fn from_sixteen_to_seventeen() -> Result<()> {
    changes(&Plan { shards: 16, guilds: 40, members: 10, rate: 400, ..Plan::default() }, 17)
}

/// Guilds overtake each other in both sets, and the old one is told first, the new one last.
#[test]
#[ignore = "takes long: scripts/test.sh --full"]
fn sessions_of_different_pace_and_order() -> Result<()> {
    let world = ["--set", "shards=2,delay=0..60", "--set", "shards=3,delay=20..150"];
    changes(&Plan { world: &world, ..Plan::default() }, 3)
}

/// The new set is told first.
#[test]
#[ignore = "takes long: scripts/test.sh --full"]
fn the_old_sessions_lag() -> Result<()> {
    let world = ["--set", "shards=2,delay=40..150", "--set", "shards=3,delay=0..20"];
    changes(&Plan { world: &world, ..Plan::default() }, 3)
}

/// Hardly anything else happens than events that are equal in a row.
#[test]
#[ignore = "takes long: scripts/test.sh --full"]
fn equal_events_in_a_row() -> Result<()> {
    let world = ["--set", "shards=2,delay=0..60", "--set", "shards=3,delay=0..60"];
    changes(&Plan { mix: "equal=20,message=5", world: &world, ..Plan::default() }, 3)
}

/// Some events either set alone is told: each comes, once.
#[test]
#[ignore = "takes long: scripts/test.sh --full"]
fn events_that_one_set_alone_is_told() -> Result<()> {
    // Of equal ones nobody could say which either set was told.
    let mix = WORLD.replace("equal=60", "equal=0");
    let rig = Rig::start(&Plan { mix: &mix, ..Plan::default() })?;
    let command = rig.ask(&["--to", "3"])?;
    // From here on both are told everything.
    rig.until_status("the new sessions", |status| status["sessions"] == 3)?;
    for shards in [2, 3] {
        rig.fake.post(&format!("/fake/set?shards={shards}&withhold=2&kinds=TYPING_START"))?;
    }
    rig.fake.until_happened(400, DEADLINE)?;
    for shards in [2, 3] {
        rig.fake.post(&format!("/fake/set?shards={shards}&withhold=0"))?;
    }
    let alone = |happened: &[mixcord_e2e::Happened], set| {
        happened.iter().filter(|event| event.kind == "TYPING_START" && event.sets == [set]).count()
    };
    let happened = rig.fake.happened()?;
    let both = happened.iter().position(|event| event.sets == [2, 3]).unwrap_or(0);
    let counts = [2, 3].map(|set| alone(&happened[both..], set));
    ensure!(counts.iter().all(|count| *count > 2), "{counts:?}: too few to prove anything");
    ensure!(happened.iter().all(|event| !event.sets.is_empty()), "nobody was told");
    rig.done(command, 3)?;
    let status = rig.status()?;
    ensure!(status["one_sided_new"].as_u64().is_some_and(|count| count > 0), "{status}");
    rig.finish(Told::OneAlone)
}

/// Up and down again: the rings of the first count are made anew, with names that were there before.
#[test]
fn there_and_back() -> Result<()> {
    let rig = Rig::start(&Plan::default())?;
    for to in [3, 2] {
        let command = rig.ask(&["--to", &to.to_string()])?;
        rig.done(command, to)?;
    }
    rig.finish(Told::Both)
}

/// The old set is two processes', the new one's is one of its own; the old ones end by themselves.
#[test]
fn a_process_of_its_own_for_the_new_set() -> Result<()> {
    let mut rig = Rig::start(&Plan { gateways: &["0..0/2", "1..1/2"], ..Plan::default() })?;
    let command = rig.ask(&["--to", "3"])?;
    let _beside = rig.done_beside(command, 3)?;
    rig.finish(Told::Both)
}
