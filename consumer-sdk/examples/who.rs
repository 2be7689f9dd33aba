//! Answers "!who" with what the cache knows of the guild and of whoever asks, and with what he may do here.
//!
//! The state is read in this process: nobody is asked, and nothing is remembered here.
use mixcord::state::{Get, Permissions};
use mixcord::{Consumer, Event, Kind, Router, State, atoms, state};

/// What is wanted of a message; everything else in it is passed over.
#[derive(serde::Deserialize)]
struct Message {
    content: String,
    channel_id: u64,
    author: Author,
}

#[derive(serde::Deserialize)]
struct Author {
    id: u64,
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let _log = mixcord::log::init();
    let consumer = Consumer::builder().group("who").stop_on_signals();
    mixcord::exit(consumer.route(router()).await)
}

pub(crate) fn router() -> Router {
    Router::new().on(Kind::MESSAGE_CREATE, answer)
}

async fn answer(message: Message, event: Event, state: State) -> Result<(), state::Error> {
    let (Some(guild), "!who") = (event.guild_id(), &*message.content) else { return Ok(()) };
    for line in describe(&state, guild, &message)? {
        println!("{line}");
    }
    Ok(())
}

fn describe(state: &State, guild: u64, message: &Message) -> Result<Vec<String>, state::Error> {
    let user = message.author.id;
    let mut lines = Vec::new();
    let [found, member, voice] = state.get_many([
        Get::Guild(guild),
        Get::Member(guild, user),
        Get::VoiceState(guild, user),
    ])?;
    if let Some(found) = found {
        let name = found.get(atoms::NAME).and_then(|name| name.as_str()).unwrap_or_default();
        let (channels, roles) = (state.channels(guild).count(), state.roles(guild).count());
        lines.push(format!("this is {name}: {channels} channels, {roles} roles"));
    }
    if let Some(member) = member {
        let nick = member.get(atoms::NICK).and_then(|nick| nick.as_str());
        let channel = voice.and_then(|voice| voice.get(atoms::CHANNEL_ID)?.as_id());
        lines.push(format!("you are {nick:?}, in the voice channel {channel:?}"));
    }
    if let Some(held) = state.permissions(guild, message.channel_id, user)? {
        let moderator = held.intersects(Permissions::KICK_MEMBERS | Permissions::BAN_MEMBERS);
        lines.push(format!("you may: {held}{}", if moderator { " (a moderator)" } else { "" }));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_tells_the_guild_the_person_and_the_permissions() {
        let bed = mixcord::testing::Testbed::new();
        bed.guild(
            r#"{"id":"9","name":"garden","owner_id":"1","roles":[{"id":"9","permissions":"3074"}],
                "channels":[{"id":"7","type":0,"permission_overwrites":[]}],
                "members":[{"user":{"id":"5","username":"ada"},"nick":"countess","roles":[]}]}"#,
        );
        let message =
            Message { content: "!who".to_owned(), channel_id: 7, author: Author { id: 5 } };
        let lines = describe(&bed.state(), 9, &message).expect("a state");
        let wanted = [
            "this is garden: 1 channels, 1 roles",
            "you are Some(\"countess\"), in the voice channel None",
            "you may: KICK_MEMBERS | VIEW_CHANNEL | SEND_MESSAGES (a moderator)",
        ];
        assert_eq!(lines, wanted);
    }
}
