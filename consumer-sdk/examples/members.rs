//! Asks for all members of a guild, and takes them as they come.
//!
//! ```text
//! cargo run --example members -- GUILD_ID
//! ```

use std::time::Duration;

use mixcord::commands::RequestMembers;
use mixcord::{Consumer, Kind};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::process::ExitCode {
    let _log = mixcord::log::init();
    mixcord::exit(run().await)
}

async fn run() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let guild_id = std::env::args().nth(1).ok_or("which guild? give its id")?.parse()?;

    // First the group, then the question: the answer comes as events.
    let mut consumer = Consumer::builder()
        .group("members-example")
        .ephemeral()
        .kinds([Kind::GUILD_MEMBERS_CHUNK, Kind::RATE_LIMITED])
        .stop_on_signals()
        .connect()
        .await?;
    let all = RequestMembers {
        guild_id,
        query: Some(String::new()),
        nonce: Some("example".to_owned()),
        ..RequestMembers::default()
    };
    consumer.commands().patience(Duration::from_secs(30)).send(all).await?;

    let mut members = 0;
    while let Some(event) = consumer.next().await? {
        event.ack();
        if event.kind() == Kind::RATE_LIMITED {
            return Err(format!("asked too often: {}", event.data().to_json()).into());
        }
        let chunk: Chunk<'_> = event.data_as()?;
        if chunk.nonce != Some("example") {
            continue;
        }
        members += chunk.members.len();
        println!("{members} members so far");
        if chunk.chunk_index + 1 == chunk.chunk_count {
            break;
        }
    }
    Ok(())
}

/// What is wanted of a GUILD_MEMBERS_CHUNK; the rest is passed over.
#[derive(serde::Deserialize)]
struct Chunk<'a> {
    members: Vec<serde::de::IgnoredAny>,
    nonce: Option<&'a str>,
    chunk_index: u32,
    chunk_count: u32,
}
