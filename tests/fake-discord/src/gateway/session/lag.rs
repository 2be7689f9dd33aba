//! Dispatches that a session is told later than they happened. They have no number yet: those of other guilds may
//! come before.

use std::collections::{BTreeMap, HashMap};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::{Packet, Session};

/// What has not been told yet.
#[derive(Debug, Default)]
pub(super) struct Lag {
    held: Mutex<Held>,
    /// How many there are.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Held {
    /// By when they are due, and in the order in which they came.
    due: BTreeMap<(Instant, u64), (Option<u64>, Packet)>,
    /// When the last of a guild is due; None: of what has no guild.
    last: HashMap<Option<u64>, Instant>,
    came: u64,
}

impl Lag {
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn clear(&self) {
        *self.held() = Held::default();
        self.count.store(0, Ordering::Release);
    }
}

impl Session {
    /// Tells a dispatch of a guild (None: of what has none) so much later, and behind what is still to be told of
    /// that guild. The guild's lane is locked by the caller. True: it is not told yet.
    pub(crate) fn tell(&self, guild: Option<u64>, packet: Packet, delay: Duration) -> bool {
        if delay.is_zero() && self.lag.count() == 0 {
            self.push(packet);
            return false;
        }
        let mut held = self.lag.held();
        let due = Instant::now() + delay;
        let due = held.last.get(&guild).map_or(due, |last| due.max(*last));
        if delay.is_zero() && !held.last.contains_key(&guild) {
            // Nothing is due before it.
            self.push(packet);
            return false;
        }
        held.came += 1;
        let key = (due, held.came);
        held.due.insert(key, (guild, packet));
        held.last.insert(guild, due);
        self.lag.count.store(held.due.len(), Ordering::Release);
        true
    }

    /// Numbers what is due. False: nothing is left.
    pub(crate) fn catch_up(&self, now: Instant) -> bool {
        if self.lag.count() == 0 {
            return false;
        }
        let mut held = self.lag.held();
        while let Some(first) = held.due.first_entry().filter(|first| first.key().0 <= now) {
            let ((due, _), (guild, packet)) = first.remove_entry();
            // Those of one guild stand in order: when the last one goes, nothing is left of it.
            if held.last.get(&guild) == Some(&due)
                && !held
                    .due
                    .range((due, 0)..)
                    .take_while(|it| it.0.0 == due)
                    .any(|it| it.1.0 == guild)
            {
                held.last.remove(&guild);
            }
            self.push(packet);
        }
        // Only now: whoever sees that there is none tells at once.
        self.lag.count.store(held.due.len(), Ordering::Release);
        let any = !held.due.is_empty();
        drop(held);
        self.wake();
        any
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{limits, session};
    use super::*;

    fn packet(name: &'static str) -> Packet {
        Packet { name, body: Vec::new().into(), hash: 0 }
    }

    fn told(session: &Session) -> Vec<&'static str> {
        let state = session.state();
        state.kept.iter().map(|packet| packet.name).collect()
    }

    #[test]
    fn guilds_overtake_each_other_and_no_event_its_own() {
        let session = session(limits());
        let ms = Duration::from_millis;
        let begun = Instant::now();
        session.tell(Some(1), packet("1a"), ms(5000));
        session.tell(Some(1), packet("1b"), ms(20));
        session.tell(Some(2), packet("2a"), ms(1000));
        session.tell(Some(1), packet("1c"), ms(0));
        session.tell(Some(3), packet("3a"), ms(0));
        session.tell(None, packet("a"), ms(0));
        assert_eq!(told(&session), ["3a", "a"], "nothing of them is due before");
        assert_eq!(session.progress().held, 4);
        assert!(session.catch_up(begun));
        assert_eq!(told(&session), ["3a", "a"]);
        assert!(session.catch_up(begun + ms(3000)));
        assert_eq!(told(&session), ["3a", "a", "2a"]);
        assert!(!session.catch_up(begun + ms(9000)));
        assert_eq!(told(&session), ["3a", "a", "2a", "1a", "1b", "1c"]);
        session.tell(Some(1), packet("1d"), ms(0));
        assert_eq!(told(&session).last(), Some(&"1d"), "nothing is behind any more");
    }

    #[test]
    fn a_session_that_ends_forgets_what_it_was_not_told() {
        let session = session(limits());
        session.tell(Some(1), packet("x"), Duration::from_secs(5));
        session.end();
        assert_eq!(session.progress().held, 0);
        assert!(!session.catch_up(Instant::now() + Duration::from_secs(9)));
    }
}
