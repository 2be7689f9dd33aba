//! A reader group as its creator wants it.

use std::io;
use std::time::Duration;

use super::Position;
use super::layout::group;

/// What becomes of a group's backlog while none of its members lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// It is kept, and fills the ring. With `max_absence`, a group without a living member for that
    /// long is evicted, but only once the ring is full.
    Durable {
        /// `None` keeps the backlog for ever.
        max_absence: Option<Duration>,
    },
    /// The group ends with its last member.
    Ephemeral,
}

/// Where a group that is not there yet begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The oldest record still there.
    Earliest,
    /// The next record to be published.
    Latest,
    /// This record, or the oldest still there if it is gone.
    At(Position),
}

/// A group as its creator wants it. What exists already keeps its cursor and its policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSpec {
    /// 1 to 64 of `[a-z0-9._-]`.
    pub name: String,
    /// Kept from the creation on.
    pub policy: Policy,
    /// Only for a group that is not there yet.
    pub start: Start,
    /// How its members take records; kept from the creation on, and refused where it is another.
    pub mode: Mode,
}

/// How the members of a group take records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Mode {
    /// Batches of one partition each, acknowledged in order.
    #[default]
    InOrder,
    /// One by one, settled in any order, counted when given in vain. Takes 8 bytes a slot of the ring.
    AnyOrder {
        /// Which records wait for each other.
        order: Order,
        /// Whether partitions stay with the members that have them, and so all records of a key with one member.
        sticky: bool,
    },
    /// One member, which gets everything in the order of the ring.
    Follow,
}

/// Which records of a group wait for each other: those of one order key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Order {
    /// Of the partition key.
    #[default]
    Key,
    /// Of the finer key that the producer gives, where it gives one.
    Finer,
    /// None do.
    None,
    /// All do: nothing goes on while one record is not settled.
    Ring,
    /// Of a key that the members work out. The number names how; all members of a group must do it alike.
    Own(u32),
}

impl Mode {
    pub(crate) const fn has_words(self) -> bool {
        matches!(self, Self::AnyOrder { .. })
    }

    /// Order and stickiness in one word. A reader that does not know the latter finds an order that nobody has.
    pub(crate) const fn order_word(self) -> u64 {
        match self {
            Self::AnyOrder { order, sticky } => order.number() | (sticky as u64) << STICKY_AT,
            Self::InOrder | Self::Follow => 0,
        }
    }

    /// What [`order_word`](Self::order_word) gave.
    pub(crate) const fn any_order(word: u64) -> Self {
        let order = Order::of(word & !(1 << STICKY_AT));
        Self::AnyOrder { order, sticky: word >> STICKY_AT != 0 }
    }
}

const STICKY_AT: u32 = 63;

impl Order {
    pub(crate) const fn number(self) -> u64 {
        match self {
            Self::Key => 0,
            Self::Finer => 1,
            Self::None => 2,
            Self::Ring => 3,
            Self::Own(number) => 4 + number as u64,
        }
    }

    pub(crate) const fn of(number: u64) -> Self {
        match number {
            0 => Self::Key,
            1 => Self::Finer,
            2 => Self::None,
            3 => Self::Ring,
            number => Self::Own((number - 4) as u32),
        }
    }
}

impl GroupSpec {
    /// A group that keeps its backlog; starts at [`Start::Latest`].
    pub fn durable(name: &str) -> Self {
        let policy = Policy::Durable { max_absence: None };
        Self { name: name.to_owned(), policy, start: Start::Latest, mode: Mode::InOrder }
    }

    /// A group that ends with its last member; starts at [`Start::Latest`].
    pub fn ephemeral(name: &str) -> Self {
        Self { policy: Policy::Ephemeral, ..Self::durable(name) }
    }

    /// Checks the name, as declaring and joining do.
    ///
    /// # Errors
    /// [`GroupError::Name`].
    pub fn check(&self) -> Result<(), GroupError> {
        check_name(&self.name)
    }

    /// Starts elsewhere.
    #[must_use]
    pub fn from(self, start: Start) -> Self {
        Self { start, ..self }
    }

    /// Its members take records one by one and settle them in any order.
    #[must_use]
    pub fn any_order(self, order: Order) -> Self {
        Self { mode: Mode::AnyOrder { order, sticky: false }, ..self }
    }

    /// Of a group in any order: each partition is one member's as long as that lives and has its share, so that a
    /// process sees all records of its keys and may keep in memory what it knows of them. A join moves the share of
    /// the newcomer, a death that of the dead. See [`Worker::rebalance`](crate::Worker::rebalance).
    #[must_use]
    pub fn sticky(self) -> Self {
        match self.mode {
            Mode::AnyOrder { order, .. } => {
                Self { mode: Mode::AnyOrder { order, sticky: true }, ..self }
            }
            Mode::InOrder | Mode::Follow => self,
        }
    }

    /// It has one member, which gets everything in the order of the ring.
    #[must_use]
    pub fn follow(self) -> Self {
        Self { mode: Mode::Follow, ..self }
    }

    /// Makes the group durable, and lets it be evicted from a full ring after this long without a
    /// living member (resolution 1 ms, and about 10 ms until it is noticed).
    #[must_use]
    pub fn max_absence(self, absence: Duration) -> Self {
        Self { policy: Policy::Durable { max_absence: Some(absence) }, ..self }
    }
}

/// What to do about who holds the lock on the group table.
pub(crate) const STOPPED: &str = "one of those that have this ring open (fuser, lsof) is stopped (Ctrl-Z, \
     a debugger, a frozen container); let it go on, or end it, and try again";

/// Why a group could not be declared, joined or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// Every place in the group table is taken.
    #[error(
        "the ring has its {limit} groups already: remove one that is not needed, or make the ring \
         with more groups"
    )]
    TableFull {
        /// Groups the ring has room for.
        limit: u16,
    },
    /// Not 1 to 64 of `[a-z0-9._-]`.
    #[error("{name:?} is no group name: 1 to 64 of a-z, 0-9, '.', '_', '-'")]
    Name {
        /// The name refused.
        name: String,
    },
    /// Some member lives.
    #[error("group {name:?} has {members} living member(s): stop them first")]
    InUse {
        /// The group.
        name: String,
        /// How many live.
        members: u16,
    },
    /// Its members take records in another way.
    #[error(
        "group {name:?} is there with another mode: it is {is:?}, and {wanted:?} was asked for: ask for \
         what it is, or remove it first"
    )]
    Mode {
        /// The group.
        name: String,
        /// How its members take records.
        is: Mode,
        /// How it was asked for.
        wanted: Mode,
    },
    /// There is no such group.
    #[error("there is no group {name:?}")]
    NotFound {
        /// The name asked for.
        name: String,
    },
    /// Its file of dead letters and records set aside could not be read or written.
    #[error("the group's file of dead letters: {0}")]
    Letters(#[source] io::Error),
    /// Somebody holds the lock on the group table, which is held for moments, and does not let go.
    #[error("the group table is locked by a process that does not let go: {STOPPED}")]
    Busy,
    /// The table could not be locked.
    #[error("lock on the group table: {0}")]
    Io(#[from] io::Error),
}

/// Checks a name's characters and length.
pub(crate) fn check_name(name: &str) -> Result<(), GroupError> {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    if name.is_empty() || name.len() > group::NAME_MAX || !name.bytes().all(legal) {
        return Err(GroupError::Name { name: name.to_owned() });
    }
    Ok(())
}
