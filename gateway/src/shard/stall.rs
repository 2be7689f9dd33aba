//! While the ring is full: the socket is not read, and that is told.

use std::time::{Duration, Instant};

use super::context::ShardError;
use super::task::Runner;

/// How often a full ring is complained about.
pub(super) const STALL_WARNING: Duration = Duration::from_secs(15);

/// The socket is not read.
#[derive(Clone, Copy)]
pub(super) struct Stall {
    since: Instant,
    /// When that was last complained about.
    warned: Instant,
}

impl Runner {
    /// Notices when the socket stops being read and when it is read again.
    pub(super) fn watch_reading(&mut self) -> Result<(), ShardError> {
        let now = Instant::now();
        match (self.output.has_room(), self.stalled) {
            (false, None) => {
                self.stalled = Some(Stall { since: now, warned: now });
                self.output.stalled(now);
                self.session.reading_stopped();
                tracing::debug!("the ring is full: the socket is not read");
                self.commit()
            }
            (false, Some(Stall { since, warned })) => {
                if now.saturating_duration_since(warned) >= STALL_WARNING {
                    self.stalled = Some(Stall { since, warned: now });
                    tracing::warn!(
                        stalled_s = now.saturating_duration_since(since).as_secs(),
                        "the ring is full and the socket not read: Discord drops the session when its \
                         replay buffer overflows; look for the slowest group with `mixcord ls`"
                    );
                }
                Ok(())
            }
            (true, Some(_)) => {
                self.stalled = None;
                let stalled_ms = self.output.moving(now).as_millis();
                self.session.reading_resumed(now);
                tracing::debug!(stalled_ms, "the socket is read again");
                self.commit()
            }
            (true, None) => Ok(()),
        }
    }
}
