//! A group in detail: who is in it, where it stands, and what happened to it.

use mixcord_holdup::Oldest;
use mixcord_ring::{GroupInfo, MemberInfo, Mode, Order, Ring, Standing, State};
use serde::Serialize;

use super::status::{GroupStatus, RecordStatus};

/// All that is known of a group.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct GroupDetail {
    /// What the list says of it, too.
    #[serde(flatten)]
    pub status: GroupStatus,
    /// Which events wait for each other: `guild`, `channel`, `none`, `ring` or `own`; `batches` where members take
    /// batches of a partition each, `follow` where one member follows the ring.
    pub order: &'static str,
    /// Whether guilds stay with the members that have them.
    pub sticky: bool,
    /// Times that the group's file of dead letters and events set aside was found damaged; each time what was found
    /// is kept beside it, as `….damaged`.
    pub letters_damaged: u64,
    /// Dead letters and events set aside that were lost to that, at least.
    pub letters_lost: u64,
    /// The members that live.
    pub living: Vec<MemberStatus>,
    /// How many partitions have something before them; 0 where there are none.
    pub partitions_behind: usize,
    /// How many partitions it has; 0 where events are taken one by one.
    pub partitions: usize,
    /// The first record that it has not acknowledged; `null` where there is none, or it cannot be read.
    pub oldest: Option<RecordStatus>,
    /// The process that has it.
    pub oldest_pid: Option<u32>,
    /// How often handlers failed with it.
    pub oldest_failures: u8,
    /// How many processes died while they had it.
    pub oldest_deaths: u8,
}

/// A member of a group.
#[derive(Debug, Clone, Copy, Serialize)]
#[non_exhaustive]
pub struct MemberStatus {
    /// Its place in the group.
    pub seat: u16,
    /// Its process, in its own pid namespace; `null` where it does not say.
    pub pid: Option<u32>,
    /// How long ago it joined, in seconds; `null` where it does not say.
    pub age_seconds: Option<u64>,
    /// How long ago it last took or acknowledged something, or had nothing to do; `null` where it does not say.
    pub still_seconds: Option<u64>,
    /// How many events it acknowledged.
    pub settled: u64,
    /// How many partitions it has of a sticky group; `null` where the group is not.
    pub partitions: Option<u16>,
}

impl MemberStatus {
    fn of(member: &MemberInfo) -> Self {
        let told = member.process != 0;
        Self {
            seat: member.seat,
            pid: told.then_some(member.process),
            age_seconds: told.then_some(member.age.as_secs()),
            still_seconds: told.then_some(member.still.as_secs()),
            settled: member.settled,
            partitions: member.partitions,
        }
    }
}

/// The first record that a group has not acknowledged.
pub(super) fn oldest(ring: &Ring, group: &GroupInfo) -> Option<Oldest> {
    let is_held = group.lag > 0 && !group.evicted && !group.damaged;
    is_held.then(|| Oldest::at(ring, group.floor)).flatten()
}

/// A group of this ring in detail.
pub(super) fn detail(ring: &Ring, group: &GroupInfo) -> GroupDetail {
    let oldest = oldest(ring, group);
    let standing = group.oldest;
    let counted = |count: fn(&Standing) -> u8| standing.as_ref().map_or(0, count);
    GroupDetail {
        status: GroupStatus::of(ring, group),
        order: order_name(group.mode),
        sticky: matches!(group.mode, Mode::AnyOrder { sticky: true, .. }),
        letters_damaged: group.figures.damaged,
        letters_lost: group.figures.damaged_lost,
        living: group.living.iter().map(MemberStatus::of).collect(),
        partitions_behind: group.partition_lags.iter().filter(|&&lag| lag > 0).count(),
        partitions: group.partition_lags.len(),
        oldest: oldest.as_ref().map(RecordStatus::of),
        oldest_pid: standing.and_then(|standing| pid_of(standing.member?, &group.living)),
        oldest_failures: counted(|standing| standing.failures),
        oldest_deaths: counted(|standing| standing.deaths),
    }
}

/// The process of the member in that seat.
pub(super) fn pid_of(seat: u16, members: &[MemberInfo]) -> Option<u32> {
    let member = members.iter().find(|member| member.seat == seat)?;
    (member.process != 0).then_some(member.process)
}

/// What is so of a record, in a word.
pub(super) const fn state_name(state: State) -> &'static str {
    match state {
        State::Waiting => "waiting",
        State::Out => "out",
        State::Retry => "retry",
        State::Dying => "dying",
        State::Aside => "aside",
        State::Settled => "settled",
        _ => "other",
    }
}

const fn order_name(mode: Mode) -> &'static str {
    match mode {
        Mode::InOrder => "batches",
        Mode::Follow => "follow",
        Mode::AnyOrder { order, .. } => match order {
            Order::Key => "guild",
            Order::Finer => "finer",
            Order::None => "none",
            Order::Ring => "ring",
            crate::order::CHANNEL => "channel",
            Order::Own(_) => "own",
            _ => "other",
        },
        _ => "other",
    }
}
