//! The process: from options to running shards, and to an exit code.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mixcord_event::{Shard, topology};
use mixcord_ring::{
    AsyncBell, AttachError, Bell, CreateError, Geometry, GroupSpec, Namespace, Producer, Ring,
    Start,
};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::backoff::Backoff;
use crate::checkpoint::Checkpoint;
use crate::commands::{Desk, Server};
use crate::config::{Fingerprint, Options, ShardSet, Token};
use crate::discovery::{Discovered, DiscoveryError, StartLimit};
use crate::gateway::Gateway;
use crate::identify::{BookFile, Gate, Rules};
use crate::random::Random;
use crate::session::{Ended, Times};
use crate::shard::{self, Context, ShardError, supervise};
use crate::wire::Tls;

/// Groups a shard ring has room for.
const RING_GROUPS: u16 = 4;
/// Members a shard ring has room for.
const RING_MEMBERS: u16 = 8;

/// How often, and how far apart, to try to remove the doorbells that a failed start made.
const BELL_TRIES: u32 = 20;
const BELL_PAUSE: Duration = Duration::from_millis(25);

/// Why the process ends with an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Starting again with the same configuration cannot help: exit code 78.
    #[error("{0}")]
    Configuration(String),
    /// It can: exit code 1.
    #[error("{0}")]
    Trouble(String),
}

impl Failure {
    /// The exit code of the process.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Configuration(_) => 78,
            Self::Trouble(_) => 1,
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "for map_err")]
    fn configuration(reason: impl ToString) -> Self {
        Self::Configuration(reason.to_string())
    }

    #[expect(clippy::needless_pass_by_value, reason = "for map_err")]
    fn trouble(reason: impl ToString) -> Self {
        Self::Trouble(reason.to_string())
    }
}

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

async fn serve(
    options: &Options,
    token: Token,
    tls: Tls,
    gateway: Gateway,
    discovered: &Discovered,
    rings: &mut Rings,
    stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let count = rings.shards.count;
    let limit = &discovered.session_start_limit;
    check_budget(limit, rings.without_session())?;
    let folder = options.identify_dir.clone().unwrap_or_else(BookFile::default_folder);
    let book = book(&folder, token.fingerprint_at(&options.api_url))?;
    let rules = Rules {
        max_concurrency: limit.max_concurrency,
        spacing: Duration::from_millis(options.identify_spacing_ms.into()),
        total: limit.total,
    };
    let gate = Gate::new(book, rules, rings.shards.ids());
    let desk = Arc::new(Desk::new(rings.shards.clone()));
    let socket = topology::command_socket(&options.instance, rings.shards.first, count);
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
        buffer: usize::try_from(options.buffer_bytes.0).unwrap_or(usize::MAX),
        presence: options.presence.clone(),
        large_threshold: options.large_threshold,
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
        shards = format!("{}..{}/{count}", rings.shards.first, rings.shards.last),
        "mixcord-gateway runs"
    );
    let (all_stop, shards_stop) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for id in rings.shards.ids() {
        let shard = Shard { id, count };
        let (context, backoff) = (context.clone(), context.backoff);
        let (namespace, bell) = (rings.namespace.clone(), rings.bell.clone());
        let (stop, mut first) = (shards_stop.clone(), rings.producers.remove(&id));
        tasks.spawn(supervise(id, backoff, stop.clone(), move |failures| {
            let (context, namespace) = (context.clone(), namespace.clone());
            let (bell, stop, ready) = (bell.clone(), stop.clone(), first.take());
            async move {
                let producer = match ready {
                    Some(producer) => producer,
                    None => reopen(&namespace, shard, &bell)?,
                };
                shard::run(context, shard::Start { shard, producer, bell, stop, failures }).await
            }
        }));
    }
    rings.bells_move();
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

