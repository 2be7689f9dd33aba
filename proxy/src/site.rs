//! What all connections share.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mixcord::event::{Document, Value};
use mixcord::operator::Instance;
use mixcord::{State, atoms};
use tokio::sync::watch;

use crate::board::Counts;
use crate::door::Door;
use crate::feed::Feed;
use crate::options::Settings;
use crate::requests::Desk;
use crate::seats::Seats;
use crate::session::Folder;

/// How often it is said what happens again and again.
const REMIND: Duration = Duration::from_secs(10);
/// How long what the gateway's rings say is believed.
const FRESH: Duration = Duration::from_secs(2);

/// One instance, as the proxy shows it.
pub(crate) struct Site {
    pub(crate) settings: Settings,
    pub(crate) feed: Feed,
    pub(crate) state: State,
    pub(crate) desk: Desk,
    pub(crate) folder: Folder,
    pub(crate) door: Door,
    pub(crate) seats: Seats,
    pub(crate) counts: Counts,
    /// Is changed when the proxy ends.
    pub(crate) stopping: watch::Sender<()>,
    instance: Instance,
    granted: Mutex<Option<(Instant, u64)>>,
    complained: Seldom,
    /// Clients that showed a wrong token.
    pub(crate) refused: Seldom,
    me: std::sync::atomic::AtomicU64,
}

impl Site {
    pub(crate) fn new(
        settings: Settings,
        door: Door,
        folder: Folder,
        instance: Instance,
    ) -> Result<Self, mixcord::Error> {
        Ok(Self {
            feed: Feed::new(settings.with_old),
            state: State::attach(&settings.instance)?,
            desk: Desk::open(&settings.instance)?,
            seats: Seats::default(),
            counts: Counts::default(),
            stopping: watch::Sender::default(),
            granted: Mutex::default(),
            complained: Seldom::default(),
            refused: Seldom::default(),
            me: std::sync::atomic::AtomicU64::new(0),
            folder,
            door,
            instance,
            settings,
        })
    }

    /// The bot's own user; `None` before its first READY.
    pub(crate) fn user(&self) -> Option<Document> {
        let user = self.state.me().ok()??;
        let id = user.get(atoms::ID).and_then(Value::as_id)?;
        self.me.store(id, std::sync::atomic::Ordering::Relaxed);
        Some(user)
    }

    /// Its id; 0 before anybody asked for it.
    pub(crate) fn me(&self) -> u64 {
        match self.me.load(std::sync::atomic::Ordering::Relaxed) {
            // After a restart, of a client that resumed.
            0 => self.user().and_then(|user| user.get(atoms::ID)?.as_id()).unwrap_or(0),
            id => id,
        }
    }

    /// Whether it is time to say again that the state cannot be read.
    pub(crate) fn complains(&self) -> bool {
        self.complained.count().is_some()
    }

    /// The intents that every shard of the gateway has; `None` before the first session.
    pub(crate) fn granted(&self) -> Option<u64> {
        let mut known = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, granted)) = *known
            && at.elapsed() < FRESH
        {
            return Some(granted);
        }
        let (rings, _) = self.instance.survey().ok()?;
        let shards = rings.iter().filter_map(|ring| ring.shard.as_ref());
        let granted = shards.filter_map(|shard| shard.intents).reduce(|all, some| all & some)?;
        *known = Some((Instant::now(), granted));
        Some(granted)
    }
}

/// What happens again and again, and is said seldom.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<(Option<Instant>, u64)>);

impl Seldom {
    /// Counts one. `Some` if it is time to say it: how many there were since it was said last, with this one.
    pub(crate) fn count(&self) -> Option<u64> {
        let (said, count) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *count += 1;
        let due = said.is_none_or(|at| at.elapsed() >= REMIND);
        due.then(|| {
            *said = Some(Instant::now());
            std::mem::take(count)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Seldom;

    #[test]
    fn what_happens_often_is_said_once_and_counted() {
        let seldom = Seldom::default();
        assert_eq!(seldom.count(), Some(1));
        assert!((0..1000).all(|_| seldom.count().is_none()));
        seldom.0.lock().expect("no panic").0 = None;
        assert_eq!(seldom.count(), Some(1001));
    }
}
