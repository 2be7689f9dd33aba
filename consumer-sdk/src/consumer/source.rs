//! Where a consumer's events come from: a group it joined, or the ring it looks at.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use mixcord_ring::{
    Delivery, GroupError, JoinError, Mode as RingMode, Namespace, Observed, Observer, Ring, Start,
    TakeError, Worker, WorkerOptions,
};

use crate::Error;
use crate::dead::DeadLetter;
use crate::doorbell::Doorbell;
use crate::group::meter::Counters;
use crate::group::policy::Mode;
use crate::group::{Corpse, OnDead, OnRebalance, Team, Tells};
use crate::operator;
use crate::options::Options;
use crate::order::Order;
use crate::received::{Context, Event};

pub(super) enum Source {
    Group {
        team: Arc<Team>,
        /// What was taken ahead in order to give the oldest first, by position; `None` where the ring sees to that.
        sorted: Option<BTreeMap<u64, Delivery>>,
    },
    Observer {
        observer: Box<Observer>,
        ring: Ring,
        seen: Arc<Observed>,
        next: u32,
    },
    /// Stopped before there was a ring.
    Closed,
}

impl Source {
    /// Joins the group, or begins to look on.
    pub(super) fn join(
        options: &Options,
        ring: &Ring,
        start: Start,
        counters: &Arc<Counters>,
        doorbell: &Arc<Doorbell>,
        context: &Arc<Context>,
    ) -> Result<Self, Error> {
        let group = options.group.as_deref().unwrap_or("an observer");
        let refused = |source| Error::Join {
            instance: options.instance.clone(),
            group: group.to_owned(),
            source,
        };
        context.state.follow(ring);
        if options.observer {
            let observer = ring.observe("observer", start, &doorbell.bell).map_err(refused)?;
            let (observer, seen, ring) = (Box::new(observer), Arc::default(), ring.clone());
            return Ok(Self::Observer { observer, ring, seen, next: 0 });
        }
        let (worker, sorts) = work(options, group, ring, start, doorbell).map_err(refused)?;
        let (name, policy) = (group.to_owned(), options.policy.clone());
        let tells = Tells {
            on_dead: on_dead(options, group, context),
            on_rebalance: options.sticky.then(|| on_rebalance(options, group)),
        };
        let team = Team::new(name, worker, policy, counters, doorbell, context, tells)
            .map_err(|source| Error::Io { doing: "starting a thread", source })?;
        Ok(Self::Group { team, sorted: sorts.then(BTreeMap::new) })
    }

    /// How many of the ring's first records were gone when this member made the group.
    pub(super) fn missed_before_joining(&self) -> Option<u64> {
        let Self::Group { team, .. } = self else { return None };
        team.began_at().filter(|first| *first > 0)
    }

    /// The ring it reads.
    pub(super) fn ring(&self) -> Option<&Ring> {
        match self {
            Self::Group { team, .. } => Some(team.shared_ring()),
            Self::Observer { ring, .. } => Some(ring),
            Self::Closed => None,
        }
    }

    /// Which program writes the ring, if it says so.
    pub(super) fn writer(&self) -> Option<String> {
        operator::writer(self.ring()?)
    }
}

/// Joins with the order asked for; with the group's own, where none was. The order of the ring can be kept by a
/// lone member of any group: whether it has to is the answer's second half.
fn work(
    options: &Options,
    group: &str,
    ring: &Ring,
    start: Start,
    doorbell: &Doorbell,
) -> Result<(Worker, bool), JoinError> {
    let terms = || {
        let terms = WorkerOptions::new().attempts(options.policy.attempts);
        let filter = options.filter.clone();
        let terms =
            if filter.is_any() { terms.tags(move |tag| filter.admits_tag(tag)) } else { terms };
        if options.policy.mode == Mode::AtMostOnce { terms.at_most_once() } else { terms }
    };
    let spec = options.spec(group, start, options.ring_order());
    let wanted = options.order.unwrap_or_default();
    let refused = match ring.work(&spec, &doorbell.bell, wanted.with(terms())) {
        Err(refused) if options.order.is_none() => refused,
        joined => return joined.map(|worker| (worker, false)),
    };
    let JoinError::Group(GroupError::Mode { is: RingMode::AnyOrder { order, sticky }, .. }) =
        &refused
    else {
        return Err(refused);
    };
    if *sticky != options.sticky {
        return Err(refused);
    }
    let Some(own) = Order::of(*order) else { return Err(refused) };
    let spec = options.spec(group, start, *order);
    let worker = ring.work(&spec, &doorbell.bell, own.with(terms()))?;
    Ok((worker, options.ring_order))
}

/// Tells the program of a dead letter, whose panic ends here.
fn on_dead(options: &Options, group: &str, context: &Arc<Context>) -> OnDead {
    let Some(told) = options.on_dead.clone() else { return Box::new(|_| {}) };
    let (group, context) = (group.to_owned(), Arc::downgrade(context));
    Box::new(move |Corpse { records, attempt, reason }| {
        let Some(context) = context.upgrade() else { return };
        let letter = DeadLetter {
            event: Event::kept(&records, 0, &context, attempt),
            group: group.clone(),
            error: reason.to_owned(),
            attempts: attempt,
        };
        if catch_unwind(AssertUnwindSafe(|| (told.0)(&letter))).is_err() {
            tracing::error!(group, "who is told of dead letters panicked");
        }
    })
}

/// Tells the program of its new share, in the log and by its own code, whose panic ends here.
fn on_rebalance(options: &Options, group: &str) -> OnRebalance {
    let (told, group) = (options.on_rebalance.clone(), group.to_owned());
    Box::new(move |change| {
        let (gained, lost) = (change.gained().len(), change.lost().len());
        tracing::info!(group, gained, lost, "partitions of this member of a sticky group");
        let Some(told) = &told else { return };
        if catch_unwind(AssertUnwindSafe(|| (told.0)(change))).is_err() {
            tracing::error!(group, "who is told of a rebalance panicked");
        }
    })
}

/// The ring that took the place of this one, when one did: another, or the same in other sizes.
pub(crate) fn replacement(namespace: &Namespace, ring: &Ring) -> Option<Ring> {
    Ring::attach(namespace, ring.name()).ok().filter(|_| !ring.is_current())
}

pub(crate) fn take_error(options: &Options, source: TakeError) -> Error {
    let group = options.group.clone().unwrap_or_else(|| "(observer)".to_owned());
    Error::Take { instance: options.instance.clone(), group, source }
}
