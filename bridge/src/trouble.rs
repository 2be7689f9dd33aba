//! Something that does not go on: said once it lasts, then again from time to time, and when it is over.

use std::time::{Duration, Instant};

use crate::broker::{PAUSE, REMIND};

/// What does not go on, if anything.
#[derive(Debug, Default)]
pub(crate) struct Trouble(Option<Lasting>);

#[derive(Debug)]
struct Lasting {
    since: Instant,
    said: Option<Instant>,
}

impl Trouble {
    /// It does not go on now. Gives for how long already, when it is time to say so.
    pub(crate) fn lasts(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let lasting = self.0.get_or_insert(Lasting { since: now, said: None });
        let due = match lasting.said {
            None => now.duration_since(lasting.since) >= 2 * PAUSE,
            Some(said) => now.duration_since(said) >= REMIND,
        };
        due.then(|| {
            lasting.said = Some(now);
            now.duration_since(lasting.since)
        })
    }

    /// It goes on. Gives for how long it did not, if that was said.
    pub(crate) fn ends(&mut self) -> Option<Duration> {
        let Lasting { since, said } = self.0.take()?;
        said.map(|_| since.elapsed())
    }
}
