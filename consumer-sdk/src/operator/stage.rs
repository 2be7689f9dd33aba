use mixcord_event::topology;
use mixcord_ring::Ring;
use serde::Serialize;

use crate::stage::progress::Progress;

/// What a stage did since its ring was made, as it says there with everything it publishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StageStatus {
    /// Its name.
    pub stage: String,
    /// The id of the ring that it reads, in hexadecimal.
    pub source: String,
    /// Every record of that before this one is done.
    pub position: u64,
    /// Events passed on as they are.
    pub passed: u64,
    /// Events passed on with other data.
    pub changed: u64,
    /// Events left out.
    pub dropped: u64,
    /// Events of its own.
    pub added: u64,
    /// Events with which its function failed for the last time.
    pub failed: u64,
}

impl StageStatus {
    /// What the ring's checkpoint says; `None` for a ring that is no stage's, or has not begun.
    pub(super) fn of(ring: &Ring) -> Option<Self> {
        let stage = topology::parse_stage_ring(ring.name())?;
        let progress = Progress::read(&ring.checkpoint()?)?;
        Some(Self {
            stage: stage.to_owned(),
            source: format!("{:016x}", progress.source),
            position: progress.position,
            passed: progress.passed,
            changed: progress.changed,
            dropped: progress.dropped,
            added: progress.added,
            failed: progress.failed,
        })
    }
}
