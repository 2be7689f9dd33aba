use std::time::Duration;

use mixcord_holdup::{Holdup, Oldest};
use mixcord_ring::{GroupInfo, Policy, Ring};
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
    /// Who holds it, and what ends that, while it is full or nearly so; `null` else.
    pub held_by: Option<HoldupStatus>,
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
    /// For how many seconds none has; `null` while one does, and until somebody notices that the last one died.
    pub absent_seconds: Option<u64>,
    /// It was let go: it holds nothing until a member joins.
    pub evicted: bool,
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

/// Who holds a full ring up.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct HoldupStatus {
    /// The group.
    pub group: String,
    /// The first record that it has not acknowledged; `null` where that cannot be read.
    pub oldest: Option<RecordStatus>,
    /// The command that ends it; `null` where a program has to be started or looked at.
    pub command: Option<String>,
    /// All of it in one sentence, for people.
    pub text: String,
}

/// A record, as far as it is told to somebody who looks for the cause of a standstill.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RecordStatus {
    /// Where it stands in its ring.
    pub position: u64,
    /// What names its event for ever, as [`Event::identity`](crate::Event::identity) prints it.
    pub identity: String,
    /// Discord's name for it.
    pub kind: String,
    /// The guild it belongs to, as text.
    pub guild_id: Option<String>,
    /// How long ago the gateway received it, in seconds; `null` where that is not known.
    pub age_seconds: Option<f64>,
    /// The same for people: `MESSAGE_CREATE of guild 5 from 14:02:11 UTC`.
    pub text: String,
}

impl RecordStatus {
    pub(super) fn of(oldest: &Oldest) -> Self {
        Self {
            position: oldest.position,
            identity: oldest.identity.clone(),
            kind: oldest.kind.clone(),
            guild_id: oldest.guild.map(|guild| guild.to_string()),
            age_seconds: oldest.age().map(|age| age.as_secs_f64()),
            text: oldest.to_string(),
        }
    }
}

impl HoldupStatus {
    fn of(holdup: &Holdup) -> Self {
        Self {
            group: holdup.group.clone(),
            oldest: holdup.oldest.as_ref().map(RecordStatus::of),
            command: holdup.command(),
            text: holdup.to_string(),
        }
    }
}

impl GroupStatus {
    pub(super) fn of(group: &GroupInfo) -> Self {
        let (policy, absence) = match group.policy {
            Policy::Durable { max_absence } => ("durable", max_absence),
            Policy::Ephemeral => ("ephemeral", None),
            _ => ("other", None),
        };
        Self {
            name: group.name.clone(),
            policy,
            max_absence_seconds: absence.map(|absence| absence.as_secs()),
            members: group.members,
            absent_seconds: group.absent.map(|absent| absent.as_secs()),
            evicted: group.evicted,
            floor: group.floor,
            lag: group.lag,
            fullness: group.fullness,
            damaged: group.damaged,
        }
    }
}

/// The ring as it is now.
pub(super) fn status(ring: &Ring) -> RingStatus {
    let (geometry, pressure) = (ring.geometry(), ring.pressure());
    let held_by =
        (pressure.fullness >= mixcord_holdup::FULL).then(|| mixcord_holdup::of(ring)).flatten();
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
        groups: ring.groups().iter().map(GroupStatus::of).collect(),
        held_by: held_by.as_ref().map(HoldupStatus::of),
        shard: ShardStatus::of(ring),
    }
}
