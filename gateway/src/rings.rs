//! The rings of this process's shards: found or made before a shard connects.

use std::collections::BTreeMap;
use std::time::Duration;

use mixcord_event::takeover::{Taken, is_mirror};
use mixcord_event::topology;
use mixcord_ring::{
    AsyncBell, AttachError, Bell, BellError, CreateError, Fit, Geometry, GroupSpec, HeaderError,
    Namespace, Producer, Ring, Start,
};

use crate::checkpoint::Checkpoint;
use crate::config::{Options, ShardSet};
use crate::failure::{Failure, foreign, foreign_owner};
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
    feeds: Vec<GroupSpec>,
    shards: ShardSet,
    bell: AsyncBell,
    producers: BTreeMap<u16, Producer>,
    created: Vec<String>,
}

impl Rings {
    /// Opens or creates the ring of every shard; on an error nothing created stays. A ring that is
    /// damaged is left to its shard, which tries again, unless they all are (P8).
    pub(crate) fn open(
        namespace: &Namespace,
        options: &Options,
        shards: &ShardSet,
    ) -> Result<Self, Failure> {
        let namespace = namespace.clone();
        let geometry = geometry(options)?;
        let feeds: Vec<GroupSpec> = options.feeds.iter().map(|name| feed(name)).collect();
        let empty_before = namespace.rings().map_err(Failure::trouble)?.is_empty();
        let bell = namespace.bell().map_err(|error| bells_failure(&error))?;
        let mut created = Vec::new();
        let opened = open_all(&namespace, geometry, &feeds, shards, &bell, &mut created, options);
        let result = opened.and_then(|producers| {
            let bell = AsyncBell::new(bell).map_err(Failure::trouble)?;
            Ok((producers, bell))
        });
        match result {
            Ok((producers, bell)) => {
                let shards = shards.clone();
                Ok(Self { namespace, geometry, feeds, shards, bell, producers, created })
            }
            Err(failure) => {
                remove(&namespace, &created, empty_before);
                Err(failure)
            }
        }
    }

    /// Checks that all rings of these shards that are not there yet fit, before one is made.
    ///
    /// # Errors
    /// They do not: what to change.
    pub(crate) fn fit(
        namespace: &Namespace,
        options: &Options,
        shards: &ShardSet,
    ) -> Result<(), Failure> {
        let there = namespace.rings().map_err(Failure::trouble)?;
        let is_missing = |id: &u16| !there.contains(&topology::shard_ring(*id, shards.count));
        let missing = shards.ids().filter(is_missing).count() as u64;
        let bytes = geometry(options)?.segment_bytes().saturating_mul(missing);
        namespace.has_room(bytes).map_err(|error| {
            Failure::configuration(format!(
                "the rings of {} shards do not fit beside those that run: {error}; use a smaller --ring-bytes",
                shards.len()
            ))
        })
    }

    /// The shards.
    pub(crate) fn shards(&self) -> &ShardSet {
        &self.shards
    }

    /// Those of them whose ring can be written.
    pub(crate) fn ready(&self) -> impl Iterator<Item = u16> + '_ {
        self.producers.keys().copied()
    }

    /// Hands over the ring of a shard.
    pub(crate) fn take(&mut self, shard: u16) -> ShardRing {
        ShardRing {
            namespace: self.namespace.clone(),
            geometry: self.geometry,
            feeds: self.feeds.clone(),
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

fn geometry(options: &Options) -> Result<Geometry, Failure> {
    Geometry::new(options.ring_slots, options.ring_bytes, RING_GROUPS, 1, RING_MEMBERS)
        .map_err(|error| Failure::configuration(format!("--ring-bytes, --ring-slots: {error}")))
}

/// The ring of one shard, for each of its runs.
pub(crate) struct ShardRing {
    namespace: Namespace,
    geometry: Geometry,
    feeds: Vec<GroupSpec>,
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
                Producer::create(&self.namespace, &self.name, self.geometry, &self.feeds, bell)
                    .map_err(|error| ShardError::Ring(error.to_string()))
            }
            other => other.map_err(|error| ShardError::Ring(error.to_string())),
        }
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
    feeds: &[GroupSpec],
    shards: &ShardSet,
    bell: &Bell,
    created: &mut Vec<String>,
    options: &Options,
) -> Result<BTreeMap<u16, Producer>, Failure> {
    let mut producers = BTreeMap::new();
    let (mut damaged, mut other_size) = (None, None);
    for shard in shards.ids() {
        let name = topology::shard_ring(shard, shards.count);
        let producer = match Producer::create(namespace, &name, geometry, feeds, bell) {
            Ok(producer) => {
                created.push(name);
                producer
            }
            Err(CreateError::Exists { .. }) => match attach(namespace, &name, geometry, bell) {
                Ok(producer) => {
                    adopt(&producer, feeds, options)?;
                    let (producer, kept) = fit(producer, namespace, &name, geometry, bell)
                        .map_err(|error| attach_failure(shard, &error, options))?;
                    if let Some(why) = kept {
                        other_size.get_or_insert_with(|| (name, producer.geometry(), why));
                    }
                    producer
                }
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
                    "the ring of shard {shard}, one of {}, does not fit: {error}; use a smaller --ring-bytes or fewer --shards",
                    shards.len()
                )));
            }
            Err(error) => return Err(Failure::trouble(format!("ring of shard {shard}: {error}"))),
        };
        producers.insert(shard, producer);
    }
    if let Some((name, found, why)) = other_size {
        tracing::warn!(
            ring = name,
            slots = found.slots,
            bytes = found.payload_bytes,
            "--ring-slots {} and --ring-bytes {} are not in force: rings that exist keep their size until \
             they are drained and mixcord-gateway starts again: {why}",
            geometry.slots,
            geometry.payload_bytes
        );
    }
    // Where no shard could run, waiting would only hide it.
    match damaged {
        Some(failure) if producers.is_empty() => Err(failure),
        _ => Ok(producers),
    }
}

