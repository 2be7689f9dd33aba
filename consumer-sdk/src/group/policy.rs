//! What is done about events that fail, hang or are too old.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mixcord_event::{Header, Kind};
use mixcord_ring::WorkerOptions;

/// How long Discord takes an answer to an interaction.
const INTERACTION: Duration = Duration::from_secs(3);

/// How the events of a group are acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mode {
    /// After the handler: given again when it fails.
    #[default]
    AtLeastOnce,
    /// Never given twice.
    AtMostOnce,
}

/// How a group's events are given.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) mode: Mode,
    /// Attempts after which an event is dead; 0 for no limit.
    pub(crate) attempts: u8,
    /// The pause before a failed event is given again doubles from the first to the second.
    pub(crate) retry: (Duration, Duration),
    pub(crate) handler_timeout: Option<Duration>,
    /// Events of these kinds that are older are dropped.
    pub(crate) max_age: BTreeMap<Kind, Duration>,
}

impl Policy {
    pub(crate) fn new() -> Self {
        Self {
            mode: Mode::AtLeastOnce,
            attempts: WorkerOptions::ATTEMPTS,
            retry: (Duration::from_millis(50), Duration::from_secs(30)),
            handler_timeout: Some(Duration::from_secs(60)),
            max_age: BTreeMap::from([(Kind::INTERACTION_CREATE, INTERACTION)]),
        }
    }

    /// How long an event rests whose attempts so far have failed: the first pause, doubled after each
    /// further one, and never more than the longest.
    pub(crate) fn pause(&self, attempts: u32) -> Duration {
        let (first, longest) = self.retry;
        let doublings = attempts.saturating_sub(1).min(30);
        first.saturating_mul(1 << doublings).min(longest)
    }

    /// Whether it is too late for an event. One that does not say when it was received is never late.
    pub(crate) fn is_too_old(&self, header: &Header) -> bool {
        let Some(longest) = self.max_age.get(&header.kind) else { return false };
        let received = Duration::from_micros(header.received_us);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        !received.is_zero() && now.saturating_sub(received) > *longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_with_each_failure_up_to_the_longest() {
        let (first, longest) = (Duration::from_millis(50), Duration::from_secs(30));
        let policy = Policy { retry: (first, longest), ..Policy::new() };
        let pauses: Vec<_> = (1..=12).map(|attempts| policy.pause(attempts).as_millis()).collect();
        let doubled = [50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600];
        assert_eq!(pauses[..10], doubled);
        assert_eq!(pauses[10..], [30_000, 30_000]);
        assert_eq!(policy.pause(u32::MAX), longest);
        let policy = Policy { retry: (longest, first), ..policy };
        assert_eq!(policy.pause(1), first);
    }
}
