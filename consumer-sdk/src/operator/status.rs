use std::time::Duration;

use mixcord_event::topology;
use mixcord_holdup::{Holdup, Oldest};
use mixcord_ring::{GroupInfo, Policy, Ring};
use serde::Serialize;

use super::members::{oldest, state_name};
use super::{CacheStatus, ShardStatus, StageStatus, writer};

/// A ring as it is now.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RingStatus {
    /// Its name: `shard-0-4`, `out`, or `stage-spam`.
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
    /// Groups let go, or removed for want of a living member.
    pub evictions: u64,
    /// The program that wrote its checkpoint, with its version; `null` where that does not say.
    pub writer: Option<String>,
    /// How the shard stands whose events it holds; `null` for the output ring.
    pub shard: Option<ShardStatus>,
    /// What the cache counted; `null` for any ring but the output ring.
    pub cache: Option<CacheStatus>,
    /// What the stage did whose ring it is; `null` for any other.
    pub stage: Option<StageStatus>,
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
    /// How long ago the gateway received the first record that it has not acknowledged, in seconds; `null` where
    /// there is none, or it does not say.
    pub oldest_seconds: Option<f64>,
    /// What is so of that record: `waiting`, `out`, `retry`, `dying` or `aside`; `null` where members take batches.
    pub oldest_state: Option<&'static str>,
    /// Events given more than once, each time counted.
    pub redelivered: u64,
    /// Events given up.
    pub dead: u64,
    /// Of those, dropped since for want of room.
    pub dead_dropped: u64,
    /// Events set aside so that they do not hold the ring up.
    pub aside: u64,
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

impl RingStatus {
    /// The shard whose events it holds, and of how many shards that is one.
    #[must_use]
    pub fn of_shard(&self) -> Option<(u16, u16)> {
        topology::parse_shard_ring(&self.name)
    }

    /// Is it the one that consumers read?
    #[must_use]
    pub fn is_output(&self) -> bool {
        self.name == topology::OUTPUT_RING
    }
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
    pub(super) fn of(ring: &Ring, group: &GroupInfo) -> Self {
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
            oldest_seconds: oldest(ring, group)
                .and_then(|it| it.age())
                .map(|age| age.as_secs_f64()),
            oldest_state: group.oldest.map(|standing| state_name(standing.state)),
            redelivered: group.figures.redelivered,
            dead: group.figures.dead,
            dead_dropped: group.figures.dropped,
            aside: group.figures.aside,
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
        groups: ring.groups().iter().map(|group| GroupStatus::of(ring, group)).collect(),
        held_by: held_by.as_ref().map(HoldupStatus::of),
        evictions: pressure.evictions,
        writer: writer(ring),
        shard: ShardStatus::of(ring),
        cache: CacheStatus::of(ring),
        stage: StageStatus::of(ring),
    }
}
