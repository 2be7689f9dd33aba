//! Commands of a consumer, through the SDK and the gateway process that runs the shard, to Discord;
//! and Discord's answers, through cache and group, back.

use std::time::Duration;

use anyhow::{Context, Result};
use mixcord::commands::{
    Activity, Commands, Error, PresenceUpdate, RequestChannelInfo, RequestMembers, RequestSounds,
    VoiceState,
};
use mixcord::event::command::shard_of;
use mixcord::{Consumer, Event, Kind};
use mixcord_e2e::{Fake, FakeOptions, Program, Stack, until};
use nix::sys::signal::Signal;
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(60);
const SHARDS: u16 = 2;

/// Two gateway processes, a shard each; a cache; a group.
struct Scene {
    stack: Stack,
    fake: Fake,
    gateways: Vec<Program>,
    _cache: Program,
    consumer: Consumer,
    commands: Commands,
    /// A guild of each shard, and a channel of it.
    guilds: Vec<(u64, u64)>,
}

impl Scene {
    fn new(encoding: &str) -> Result<Self> {
        let stack = Stack::new()?;
        let more = ["--max-concurrency", "16"].map(str::to_owned).to_vec();
        let options =
            FakeOptions { shards: SHARDS, guilds: 4, events: 0, more, ..FakeOptions::default() };
        let fake = Fake::start(stack.folder(), &options)?;
        let cache = stack.cache(&[])?;
        let mut gateways = Vec::new();
        for shard in 0..SHARDS {
            gateways.push(Self::gateway(&stack, &fake, shard, encoding)?);
        }
        let consumer = Consumer::builder()
            .instance(stack.instance())
            .group("asker")
            .from_earliest()
            .wait(DEADLINE)
            .connect_blocking()?;
        let commands = consumer.commands().patience(DEADLINE);
        fake.until_finished(DEADLINE)?;
        let world = fake.world()?;
        let all = world["guilds"].as_object().context("guilds")?;
        let guild_of = |shard: u16| {
            all.iter().find_map(|(id, guild)| {
                let id = id.parse().ok().filter(|id| shard_of(*id, SHARDS) == shard)?;
                let channels = guild["channels"].as_object()?;
                let voice = channels.values().find(|channel| channel["type"] == 2)?;
                Some((id, voice["id"].as_str()?.parse().ok()?))
            })
        };
        let guilds = (0..SHARDS)
            .map(|shard| guild_of(shard).with_context(|| format!("no guild on shard {shard}")))
            .collect::<Result<_>>()?;
        Ok(Self { stack, fake, gateways, _cache: cache, consumer, commands, guilds })
    }

    fn gateway(stack: &Stack, fake: &Fake, shard: u16, encoding: &str) -> Result<Program> {
        let shards = format!("{shard}..{shard}/{SHARDS}");
        stack.gateway(fake, &shards, &["--encoding", encoding])
    }

    /// The next event that is like this.
    fn wait_for(&mut self, what: &str, like: impl Fn(&Event, &Value) -> bool) -> Result<Value> {
        let end = std::time::Instant::now() + DEADLINE;
        loop {
            let left = end.saturating_duration_since(std::time::Instant::now());
            let next = self.consumer.next_timeout(left)?.event();
            let event = next.with_context(|| format!("no {what}"))?;
            let data: Value = serde_json::from_str(&event.data().to_json())?;
            event.ack();
            if like(&event, &data) {
                return Ok(data);
            }
        }
    }
}

fn members(guild_id: u64, nonce: &str) -> RequestMembers {
    RequestMembers {
        guild_id,
        query: Some(String::new()),
        nonce: Some(nonce.to_owned()),
        ..RequestMembers::default()
    }
}

