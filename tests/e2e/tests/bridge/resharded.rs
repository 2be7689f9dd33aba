//! Another number of shards where events travel (DESIGN §12): each machine's cache is asked, and each changes guild by guild
//! for its own consumers.

use mixcord_e2e::{Told, compare_world, once};

use super::*;

/// How soon one session is given up on.
const TIMES: [&str; 4] = ["--reshard-slack", "1s", "--reshard-window", "4s"];
const MIX: &str = "presence=400,message=250,typing=90,voice=60,message-update=45,member-update=35,member-add=20,member-remove=20,\
                   reaction-add=30,direct=30,interaction=10";

fn ask(stack: &Stack) -> Result<Program> {
    let mut command = stack.mixcord();
    command.args(["reshard", "--to", "3", "--instance", stack.instance()]);
    Program::start("reshard", stack.folder(), &mut command)
}

/// What a consumer of the machine is given, with what the comparison asks for.
fn followed(stack: &Stack) -> Result<(Program, Follower)> {
    let tail = stack.tail(&["--group", "journal", "--from", "earliest"])?;
    let follower = Follower::new(&tail, &["READY", "SHARD_STATE", "GUILD_DELETE"])?;
    Ok((tail, follower))
}

#[test]
fn both_machines_change_the_shard_count_and_each_has_every_event_once() -> Result<()> {
    changes(false)
}

/// Whoever runs the new set, and whatever the old rings say of themselves then, the other machine comes to the end.
#[test]
fn a_gateway_that_is_killed_while_the_old_set_is_left_holds_up_nobody() -> Result<()> {
    changes(true)
}

/// How far the change is where the gateway runs.
fn stage(machines: &Machines) -> Result<String> {
    let mut command = machines.near.mixcord();
    command.args(["reshard", "--status", "--json", "--instance", machines.near.instance()]);
    let status: Value = serde_json::from_slice(&command.output()?.stdout)?;
    Ok(status["reshard"]["stage"].as_str().unwrap_or_default().to_owned())
}

fn changes(is_killed: bool) -> Result<()> {
    let more = ["--identify-seconds", "0", "--replay", "100000", "--mix", MIX];
    let options = FakeOptions {
        guilds: 10,
        members: 20,
        events: 100_000_000,
        rate: 300,
        more: more.map(str::to_owned).to_vec(),
        ..FakeOptions::default()
    };
    let Some(machines) = Machines::new(&options)? else { return Ok(()) };
    let (_tail, mut here) = followed(&machines.near)?;
    let (_far_tail, mut there) = followed(&machines.far)?;
    let _caches = (machines.near.cache(&TIMES)?, machines.far.cache(&TIMES)?);
    let _receive = machines.receive()?;
    let gateway = ["--feeds", "cache,bridge", "--identify-spacing-ms", "20"];
    let mut running = machines.near.gateway(&machines.fake, "2", &gateway)?;
    let _send = machines.send(&[])?;
    for journal in [&mut here, &mut there] {
        journal.read_until(300, DEADLINE)?;
    }
    // Where no gateway runs first: what comes is compared from then on.
    let commands = [ask(&machines.far)?, ask(&machines.near)?];
    if is_killed {
        until("the old set to be left", DEADLINE, || {
            stage(&machines).is_ok_and(|stage| ["leaving", "done"].contains(&&*stage))
        })?;
        running.kill()?;
        running = machines.near.gateway(&machines.fake, "2", &gateway)?;
    }
    for command in commands {
        let exit = command.wait(DEADLINE)?;
        ensure!(exit.code == Some(0), "{exit:?}");
    }
    machines.fake.until_happened(300, DEADLINE)?;
    machines.fake.stand_still(DEADLINE)?;
    let (mut happened, dispatched) = (machines.fake.happened()?, machines.fake.dispatched()?);
    // Before there was a session nobody was told anything.
    happened.retain(|event| !event.sets.is_empty());
    for journal in [&mut here, &mut there] {
        let mut found = Ok(());
        let all = until("everything to have come", DEADLINE, || {
            found = journal.read().and_then(|_| {
                let given = once(&journal.delivered);
                compare_world(&happened, &dispatched, &given, Told::Both)
            });
            found.is_ok()
        });
        found.and(all)?;
    }
    ensure!(running.is_running());
    Ok(())
}