fn book(folder: &Path, owner: Fingerprint) -> Result<BookFile, Failure> {
    BookFile::new(folder, owner).map_err(|error| {
        Failure::configuration(format!(
            "the identify queue in {} cannot be used ({error}): name another folder with --identify-dir",
            folder.display()
        ))
    })
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

fn reopen(namespace: &Namespace, shard: Shard, bell: &AsyncBell) -> Result<Producer, ShardError> {
    let name = topology::shard_ring(shard.id, shard.count);
    Producer::attach(namespace, &name, bell.bell())
        .map_err(|error| ShardError::Ring(error.to_string()))
}

/// The rings of this process's shards.
struct Rings {
    namespace: Namespace,
    shards: ShardSet,
    bell: AsyncBell,
    producers: BTreeMap<u16, Producer>,
    created: Vec<String>,
}

impl Rings {
    /// Opens or creates the ring of every shard; on an error nothing created stays.
    fn open(options: &Options, shards: &ShardSet) -> Result<Self, Failure> {
        let namespace = Namespace::new(&topology::namespace(&options.instance))
            .map_err(Failure::configuration)?;
        let geometry =
            Geometry::new(options.ring_slots, options.ring_bytes.0, RING_GROUPS, 1, RING_MEMBERS)
                .map_err(|error| {
                Failure::configuration(format!("--ring-bytes, --ring-slots: {error}"))
            })?;
        let empty_before = namespace.rings().map_err(Failure::trouble)?.is_empty();
        let bell = namespace.bell().map_err(Failure::trouble)?;
        let mut created = Vec::new();
        let opened = open_all(&namespace, geometry, shards, &bell, &mut created, options);
        let result = opened.and_then(|producers| {
            let bell = AsyncBell::new(bell).map_err(Failure::trouble)?;
            Ok((producers, bell))
        });
        match result {
            Ok((producers, bell)) => {
                Ok(Self { namespace, shards: shards.clone(), bell, producers, created })
            }
            Err(failure) => {
                remove(&namespace, &created, empty_before);
                Err(failure)
            }
        }
    }

    /// How many shards have no session to resume, as far as can be known.
    fn without_session(&self) -> u64 {
        self.producers.values().filter(|producer| !began(&producer.ring())).count() as u64
    }

    /// From here on the shards' tasks hold the rings.
    fn bells_move(&mut self) {
        self.producers.clear();
    }

    /// Removes the rings that this start created and no session ever wrote to.
    fn remove_unused(self) {
        let Self { namespace, bell, producers, created, .. } = self;
        drop((producers, bell));
        let unused: Vec<String> = created
            .into_iter()
            .filter(|name| Ring::attach(&namespace, name).is_ok_and(|ring| !began(&ring)))
            .collect();
        remove(&namespace, &unused, !unused.is_empty());
    }
}

/// Did a session ever begin in this ring?
fn began(ring: &Ring) -> bool {
    ring.checkpoint().is_some_and(|bytes| {
        Checkpoint::decode(&bytes).is_none_or(|checkpoint| checkpoint.status.seq.is_some())
    })
}

/// Removes these rings; with `all`, also the doorbells of an instance that has no ring left.
fn remove(namespace: &Namespace, created: &[String], all: bool) {
    for name in created {
        if let Err(error) = namespace.remove_ring(name) {
            tracing::debug!(name, %error, "a ring stays");
        }
    }
    // Our own bell is let go by a thread that needs a moment; anybody else's keeps the segment.
    for _ in 0..BELL_TRIES {
        if !all || namespace.rings().is_ok_and(|rings| !rings.is_empty()) {
            return;
        }
        match namespace.remove_all() {
            Err(error) => tracing::debug!(%error, "the instance's doorbells stay for now"),
            Ok(()) => return,
        }
        std::thread::sleep(BELL_PAUSE);
    }
}

fn open_all(
    namespace: &Namespace,
    geometry: Geometry,
    shards: &ShardSet,
    bell: &Bell,
    created: &mut Vec<String>,
    options: &Options,
) -> Result<BTreeMap<u16, Producer>, Failure> {
    let cache = GroupSpec::durable(topology::CACHE_GROUP).from(Start::Earliest);
    let mut producers = BTreeMap::new();
    for shard in shards.ids() {
        let name = topology::shard_ring(shard, shards.count);
        let groups = std::slice::from_ref(&cache);
        let producer = match Producer::create(namespace, &name, geometry, groups, bell) {
            Ok(producer) => {
                created.push(name);
                producer
            }
            Err(CreateError::Exists { .. }) => Producer::attach(namespace, &name, bell)
                .map_err(|error| attach_failure(shard, &error, options))?,
            Err(error @ (CreateError::NoSpace { .. } | CreateError::Geometry(_))) => {
                return Err(Failure::configuration(format!(
                    "the rings of {} shards do not fit: {error}; use a smaller --ring-bytes or fewer --shards",
                    shards.len()
                )));
            }
            Err(error) => return Err(Failure::trouble(format!("ring of shard {shard}: {error}"))),
        };
        producers.insert(shard, producer);
    }
    Ok(producers)
}

fn attach_failure(shard: u16, error: &AttachError, options: &Options) -> Failure {
    match error {
        AttachError::Locked { .. } => Failure::configuration(format!(
            "shard {shard} of instance {} already runs in another mixcord-gateway",
            options.instance
        )),
        error => Failure::configuration(format!("ring of shard {shard}: {error}")),
    }
}
