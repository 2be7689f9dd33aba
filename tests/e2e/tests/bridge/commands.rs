//! Commands of a consumer on a machine that receives, to the gateway on another one.

use mixcord::commands::{Commands, Error, RequestMembers};
use mixcord::event::command::shard_of;

use super::*;

const SHARDS: u16 = 2;

/// The machines, and a consumer's way to ask.
struct Scene {
    machines: Machines,
    near: Near,
    there: Follower,
    commands: Commands,
    guild: u64,
    _rest: (Program, Program, Program),
}

impl Scene {
    fn new() -> Result<Option<Self>> {
        let options =
            FakeOptions { shards: SHARDS, guilds: 4, events: 0, ..FakeOptions::default() };
        let Some(machines) = Machines::new(&options)? else { return Ok(None) };
        let tail = machines.far.tail(&["--group", "journal", "--from", "earliest"])?;
        let there = Follower::new(&tail, &["GUILD_MEMBERS_CHUNK"])?;
        let rest = (tail, machines.far.cache(&[])?, machines.receive()?);
        let near = machines.start("bridge")?;
        machines.fake.until_finished(DEADLINE)?;
        let commands = Commands::open(machines.far.instance())?;
        let world = machines.fake.world()?;
        let guilds = world["guilds"].as_object().into_iter().flatten();
        let mut guilds = guilds.filter_map(|(id, _)| id.parse().ok());
        let guild = guilds.find(|id| shard_of(*id, SHARDS) == 1).unwrap_or_default();
        Ok(Some(Self { machines, near, there, commands, guild, _rest: rest }))
    }

    fn request(&self, nonce: &str) -> RequestMembers {
        RequestMembers {
            guild_id: self.guild,
            // All members are given out once in 30 seconds.
            query: Some("a".to_owned()),
            limit: 1,
            nonce: Some(nonce.to_owned()),
            ..RequestMembers::default()
        }
    }

    /// Asks for as long as nothing was sent.
    fn sent(&self, nonce: &str) -> Result<()> {
        let commands = self.commands.clone().patience(DEADLINE);
        Ok(commands.send_blocking(self.request(nonce))?)
    }

    /// Waits for Discord's answer to come back, and says to which requests it answered so far.
    fn answered(&mut self, nonce: &str) -> Result<Vec<String>> {
        let mut nonces = Vec::new();
        until("the members", DEADLINE, || {
            let _ = self.there.read();
            let chunks = self.there.delivered.iter().filter(|e| e.kind == "GUILD_MEMBERS_CHUNK");
            nonces = chunks.filter_map(|e| Some(e.data["nonce"].as_str()?.to_owned())).collect();
            nonces.iter().any(|answered| answered == nonce)
        })?;
        Ok(nonces)
    }
}

#[test]
fn a_command_reaches_the_gateway_of_another_machine_once_or_says_what_is_known() -> Result<()> {
    let Some(mut scene) = Scene::new()? else { return Ok(()) };
    scene.sent("first")?;
    ensure!(scene.answered("first")? == ["first"]);

    // Nobody to carry it: it is said at once, and nothing comes of it later.
    let refused = |error: &Error| matches!(error, Error::Refused { retry_after: Some(_), .. });
    scene.machines.broker.kill()?;
    until("the bridge to see that the broker is gone", DEADLINE, || {
        let asked = scene.commands.send_blocking(scene.request("no broker"));
        asked.is_err_and(|error| refused(&error))
    })?;
    scene.machines.broker.restart()?;
    scene.sent("broker")?;
    ensure!(scene.answered("broker")? == ["first", "broker"], "{:?}", scene.answered("broker")?);

    // The bridge over there hangs: what it was asked is too old when it goes on.
    scene.near.send.signal(Signal::SIGSTOP)?;
    let asked = scene.commands.send_blocking(scene.request("hung bridge"));
    ensure!(asked.as_ref().is_err_and(&refused), "{asked:?}");
    scene.near.send.signal(Signal::SIGCONT)?;
    scene.sent("bridge")?;
    ensure!(scene.answered("bridge")? == ["first", "broker", "bridge"]);

    // The gateway hangs: it has the command, and nobody knows what becomes of it.
    scene.near.gateway.signal(Signal::SIGSTOP)?;
    let asked = scene.commands.send_blocking(scene.request("hung gateway"));
    ensure!(matches!(asked, Err(Error::Ended | Error::Timeout { .. })), "{asked:?}");
    scene.near.gateway.signal(Signal::SIGCONT)?;
    let answered = scene.answered("hung gateway")?;
    ensure!(answered == ["first", "broker", "bridge", "hung gateway"], "once: {answered:?}");
    Ok(())
}

#[test]
fn a_gateway_that_is_gone_is_offered_by_nobody() -> Result<()> {
    let Some(scene) = Scene::new()? else { return Ok(()) };
    scene.sent("first")?;
    let Scene { machines, near, commands, guild, _rest, .. } = scene;
    near.gateway.terminate(Duration::from_secs(10))?;
    let request =
        RequestMembers { guild_id: guild, query: Some(String::new()), ..RequestMembers::default() };
    until("no gateway to be known", DEADLINE, || {
        matches!(commands.send_blocking(request.clone()), Err(Error::NoGateway { .. }))
    })?;
    let (tail, cache, receive) = _rest;
    let exit = receive.terminate(Duration::from_secs(10))?;
    ensure!(exit.code == Some(0), "{exit:?}");
    let socket = topology::command_socket(machines.far.instance(), 0, SHARDS);
    ensure!(!std::path::Path::new(&socket).exists(), "it is left behind");
    drop((tail, cache));
    Ok(())
}
