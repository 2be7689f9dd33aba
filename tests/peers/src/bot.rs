//! A bot behind NATS: parses what its gateway published, and may cache.

use anyhow::Result;
use async_nats::ConnectOptions;
use async_nats::jetstream;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use clap::{Args, ValueEnum};
use futures_util::{StreamExt, TryStreamExt};

use crate::gateway::{STREAM, SUBJECTS};
use crate::handler::{Handler, PROBE};

const GROUP: &str = "bots";
/// Core NATS drops what does not fit: enough for a whole flood.
const BACKLOG: usize = 2_000_000;
const UNACKNOWLEDGED_MAX: i64 = 10_000;
const BATCH: usize = 500;

/// The bot behind a server
#[derive(Debug, Args)]
pub struct Options {
    /// The server
    #[arg(long)]
    nats: String,
    /// Which of its services
    #[arg(long, value_enum)]
    mode: Mode,
    /// Keeps what it is told
    #[arg(long)]
    cache: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    /// NATS, which may drop
    Core,
    /// JetStream, each message acknowledged
    Stream,
}

/// Says `subscribed` once nothing is missed any more; runs until the source ends.
///
/// # Errors
/// The server cannot be reached.
pub async fn run(options: Options) -> Result<()> {
    PROBE.answer()?;
    let handler = if options.cache { Handler::caching(true) } else { Handler::typed() };
    let take = |payload: &[u8]| match String::from_utf8(payload.to_vec()) {
        Ok(text) => handler.take(text),
        Err(error) => PROBE.error(&error),
    };
    let client = ConnectOptions::new().subscription_capacity(BACKLOG).connect(options.nats).await?;
    match options.mode {
        Mode::Core => {
            let mut messages = client.queue_subscribe(SUBJECTS, GROUP.to_owned()).await?;
            client.flush().await?;
            println!("subscribed");
            while let Some(message) = messages.next().await {
                take(&message.payload);
            }
        }
        Mode::Stream => {
            let stream = jetstream::new(client).get_stream(STREAM).await?;
            let config = pull::Config {
                durable_name: Some(GROUP.to_owned()),
                ack_policy: AckPolicy::Explicit,
                max_ack_pending: UNACKNOWLEDGED_MAX,
                ..pull::Config::default()
            };
            let consumer = stream.create_consumer(config).await?;
            println!("subscribed");
            let mut messages = consumer.stream().max_messages_per_batch(BATCH).messages().await?;
            while let Some(message) = messages.try_next().await? {
                take(&message.payload);
                message.ack().await.map_err(anyhow::Error::from_boxed)?;
            }
        }
    }
    Ok(())
}
