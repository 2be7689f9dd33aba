//! Records that a group has before it, or gave up.

use std::time::Duration;

use mixcord_event::{Record, RecordError};
use mixcord_ring::{DeadLetter, MemberInfo, Peeked, RingId};

use super::members::{pid_of, state_name};
use crate::Identity;

/// An event that a group has not acknowledged.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WaitingRecord {
    /// Where it stands in the output ring.
    pub position: u64,
    /// What is so of it: `waiting`, `out`, `retry`, `dying` or `aside`.
    pub state: &'static str,
    /// The process of the member that has it.
    pub pid: Option<u32>,
    /// How often handlers failed with it.
    pub failures: u8,
    /// How many processes died while they had it.
    pub deaths: u8,
    ring: RingId,
    bytes: Vec<u8>,
}

/// An event that a group gave up.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeadRecord {
    /// Where it stood in the output ring.
    pub position: u64,
    /// When it was given up, since the Unix epoch.
    pub written: Duration,
    /// How often handlers failed with it.
    pub failures: u8,
    /// How many processes died while they had it.
    pub deaths: u8,
    /// What was said of it last: the error with its causes.
    pub error: String,
    ring: RingId,
    bytes: Vec<u8>,
}

impl WaitingRecord {
    pub(super) fn new(ring: RingId, peeked: Peeked, members: &[MemberInfo]) -> Self {
        let standing = peeked.standing;
        Self {
            position: standing.position,
            state: state_name(standing.state),
            pid: standing.member.and_then(|seat| pid_of(seat, members)),
            failures: standing.failures,
            deaths: standing.deaths,
            ring,
            bytes: peeked.payload,
        }
    }

    /// The event.
    ///
    /// # Errors
    /// When its bytes are none, or of another release.
    pub fn record(&self) -> Result<Record<'_>, RecordError> {
        Record::parse(&self.bytes)
    }

    /// What names the event for ever.
    ///
    /// # Errors
    /// Those of [`record`](Self::record).
    pub fn identity(&self) -> Result<Identity, RecordError> {
        Ok(identity(self.ring, self.position, &self.record()?))
    }
}

impl DeadRecord {
    pub(super) fn new(ring: RingId, letter: DeadLetter) -> Self {
        Self {
            position: letter.position,
            written: letter.written,
            failures: letter.failures,
            deaths: letter.deaths,
            error: letter.reason,
            ring,
            bytes: letter.payload,
        }
    }

    /// The event.
    ///
    /// # Errors
    /// When its bytes are none, or of another release.
    pub fn record(&self) -> Result<Record<'_>, RecordError> {
        Record::parse(&self.bytes)
    }

    /// What names the event for ever.
    ///
    /// # Errors
    /// Those of [`record`](Self::record).
    pub fn identity(&self) -> Result<Identity, RecordError> {
        Ok(identity(self.ring, self.position, &self.record()?))
    }
}

fn identity(ring: RingId, position: u64, record: &Record<'_>) -> Identity {
    let header = record.header();
    let (ring, position) = match header.origin.ring {
        0 => (ring.0, position),
        known => (known, header.origin.position),
    };
    Identity { ring, shard: header.shard.id, position, index: header.index }
}
