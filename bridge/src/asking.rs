//! The gateways of this machine with `--take-over`, as they ask: for people.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mixcord_event::bridge::{GATEWAYS_MAX, GatewayFigures};
use mixcord_event::permit::Shards;

/// One that did not ask for so long is gone, or does not need to ask any more.
const ASKS: Duration = Duration::from_secs(5);

/// How a gateway stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// It waits until the machine that runs its shards died.
    Standby,
    /// It runs them, and may begin sessions.
    Holder,
    /// It begins and resumes none for now.
    Waits,
    /// Another machine runs them since.
    Over,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Standby => "standby",
            Self::Holder => "holder",
            Self::Waits => "waits",
            Self::Over => "over",
        }
    }
}

/// What they were told last.
#[derive(Default, Debug)]
pub(crate) struct Asking(Mutex<Vec<Asked>>);

#[derive(Debug)]
struct Asked {
    shards: Shards,
    at: Instant,
    state: State,
    why: String,
}

impl Asking {
    /// The gateway of these shards asked, and stands like that; why, where it waits.
    pub(crate) fn told(&self, shards: Shards, state: State, why: &str) {
        let mut all = self.all();
        all.retain(|asked| asked.shards != shards && asked.at.elapsed() < ASKS);
        if all.len() < GATEWAYS_MAX {
            all.push(Asked { shards, at: Instant::now(), state, why: why.to_owned() });
        }
    }

    /// The gateway of these shards asks no more.
    pub(crate) fn done(&self, shards: Shards) {
        self.all().retain(|asked| asked.shards != shards);
    }

    /// Those that ask.
    pub(crate) fn figures(&self) -> Vec<GatewayFigures> {
        let all = self.all();
        let asking = all.iter().filter(|asked| asked.at.elapsed() < ASKS);
        let mut figures: Vec<_> = asking.map(Asked::figures).collect();
        figures.sort_by_key(|gateway| (gateway.count, gateway.first));
        figures
    }

    fn all(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked {
    fn figures(&self) -> GatewayFigures {
        let Shards { first, last, count } = self.shards;
        let (state, why) = (self.state.name().to_owned(), self.why.clone());
        GatewayFigures { first, last, count, state, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p7_each_gateway_is_told_once_and_no_more_than_are_shown() {
        let asking = Asking::default();
        let shards = |first| Shards { first, last: first, count: 100 };
        for first in (0..50).rev() {
            asking.told(shards(first), State::Standby, "why");
            asking.told(shards(first), State::Holder, "");
        }
        let told = asking.figures();
        assert_eq!((told.len(), told[0].first, &*told[0].state), (GATEWAYS_MAX, 42, "holder"));
        asking.done(shards(42));
        assert_eq!(asking.figures()[0].first, 43);
    }
}