/// Gives a ring that is there these sizes if it is drained; else with why it keeps its own.
fn fit(
    producer: Producer,
    namespace: &Namespace,
    name: &str,
    geometry: Geometry,
    bell: &Bell,
) -> Result<(Producer, Option<String>), AttachError> {
    match producer.fit(namespace, geometry, bell) {
        Ok((producer, Fit::Kept { by, .. })) => {
            let holdup = mixcord_holdup::of(&producer.ring());
            let why = holdup.map_or_else(|| by.to_string(), |holdup| holdup.to_string());
            Ok((producer, Some(why)))
        }
        Ok((producer, changed)) => {
            if matches!(changed, Fit::Changed { .. }) {
                let Geometry { slots, payload_bytes: bytes, .. } = geometry;
                let ring = name;
                tracing::info!(
                    ring,
                    slots,
                    bytes,
                    "it was drained, and has these sizes from now on"
                );
            }
            Ok((producer, None))
        }
        // Both do not fit beside each other, perhaps: it goes on as it is.
        Err(error) => Ok((Producer::attach(namespace, name, bell)?, Some(error.to_string()))),
    }
}

/// The ring that is there; one of the layout before goes over into this one if it is drained.
fn attach(
    namespace: &Namespace,
    name: &str,
    geometry: Geometry,
    bell: &Bell,
) -> Result<Producer, AttachError> {
    match Producer::attach(namespace, name, bell) {
        Err(error @ AttachError::Header { why: HeaderError::Version { .. }, .. }) => {
            Producer::create_or_fit(namespace, name, geometry, &[], bell)
                .map(|(producer, _)| producer)
                .map_err(|_| error)
        }
        other => other,
    }
}

/// A group that is made with the ring, so that nothing is lost to start order.
fn feed(name: &str) -> GroupSpec {
    let group = GroupSpec::durable(name).from(Start::Earliest);
    if name == topology::BRIDGE_GROUP { group.follow() } else { group }
}

/// Refuses a ring that mirrors one of another machine; declares the groups that a ring of before lacks.
fn adopt(producer: &Producer, feeds: &[GroupSpec], options: &Options) -> Result<(), Failure> {
    let ring = producer.ring();
    let checkpoint = ring.checkpoint().unwrap_or_default();
    if is_mirror(&checkpoint) {
        return Err(Failure::configuration(format!(
            "the ring {} of instance {} is a mirror, which mixcord-bridge receive writes: its gateway runs on \
             another machine. Give another --instance, or `mixcord rm` this one first; or --take-over, to go on with its \
             shards when that machine died",
            ring.name(),
            options.instance
        )));
    }
    let taken = Taken::decode(&checkpoint);
    for feed in feeds {
        // What was received is not sent again.
        let of_bridge = taken.filter(|_| feed.name == topology::BRIDGE_GROUP);
        let feed = of_bridge
            .map_or_else(|| feed.clone(), |taken| feed.clone().from(Start::At(taken.from)));
        ring.declare_group(&feed).map_err(|error| {
            Failure::configuration(format!("--feeds: ring {}: {error}", ring.name()))
        })?;
    }
    Ok(())
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

/// The bells come before any ring: where they do not fit, nothing does.
fn bells_failure(error: &BellError) -> Failure {
    match error {
        BellError::Segment(AttachError::NotOurs { name }) => not_ours(name),
        BellError::Io(_) | BellError::Full { .. } => Failure::trouble(error),
        error => Failure::configuration(error),
    }
}

fn not_ours(name: &str) -> Failure {
    let path = Namespace::directory().join(name);
    match foreign_owner(&path) {
        Some(owner) => Failure::configuration(foreign(&path.display().to_string(), owner)),
        None => Failure::configuration(AttachError::NotOurs { name: name.to_owned() }),
    }
}

fn attach_failure(shard: u16, error: &AttachError, options: &Options) -> Failure {
    match error {
        AttachError::Locked { .. } => Failure::Running(format!(
            "shard {shard} of instance {} already runs in another mixcord-gateway",
            options.instance
        )),
        AttachError::NotOurs { name } => not_ours(name),
        error => Failure::configuration(format!("ring of shard {shard}: {error}")),
    }
}
