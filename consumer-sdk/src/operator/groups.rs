//! What an operator does with the consumer groups of the output ring.

use std::time::{Duration, UNIX_EPOCH};

use mixcord_holdup::Oldest;
use mixcord_ring::{GroupError, GroupInfo, GroupSpec, Mode, Order, Position, Ring, Start};

use super::members::{GroupDetail, detail};
use super::records::{DeadRecord, WaitingRecord};
use super::status::GroupStatus;
use super::{Error, Instance};
use crate::options::{Absence, Options};

/// A group as it is to be created. [`Default`] is what a consumer makes that says nothing but its name, without
/// a limit to its absence.
#[derive(Debug, Clone, Default)]
pub struct GroupPlan {
    /// With the oldest event that is still there, rather than with what comes from now on.
    pub earliest: bool,
    /// It goes with its last member.
    pub ephemeral: bool,
    /// How long a durable group may have no member before it is let go, if the ring is full because of it.
    pub max_absence: Option<Duration>,
    /// Which events wait for each other; those of a guild unless said otherwise.
    pub order: Option<GroupOrder>,
    /// Guilds stay with the members that have them.
    pub sticky: bool,
}

/// Which events of a group wait for each other. A member that asks for another order is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupOrder {
    /// Those of a guild.
    Guild,
    /// Those of a channel.
    Channel,
    /// None do.
    None,
    /// All do: one at a time, in the order of the ring.
    Ring,
}

/// Where a group is to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// At the oldest event that is still there.
    Earliest,
    /// At what comes from now on.
    Latest,
    /// At the record of this number.
    Position(u64),
    /// At the first event that the gateway received then or later, as time since the Unix epoch.
    Since(Duration),
}

impl Instance {
    /// The groups of the output ring, or of the [source](Instance::of_source) that is meant.
    ///
    /// # Errors
    /// When there is no output ring.
    pub fn groups(&self) -> Result<Vec<GroupStatus>, Error> {
        let ring = self.output()?;
        Ok(ring.groups().iter().map(|group| GroupStatus::of(&ring, group)).collect())
    }

    /// All that is known of a group.
    ///
    /// # Errors
    /// When there is no such group.
    pub fn group(&self, name: &str) -> Result<GroupDetail, Error> {
        let ring = self.output_for(name)?;
        Ok(detail(&ring, &self.find(&ring, name)?))
    }

    /// Declares a group on the output ring, so that it misses nothing from now on whenever its members start.
    /// `false` when there is one already, which stays as it is.
    ///
    /// # Errors
    /// When there is no output ring, or no room for a group, or it is there with another order.
    pub fn declare_group(&self, name: &str, plan: &GroupPlan) -> Result<bool, Error> {
        let absence = plan.max_absence.map_or(Absence::Never, Absence::After);
        let (ephemeral, sticky) = (plan.ephemeral, plan.sticky);
        let options = Options { ephemeral, absence, sticky, ..Options::new() };
        let start = if plan.earliest { Start::Earliest } else { Start::Latest };
        let order = match plan.order {
            None | Some(GroupOrder::Guild) => crate::Order::Guild.in_ring(),
            Some(GroupOrder::Channel) => crate::Order::Channel.in_ring(),
            Some(GroupOrder::None) => crate::Order::None.in_ring(),
            Some(GroupOrder::Ring) => Order::Ring,
        };
        let spec = options.spec(name, start, order);
        self.output_for(name)?.declare_group(&spec).map_err(|source| self.group_error(name, source))
    }

    /// Removes a group from the output ring, with its backlog and its dead letters. By `force` also one whose
    /// members live: they end with an error, and what they have is given to nobody.
    ///
    /// # Errors
    /// When there is no such group, or members of it live.
    pub fn end_group(&self, name: &str, force: bool) -> Result<(), Error> {
        let ring = self.output_for(name)?;
        let removed =
            if force { ring.remove_group_by_force(name) } else { ring.remove_group(name) };
        removed.map_err(|source| self.group_error(name, source))
    }

