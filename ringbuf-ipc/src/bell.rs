//! A process's bell.

use std::sync::Arc;
use std::time::Duration;

use crate::core::Life;
use crate::system::bells::Bells;
#[cfg(feature = "tokio")]
use crate::system::nudge::Nudge;

/// The word this process sleeps on. A clone is the same bell; it is given back with the last clone.
#[derive(Debug, Clone)]
pub struct Bell {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    bells: Arc<Bells>,
    index: u32,
    /// The lock of the place.
    _held: Life,
}

/// What a bell showed at one moment: a ring after it ends a wait with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u32);

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// The bell was rung since the ticket was taken; there may be news or not.
    Rung,
    /// It was not.
    TimedOut,
}

impl Bell {
    pub(crate) fn claim(bells: Arc<Bells>) -> Result<Self, crate::BellError> {
        let (index, held) = bells.claim()?;
        Ok(Self { inner: Arc::new(Inner { index, bells, _held: held }) })
    }

    /// The number ring segments of the namespace of `bells` know it by; `None` when it is a bell of
    /// another namespace, or of one that was removed and made again.
    pub(crate) fn index_in(&self, bells: &Bells) -> Option<u64> {
        self.inner.bells.is_same(bells).then(|| self.inner.index.into())
    }

    /// Take it before arming: a ring in between is then not missed.
    pub fn ticket(&self) -> Ticket {
        Ticket(self.inner.bells.ticket(self.inner.index))
    }

    /// Sleeps until the bell is rung after `ticket` was taken, at most `timeout`.
    ///
    /// The order that misses nothing: ticket, `arm` of every reader, look for work, wait. A ringer
    /// that is killed before it rings is made up for by nobody but the timeout.
    pub fn wait(&self, ticket: Ticket, timeout: Duration) -> Woken {
        if self.inner.bells.wait(self.inner.index, ticket.0, timeout) {
            Woken::Rung
        } else {
            Woken::TimedOut
        }
    }

    /// Sleeps as [`wait`](Self::wait) does, or until `nudge` is nudged after `seen` was taken.
    #[cfg(feature = "tokio")]
    pub(crate) fn wait_or(&self, ticket: Ticket, timeout: Duration, nudge: &Nudge, seen: u32) {
        self.inner.bells.wait_or(self.inner.index, ticket.0, timeout, nudge, seen);
    }

    /// Rings it, for news that come from elsewhere (a shutdown, another queue).
    pub fn ring(&self) {
        self.inner.bells.ring(self.inner.index.into());
    }
}
