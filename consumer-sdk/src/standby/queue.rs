//! What stands between the thread that sees the events and whoever waits for some.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::WaitError;
use crate::received::{Event, Watcher};

/// Events kept for one that does not ask for them.
const KEPT: usize = 256;

#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    blocking: Condvar,
    tasks: Notify,
}

#[derive(Default)]
struct State {
    events: VecDeque<Event>,
    /// Why nothing comes behind those.
    end: Option<WaitError>,
    /// Nobody asks any more.
    closed: bool,
}

/// The end that events are put in.
pub(super) struct Writer<P> {
    queue: Arc<Queue>,
    predicate: P,
    wanted: usize,
}

impl Queue {
    pub(super) async fn next(&self) -> Result<Event, WaitError> {
        loop {
            if let Some(next) = self.state().next() {
                return next;
            }
            // Keeps what was put in between for one that comes to wait.
            self.tasks.notified().await;
        }
    }

    pub(super) fn wait(&self, until: Option<Instant>) -> Result<Event, WaitError> {
        let mut state = self.state();
        loop {
            if let Some(next) = state.next() {
                return next;
            }
            state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(left) if left.is_zero() => return Err(WaitError::Timeout),
                Some(left) => {
                    let waited = self.blocking.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.blocking.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    pub(super) fn close(&self) {
        self.state().closed = true;
    }

    fn end(&self, why: WaitError) {
        self.state().end.get_or_insert(why);
        self.wake();
    }

    fn wake(&self) {
        self.blocking.notify_all();
        self.tasks.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self) -> Option<Result<Event, WaitError>> {
        self.events.pop_front().map(Ok).or_else(|| self.end.map(Err))
    }
}

impl<P: Fn(&Event) -> bool + Send> Writer<P> {
    pub(super) fn new(queue: &Arc<Queue>, predicate: P, wanted: usize) -> Self {
        Self { queue: Arc::clone(queue), predicate, wanted }
    }
}

impl<P: Fn(&Event) -> bool + Send> Watcher for Writer<P> {
    fn show(&mut self, event: &Event) -> bool {
        if self.queue.state().closed {
            return false;
        }
        match catch_unwind(AssertUnwindSafe(|| (self.predicate)(event))) {
            Ok(false) => return true,
            Ok(true) => {}
            Err(panic) => {
                tracing::error!(
                    "what waits for events panicked; it is told that its wait has ended"
                );
                if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
                    std::mem::forget(again);
                }
                self.queue.end(WaitError::Ended);
                return false;
            }
        }
        let mut state = self.queue.state();
        if state.events.len() >= KEPT {
            drop(state);
            return self.missed(1);
        }
        state.events.push_back(event.clone());
        drop(state);
        self.queue.wake();
        self.wanted -= 1;
        self.wanted > 0
    }

    fn missed(&mut self, records: u64) -> bool {
        self.queue.end(WaitError::Missed { records });
        false
    }

    fn end(&mut self) {
        self.queue.end(WaitError::Ended);
    }

    fn is_gone(&self) -> bool {
        self.queue.state().closed
    }
}