/// Every command of the SDK, and what Discord makes of it.
fn commands_and_answers(encoding: &str) -> Result<()> {
    let mut scene = Scene::new(encoding)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for shard in 0..SHARDS {
        let (guild, channel) = scene.guilds[usize::from(shard)];
        let text = guild.to_string();

        // op 8, from an async program and from one that is not.
        let nonce = format!("n{shard}");
        match shard {
            0 => runtime.block_on(scene.commands.send(members(guild, &nonce)))?,
            _ => scene.commands.send_blocking(members(guild, &nonce))?,
        }
        let chunk = scene.wait_for("members", |event, data| {
            event.kind() == Kind::GUILD_MEMBERS_CHUNK && data["nonce"] == nonce.as_str()
        })?;
        assert_eq!(chunk["guild_id"], text.as_str());
        assert!(chunk["members"].as_array().is_some_and(|members| !members.is_empty()));

        // op 31, 43 and 4.
        scene.commands.send_blocking(RequestSounds { guild_ids: vec![guild] })?;
        scene.wait_for("sounds", |event, data| {
            event.kind() == Kind::SOUNDBOARD_SOUNDS && data["guild_id"] == text.as_str()
        })?;
        let fields = vec!["status".to_owned(), "voice_start_time".to_owned()];
        scene.commands.send_blocking(RequestChannelInfo { guild_id: guild, fields })?;
        scene.wait_for("channel info", |event, data| {
            event.kind() == Kind::CHANNEL_INFO && data["guild_id"] == text.as_str()
        })?;
        scene.commands.send_blocking(VoiceState {
            guild_id: guild,
            channel_id: Some(channel),
            self_mute: true,
            self_deaf: false,
        })?;
        let joined = scene.wait_for("a voice state", |event, data| {
            event.kind() == Kind::VOICE_STATE_UPDATE
                && data["channel_id"] == channel.to_string().as_str()
                && data["self_mute"] == true
        })?;
        assert_eq!(joined["guild_id"], text.as_str());

        // G-32: all members of a guild once in 30 s.
        scene.commands.send_blocking(members(guild, "again"))?;
        scene.wait_for("RATE_LIMITED", |event, data| {
            event.kind() == Kind::RATE_LIMITED && data["meta"]["guild_id"] == text.as_str()
        })?;
    }

    // Sounds of guilds of both shards in one request; a presence to both.
    let guild_ids = scene.guilds.iter().map(|(guild, _)| *guild).collect();
    scene.commands.send_blocking(RequestSounds { guild_ids })?;
    let playing = Activity { name: "with commands".into(), kind: 0, state: None, url: None };
    let presence = PresenceUpdate {
        since: None,
        activities: vec![playing],
        status: "idle".into(),
        afk: false,
    };
    for _ in 0..5 {
        scene.commands.send_blocking(presence.clone())?;
    }
    // G-29: that was the fifth on every shard.
    let impatient = scene.commands.clone().patience(Duration::ZERO);
    assert!(matches!(impatient.send_to_blocking(1, presence), Err(Error::RateLimited { .. })));

    // What Discord would close the connection for never leaves (G-30, G-31).
    let (guild, _) = scene.guilds[0];
    for wrong in [
        RequestMembers { user_ids: vec![1; 101], ..members(guild, "x") },
        RequestMembers { nonce: Some("n".repeat(33)), ..members(guild, "x") },
        RequestMembers { query: Some("q".repeat(5_000)), ..members(guild, "x") },
    ] {
        assert!(matches!(scene.commands.send_blocking(wrong), Err(Error::Invalid(_))));
    }
    let connects = scene.fake.log()?.iter().filter(|line| line["what"] == "connect").count();
    assert_eq!(connects, usize::from(SHARDS), "no connection was closed over a command");
    Ok(())
}

#[test]
fn commands_and_answers_in_etf() -> Result<()> {
    commands_and_answers("etf")
}

#[test]
fn commands_and_answers_in_json() -> Result<()> {
    commands_and_answers("json")
}

/// What an operator sends by hand.
#[test]
fn mixcord_send() -> Result<()> {
    let mut scene = Scene::new("etf")?;
    let (guild, channel) = scene.guilds[1];
    let (guild_text, channel_text) = (guild.to_string(), channel.to_string());
    let send = |arguments: &[&str]| -> Result<i32> {
        let mut command = std::process::Command::new(Program::path("mixcord"));
        command.arg("send").args(arguments).args(["--instance", scene.stack.instance()]);
        let exit = Program::start("send", scene.stack.folder(), &mut command)?.wait(DEADLINE)?;
        exit.code.with_context(|| exit.stderr)
    };
    assert_eq!(send(&["members", "--guild", &guild_text, "--nonce", "by-hand"])?, 0);
    assert_eq!(send(&["sounds", "--guild", &guild_text])?, 0);
    assert_eq!(send(&["channel-info", "--guild", &guild_text])?, 0);
    assert_eq!(send(&["voice", "--guild", &guild_text, "--channel", &channel_text])?, 0);
    assert_eq!(send(&["presence", "dnd", "--activity", "chess", "--shard", "1"])?, 0);
    assert_eq!(send(&["presence", "dnd", "--shard", "9"])?, 1);
    scene.wait_for("members", |event, data| {
        event.kind() == Kind::GUILD_MEMBERS_CHUNK && data["nonce"] == "by-hand"
    })?;
    scene.wait_for("the voice state", |event, data| {
        event.kind() == Kind::VOICE_STATE_UPDATE && data["channel_id"] == channel_text.as_str()
    })?;
    Ok(())
}

/// A process that was killed is nobody; one that comes back is found.
#[test]
fn a_gateway_that_is_killed_and_comes_back() -> Result<()> {
    let mut scene = Scene::new("etf")?;
    let (guild, _) = scene.guilds[1];
    let killed = scene.gateways.pop().context("the second gateway")?;
    killed.signal(Signal::SIGKILL)?;
    killed.kill()?;
    let impatient = scene.commands.clone().patience(Duration::ZERO);
    let error = impatient.send_blocking(members(guild, "dead")).expect_err("nobody is there");
    assert!(matches!(error, Error::NoGateway { shard: Some(1), .. }), "{error}");
    impatient.send_blocking(members(scene.guilds[0].0, "alive"))?;

    scene.gateways.push(Scene::gateway(&scene.stack, &scene.fake, 1, "etf")?);
    scene.commands.send_blocking(members(guild, "back"))?;
    scene.wait_for("members", |event, data| {
        event.kind() == Kind::GUILD_MEMBERS_CHUNK && data["nonce"] == "back"
    })?;
    until("the end of the other sockets", DEADLINE, || {
        scene
            .stack
            .segments()
            .iter()
            .filter(|path| path.to_string_lossy().contains(".cmd-"))
            .count()
            == 2
    })
}
