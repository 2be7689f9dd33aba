use serde::Serialize;

use super::{BridgeStatus, Error, Instance, ProxiesStatus, ReshardStatus, RingStatus};

/// All of an instance at one moment: what `mixcord ls --json` prints.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Overview {
    /// Its name.
    pub instance: String,
    /// Its rings: those of the shards by number, the output ring, and those of stages.
    pub rings: Vec<RingStatus>,
    /// Those that cannot be read.
    pub unreadable: Vec<UnreadableStatus>,
    /// Where the cache keeps its state; `null` while there is none.
    pub state: Option<StateStatus>,
    /// Its proxies, and the sessions of their clients.
    pub proxies: ProxiesStatus,
    /// Its bridges to other machines.
    pub bridges: Vec<BridgeStatus>,
    /// A change of the shard count: how far it is, or how the last one ended; `null` where there was none.
    pub reshard: Option<ReshardStatus>,
}

/// A ring that cannot be read.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct UnreadableStatus {
    /// Its name.
    pub name: String,
    /// Why, and what to do.
    pub error: String,
}

/// The files of the cache's state.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct StateStatus {
    /// The folder.
    pub path: String,
    /// What it takes, in bytes.
    pub bytes: u64,
}

impl Instance {
    /// All of it at this moment.
    ///
    /// # Errors
    /// When /dev/shm cannot be listed.
    pub fn overview(&self) -> Result<Overview, Error> {
        let (rings, unreadable) = self.survey()?;
        let unreadable = unreadable.into_iter();
        let reshard = ReshardStatus::of(&self.name, &rings);
        Ok(Overview {
            instance: self.name.clone(),
            rings,
            unreadable: unreadable
                .map(|ring| UnreadableStatus { name: ring.name, error: ring.error.to_string() })
                .collect(),
            state: self
                .state()
                .map(|(path, bytes)| StateStatus { path: path.display().to_string(), bytes }),
            proxies: ProxiesStatus::of(&self.name),
            bridges: BridgeStatus::of(&self.name),
            reshard,
        })
    }
}

impl Overview {
    /// Is there anything of the instance?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rings.is_empty() && self.unreadable.is_empty()
    }

    /// The output ring.
    #[must_use]
    pub fn output(&self) -> Option<&RingStatus> {
        self.rings.iter().find(|ring| ring.is_output())
    }

    /// The rings of shards.
    pub fn shards(&self) -> impl Iterator<Item = &RingStatus> {
        self.rings.iter().filter(|ring| ring.of_shard().is_some())
    }
}
