use std::time::Duration;

use mixcord_ring::{Policy, Ring};
use serde::Serialize;

use super::ShardStatus;

/// A ring as it is now.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RingStatus {
    /// Its name: `shard-0-4`, or `out`.
    pub name: String,
    /// The id of this incarnation, in hexadecimal.
    pub id: String,
    /// How many records it can hold.
    pub slots: u32,
    /// How many bytes of records it can hold.
    pub payload_bytes: u64,
    /// How many groups it can have.
    pub group_slots: u16,
    /// Into how many partitions a group divides its records.
    pub partitions: u16,
    /// The number of records ever published.
    pub tail: u64,
    /// The oldest record that is still there.
    pub earliest: u64,
    /// Does a process publish to it?
    pub producer_alive: bool,
    /// How full it is of what groups have not acknowledged, 0 to 1.
    pub fullness: f64,
    /// How often its producer had to wait for space.
    pub stalls: u64,
    /// How long it waited, in seconds.
    pub stalled_seconds: f64,
    /// Its groups.
    pub groups: Vec<GroupStatus>,
    /// How the shard stands whose events it holds; `null` for the output ring.
    pub shard: Option<ShardStatus>,
}

/// A group as it is now.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct GroupStatus {
    /// Its name.
    pub name: String,
    /// `durable` or `ephemeral`.
    pub policy: &'static str,
    /// After how many seconds without a member it may be let go; `null` for never.
    pub max_absence_seconds: Option<u64>,
    /// How many members live.
    pub members: u16,
    /// The first record that it has not acknowledged.
    pub floor: u64,
    /// How many records it is behind.
    pub lag: u64,
    /// How much of the ring its backlog takes, 0 to 1.
    pub fullness: f64,
    /// Its entry in the ring is damaged: the figures are not to be believed, its members get an error, and
    /// nothing is kept for it until it is removed and made anew.
    pub damaged: bool,
}

/// The ring as it is now.
pub(super) fn status(ring: &Ring) -> RingStatus {
    let (geometry, pressure) = (ring.geometry(), ring.pressure());
    let groups = ring.groups().into_iter().map(|group| {
        let (policy, absence) = match group.policy {
            Policy::Durable { max_absence } => ("durable", max_absence),
            Policy::Ephemeral => ("ephemeral", None),
            _ => ("other", None),
        };
        GroupStatus {
            name: group.name,
            policy,
            max_absence_seconds: absence.map(|absence| absence.as_secs()),
            members: group.members,
            floor: group.floor,
            lag: group.lag,
            fullness: group.fullness,
            damaged: group.damaged,
        }
    });
    RingStatus {
        name: ring.name().to_owned(),
        id: format!("{:016x}", ring.id().0),
        slots: geometry.slots,
        payload_bytes: geometry.payload_bytes,
        group_slots: geometry.groups,
        partitions: geometry.partitions,
        tail: ring.tail(),
        earliest: ring.earliest(),
        producer_alive: ring.producer_alive(),
        fullness: pressure.fullness,
        stalls: pressure.stalls,
        stalled_seconds: Duration::from_nanos(pressure.stalled_ns).as_secs_f64(),
        groups: groups.collect(),
        shard: ShardStatus::of(ring),
    }
}
