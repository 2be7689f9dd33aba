//! The process: from options to running shards, and to an exit code.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mixcord_event::send::Identify;
use mixcord_event::{Outgoing, Shard, topology};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::backoff::Backoff;
use crate::commands::{Desk, Server};
use crate::config::{Options, Token};
use crate::discovery::{Discovered, DiscoveryError, StartLimit};
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::identify::{BookFile, Gate, Rules};
use crate::random::Random;
use crate::rings::Rings;
use crate::session::{Ended, Times};
use crate::shard::{self, Context, Workbenches, supervise};
use crate::wire::Tls;

/// Runs until `stop` says so.
///
/// # Errors
/// When it cannot start, or Discord refuses it for good.
pub async fn run(
    options: Options,
    token: Token,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let tls = Tls::new(options.ca_file.as_deref()).map_err(Failure::configuration)?;
    let backoff = Backoff {
        min: Duration::from_millis(options.reconnect_min_ms.into()),
        max: Duration::from_millis(options.reconnect_max_ms.into()),
    };
    let found = tokio::select! {
        found = discover(&options, &token, &tls, backoff) => found?,
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
    };
    let (gateway, discovered) = found;
    let shards = options.shards.resolve(discovered.shards).ok_or_else(|| {
        Failure::trouble(format!("Discord recommends {} shards", discovered.shards))
    })?;
    check_identify(&options, &token)?;
    let mut rings = Rings::open(&options, &shards)?;
    let result = serve(&options, token, tls, gateway, &discovered, &mut rings, stop).await;
    if result.is_err() {
        rings.remove_unused();
    }
    result
}

/// Asks until there is an answer.
async fn discover(
    options: &Options,
    token: &Token,
    tls: &Tls,
    backoff: Backoff,
) -> Result<(Gateway, Discovered), Failure> {
    let mut random = Random::unseeded();
    let mut attempt = 0;
    loop {
        match Gateway::discover(&options.api_url, token, tls).await {
            Ok(found) => return Ok(found),
            Err(DiscoveryError::Later { url, why, after }) => {
                attempt += 1;
                let delay = backoff.delay(attempt, &mut random).max(after.unwrap_or_default());
                tracing::warn!(
                    url,
                    why,
                    delay_ms = delay.as_millis(),
                    "Discord cannot be asked yet"
                );
                tokio::time::sleep(delay).await;
            }
            Err(error) => return Err(Failure::configuration(error)),
        }
    }
}

/// Refuses what no connection could ever send (G-30).
fn check_identify(options: &Options, token: &Token) -> Result<(), Failure> {
    let largest = Outgoing::Identify(Identify {
        token: token.reveal().to_owned(),
        intents: options.intents.bits(),
        shard: Shard { id: u16::MAX, count: u16::MAX },
        large_threshold: options.large_threshold,
        presence: options.presence.clone(),
    });
    largest.encode(options.encoding, &mut Vec::new()).map_err(|error| {
        Failure::configuration(format!(
            "--presence, or the token, is too long to identify: {error}"
        ))
    })
}

async fn serve(
    options: &Options,
    token: Token,
    tls: Tls,
    gateway: Gateway,
    discovered: &Discovered,
    rings: &mut Rings,
    stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let count = rings.shards().count;
    let limit = &discovered.session_start_limit;
    check_budget(limit, rings.without_session())?;
    let folder = options.identify_dir.clone().unwrap_or_else(BookFile::default_folder);
    let book = BookFile::new(&folder, token.fingerprint_at(&options.api_url))
        .map_err(|error| unusable_book(&folder, &error))?;
    let rules = Rules {
        max_concurrency: limit.max_concurrency,
        spacing: Duration::from_millis(options.identify_spacing_ms.into()),
        total: limit.total,
    };
    let gate = Gate::new(book, rules, rings.ready());
    gate.tell(limit).await.map_err(|error| unusable_book(&folder, &error))?;
    let desk = Arc::new(Desk::new(rings.shards().clone()));
    let socket = topology::command_socket(&options.instance, rings.shards().first, count);
    let server = Server::bind(socket.clone().into())
        .map_err(|error| Failure::trouble(format!("command socket {socket}: {error}")))?;
    let context = Arc::new(Context {
        gateway,
        gate,
        desk: desk.clone(),
        tls,
        intents: options.intents.bits(),
        encoding: options.encoding,
        compression: options.compression,
        message_max: usize::try_from(options.message_bytes_max.0).unwrap_or(usize::MAX),
        workbenches: Workbenches::new(
            usize::try_from(options.message_bytes_max.0).unwrap_or(usize::MAX),
        ),
        buffer: usize::try_from(options.buffer_bytes.0).unwrap_or(usize::MAX),
        presence: options.presence.clone(),
        large_threshold: options.large_threshold,
        replaces_other_count: rings.replace_other_count(),
        backoff: Backoff {
            min: Duration::from_millis(options.reconnect_min_ms.into()),
            max: Duration::from_millis(options.reconnect_max_ms.into()),
        },
        times: Times {
            hello: Duration::from_millis(options.hello_timeout_ms.into()),
            ..Times::default()
        },
        token,
    });
    tracing::info!(
        instance = options.instance,
        shards = format!("{}..{}/{count}", rings.shards().first, rings.shards().last),
        "mixcord-gateway runs"
    );
    let (all_stop, shards_stop) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for id in rings.shards().ids() {
        let shard = Shard { id, count };
        let (context, backoff) = (context.clone(), context.backoff);
        let (stop, mut ring) = (shards_stop.clone(), rings.take(id));
        tasks.spawn(supervise(id, backoff, stop.clone(), move |failures| {
            let (context, stop, ring) = (context.clone(), stop.clone(), ring.open());
            async move {
                let (producer, bell) = ring?;
                shard::run(context, shard::Start { shard, producer, bell, stop, failures }).await
            }
        }));
    }
    tokio::select! {
        result = wait(tasks, all_stop, stop) => result,
        () = server.serve(desk) => Err(Failure::trouble("the command socket ended")),
    }
}

/// Waits for the shards; one that can never connect ends them all.
async fn wait(
    mut tasks: JoinSet<Ended>,
    all_stop: watch::Sender<bool>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let mut result = Ok(());
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop), if !*all_stop.borrow() => {
                all_stop.send_replace(true);
            }
            ended = tasks.join_next() => match ended {
                None => return result,
                Some(Ok(Ended::Stopped)) => {}
                Some(Ok(Ended::Fatal(fatal))) => {
                    result = Err(Failure::configuration(fatal));
                    all_stop.send_replace(true);
                }
                Some(Err(error)) => {
                    result = Err(Failure::trouble(format!("a supervisor failed: {error}")));
                    all_stop.send_replace(true);
                }
            },
        }
    }
}

fn unusable_book(folder: &Path, error: &std::io::Error) -> Failure {
    Failure::configuration(format!(
        "the identify queue in {} cannot be used ({error}): name another folder with --identify-dir",
        folder.display()
    ))
}

/// G-16: identifying past the budget would cost the token.
fn check_budget(limit: &StartLimit, needed: u64) -> Result<(), Failure> {
    if limit.remaining >= needed {
        return Ok(());
    }
    let minutes = limit.reset_after.div_ceil(60_000);
    Err(Failure::trouble(format!(
        "{needed} shards have to identify and only {} of {} identifies are left; the budget is full again in {minutes} minutes",
        limit.remaining, limit.total
    )))
}
