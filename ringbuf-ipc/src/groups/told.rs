//! What is told of groups, their members and their records.

use std::time::Duration;

use crate::Position;
use crate::core::words::letter::{Condition, Head};
use crate::core::words::word::{self, Counts, Word};

/// A member that lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberInfo {
    /// Its place in the group.
    pub seat: u16,
    /// Its process, as that calls itself; 0 where it does not say.
    pub process: u32,
    /// Since it joined; 0 where it does not say.
    pub age: Duration,
    /// Since it last took or settled something, or had nothing to do.
    pub still: Duration,
    /// Records it settled, of the last 64 perhaps not all.
    pub settled: u64,
    /// Partitions it has of a sticky group; `None` where the group is not.
    pub partitions: Option<u16>,
}

/// Where a record stands in a group whose records are settled in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standing {
    /// Its number.
    pub position: Position,
    /// What is so of it.
    pub state: State,
    /// The seat of the member that has it.
    pub member: Option<u16>,
    /// How often it was given in vain: handlers that failed.
    pub failures: u8,
    /// And processes that died while they had it.
    pub deaths: u8,
}

/// What is so of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It waits to be given, or for an earlier one of its order key.
    Waiting,
    /// It is given to a member.
    Out,
    /// A member waits to try it again.
    Retry,
    /// It is on its way to the dead letters.
    Dying,
    /// It was set aside: the cursor passes it, and it is given from the group's file.
    Aside,
    /// It is settled.
    Settled,
}

/// Figures of a group since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupFigures {
    /// Records given more than once, each time counted.
    pub redelivered: u64,
    /// Dead letters written.
    pub dead: u64,
    /// Dead letters dropped for want of room.
    pub dropped: u64,
    /// Records set aside.
    pub aside: u64,
    /// Times that the group's file of dead letters and asides was found damaged: then what it was is kept beside
    /// it, as `….damaged`.
    pub damaged: u64,
    /// Dead letters and asides lost to that, at least.
    pub damaged_lost: u64,
}

/// A record that is not settled.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peeked {
    /// Where it stands.
    pub standing: Standing,
    /// As its producer gave it.
    pub key: u64,
    /// Its finer key, 0 where that is `key`.
    pub order: u64,
    /// As its producer gave it.
    pub tag: u64,
    /// As its producer gave it.
    pub source: u64,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// A record that is not given again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Its number.
    pub position: Position,
    /// As its producer gave it.
    pub key: u64,
    /// Its finer key, 0 where that is `key`.
    pub order: u64,
    /// As its producer gave it.
    pub tag: u64,
    /// As its producer gave it.
    pub source: u64,
    /// Since 1970.
    pub written: Duration,
    /// Handlers that failed with it.
    pub failures: u8,
    /// Processes that died while they had it.
    pub deaths: u8,
    /// What was said of it last.
    pub reason: String,
    /// Its bytes.
    pub payload: Vec<u8>,
}

impl Standing {
    pub(super) fn of(position: Position, word: Word) -> Self {
        let state = match word.state() {
            word::State::Free => State::Waiting,
            word::State::Out | word::State::Once => State::Out,
            word::State::Retry => State::Retry,
            word::State::Dying => State::Dying,
            word::State::Aside => State::Aside,
            word::State::Done | word::State::Passed => State::Settled,
        };
        let Counts { failures, deaths } = word.counts();
        Self { position, state, member: word.member(), failures, deaths }
    }
}

impl Peeked {
    pub(super) fn aside(head: &Head, payload: Vec<u8>) -> Self {
        let Condition { member, counts: Counts { failures, deaths }, .. } = head.condition;
        let (position, state) = (head.position, State::Aside);
        let standing = Standing { position, state, member, failures, deaths };
        let (key, order, tag, source) = (head.key, head.order, head.tag, head.source);
        Self { standing, key, order, tag, source, payload }
    }
}
