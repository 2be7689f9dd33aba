//! The rings of this process's shards: found or made before a shard connects.

use std::collections::BTreeMap;
use std::time::Duration;

use mixcord_event::topology;
use mixcord_ring::{
    AsyncBell, AttachError, Bell, CreateError, Geometry, GroupSpec, Namespace, Producer, Ring,
    Start,
};

use crate::checkpoint::Checkpoint;
use crate::config::{Options, ShardSet};
use crate::failure::Failure;
use crate::shard::ShardError;

/// Groups a shard ring has room for.
const RING_GROUPS: u16 = 4;
/// Members a shard ring has room for.
const RING_MEMBERS: u16 = 8;

/// How often, and how far apart, to try to remove the doorbells that a failed start made.
const BELL_TRIES: u32 = 20;
const BELL_PAUSE: Duration = Duration::from_millis(25);

/// The rings of this process's shards, until their tasks take them.
pub(crate) struct Rings {
    namespace: Namespace,
    geometry: Geometry,
    shards: ShardSet,
    bell: AsyncBell,
    producers: BTreeMap<u16, Producer>,
    created: Vec<String>,
    replace_other_count: bool,
}

impl Rings {
    /// Opens or creates the ring of every shard; on an error nothing created stays. A ring that is
    /// damaged is left to its shard, which tries again, unless they all are (P8).
    pub(crate) fn open(options: &Options, shards: &ShardSet) -> Result<Self, Failure> {
        let namespace = Namespace::new(&topology::namespace(&options.instance))
            .map_err(Failure::configuration)?;
        let geometry =
            Geometry::new(options.ring_slots, options.ring_bytes.0, RING_GROUPS, 1, RING_MEMBERS)
                .map_err(|error| {
                Failure::configuration(format!("--ring-bytes, --ring-slots: {error}"))
            })?;
        let empty_before = namespace.rings().map_err(Failure::trouble)?.is_empty();
        let replace_other_count =
            has_ended_count(&namespace, shards.count).map_err(Failure::trouble)?;
        let bell = namespace.bell().map_err(Failure::trouble)?;
        let mut created = Vec::new();
        let opened = open_all(&namespace, geometry, shards, &bell, &mut created, options);
        let result = opened.and_then(|producers| {
            let bell = AsyncBell::new(bell).map_err(Failure::trouble)?;
            Ok((producers, bell))
        });
        match result {
            Ok((producers, bell)) => Ok(Self {
                namespace,
                geometry,
                shards: shards.clone(),
                bell,
                producers,
                created,
                replace_other_count,
            }),
            Err(failure) => {
                remove(&namespace, &created, empty_before);
                Err(failure)
            }
        }
    }

    /// How many shards have no session to resume, as far as can be known.
    pub(crate) fn without_session(&self) -> u64 {
        self.producers.values().filter(|producer| !began(&producer.ring())).count() as u64
    }

    /// The shards.
    pub(crate) fn shards(&self) -> &ShardSet {
        &self.shards
    }

    /// Those of them whose ring can be written.
    pub(crate) fn ready(&self) -> impl Iterator<Item = u16> + '_ {
        self.producers.keys().copied()
    }

    /// Sessions of another shard count ended: a shard of this count that never had one misses what
    /// happened since (P3). That is looked at shard by shard: others may have begun in a process that
    /// started earlier, or before a crash.
    pub(crate) fn replace_other_count(&self) -> bool {
        self.replace_other_count
    }

    /// Hands over the ring of a shard.
    pub(crate) fn take(&mut self, shard: u16) -> ShardRing {
        ShardRing {
            namespace: self.namespace.clone(),
            geometry: self.geometry,
            name: topology::shard_ring(shard, self.shards.count),
            bell: self.bell.clone(),
            ready: self.producers.remove(&shard),
        }
    }

    /// Removes the rings that this start created and no session ever wrote to.
    pub(crate) fn remove_unused(self) {
        let Self { namespace, bell, producers, created, .. } = self;
        drop((producers, bell));
        let unused: Vec<String> = created
            .into_iter()
            .filter(|name| Ring::attach(&namespace, name).is_ok_and(|ring| !began(&ring)))
            .collect();
        remove(&namespace, &unused, !unused.is_empty());
    }
}

/// The ring of one shard, for each of its runs.
pub(crate) struct ShardRing {
    namespace: Namespace,
    geometry: Geometry,
    name: String,
    bell: AsyncBell,
    ready: Option<Producer>,
}

impl ShardRing {
    /// Opens it for a run; makes it anew when an operator removed a damaged one.
    pub(crate) fn open(&mut self) -> Result<(Producer, AsyncBell), ShardError> {
        let producer = match self.ready.take() {
            Some(producer) => producer,
            None => self.reopen()?,
        };
        Ok((producer, self.bell.clone()))
    }

    fn reopen(&self) -> Result<Producer, ShardError> {
        let bell = self.bell.bell();
        match Producer::attach(&self.namespace, &self.name, bell) {
            Err(AttachError::NotFound { .. }) => {
                create(&self.namespace, &self.name, self.geometry, bell)
                    .map_err(|error| ShardError::Ring(error.to_string()))
            }
            other => other.map_err(|error| ShardError::Ring(error.to_string())),
        }
    }
}

/// Is there a shard ring of another count in which sessions began, and which nobody writes to any
/// more? While somebody does, those sessions go on beside ours (G-40).
fn has_ended_count(namespace: &Namespace, count: u16) -> std::io::Result<bool> {
    let of_other_count =
        |name: &String| topology::parse_shard_ring(name).is_some_and(|(_, other)| other != count);
    Ok(namespace.rings()?.iter().filter(|name| of_other_count(name)).any(|name| {
        Ring::attach(namespace, name).is_ok_and(|ring| !ring.producer_alive() && began(&ring))
    }))
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
    let mut producers = BTreeMap::new();
    let mut damaged = None;
    for shard in shards.ids() {
        let name = topology::shard_ring(shard, shards.count);
        let producer = match create(namespace, &name, geometry, bell) {
            Ok(producer) => {
                created.push(name);
                producer
            }
            Err(CreateError::Exists { .. }) => match Producer::attach(namespace, &name, bell) {
                Ok(producer) => producer,
                Err(error) if is_of_this_ring_alone(&error) => {
                    let failure = attach_failure(shard, &error, options);
                    tracing::error!(shard, "{failure}; the shard waits for that");
                    damaged.get_or_insert(failure);
                    continue;
                }
                Err(error) => return Err(attach_failure(shard, &error, options)),
            },
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
    // Where no shard could run, waiting would only hide it.
    match damaged {
        Some(failure) if producers.is_empty() => Err(failure),
        _ => Ok(producers),
    }
}

/// A ring with the cache's group in it, so that nothing is lost to start order.
fn create(
    namespace: &Namespace,
    name: &str,
    geometry: Geometry,
    bell: &Bell,
) -> Result<Producer, CreateError> {
    let cache = GroupSpec::durable(topology::CACHE_GROUP).from(Start::Earliest);
    Producer::create(namespace, name, geometry, std::slice::from_ref(&cache), bell)
}

/// Whether the shards with other rings need not mind (P8).
fn is_of_this_ring_alone(error: &AttachError) -> bool {
    matches!(
        error,
        AttachError::Header { .. }
            | AttachError::Tail { .. }
            | AttachError::NotAFile { .. }
            | AttachError::NotOurs { .. }
            | AttachError::TooOpen { .. }
    )
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
