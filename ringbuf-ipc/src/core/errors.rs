//! Why a member or an observer gets nothing.

use std::io;
use std::ops::Range;

use super::Position;
use super::group_spec::{GroupError, STOPPED};

/// Why nothing could be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TakeError {
    /// The group was evicted while none of its members lived, and overwriting went on without it.
    /// The next take goes on after the loss.
    #[error(
        "the group was evicted after its max_absence: what it had not acknowledged of records \
         {}..{} is gone", lost.start, lost.end
    )]
    Evicted {
        /// From the first record lost to the first one kept.
        lost: Range<Position>,
        /// Exactly: every record of the partition in the range is lost. Partitions that lost nothing
        /// are left out.
        partitions: Vec<(u16, Range<Position>)>,
    },
    /// The group was removed, or replaced by another of its name. Join again.
    #[error("the group was removed")]
    Removed,
    /// The group's entry is damaged: it says that records are acknowledged which were never published.
    /// Remove the group, and make it anew.
    #[error(
        "the group's entry is damaged: {what} is {found}, beyond the tail {tail}: stop its members, \
         remove the group and make it anew; what it had not acknowledged is lost to it"
    )]
    Beyond {
        /// Which word: `floor`, or `cursor` of a partition.
        what: &'static str,
        /// What stands there.
        found: Position,
        /// Records published at that time.
        tail: Position,
    },
    /// The group's entry is damaged: a word of it is of a time at which it was not this group's. Remove the
    /// group, and make it anew.
    #[error(
        "the group's entry is damaged: {what} says {found:#x}, which no member wrote: stop its members, \
         remove the group and make it anew; what it had not acknowledged is lost to it"
    )]
    Foreign {
        /// Which word: `floor`, or `cursor` of a partition.
        what: &'static str,
        /// Its bits.
        found: u64,
    },
    /// What stands at `position` is no record: the segment is damaged.
    #[error(
        "record {position} is damaged: stop the ring's processes, remove its file, and start them again"
    )]
    Corrupt {
        /// Where.
        position: Position,
    },
    /// A record that is not to be given again could not be written into the group's file of dead letters;
    /// that is tried again every second.
    #[error("record {position} is dead, and cannot be written down: {error}")]
    Letters {
        /// Which.
        position: Position,
        /// Why.
        error: io::Error,
    },
    /// The group's file of dead letters and records set aside was damaged, and was found so since the last take. What
    /// was whole goes on; the next take goes on, too.
    #[error(
        "the group's file of dead letters was damaged: of {lost} entries at least nothing is left; what it was is \
         kept as /dev/shm/{file}.damaged"
    )]
    LettersDamaged {
        /// Dead letters and records set aside that are lost, as far as that can be told.
        lost: u64,
        /// Name of the file in /dev/shm.
        file: String,
    },
    /// The file of an out-of-line record is there and could not be read. (Of one that is gone, the record is
    /// given as [lost](crate::Entry::lost).)
    #[error(
        "the file of out-of-line record {position} cannot be read: {error}; mend that and take again"
    )]
    Blob {
        /// Which.
        position: Position,
        /// Why.
        error: io::Error,
    },
}

/// Why a member or observer could not join.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The group could not be had.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// Every place is taken by a living member or observer.
    #[error("all {limit} places are taken: stop one, or make the ring with more")]
    Full {
        /// Places there are.
        limit: u16,
    },
    /// Somebody holds the lock on the group table, which is held for moments, and does not let go.
    #[error("the group table is locked by a process that does not let go: {STOPPED}")]
    Busy,
    /// Locks or files.
    #[error("joining: {0}")]
    Io(#[from] io::Error),
}
