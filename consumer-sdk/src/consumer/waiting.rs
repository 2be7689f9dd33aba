//! Sleeping until there may be something to do.

use std::time::{Duration, Instant};

use mixcord_ring::{AsyncBell, Ticket};

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

    /// [`arm`](Self::arm) for this process's own news only: what is settled, and the end.
    pub(crate) fn arm_for_own(&mut self) -> Option<Ticket> {
        let doorbell = self.doorbell.as_ref()?;
        let ticket = doorbell.bell.ticket();
        doorbell.arm();
        Some(ticket)
    }

    pub(crate) async fn sleep(
        &mut self,
        ticket: Ticket,
        until: Option<Instant>,
    ) -> Result<(), Error> {
        let nap = self.nap(until);
        if let Some(bell) = self.async_bell()? {
            bell.notified_within(ticket, nap).await;
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

    pub(crate) fn sleep_blocking(&self, ticket: Ticket, until: Option<Instant>) {
        if let Some(doorbell) = &self.doorbell {
            doorbell.bell.wait(ticket, self.nap(until));
        }
    }

    /// How long to sleep: until then, but not longer than the ring asks for, as a dead member rings
    /// no bell.
    pub(super) fn nap(&self, until: Option<Instant>) -> Duration {
        let longest = match &self.source {
            Source::Group { team, .. } => team.tick(),
            Source::Observer { observer, .. } => observer.tick(),
            Source::Closed => NAP,
        };
        until.map_or(longest, |until| until.saturating_duration_since(Instant::now()).min(longest))
    }
}
