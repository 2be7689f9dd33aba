//! Slash commands and commands in messages, answered through twilight-http.
//!
//! Discord takes the first answer to an interaction for three seconds: what is older is dropped before it comes
//! here (`max_age`), and what takes long is deferred at once and answered later.
//!
//! ```text
//! DISCORD_TOKEN=… cargo run --example commands [-- http://127.0.0.1:8080]
//! ```

use std::sync::Arc;
use std::time::Duration;

use mixcord::event::twilight::twilight_model::application::interaction::{
    Interaction, InteractionType,
};
use mixcord::event::twilight::twilight_model::channel::Message;
use mixcord::event::twilight::twilight_model::http::interaction::{
    InteractionResponse, InteractionResponseData, InteractionResponseType,
};
use mixcord::{Consumer, Event, Kind, Options, Router, Shared, State};
use twilight_http::Client;

/// What all handlers share.
pub(crate) struct App {
    http: Client,
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let _log = mixcord::log::init();
    mixcord::exit(run().await)
}

async fn run() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let token = std::env::var("DISCORD_TOKEN").map_err(|_| "DISCORD_TOKEN is not set")?;
    let app = App { http: client(token, std::env::args().nth(1)) };
    let consumer = Consumer::builder()
        .group("commands")
        // An answer to a message of a minute ago helps nobody.
        .max_age(Kind::MESSAGE_CREATE, Duration::from_secs(60))
        .handler_timeout(Duration::from_secs(20))
        .stop_on_signals();
    Ok(consumer.route(router(app)).await?)
}

/// A client for Discord, or for a server in its place.
pub(crate) fn client(token: String, server: Option<String>) -> Client {
    let client = Client::builder().token(token);
    match server {
        Some(server) => client.proxy(server.replace("http://", ""), true).ratelimiter(None).build(),
        None => client.build(),
    }
}

pub(crate) fn router(app: App) -> Router<Arc<App>> {
    Router::with(Arc::new(app))
        .on_interaction("ping", ping)
        .on_interaction("members", members)
        .on(Kind::MESSAGE_CREATE, message)
        // Without it, a command that nobody handles would be given to nobody, and its user would wait.
        .on(Kind::INTERACTION_CREATE, unknown)
}

type Answered = Result<(), twilight_http::Error>;

async fn ping(interaction: Interaction, app: Shared<Arc<App>>) -> Answered {
    let said = message_of("pong");
    respond(&app, &interaction, InteractionResponseType::ChannelMessageWithSource, Some(said)).await
}

#[derive(serde::Deserialize)]
pub(crate) struct Members {
    /// Only those whose name begins so.
    prefix: Option<String>,
}

/// Defers, counts, and answers with what it counted.
async fn members(
    interaction: Interaction,
    Options(wanted): Options<Members>,
    event: Event,
    state: State,
    app: Shared<Arc<App>>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let later = InteractionResponseType::DeferredChannelMessageWithSource;
    respond(&app, &interaction, later, None).await?;
    // Deferred is answered: nobody wants that twice. What fails from here on is only logged.
    event.ack();
    let text = match event.guild_id() {
        Some(guild) => format!("{} members", count(&state, guild, wanted.prefix.as_deref())?),
        None => "no guild, no members".to_owned(),
    };
    let client = app.http.interaction(interaction.application_id);
    client.update_response(&interaction.token).content(Some(&text)).await?;
    Ok(())
}

fn count(state: &State, guild: u64, prefix: Option<&str>) -> Result<usize, mixcord::state::Error> {
    let mut count = 0;
    for member in state.members(guild) {
        let member = member?.document;
        let user = member.get(mixcord::atoms::USER);
        let name = user.and_then(|user| user.get(mixcord::atoms::USERNAME)?.as_str()).unwrap_or("");
        count += usize::from(name.starts_with(prefix.unwrap_or_default()));
    }
    Ok(count)
}

async fn unknown(interaction: Interaction, app: Shared<Arc<App>>) -> Answered {
    let (kind, said) = match interaction.kind {
        // Of suggestions Discord takes a list, if an empty one, and no message.
        InteractionType::ApplicationCommandAutocomplete => {
            let none = InteractionResponseData { choices: Some(Vec::new()), ..Default::default() };
            (InteractionResponseType::ApplicationCommandAutocompleteResult, none)
        }
        _ => {
            let said = message_of("I do not know that command");
            (InteractionResponseType::ChannelMessageWithSource, said)
        }
    };
    respond(&app, &interaction, kind, Some(said)).await
}

/// "!ping" in a message: shows that somebody types, then answers.
async fn message(message: Message, app: Shared<Arc<App>>) -> Answered {
    if message.content != "!ping" {
        return Ok(());
    }
    app.http.create_typing_trigger(message.channel_id).await?;
    let answer = app.http.create_message(message.channel_id).reply(message.id);
    answer.content("pong").await.map(drop)
}

async fn respond(
    app: &App,
    interaction: &Interaction,
    kind: InteractionResponseType,
    data: Option<InteractionResponseData>,
) -> Answered {
    let response = InteractionResponse { kind, data };
    let client = app.http.interaction(interaction.application_id);
    client.create_response(interaction.id, &interaction.token, &response).await.map(drop)
}

fn message_of(text: &str) -> InteractionResponseData {
    InteractionResponseData { content: Some(text.to_owned()), ..InteractionResponseData::default() }
}
