//! A stage that puts a spam score beside each message. Consumers need no change: started with `MIXCORD_SOURCE=spam`
//! they read what it publishes, with `spam_score` among the message's fields. What is certainly spam does not reach
//! them; a `SPAM_BLOCKED` of the stage's own says so instead.
//!
//! ```sh
//! cargo run -p mixcord --example spam
//! MIXCORD_SOURCE=spam cargo run -p mixcord --example modlog
//! ```
use mixcord::event::{Document, DocumentError, Value};
use mixcord::stage::{Added, Emit};
use mixcord::{Event, Kind, atoms};

const BLOCKED: f64 = 0.9;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let _log = mixcord::log::init();
    let stage = mixcord::stage("spam")
        .kinds([Kind::MESSAGE_CREATE, Kind::MESSAGE_UPDATE])
        .stop_on_signals();
    mixcord::exit(stage.run(score).await)
}

pub(crate) async fn score(event: Event) -> Result<Emit, DocumentError> {
    let content = event.data().get(atoms::CONTENT).and_then(Value::as_str).unwrap_or_default();
    let score = spam(content);
    if score < BLOCKED {
        return Emit::with(&event, &[("spam_score", score.into())]);
    }
    let mut blocked = Vec::new();
    let mut data = mixcord::event::Writer::new(&mut blocked).map();
    for key in [atoms::ID, atoms::CHANNEL_ID, atoms::GUILD_ID] {
        data.entry(key, event.data().get(key).unwrap_or(Value::Null));
    }
    data.named("spam_score", score);
    data.end();
    Ok(Emit::nothing().and(Added::named("SPAM_BLOCKED", Document::from_bytes(blocked)?)))
}

/// From 0 to 1, as some model would say it.
fn spam(content: &str) -> f64 {
    let words = ["free", "nitro", "giveaway", "http"];
    let found = words.iter().filter(|word| content.to_lowercase().contains(**word)).count();
    found as f64 / words.len() as f64
}
