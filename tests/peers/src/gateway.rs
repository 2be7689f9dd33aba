//! twilight-gateway, all shards in one thread.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use async_nats::jetstream::{self, context::PublishAckFuture, stream};
use clap::{Args, ValueEnum};
use futures_util::StreamExt;
use tokio::task::JoinSet;
use twilight_gateway::queue::InMemoryQueue;
use twilight_gateway::{ConfigBuilder, Intents, Message, Shard, ShardId};

use crate::handler::{Handler, PROBE, glance};

/// What events are published as.
pub const SUBJECT: &str = "events.all";
/// The stream that keeps them.
pub const STREAM: &str = "EVENTS";
/// Subjects of the stream.
pub const SUBJECTS: &str = "events.>";
const STREAM_BYTES_MAX: i64 = 3 << 30;
/// Published before the first of them is acknowledged.
const UNACKNOWLEDGED_MAX: usize = 1_000;
/// IDENTIFYs: no test has more.
const SESSIONS: u32 = 100_000;

/// A bot's gateway
#[derive(Debug, Args)]
pub struct Options {
    /// Where the websocket is
    #[arg(long)]
    url: String,
    /// Shards, all in this process
    #[arg(long)]
    shards: u16,
    /// What is done with an event
    #[arg(long, value_enum)]
    mode: Mode,
    /// The server to publish to
    #[arg(long, required_if_eq_any([("mode", "core"), ("mode", "stream")]))]
    nats: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Handled unparsed
    Raw,
    /// Parsed and handled
    Typed,
    /// Parsed, cached and handled
    Cache,
    /// The same without messages
    CacheWithoutMessages,
    /// Published to NATS, which may drop
    Core,
    /// Published to JetStream, which acknowledges
    Stream,
}

/// Where events go.
enum Output {
    Glance,
    Handler(Box<Handler>),
    Core(async_nats::Client),
    Stream(jetstream::Context),
}

/// Runs until the source ends.
///
/// # Errors
/// The server cannot be reached, or does not take what is published.
pub async fn run(options: Options) -> Result<()> {
    PROBE.answer()?;
    let shards = options.shards;
    let queue = InMemoryQueue::new(shards, SESSIONS, Duration::from_secs(86_400), SESSIONS);
    let config = ConfigBuilder::new("Bot bench".to_owned(), Intents::all())
        .proxy_url(options.url)
        .queue(queue)
        .build();
    let output = Rc::new(Output::open(options.mode, options.nats).await?);
    let mut tasks = JoinSet::new();
    for number in 0..shards {
        let id = ShardId::new(u32::from(number), u32::from(shards));
        let shard = Shard::with_config(id, config.clone());
        tasks.spawn_local(read(shard, Rc::clone(&output)));
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

async fn read(mut shard: Shard<InMemoryQueue>, output: Rc<Output>) -> Result<()> {
    let mut unacknowledged = VecDeque::new();
    while let Some(message) = shard.next().await {
        match message {
            Ok(Message::Text(text)) => output.take(text, &mut unacknowledged).await?,
            Ok(Message::Close(frame)) => eprintln!("closed: {frame:?}"),
            // It connects again by itself.
            Err(error) => eprintln!("{error}"),
        }
    }
    Ok(())
}

impl Output {
    async fn open(mode: Mode, server: Option<String>) -> Result<Self> {
        let client = async || {
            let server = server.ok_or_else(|| anyhow!("no server to publish to"))?;
            anyhow::Ok(async_nats::connect(server).await?)
        };
        Ok(match mode {
            Mode::Raw => Self::Glance,
            Mode::Typed => Self::Handler(Box::new(Handler::typed())),
            Mode::Cache => Self::Handler(Box::new(Handler::caching(true))),
            Mode::CacheWithoutMessages => Self::Handler(Box::new(Handler::caching(false))),
            Mode::Core => Self::Core(client().await?),
            Mode::Stream => {
                let context = jetstream::new(client().await?);
                let config = stream::Config {
                    name: STREAM.to_owned(),
                    subjects: vec![SUBJECTS.to_owned()],
                    storage: stream::StorageType::Memory,
                    retention: stream::RetentionPolicy::WorkQueue,
                    max_bytes: STREAM_BYTES_MAX,
                    ..stream::Config::default()
                };
                context.create_stream(config).await?;
                println!("stream ready");
                Self::Stream(context)
            }
        })
    }

    async fn take(
        &self,
        text: String,
        unacknowledged: &mut VecDeque<PublishAckFuture>,
    ) -> Result<()> {
        match self {
            Self::Glance => glance(&text),
            Self::Handler(handler) => handler.take(text),
            Self::Core(client) => client.publish(SUBJECT, text.into()).await?,
            Self::Stream(context) => {
                unacknowledged.push_back(context.publish(SUBJECT, text.into()).await?);
                if unacknowledged.len() > UNACKNOWLEDGED_MAX
                    && let Some(oldest) = unacknowledged.pop_front()
                {
                    oldest.await?;
                }
            }
        }
        Ok(())
    }
}
