use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use mixcord_event::figures::{COMMIT_US, CacheFigures};
use mixcord_event::pauses::Pauses;
use mixcord_event::{sections, status, topology};
use mixcord_ring::Ring;
use mixcord_state::Checkpoint;
use serde::Serialize;

use super::PausesStatus;

/// What the cache counted since it started, as it says in the output ring with every batch.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CacheStatus {
    /// Its process, in its own pid namespace.
    pub pid: u32,
    /// Batches committed.
    pub batches: u64,
    /// Records of shard rings that they were made of.
    pub records: u64,
    /// How long the commits of all but the last batch took, in seconds.
    pub commit_seconds: f64,
    /// How many commits took no longer than so many seconds; the last one, without a bound, how many took longer
    /// than all of them.
    pub commits: Vec<(Option<f64>, u64)>,
    /// When it was away for long.
    pub pauses: PausesStatus,
    /// Gaps that the cache itself told, by reason.
    pub gaps_by_reason: BTreeMap<&'static str, u64>,
    /// Events published, by kind.
    pub events_by_kind: BTreeMap<&'static str, u64>,
}

impl CacheStatus {
    /// What the output ring's checkpoint says; `None` for another ring, and of a cache that counts nothing.
    pub(super) fn of(ring: &Ring) -> Option<Self> {
        if ring.name() != topology::OUTPUT_RING {
            return None;
        }
        let checkpoint = ring.checkpoint()?;
        let all = Checkpoint::sections_in(&checkpoint)?;
        let figures = CacheFigures::decode(all)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let pauses = Pauses::decode(all).unwrap_or_default();
        let bounds = COMMIT_US.iter().map(|us| Some(*us as f64 / 1e6)).chain([None]);
        Some(Self {
            pid: u32::try_from(figures.pid).unwrap_or(0),
            batches: figures.batches,
            records: figures.records,
            commit_seconds: figures.commit_ns as f64 / 1e9,
            pauses: PausesStatus::new(&pauses, now.as_micros()),
            commits: bounds.zip(figures.commits).collect(),
            gaps_by_reason: figures.gaps().collect(),
            events_by_kind: figures.events().map(|(kind, count)| (kind.name(), count)).collect(),
        })
    }
}

/// The program that wrote a ring's checkpoint, as that says.
pub(crate) fn writer(ring: &Ring) -> Option<String> {
    let bytes = ring.checkpoint()?;
    let all = match bytes.split_first()? {
        (&status::CHECKPOINT, all) if ring.name() != topology::OUTPUT_RING => all,
        _ => Checkpoint::sections_in(&bytes)?,
    };
    let is_plain =
        |name: &&str| name.len() <= 64 && name.bytes().all(|b| (b' '..=b'~').contains(&b));
    sections::writer(all).filter(is_plain).map(str::to_owned)
}
