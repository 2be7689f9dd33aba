//! While the ring is full and the buffer, too: the socket is not read, and that is told. Whoever has to
//! know asks here.

use std::time::{Duration, Instant};

use mixcord_event::status::ShardStatus;
use mixcord_holdup::Holdup;

use crate::session::Reading;

/// How often a full ring is complained about.
pub(super) const STALL_WARNING: Duration = Duration::from_secs(10);

/// Is the socket read, and if not, since when?
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stall(Option<Unread>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unread {
    since: Instant,
    /// When that was last complained about.
    warned: Instant,
}

/// What has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// The socket is no longer read.
    Stopped,
    /// It is read again.
    Resumed,
}

impl Stall {
    /// For the session, and for whoever reads the socket.
    pub(super) fn reading(self) -> Reading {
        if self.0.is_some() { Reading::Stalled } else { Reading::Running }
    }

    /// There is room for more, or there is not. Writes what changed into the shard's status, and asks `holder`
    /// who holds the ring when that is worth a line.
    pub(super) fn look(
        &mut self,
        now: Instant,
        has_room: bool,
        status: &mut ShardStatus,
        holder: impl FnOnce() -> Option<Holdup>,
    ) -> Option<Turn> {
        match (has_room, &mut self.0) {
            (false, None) => {
                self.0 = Some(Unread { since: now, warned: now });
                status.stalls += 1;
                status.stalled_since_us = Some(super::now_us());
                tracing::debug!("the ring is full: the socket is not read");
                Some(Turn::Stopped)
            }
            (false, Some(unread)) => {
                unread.complain(now, holder);
                None
            }
            (true, Some(unread)) => {
                let stalled = now.saturating_duration_since(unread.since).as_millis();
                self.0 = None;
                let stalled_ms = u64::try_from(stalled).unwrap_or(u64::MAX);
                status.stalled_ms = status.stalled_ms.saturating_add(stalled_ms);
                status.stalled_since_us = None;
                tracing::debug!(stalled_ms, "the socket is read again");
                Some(Turn::Resumed)
            }
            (true, None) => None,
        }
    }
}

impl Unread {
    fn complain(&mut self, now: Instant, holder: impl FnOnce() -> Option<Holdup>) {
        if now.saturating_duration_since(self.warned) < STALL_WARNING {
            return;
        }
        self.warned = now;
        let stalled_s = now.saturating_duration_since(self.since).as_secs();
        let holder = holder().map_or_else(String::new, |holdup| format!("; {holdup}"));
        // The command stands at the end of the line, where it can be copied from.
        tracing::warn!(
            "the ring is full and the socket not read for {stalled_s} s: Discord drops the session when its \
             replay buffer overflows{holder}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stall_is_counted_once_and_its_time_added_up() {
        let (mut stall, mut status) = (Stall::default(), ShardStatus::default());
        let mut now = Instant::now();
        for stalls in 1..=3 {
            assert_eq!(stall.look(now, true, &mut status, || None), None);
            assert_eq!(stall.reading(), Reading::Running);
            assert_eq!(stall.look(now, false, &mut status, || None), Some(Turn::Stopped));
            assert_eq!(stall.reading(), Reading::Stalled);
            assert_eq!(status.stalls, stalls);
            assert!(status.stalled_since_us.is_some());
            now += Duration::from_secs(20);
            assert_eq!(stall.look(now, false, &mut status, || None), None);
            assert_eq!(stall.look(now, true, &mut status, || None), Some(Turn::Resumed));
            assert_eq!(status.stalled_ms, stalls * 20_000);
            assert_eq!(status.stalled_since_us, None);
        }
    }

    #[test]
    fn it_is_asked_who_holds_the_ring_once_in_ten_seconds() {
        let (mut stall, mut status) = (Stall::default(), ShardStatus::default());
        let (start, asked) = (Instant::now(), std::cell::Cell::new(0));
        for second in 0..=60 {
            let now = start + Duration::from_secs(second);
            let holder = || {
                asked.set(asked.get() + 1);
                None
            };
            stall.look(now, false, &mut status, holder);
            assert_eq!(asked.get(), second / 10, "after {second} s");
        }
    }
}
