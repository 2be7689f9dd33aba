//! What a consumer was asked to be: set by the builder, checked once, read by everybody.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mixcord_event::topology;
use mixcord_ring::{GroupSpec, Namespace, Order as RingOrder, Pace, Start, UnknownPace};

use crate::dead::DeadLetter;
use crate::filter::Filter;
use crate::group::policy::Policy;
use crate::order::Order;
use crate::rebalance::Rebalance;
use crate::{Error, State, Stop};

/// How long a group may be absent before it holds up a full ring no more.
const ABSENCE: Duration = Duration::from_secs(15 * 60);

/// When a group that nobody is a member of holds up a full ring no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absence {
    /// After a quarter of an hour, unless it is ephemeral.
    Usual,
    After(Duration),
    Never,
}

/// Where the rings are that a consumer reads, and who answers its questions.
#[derive(Debug, Clone)]
pub(crate) enum Home {
    /// In the instance of the options' name.
    Instance,
    /// In a test.
    #[cfg(feature = "testing")]
    Made(Namespace, State),
}

/// Whom to tell of dead letters.
#[derive(Clone)]
pub(crate) struct OnDead(pub(crate) Arc<dyn Fn(&DeadLetter) + Send + Sync>);

impl fmt::Debug for OnDead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnDead(..)")
    }
}

/// Whom to tell of a new share of a sticky group.
#[derive(Clone)]
pub(crate) struct OnRebalance(pub(crate) Arc<dyn Fn(&Rebalance) + Send + Sync>);

impl fmt::Debug for OnRebalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnRebalance(..)")
    }
}

/// What a consumer is.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) home: Home,
    pub(crate) instance: String,
    /// What it reads: `out`, or a stage.
    pub(crate) source: String,
    pub(crate) group: Option<String>,
    pub(crate) observer: bool,
    pub(crate) ephemeral: bool,
    pub(crate) absence: Absence,
    pub(crate) start: Start,
    pub(crate) policy: Policy,
    pub(crate) on_dead: Option<OnDead>,
    pub(crate) sticky: bool,
    pub(crate) on_rebalance: Option<OnRebalance>,
    pub(crate) filter: Filter,
    pub(crate) concurrency: usize,
    /// `None` for what `MIXCORD_PACE` says.
    pub(crate) pace: Option<Pace>,
    /// `None` for what the group has, which is [`Order::Guild`] when it is made.
    pub(crate) order: Option<Order>,
    pub(crate) ring_order: bool,
    pub(crate) wait: Option<Duration>,
    pub(crate) grace: Duration,
    pub(crate) stop: Stop,
    pub(crate) signals: bool,
}

impl Options {
    pub(crate) fn new() -> Self {
        Self {
            home: Home::Instance,
            instance: std::env::var("MIXCORD_INSTANCE").unwrap_or_else(|_| "mixcord".to_owned()),
            source: std::env::var("MIXCORD_SOURCE")
                .unwrap_or_else(|_| topology::OUTPUT_SOURCE.to_owned()),
            group: None,
            observer: false,
            ephemeral: false,
            absence: Absence::Usual,
            start: Start::Latest,
            policy: Policy::new(),
            on_dead: None,
            sticky: false,
            on_rebalance: None,
            filter: Filter::default(),
            concurrency: 64,
            pace: None,
            order: None,
            ring_order: false,
            wait: None,
            grace: Duration::from_secs(4),
            stop: Stop::new(),
            signals: false,
        }
    }

    /// Whether they go together.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.observer
            && (self.group.is_some() || self.ephemeral || self.absence != Absence::Usual)
        {
            return Err(Error::Options(
                "an observer belongs to no group: leave out either `.observer()` or the group's options",
            ));
        }
        if self.ephemeral && self.absence != Absence::Usual {
            return Err(Error::Options(
                "an ephemeral group ends with its last member: `.max_absence()` and `.forever()` have no meaning for it",
            ));
        }
        self.ring()?;
        if self.pace.is_none() && pace_of_environment().is_err() {
            return Err(Error::Options(
                "MIXCORD_PACE in the environment: expected low-latency, balanced or low-cpu",
            ));
        }
        if self.ring_order && self.order.is_some() {
            return Err(Error::Options(
                "the order of the ring and an order by key exclude each other: leave out either \
                 `.in_ring_order()` or `.order(…)`",
            ));
        }
        if self.sticky && (self.observer || self.ring_order) {
            return Err(Error::Options(
                "`.sticky()` keeps the guilds of a group apart: an observer gets all, and in the order of the ring \
                 there is one event at a time; leave out `.sticky()`, or `.observer()` and `.in_ring_order()`",
            ));
        }
        if self.on_rebalance.is_some() && !self.sticky {
            return Err(Error::Options(
                "`.on_rebalance(…)` is told of the share of a sticky group: add `.sticky()`",
            ));
        }
        match &self.group {
            Some(group) => GroupSpec::durable(group).check().map_err(|source| Error::Join {
                instance: self.instance.clone(),
                group: group.clone(),
                source: source.into(),
            }),
            None if self.observer => Ok(()),
            None => Err(Error::NoGroup),
        }
    }

    /// The name of the ring that it reads.
    pub(crate) fn ring(&self) -> Result<String, Error> {
        let unknown = || Error::Source { source_name: self.source.clone() };
        topology::source_ring(&self.source).ok_or_else(unknown)
    }

    /// The namespace of the rings.
    pub(crate) fn namespace(&self) -> Result<Namespace, Error> {
        match &self.home {
            Home::Instance => namespace(&self.instance),
            #[cfg(feature = "testing")]
            Home::Made(namespace, _) => Ok(namespace.clone()),
        }
    }

    /// Who answers questions.
    pub(crate) fn state(&self) -> Result<State, Error> {
        match &self.home {
            Home::Instance => State::attach(&self.instance),
            #[cfg(feature = "testing")]
            Home::Made(_, state) => Ok(state.clone()),
        }
    }

    /// How it waits.
    pub(crate) fn pace(&self) -> Pace {
        self.pace.or_else(|| pace_of_environment().ok()).unwrap_or(Pace::Balanced)
    }

    /// The group, as it is made where it is not there yet.
    pub(crate) fn spec(&self, group: &str, start: Start, order: RingOrder) -> GroupSpec {
        let spec =
            if self.ephemeral { GroupSpec::ephemeral(group) } else { GroupSpec::durable(group) };
        let spec = spec.from(start).any_order(order);
        let spec = if self.sticky { spec.sticky() } else { spec };
        match self.absence {
            Absence::Usual if !self.ephemeral => spec.max_absence(ABSENCE),
            Absence::After(absence) => spec.max_absence(absence),
            Absence::Usual | Absence::Never => spec,
        }
    }

    /// How many events may be out at a time.
    pub(crate) const fn limit(&self) -> usize {
        if self.ring_order { 1 } else { self.concurrency }
    }

    /// The order that is asked for, or that a new group has.
    pub(crate) fn ring_order(&self) -> RingOrder {
        if self.ring_order { RingOrder::Ring } else { self.order.unwrap_or_default().in_ring() }
    }
}

fn pace_of_environment() -> Result<Pace, UnknownPace> {
    std::env::var("MIXCORD_PACE").map_or(Ok(Pace::Balanced), |pace| pace.parse())
}

/// The namespace of an instance, whose name is checked.
pub(crate) fn namespace(instance: &str) -> Result<Namespace, Error> {
    let wrong = || Error::Instance { instance: instance.to_owned() };
    if !topology::is_instance_name(instance) {
        return Err(wrong());
    }
    Namespace::new(&topology::namespace(instance)).map_err(|_| wrong())
}