    /// Has a group go on elsewhere; the number of the record where it stands then. What was acknowledged from
    /// there on is given again, what comes before is not given any more. By `force` also while members live:
    /// they end with an error.
    ///
    /// # Errors
    /// When there is no such group, or members of it live.
    pub fn reset_group(&self, name: &str, to: Place, force: bool) -> Result<u64, Error> {
        let ring = self.output_for(name)?;
        let members = self.find(&ring, name)?.members;
        if members > 0 && !force {
            let source = GroupError::InUse { name: name.to_owned(), members };
            return Err(self.group_error(name, source));
        }
        let to = match to {
            Place::Earliest => Start::Earliest,
            Place::Latest => Start::Latest,
            Place::Position(position) => Start::At(position),
            Place::Since(time) => Start::At(first_since(&ring, time)),
        };
        ring.reset_group(name, to).map_err(|source| self.group_error(name, source))
    }

    /// Gives up one event of a group, whoever has it: it counts as acknowledged. The one that the group is held
    /// up by, unless another is named. Which it was; `None` when the group has not got it before it.
    ///
    /// # Errors
    /// When there is no such group, or its events are taken in batches, so that one cannot be left out.
    pub fn skip(&self, name: &str, position: Option<u64>) -> Result<Option<WaitingRecord>, Error> {
        let ring = self.output_for(name)?;
        if !matches!(self.find(&ring, name)?.mode, Mode::AnyOrder { .. }) {
            let (instance, group) = (self.name.clone(), name.to_owned());
            return Err(Error::Batches { instance, group });
        }
        let most = if position.is_some() { usize::MAX } else { 1 };
        let before = self.waiting(&ring, name, most)?;
        let mut wanted =
            before.into_iter().filter(|it| position.is_none_or(|at| at == it.position));
        let Some(found) = wanted.next() else { return Ok(None) };
        let skipped = ring
            .skip_record(name, found.position)
            .map_err(|source| self.group_error(name, source))?;
        Ok(skipped.then_some(found))
    }

    /// What a group has not acknowledged, the oldest first, at most so many.
    ///
    /// # Errors
    /// When there is no such group.
    pub fn peek(&self, name: &str, most: usize) -> Result<Vec<WaitingRecord>, Error> {
        self.waiting(&self.output_for(name)?, name, most)
    }

    /// The events that a group gave up, the oldest first.
    ///
    /// # Errors
    /// When there is no such group, or its file cannot be read.
    pub fn dead_letters(&self, name: &str) -> Result<Vec<DeadRecord>, Error> {
        let ring = self.output_for(name)?;
        let letters = ring.dead_letters(name).map_err(|source| self.group_error(name, source))?;
        Ok(letters.into_iter().map(|letter| DeadRecord::new(ring.id(), letter)).collect())
    }

    /// Has events that were given up given again, those at these positions, or all. How many.
    ///
    /// # Errors
    /// When there is no such group, or its file cannot be written.
    pub fn retry_dead_letters(&self, name: &str, which: Option<&[u64]>) -> Result<usize, Error> {
        let ring = self.output_for(name)?;
        ring.retry_dead_letters(name, which).map_err(|source| self.group_error(name, source))
    }

    fn waiting(&self, ring: &Ring, name: &str, most: usize) -> Result<Vec<WaitingRecord>, Error> {
        let members = self.find(ring, name)?.living;
        let peeked =
            ring.peek_group(name, most).map_err(|source| self.group_error(name, source))?;
        Ok(peeked.into_iter().map(|it| WaitingRecord::new(ring.id(), it, &members)).collect())
    }

    fn find(&self, ring: &Ring, name: &str) -> Result<GroupInfo, Error> {
        let found = ring.groups().into_iter().find(|group| group.name == name);
        let missing = || GroupError::NotFound { name: name.to_owned() };
        found.ok_or_else(|| self.group_error(name, missing()))
    }

    /// The output ring, to do something with a group of this name, if it can be one.
    fn output_for(&self, name: &str) -> Result<Ring, Error> {
        GroupSpec::durable(name).check().map_err(|source| self.group_error(name, source))?;
        self.output()
    }
}

/// The first record that the gateway received then or later. Those of different shards lie side by side, some
/// milliseconds apart.
fn first_since(ring: &Ring, time: Duration) -> Position {
    let (mut low, mut high) = (ring.earliest(), ring.tail());
    while low < high {
        let middle = low + (high - low) / 2;
        let received = Oldest::at(ring, middle).map_or(0, |record| record.received_us);
        if Duration::from_micros(received) < time {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

impl Place {
    /// So long ago, by the clock of this machine.
    #[must_use]
    pub fn ago(time: Duration) -> Self {
        let now = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::Since(now.saturating_sub(time))
    }
}
