//! Sleeping until there may be something to do.

use std::time::Duration;

use mixcord_ring::{AsyncBell, Ring, Ticket};

use super::Consumer;
use super::source::Source;
use crate::Error;

/// The longest sleep while there is no ring.
const NAP: Duration = Duration::from_millis(500);

impl Consumer {
    /// Announces that we are about to wait; whoever calls looks once more before. `None` when there
    /// is nothing to wait for.
    pub(crate) fn arm(&mut self) -> Option<Ticket> {
        let doorbell = self.doorbell.as_ref()?;
        let ticket = doorbell.bell.ticket();
        doorbell.arm();
        match &mut self.source {
            Source::Group { team, .. } => team.arm(),
            Source::Observer { observer, .. } => observer.arm(),
            Source::Closed => return None,
        }
        Some(ticket)
    }

    /// [`arm`](Self::arm) for this process's own news only: what is settled, and the end. What else there is is another
    /// member's.
    pub(crate) fn arm_for_own(&mut self) -> Option<Ticket> {
        let doorbell = self.doorbell.as_ref()?;
        let ticket = doorbell.bell.ticket();
        doorbell.arm();
        if let Source::Group { team, .. } = &self.source {
            team.pass_on();
        }
        Some(ticket)
    }

    /// How long to stay away, asking for no bell, where events come often: then look again. A stop ends it.
    pub(crate) fn nap_first(&mut self) -> Option<(Ticket, Duration)> {
        if self.source.ring().is_some_and(Ring::producer_waits) {
            self.pacer.hurry();
        }
        let ticket = self.doorbell.as_ref()?.bell.ticket();
        // Of a stop before the ticket nobody rings any more.
        let nap = self.pacer.rest().filter(|_| !self.options.stop.is_stopped())?;
        Some((ticket, nap))
    }

    /// The longest sleep: a dead member rings no bell.
    pub(crate) fn tick(&self) -> Duration {
        match &self.source {
            Source::Group { team, .. } => team.tick(),
            Source::Observer { observer, .. } => observer.tick(),
            Source::Closed => NAP,
        }
    }

    pub(crate) async fn sleep(&mut self, ticket: Ticket, longest: Duration) -> Result<(), Error> {
        if let Some(bell) = self.async_bell()? {
            bell.notified_within(ticket, longest).await;
        }
        Ok(())
    }

    /// The bell to await, from the first wait on; `None` where there is no ring.
    pub(super) fn async_bell(&mut self) -> Result<Option<&AsyncBell>, Error> {
        let Some(doorbell) = &self.doorbell else { return Ok(None) };
        if self.async_bell.is_none() {
            let bell = AsyncBell::new(doorbell.bell.clone())
                .map_err(|source| Error::Io { doing: "starting the waiting thread", source })?;
            self.async_bell = Some(bell);
        }
        Ok(self.async_bell.as_ref())
    }

    pub(crate) fn sleep_blocking(&self, ticket: Ticket, longest: Duration) {
        if let Some(doorbell) = &self.doorbell {
            doorbell.bell.wait(ticket, longest);
        }
    }
}
