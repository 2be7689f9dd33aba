//! serenity, with one changed address.

use std::env::var;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use serenity::all::{Cache, ClientBuilder, Context, Event, GatewayIntents, HttpBuilder};
use serenity::async_trait;
use serenity::prelude::RawEventHandler;

struct Bot;

#[async_trait]
impl RawEventHandler for Bot {
    /// Events come here in no order: each is handled on a task of its own.
    async fn raw_event(&self, _: Context, event: Event) {
        let id = match &event {
            Event::MessageCreate(created) => Some(created.message.id.get()),
            _ => None,
        };
        println!("{}", json!({ "t": event.name().unwrap_or_default(), "id": id }));
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (proxy, token) = (var("PROXY")?, var("TOKEN")?);
    let http = HttpBuilder::new(&token).proxy(format!("http://{proxy}")).ratelimiter_disabled(true);
    let intents = GatewayIntents::from_bits_truncate(53_608_447);
    let client = ClientBuilder::new_with_http(http.build(), intents).raw_event_handler(Bot);
    let mut client = client.await?;
    tokio::spawn(report(Arc::clone(&client.cache)));
    client.start().await?;
    Ok(())
}

async fn report(cache: Arc<Cache>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (mut guilds, mut members, mut channels) = (0, 0, 0);
        for guild in cache.guilds().into_iter().filter_map(|id| cache.guild(id)) {
            guilds += usize::from(!guild.unavailable);
            members += guild.members.len();
            channels += guild.channels.len();
        }
        println!("{}", json!({ "guilds": guilds, "members": members, "channels": channels }));
    }
}
