//! What an operator sees and does: instances, their rings and groups. `mixcord ls`, `top`, `groups`
//! and `rm` are built on it, and so can your own health check be.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let instance = mixcord::operator::Instance::open("mixcord")?;
//! for ring in instance.rings()? {
//!     for group in &ring.groups {
//!         println!("{}: group {} is {} records behind", ring.name, group.name, group.lag);
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod board;
mod bridge;
mod cache;
mod error;
mod groups;
mod members;
mod overview;
mod pauses;
mod proxy;
mod records;
mod reshard;
mod shard;
mod stage;
mod status;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mixcord_event::topology;
pub use mixcord_holdup::span;
use mixcord_ring::{AttachError, GroupError, Namespace, RemoveError, Ring};

pub use self::bridge::{BridgeStatus, GatewayStatus, LeaseStatus, StreamStatus};
pub use self::cache::CacheStatus;
pub(crate) use self::cache::writer;
pub use self::error::Error;
pub use self::groups::{GroupOrder, GroupPlan, Place};
pub use self::members::{GroupDetail, MemberStatus};
pub use self::overview::{Overview, StateStatus, UnreadableStatus};
pub use self::pauses::{PauseStatus, PausesStatus};
pub use self::proxy::{ProxiesStatus, ProxyStatus};
pub use self::records::{DeadRecord, WaitingRecord};
pub use self::reshard::ReshardStatus;
pub use self::shard::{BudgetStatus, ShardStatus};
pub use self::stage::StageStatus;
use self::status::status;
pub use self::status::{GroupStatus, HoldupStatus, RecordStatus, RingStatus};
use crate::options::namespace;

/// An instance: the rings of one gateway and cache, found by name.
#[derive(Clone)]
pub struct Instance {
    name: String,
    namespace: Namespace,
    /// The ring whose groups are meant.
    groups_of: String,
}

/// A ring that is there but cannot be read.
#[derive(Debug)]
pub struct Unreadable {
    /// Its name.
    pub name: String,
    /// Why.
    pub error: Error,
}

/// The layouts that this release writes, by what they are of.
pub const LAYOUTS: [(&str, u64); 2] =
    [("ring", mixcord_ring::LAYOUT_VERSION), ("record", mixcord_event::record::LAYOUT as u64)];

