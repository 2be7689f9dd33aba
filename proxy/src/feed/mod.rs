//! The output ring, read once for all clients.
//!
//! A thread reads it as an observer, which holds up nobody, and keeps the last events in a [`Window`] of bounded
//! size. A client takes them from there, in its own time; one that is behind the window reads the ring itself.

mod item;
mod window;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use mixcord::{Consumer, Next, Past, Stop};
use tokio::sync::watch;

pub(crate) use self::item::{Batch, Item};
use self::window::Window;
use crate::session::Records;

/// How many events are passed on at a time.
const BATCH: usize = 64;
/// How long to wait before the ring is tried again, when it cannot be read.
const AGAIN: Duration = Duration::from_secs(1);

/// What clients read.
pub(crate) struct Feed {
    window: RwLock<Window>,
    past: RwLock<Option<Past>>,
    changed: watch::Sender<()>,
    /// Puts the entity before into events.
    with_old: bool,
}

/// What there is at a position.
pub(crate) enum Taken {
    /// Events; those of the batch before the position are to be left out.
    Batch(Arc<Batch>),
    /// Nothing yet.
    Nothing,
    /// The record is gone.
    Gone,
    /// Another ring is read by now.
    Replaced,
}

impl Feed {
    pub(crate) fn new(with_old: bool) -> Self {
        let (window, past, changed) =
            (RwLock::default(), RwLock::default(), watch::Sender::default());
        Self { window, past, changed, with_old }
    }

    /// Is told whenever there may be something new.
    pub(crate) fn listen(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The ring that is read: its id, its oldest position, and the one that comes next; `None` while there is none.
    pub(crate) fn ring(&self) -> Option<(u64, u64, u64)> {
        let past = self.past.read().unwrap_or_else(PoisonError::into_inner);
        past.as_ref().map(|past| (past.ring(), past.earliest(), past.tail()))
    }

    /// The events at `position` of `ring`.
    pub(crate) fn take(&self, ring: u64, position: u64) -> Taken {
        {
            let window = self.window.read().unwrap_or_else(PoisonError::into_inner);
            if window.ring() == Some(ring) {
                if let Some(batch) = window.at(position) {
                    return Taken::Batch(batch);
                }
                // The thread is about to bring it.
                if window.end() == Some(position) {
                    return Taken::Nothing;
                }
            }
        }
        self.read(ring, position)
    }

    /// Reads until `stop`.
    pub(crate) fn run(&self, instance: &str, stop: &Stop) {
        while !stop.is_stopped() {
            // Whatever others read: the positions of the state are those of this ring.
            let connected =
                Consumer::builder().instance(instance).source("out").observer().stop(stop);
            if let Err(error) = connected.connect_blocking().and_then(|ring| self.follow(ring)) {
                tracing::error!(%error, "the output ring cannot be read; trying again");
                std::thread::sleep(AGAIN);
            }
        }
    }

    fn follow(&self, mut consumer: Consumer) -> Result<(), mixcord::Error> {
        self.attach(&consumer);
        let mut events = Vec::with_capacity(BATCH);
        while let Some(event) = consumer.next_blocking()? {
            events.push(event);
            while events.len() < BATCH
                && let Next::Event(event) = consumer.next_timeout(Duration::ZERO)?
            {
                events.push(event);
            }
            if self.attach(&consumer) {
                // Of both rings, perhaps; nobody follows the new one yet, and it can be read again.
                events.clear();
            }
            self.publish(events.drain(..));
        }
        Ok(())
    }

    /// Notes which ring is read; whether it is another than before.
    fn attach(&self, consumer: &Consumer) -> bool {
        let Some(past) = consumer.past() else { return false };
        let mut known = self.past.write().unwrap_or_else(PoisonError::into_inner);
        let same = known.as_ref().is_some_and(|known| known.ring() == past.ring());
        if !same || known.as_ref().is_some_and(|known| !known.is_current()) {
            *self.window.write().unwrap_or_else(PoisonError::into_inner) = Window::of(past.ring());
            *known = Some(past);
            drop(known);
            self.changed.send_replace(());
        }
        !same
    }

    fn publish(&self, events: impl Iterator<Item = mixcord::Event>) {
        let mut batch: Vec<mixcord::Event> = Vec::new();
        // What was lost here has no position, and is read by whoever misses it.
        for event in events {
            let next = position(batch.last()).map(|last| last + 1);
            if event.position().is_none() || next.is_some_and(|next| event.position() != Some(next))
            {
                self.push(std::mem::take(&mut batch));
            }
            batch.extend(event.position().is_some().then_some(event));
        }
        self.push(batch);
        self.changed.send_replace(());
    }

    /// Puts events in a row into the window.
    fn push(&self, events: Vec<mixcord::Event>) {
        if let (Some(first), Some(last)) = (position(events.first()), position(events.last())) {
            let batch = Arc::new(Batch::new(first, last + 1, events, self.with_old));
            self.window.write().unwrap_or_else(PoisonError::into_inner).push(batch);
        }
    }
}

fn position(event: Option<&mixcord::Event>) -> Option<u64> {
    event?.position()
}

fn begins_with_a_loss(reading: &mixcord::PastReading) -> bool {
    reading.events.first().is_some_and(|event| event.lost().is_some())
}

impl Records for Feed {
    fn id(&self) -> Option<u64> {
        self.ring().map(|(ring, ..)| ring)
    }

    fn read(&self, ring: u64, position: u64) -> Taken {
        let past = self.past.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(past) = past.filter(|past| past.ring() == ring) else { return Taken::Replaced };
        match past.read(position) {
            // The record's file may be gone, too: its event would be missing without a word.
            Ok(reading) if reading.lost > 0 || begins_with_a_loss(&reading) => Taken::Gone,
            Ok(reading) if reading.next == position => Taken::Nothing,
            Ok(reading) => Taken::Batch(Arc::new(Batch::new(
                position,
                reading.next,
                reading.events,
                self.with_old,
            ))),
            Err(error) => {
                tracing::error!(%error, "a client cannot go on");
                Taken::Gone
            }
        }
    }
}
