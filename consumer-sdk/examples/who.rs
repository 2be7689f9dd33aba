//! Answers "!who" with what the cache knows of the guild and of whoever asks.
//!
//! The state is read in this process: nobody is asked, and nothing is remembered here.
use mixcord::{Consumer, Event, Kind, atoms, state};

/// What is wanted of a member; everything else in it is passed over.
#[derive(serde::Deserialize)]
struct Member<'a> {
    nick: Option<&'a str>,
    roles: Vec<u64>,
}

#[tokio::main]
async fn main() -> Result<(), mixcord::Error> {
    let _log = mixcord::log::init();
    let consumer = Consumer::builder()
        .group("who")
        .kinds([Kind::MESSAGE_CREATE])
        .stop_on_signals()
        .connect()
        .await?;
    consumer.run(answer).await
}

async fn answer(event: Event) -> Result<(), state::Error> {
    let text = |key| event.data().get(key).and_then(|text| text.as_str());
    let author = event.data().get(atoms::AUTHOR).and_then(|author| author.get(atoms::ID)?.as_id());
    let (Some("!who"), Some(guild), Some(author)) =
        (text(atoms::CONTENT), event.guild_id(), author)
    else {
        return Ok(());
    };
    let state = event.state();
    if let Some(found) = state.guild(guild)? {
        let name = found.get(atoms::NAME).and_then(|name| name.as_str()).unwrap_or_default();
        let (channels, roles) = (state.channels(guild).count(), state.roles(guild).count());
        println!("this is {name}: {channels} channels, {roles} roles");
    }
    // An error of `read` would be that of our own type: such a member is passed over.
    let member = state.member(guild, author)?;
    if let Some(Ok(Member { nick, roles })) = member.as_ref().map(|member| member.read()) {
        let voice = state.voice_state(guild, author)?;
        let channel = voice.and_then(|voice| voice.get(atoms::CHANNEL_ID)?.as_id());
        println!("you are {nick:?} with {} roles, in the voice channel {channel:?}", roles.len());
    }
    Ok(())
}
