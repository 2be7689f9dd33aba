//! Where a consumer's events come from: a group it joined, or the ring it looks at.

use std::sync::Arc;

use mixcord_event::topology;
use mixcord_ring::{Member, Namespace, Observed, Observer, Ring, RingId, Start, TakeError};
use mixcord_state::Checkpoint;

use super::order::Order;
use crate::doorbell::Doorbell;
use crate::lane::Lane;
use crate::options::Options;
use crate::received::Seen;
use crate::{Error, State};

pub(super) enum Source {
    Group {
        member: Box<Member>,
        ring: Ring,
        lanes: Vec<Lane>,
        turn: usize,
        order: Order,
    },
    Observer {
        observer: Box<Observer>,
        ring: Ring,
        seen: Arc<Seen>,
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
        state: &State,
        doorbell: &Arc<Doorbell>,
    ) -> Result<Self, Error> {
        let group = options.group.as_deref().unwrap_or("an observer");
        let refused = |source| Error::Join {
            instance: options.instance.clone(),
            group: group.to_owned(),
            source,
        };
        let ring = ring.clone();
        state.attachment().follow(&ring);
        if options.observer {
            let observer = ring.observe("observer", start, &doorbell.bell).map_err(refused)?;
            let (observer, seen) = (Box::new(observer), nothing_seen(state));
            return Ok(Self::Observer { observer, ring, seen, next: 0 });
        }
        let spec = options.spec(group, start);
        let member = Box::new(ring.join(&spec, &doorbell.bell).map_err(refused)?);
        let order = Order::default();
        Ok(Self::Group { member, ring, lanes: Vec::new(), turn: 0, order })
    }

    /// How many of the ring's first records were gone when this member made the group.
    pub(super) fn missed_before_joining(&self) -> Option<u64> {
        let Self::Group { member, .. } = self else { return None };
        member.began_at().filter(|first| *first > 0)
    }

    /// Which program writes the ring, if it says so.
    pub(super) fn writer(&self) -> Option<String> {
        let (Self::Group { ring, .. } | Self::Observer { ring, .. }) = self else { return None };
        Checkpoint::writer_in(&ring.checkpoint()?).map(str::to_owned)
    }
}

/// The output ring that took the place of the one with this id, when one did.
pub(super) fn replacement(namespace: &Namespace, id: RingId) -> Option<Ring> {
    Ring::attach(namespace, topology::OUTPUT_RING).ok().filter(|ring| ring.id() != id)
}

pub(super) fn take_error(options: &Options, source: TakeError) -> Error {
    let group = options.group.clone().unwrap_or_else(|| "(observer)".to_owned());
    Error::Take { instance: options.instance.clone(), group, source }
}

/// What an observer reads into.
pub(super) fn nothing_seen(state: &State) -> Arc<Seen> {
    Arc::new(Seen { records: Observed::default(), state: state.clone() })
}
