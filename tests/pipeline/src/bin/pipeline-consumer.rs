//! A bot that reads three fields of every event.

use std::process::ExitCode;
use std::sync::LazyLock;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use mixcord::{Consumer, Event, Kind, Value, atoms};
use mixcord_pipeline::probe::Probe;

/// How events are taken.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Take {
    /// The async handler of the README
    Run,
    /// A handler on threads
    RunBlocking,
    /// A loop that acknowledges
    Next,
}

/// A consumer for benchmarks: counts what it is given
#[derive(Debug, Parser)]
struct Options {
    /// The instance
    #[arg(long)]
    instance: String,
    /// Its group
    #[arg(long)]
    group: String,
    /// How events are taken
    #[arg(long, value_enum)]
    take: Take,
    /// Events out at once
    #[arg(long)]
    concurrency: Option<usize>,
}

static PROBE: LazyLock<Probe> = LazyLock::new(Probe::default);

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pipeline-consumer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Says `joined` once its group has a member, and answers from then on.
fn run(options: &Options) -> Result<()> {
    PROBE.answer()?;
    let builder = Consumer::builder()
        .instance(&options.instance)
        .group(&options.group)
        .from_earliest()
        .stop_on_signals();
    let builder = match options.concurrency {
        Some(concurrency) => builder.concurrency(concurrency),
        None => builder,
    };
    match options.take {
        Take::Next => {
            let mut consumer = builder.connect_blocking()?;
            println!("joined");
            while let Some(event) = consumer.next_blocking()? {
                handle(&event);
                event.ack();
            }
        }
        Take::RunBlocking => {
            let consumer = builder.connect_blocking()?;
            println!("joined");
            consumer.run_blocking(|event| handle(&event))?;
        }
        Take::Run => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(async {
                let consumer = builder.connect().await?;
                println!("joined");
                consumer.run(|event: Event| async move { handle(&event) }).await
            })?;
        }
    }
    Ok(())
}

fn handle(event: &Event) {
    PROBE.arrived();
    let data = event.data();
    let number = |key| data.get(key).and_then(|value: Value<'_>| value.as_u64()).unwrap_or(0);
    let text = |key| data.get(key).and_then(|value: Value<'_>| value.as_str()).unwrap_or_default();
    let id_in = |key| {
        let inner: Option<Value<'_>> = data.get(key);
        inner.and_then(|inner| inner.get(atoms::ID)?.as_u64()).unwrap_or(0)
    };
    match event.kind() {
        Kind::GUILD_CREATE => PROBE.guild(),
        Kind::MESSAGE_CREATE => {
            let content = text(atoms::CONTENT);
            let sum = number(atoms::ID) ^ id_in(atoms::AUTHOR) ^ content.len() as u64;
            PROBE.event(sum, Some(content));
        }
        Kind::MESSAGE_UPDATE => {
            let length = text(atoms::CONTENT).len() as u64;
            PROBE.event(number(atoms::ID) ^ id_in(atoms::AUTHOR) ^ length, None);
        }
        Kind::PRESENCE_UPDATE => {
            let length = text(atoms::STATUS).len() as u64;
            PROBE.event(number(atoms::GUILD_ID) ^ id_in(atoms::USER) ^ length, None);
        }
        Kind::GUILD_MEMBER_UPDATE => {
            let length = text(atoms::NICK).len() as u64;
            PROBE.event(number(atoms::GUILD_ID) ^ id_in(atoms::USER) ^ length, None);
        }
        Kind::TYPING_START | Kind::VOICE_STATE_UPDATE => {
            let sum = number(atoms::GUILD_ID) ^ number(atoms::USER_ID) ^ number(atoms::CHANNEL_ID);
            PROBE.event(sum, None);
        }
        _ => PROBE.other(),
    }
}
