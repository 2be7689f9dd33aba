//! Which session is on which connection, and who has the bot's voice where.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

/// How long a connection may take to let go of its session.
const VACATE: Duration = Duration::from_secs(5);

/// Guilds of which it is remembered who speaks: more than bots have. Who is forgotten keeps the voice's events.
const SPEAKERS_MAX: usize = 500_000;

/// Every session that is on a connection of this process.
#[derive(Debug, Default)]
pub(crate) struct Seats(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    by_session: HashMap<String, (Arc<Notify>, watch::Receiver<()>)>,
    /// Guild and the session that joined voice there last.
    speakers: HashMap<u64, String>,
}

/// A connection has a session as long as this lives: whoever waits for that sees it dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    _here: watch::Sender<()>,
}

impl Seats {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes who has a session; `kick` is notified when it goes on elsewhere.
    pub(crate) fn take(&self, session: &str, kick: &Arc<Notify>) -> Seat {
        let (sender, receiver) = watch::channel(());
        let mut taken = self.taken();
        taken.by_session.retain(|_, (_, here)| here.has_changed().is_ok());
        taken.by_session.insert(session.to_owned(), (Arc::clone(kick), receiver));
        Seat { _here: sender }
    }

    /// How many sessions are on a connection.
    pub(crate) fn count(&self) -> usize {
        let taken = self.taken();
        taken.by_session.values().filter(|(_, here)| here.has_changed().is_ok()).count()
    }

    /// Has the connection that has a session let go of it, and waits for that.
    pub(crate) async fn vacate(&self, session: &str) {
        let Some((kick, mut here)) = self.taken().by_session.remove(session) else { return };
        kick.notify_one();
        // One that is stuck keeps its lock, and the RESUME is refused.
        let _ = tokio::time::timeout(VACATE, here.changed()).await;
    }

    /// A session joined voice in a guild, or left it.
    pub(crate) fn speaks(&self, guild: u64, session: &str, speaks: bool) {
        let mut taken = self.taken();
        if speaks {
            if taken.speakers.len() >= SPEAKERS_MAX
                && let Some(some) = taken.speakers.keys().next().copied()
            {
                taken.speakers.remove(&some);
            }
            taken.speakers.insert(guild, session.to_owned());
        } else if taken.speakers.get(&guild).is_some_and(|speaker| speaker == session) {
            taken.speakers.remove(&guild);
        }
    }

    pub(crate) fn has_other_speaker(&self, guild: u64, session: &str) -> bool {
        self.taken().speakers.get(&guild).is_some_and(|speaker| speaker != session)
    }
}