/// The names of the instances that have segments on this machine, sorted.
///
/// # Errors
/// When /dev/shm cannot be listed.
pub fn instances() -> Result<Vec<String>, Error> {
    let folder = Namespace::directory();
    let io = |source| Error::Io { path: folder.to_owned(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let file = entry.map_err(io)?.file_name();
        let instance = file
            .to_str()
            .and_then(|file| file.strip_prefix("mixcord."))
            .and_then(|rest| rest.split('.').next())
            .filter(|name| topology::is_instance_name(name));
        names.extend(instance.map(str::to_owned));
    }
    names.sort();
    names.dedup();
    Ok(names)
}

impl Instance {
    /// The instance of this name; whether it has rings is seen later.
    ///
    /// # Errors
    /// When the name cannot be one.
    pub fn open(name: &str) -> Result<Self, Error> {
        let groups_of = topology::OUTPUT_RING.to_owned();
        Ok(Self { name: name.to_owned(), namespace: namespace(name)?, groups_of })
    }

    /// The same; what is done with groups is done with those of this source: `out`, or a [stage](mod@crate::stage).
    ///
    /// # Errors
    /// When the name cannot be one.
    pub fn of_source(self, source: &str) -> Result<Self, Error> {
        let unknown = || crate::Error::Source { source_name: source.to_owned() };
        let groups_of = topology::source_ring(source).ok_or_else(unknown)?;
        Ok(Self { groups_of, ..self })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All its rings: those of the shards by number, the output ring, and those of stages.
    ///
    /// # Errors
    /// When one cannot be read; [`survey`](Self::survey) goes on with the others.
    pub fn rings(&self) -> Result<Vec<RingStatus>, Error> {
        let (rings, unreadable) = self.survey()?;
        unreadable.into_iter().next().map_or(Ok(rings), |first| Err(first.error))
    }

    /// All its rings, and those that cannot be read.
    ///
    /// # Errors
    /// When /dev/shm cannot be listed.
    pub fn survey(&self) -> Result<(Vec<RingStatus>, Vec<Unreadable>), Error> {
        let io = |source| Error::Io { path: Namespace::directory().to_owned(), source };
        let mut names = self.namespace.rings().map_err(io)?;
        names.sort_by_key(|name| {
            let shard = topology::parse_shard_ring(name).map(|(shard, shards)| (shards, shard));
            (shard.is_none(), shard, name.clone())
        });
        let (mut rings, mut unreadable) = (Vec::new(), Vec::new());
        for name in names {
            match Ring::attach(&self.namespace, &name) {
                Ok(ring) => rings.push(status(&ring)),
                // It was removed in between.
                Err(AttachError::NotFound { .. }) => {}
                Err(source) => {
                    let (instance, ring) = (self.name.clone(), name.clone());
                    let error = Error::Attach { instance, ring, source };
                    unreadable.push(Unreadable { name, error });
                }
            }
        }
        Ok((rings, unreadable))
    }

    /// Where the cache keeps its state, and how many bytes that takes; `None` when it is not there.
    #[must_use]
    pub fn state(&self) -> Option<(PathBuf, u64)> {
        let path = mixcord_state::directory(&self.name);
        let bytes = folder_bytes(&path).ok()?;
        Some((path, bytes))
    }

    /// [`declare_group`](Self::declare_group), with what most want to say.
    ///
    /// # Errors
    /// When there is no output ring, or no room for a group.
    pub fn create_group(
        &self,
        name: &str,
        earliest: bool,
        ephemeral: bool,
        max_absence: Option<Duration>,
    ) -> Result<bool, Error> {
        let plan = GroupPlan { earliest, ephemeral, max_absence, ..GroupPlan::default() };
        self.declare_group(name, &plan)
    }

    /// Removes a group that has no members from the output ring, with its backlog.
    ///
    /// # Errors
    /// When there is no such group, or members of it live.
    pub fn remove_group(&self, name: &str) -> Result<(), Error> {
        self.end_group(name, false)
    }

    /// Removes every segment of the instance, and its state, wherever the cache kept that last: sessions,
    /// backlogs and cached entities are gone. `false` when there was nothing.
    ///
    /// # Errors
    /// When a process uses it.
    pub fn remove(&self) -> Result<bool, Error> {
        let there = instances()?.contains(&self.name);
        self.namespace
            .remove_all()
            .map_err(|source| Error::Remove { instance: self.name.clone(), source })?;
        if let Some(elsewhere) = mixcord_state::elsewhere(&self.name) {
            remove_store(&elsewhere)?;
        }
        // What the gateway and the cache leave beside the rings: command sockets and the state.
        let folder = Namespace::directory();
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Io { path, source }
        };
        let prefix = format!("{}.", self.namespace.prefix());
        let mut refused = None;
        for entry in std::fs::read_dir(folder).map_err(io(folder))?.flatten() {
            if !entry.file_name().to_string_lossy().starts_with(&prefix) {
                continue;
            }
            let path = entry.path();
            let removed = if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
            match removed {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // Another user's: everything else goes all the same, and then it is told.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    refused.get_or_insert_with(|| io(&path)(error));
                }
                Err(error) => return Err(io(&path)(error)),
                Ok(()) => {}
            }
        }
        refused.map_or(Ok(there), Err)
    }

    /// Removes one ring with its backlog and, if it is a shard's, the session in it: of a shard count that runs no
    /// more, say, when its backlog is not wanted. Nothing can join it meanwhile.
    ///
    /// # Errors
    /// When a process uses it, or there is none.
    pub fn remove_ring(&self, ring: &str) -> Result<(), Error> {
        self.namespace.remove_ring(ring).map_err(|source| match source {
            RemoveError::NotFound { .. } => Error::NoRing {
                instance: self.name.clone(),
                ring: ring.to_owned(),
                rings: self.namespace.rings().unwrap_or_default(),
            },
            source => {
                Error::RemoveRing { instance: self.name.clone(), ring: ring.to_owned(), source }
            }
        })
    }

    fn output(&self) -> Result<Ring, Error> {
        let name = self.groups_of.as_str();
        Ring::attach(&self.namespace, name).map_err(|source| match source {
            AttachError::NotFound { .. } if name == topology::OUTPUT_RING => {
                Error::NoOutput { instance: self.name.clone() }
            }
            AttachError::NotFound { .. } => Error::NoRing {
                instance: self.name.clone(),
                ring: name.to_owned(),
                rings: self.namespace.rings().unwrap_or_default(),
            },
            source => Error::Attach { instance: self.name.clone(), ring: name.to_owned(), source },
        })
    }

    fn group_error(&self, group: &str, source: GroupError) -> Error {
        Error::Group { instance: self.name.clone(), group: group.to_owned(), source }
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Instance").field(&self.name).finish()
    }
}

/// Removes the files of a store, and its folder if that is empty then.
fn remove_store(dir: &Path) -> Result<(), Error> {
    for path in mixcord_state::format::FILES.map(|name| dir.join(name)) {
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(Error::Io { path, source });
            }
            _ => {}
        }
    }
    // What else is there is not ours.
    let _ = std::fs::remove_dir(dir);
    Ok(())
}

/// What the files of a folder really take, not what they are long.
fn folder_bytes(folder: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let metadata = entry?.metadata()?;
        if metadata.is_file() {
            bytes += metadata.blocks() * 512;
        }
    }
    Ok(bytes)
}
