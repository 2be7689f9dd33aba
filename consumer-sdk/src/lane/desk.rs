//! What became of the event that is out of a batch.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mixcord_ring::{Batch, Claim, Records, RingId};

use super::Mode;
use crate::State;
use crate::doorbell::Doorbell;

/// A batch of one partition, shared by the consumer and the events that are out.
pub(crate) struct Held {
    records: Records,
    ring: RingId,
    mode: Mode,
    /// Whom to wake when the event that is out is settled; nobody, where the one who gave it out
    /// also settles it.
    doorbell: Option<Arc<Doorbell>>,
    state: State,
    desk: Mutex<Desk>,
}

/// One giving of a record to a handler. A record that failed is given again under another number, so
/// that what still lives of the former attempt has no say in the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Giving {
    /// The record, by its place in the batch.
    index: u32,
    number: u32,
}

/// What is out of a batch.
struct Desk {
    /// The hold on the partition; `None` once it is let go.
    claim: Option<Claim>,
    /// What is, or was last, out.
    giving: Giving,
    /// Live clones of that event.
    holders: u32,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing was given yet.
    Idle,
    /// The event is out.
    Out,
    /// It is acknowledged.
    Settled,
    /// Its last clone was dropped without an acknowledgement, or its handler failed.
    Abandoned,
}

impl Held {
    pub(super) fn new(
        batch: Batch,
        mode: Mode,
        state: &State,
        doorbell: Option<Arc<Doorbell>>,
    ) -> Self {
        let ring = batch.ring();
        let (records, claim) = batch.split();
        let desk = Desk {
            claim: Some(claim),
            giving: Giving { index: 0, number: 0 },
            holders: 0,
            standing: Standing::Idle,
        };
        Self { records, ring, mode, doorbell, state: state.clone(), desk: Mutex::new(desk) }
    }

    pub(super) fn records(&self) -> &Records {
        &self.records
    }

    /// The ring they are from.
    pub(super) fn ring(&self) -> RingId {
        self.ring
    }

    /// The state of the instance whose records these are.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// The bytes of the record that was given.
    pub(crate) fn payload(&self, giving: Giving) -> &[u8] {
        self.records.get(giving.index as usize).map_or(&[], |entry| entry.payload)
    }

    /// Hands record `index` out: one holder.
    pub(super) fn give(&self, index: u32) -> Giving {
        let mut desk = self.desk();
        if self.mode == Mode::AtMostOnce {
            self.acknowledge(&mut desk, index);
        }
        desk.giving = Giving { index, number: desk.giving.number.wrapping_add(1) };
        desk.holders = 1;
        desk.standing = Standing::Out;
        desk.giving
    }

    pub(super) fn standing(&self) -> Standing {
        self.desk().standing
    }

    /// The event was cloned.
    pub(crate) fn join(&self, giving: Giving) {
        if let Some(mut desk) = self.out(giving) {
            desk.holders += 1;
        }
    }

    /// A clone of the event was dropped.
    pub(crate) fn leave(&self, giving: Giving) {
        let Some(mut desk) = self.out(giving) else { return };
        desk.holders -= 1;
        if desk.holders == 0 {
            self.abandon(desk);
        }
    }

    /// The event's handler failed, whoever still has clones of it. An acknowledgement that came before
    /// counts.
    pub(crate) fn fail(&self, giving: Giving) {
        if let Some(desk) = self.out(giving) {
            self.abandon(desk);
        }
    }

    /// The event is handled. Only the first call for an event that is out counts.
    pub(crate) fn ack(&self, giving: Giving) {
        let Some(mut desk) = self.out(giving) else { return };
        if self.mode == Mode::AtLeastOnce {
            self.acknowledge(&mut desk, giving.index);
        }
        desk.standing = Standing::Settled;
        drop(desk);
        self.wake();
    }

    /// Lets the partition go; `all` when every record is settled or not wanted.
    pub(super) fn release(&self, all: bool) {
        let claim = self.desk().claim.take();
        if let (Some(claim), true) = (claim, all) {
            claim.ack();
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The desk, if this giving is what is out.
    fn out(&self, giving: Giving) -> Option<MutexGuard<'_, Desk>> {
        let desk = self.desk();
        (desk.giving == giving && desk.standing == Standing::Out).then_some(desk)
    }

    fn abandon(&self, mut desk: MutexGuard<'_, Desk>) {
        desk.standing = match self.mode {
            Mode::AtLeastOnce => Standing::Abandoned,
            Mode::AtMostOnce => Standing::Settled,
        };
        drop(desk);
        self.wake();
    }

    fn acknowledge(&self, desk: &mut Desk, index: u32) {
        let position = self.records.get(index as usize).map(|entry| entry.position);
        if let (Some(claim), Some(position)) = (&mut desk.claim, position) {
            claim.ack_through(position);
        }
    }

    fn wake(&self) {
        if let Some(doorbell) = &self.doorbell {
            doorbell.ring();
        }
    }
}
