//! Voice across the cut: the bot stays in the channels that the old sessions joined.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use mixcord::{State, atoms};
use mixcord_e2e::{Told, until};

use crate::rig::{DEADLINE, Plan, Rig, STEADY};

/// A guild, and a voice channel of it.
type Place = (u64, u64);

/// Nobody else moves in voice, and no channel goes.
fn quiet() -> String {
    STEADY.replace("voice=60", "voice=0").replace("channel-delete=5", "channel-delete=0")
}

/// The bot joins a voice channel of every guild that has one.
fn join(rig: &Rig) -> Result<Vec<Place>> {
    let world = rig.fake.world()?;
    let guilds = world["guilds"].as_object().context("guilds")?;
    let mut places = Vec::new();
    for (guild, about) in guilds {
        let channels = about["channels"].as_object().context("channels")?;
        let Some(voice) = channels.values().find(|channel| channel["type"] == 2) else { continue };
        let channel = voice["id"].as_str().context("an id")?;
        let mut command = rig.stack.mixcord();
        command.args(["send", "voice", "--instance", rig.stack.instance()]);
        let output = command.args(["--guild", guild, "--channel", channel, "--deaf"]).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        places.push((guild.parse()?, channel.parse()?));
    }
    ensure!(places.len() > 3, "{} guilds with voice channels", places.len());
    Ok(places)
}

/// By which session the bot is in voice there, deaf as it was, as the cache's state says.
fn session_at(state: &State, (guild, channel): Place) -> Option<String> {
    let me = state.me().ok()??.get(atoms::ID)?.as_id()?;
    let voice = state.voice_state(guild, me).ok()??;
    let is_deaf = voice.get(atoms::SELF_DEAF)?.as_bool()?;
    let there = is_deaf && voice.get(atoms::CHANNEL_ID)?.as_id() == Some(channel);
    there.then(|| voice.get(atoms::SESSION_ID)?.as_str().map(str::to_owned)).flatten()
}

/// The bot was in voice throughout, and ends in the same channels by the sessions of this count.
fn stays(rig: Rig, places: &[Place], shards: u16) -> Result<()> {
    let sent = rig.fake.dispatched()?;
    let sessions: BTreeSet<&str> = sent
        .iter()
        .filter(|sent| sent.shards == shards)
        .map(|sent| sent.session_id.as_str())
        .collect();
    let state = State::attach(rig.stack.instance())?;
    for place in places {
        let by = session_at(&state, *place).with_context(|| format!("not in voice: {place:?}"))?;
        ensure!(sessions.contains(by.as_str()), "{place:?} by {by}, not of {sessions:?}");
    }
    // It joined, and joined by the new session: it never left.
    let told = rig.fake.happened()?.iter().filter(|it| it.kind == "VOICE_STATE_UPDATE").count();
    ensure!(told == 2 * places.len(), "{told} voice states of {} guilds", places.len());
    rig.finish(Told::Both)
}

fn joined(rig: &Rig, places: &[Place]) -> Result<()> {
    let state = State::attach(rig.stack.instance())?;
    until("the bot to be in voice", DEADLINE, || {
        places.iter().all(|place| session_at(&state, *place).is_some())
    })
}

#[test]
fn the_bot_stays_in_voice() -> Result<()> {
    let mix = quiet();
    let rig = Rig::start(&Plan { mix: &mix, ..Plan::default() })?;
    let places = join(&rig)?;
    joined(&rig, &places)?;
    let command = rig.ask(&["--to", "3"])?;
    rig.done(command, 3)?;
    stays(rig, &places, 3)
}

/// The old sessions wait for another process's.
#[test]
fn the_bot_stays_in_voice_by_another_process() -> Result<()> {
    let mix = quiet();
    let gateways = ["0..0/2", "1..1/2"];
    let mut rig = Rig::start(&Plan { mix: &mix, gateways: &gateways, ..Plan::default() })?;
    let places = join(&rig)?;
    joined(&rig, &places)?;
    let command = rig.ask(&["--to", "3"])?;
    let _beside = rig.done_beside(command, 3)?;
    stays(rig, &places, 3)
}
