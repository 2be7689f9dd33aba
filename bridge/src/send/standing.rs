//! Whether gateways of this machine may have sessions, where another machine may take their shards over: as long as what
//! they receive is sent.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mixcord_bridge::names::Lane;
use mixcord_event::permit::{Answer, Shards};
use tokio::sync::Notify;

use super::leases::Leases;
use crate::asking::{self, Asking};
use crate::clock::now_ms;

/// When a gateway asks again.
const AGAIN_MS: u64 = 100;
/// Who ends because another machine runs its shards tells that to the gateways here that ask: so long it waits for them.
const TELLS: Duration = Duration::from_secs(10);
/// As long for one that was started together with this process, and has yet to ask.
const STARTS: Duration = Duration::from_secs(3);
/// And so long it takes to write the answer.
const WRITES: Duration = Duration::from_millis(100);

/// What is known of this machine's lanes.
#[derive(Debug, Default)]
pub(super) struct Standing {
    lanes: Mutex<BTreeMap<Lane, State>>,
    /// Another machine has the stream of all of them.
    lost: Mutex<Option<String>>,
    /// Some gateway asks.
    is_asked: AtomicBool,
    told: Notify,
    pub(super) asking: Asking,
}

/// How a lane stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// Its ring cannot be read: no gateway writes it either.
    Unreadable,
    /// It is not sent yet.
    Begins,
    /// It is sent.
    Sends,
    /// Another machine runs it since.
    Over(String),
}

/// Why this machine does not run a shard any more.
pub(super) fn over(Lane { shard, count }: Lane, by: &str) -> String {
    format!(
        "{by} took shard {shard} of {count} over: it runs there. `mixcord rm` the ring here, and receive it, before this \
         machine runs it again"
    )
}

impl Standing {
    /// A lane stands like that.
    pub(super) fn set(&self, lane: Lane, state: State) {
        self.lanes().insert(lane, state);
    }

    /// What a gateway is told that has these shards.
    pub(super) fn answer(&self, leases: &Leases, shards: Shards) -> Answer {
        let answer = self.judge(leases, shards);
        let (state, why) = match &answer {
            Answer::Over { why } => (asking::State::Over, &**why),
            Answer::Wait { why, .. } => (asking::State::Waits, why.as_deref().unwrap_or_default()),
            _ => (asking::State::Holder, ""),
        };
        self.asking.told(shards, state, why);
        answer
    }

    fn judge(&self, leases: &Leases, shards: Shards) -> Answer {
        self.is_asked.store(true, Ordering::Relaxed);
        let lost = self.lost().clone();
        if let Some(why) = lost.or_else(|| self.over(shards)) {
            self.told.notify_one();
            return Answer::Over { why };
        }
        let valid_ms = self.until_ms(leases, shards).and_then(|until| until.checked_sub(now_ms()));
        match valid_ms {
            Some(valid_ms) if valid_ms > 0 => Answer::Held { valid_ms },
            _ => {
                let why = "its shards are not sent yet, or the broker is away".to_owned();
                Answer::Wait { ms: AGAIN_MS, why: Some(why) }
            }
        }
    }

    fn over(&self, shards: Shards) -> Option<String> {
        let lanes = self.lanes();
        lanes_of(shards).find_map(|lane| match lanes.get(&lane) {
            Some(State::Over(why)) => Some(why.clone()),
            _ => None,
        })
    }

    /// Until when all of them may be sent; `None` where one is not.
    fn until_ms(&self, leases: &Leases, shards: Shards) -> Option<u64> {
        let lanes = self.lanes();
        let mut until_ms = None;
        for lane in lanes_of(shards) {
            match lanes.get(&lane)? {
                State::Unreadable => {}
                State::Sends => {
                    let of_lane = leases.until_ms(lane)?;
                    until_ms = Some(until_ms.map_or(of_lane, |until: u64| until.min(of_lane)));
                }
                State::Begins | State::Over(_) => return None,
            }
        }
        until_ms
    }

    /// Another machine has the stream: gateways that ask are told before this process ends.
    pub(super) async fn lose(&self, why: &str) {
        *self.lost() = Some(why.to_owned());
        let patience = if self.is_asked.load(Ordering::Relaxed) { TELLS } else { STARTS };
        if tokio::time::timeout(patience, self.told.notified()).await.is_ok() {
            tokio::time::sleep(WRITES).await;
        }
    }

    fn lanes(&self) -> MutexGuard<'_, BTreeMap<Lane, State>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lost(&self) -> MutexGuard<'_, Option<String>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lanes_of(Shards { first, last, count }: Shards) -> impl Iterator<Item = Lane> {
    (first..=last).map(move |shard| Lane { shard, count })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARDS: Shards = Shards { first: 0, last: 1, count: 2 };

    fn lane(shard: u16) -> Lane {
        Lane { shard, count: 2 }
    }

    #[test]
    fn who_is_not_sent_has_no_session_and_who_was_taken_over_never_again() {
        let (standing, leases) = (Standing::default(), Leases::new("here".to_owned()));
        let waits = || matches!(standing.answer(&leases, SHARDS), Answer::Wait { .. });
        assert!(waits(), "nothing is known");
        let shown = || standing.asking.figures().remove(0).state;
        assert_eq!(shown(), "waits");
        standing.set(lane(0), State::Sends);
        standing.set(lane(1), State::Begins);
        assert!(waits());
        standing.set(lane(1), State::Sends);
        assert!(waits(), "nobody has the lease");
        standing.set(lane(1), State::Over("elsewhere".to_owned()));
        assert_eq!(standing.answer(&leases, SHARDS), Answer::Over { why: "elsewhere".to_owned() });
        assert_eq!(shown(), "over");
        let first = Shards { last: 0, ..SHARDS };
        assert!(matches!(standing.answer(&leases, first), Answer::Wait { .. }));
    }

    #[tokio::test(start_paused = true)]
    async fn who_loses_its_stream_waits_for_who_asks_or_has_just_been_started() {
        let leases = Leases::new("here".to_owned());
        let began = tokio::time::Instant::now();
        // No gateway asks.
        Standing::default().lose("lost").await;
        assert_eq!(began.elapsed(), STARTS);
        for asks_before in [true, false] {
            let (standing, began) = (Standing::default(), tokio::time::Instant::now());
            if asks_before {
                assert!(matches!(standing.answer(&leases, SHARDS), Answer::Wait { .. }));
            }
            let after = if asks_before { TELLS } else { STARTS } / 2;
            let ask = async {
                tokio::time::sleep(after).await;
                standing.answer(&leases, SHARDS)
            };
            let ((), answer) = tokio::join!(standing.lose("lost"), ask);
            assert_eq!(answer, Answer::Over { why: "lost".to_owned() });
            assert_eq!(began.elapsed(), after + WRITES, "and not longer");
        }
    }
}
