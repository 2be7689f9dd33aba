//! Handlers on threads, for programs without an async runtime.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::Instant;

use super::Outcome;
use super::guard::guarded_blocking;
use super::watch::{Sight, Watch, Watcher};
use super::weight::Weight;
use crate::consumer::Consumer;
use crate::{Error, Event};

impl Consumer {
    /// [`run`](Self::run) on threads of its own, as many as there is work for, up to the
    /// [`concurrency`](crate::Builder::concurrency), for programs without an async runtime. A handler that takes
    /// longer than the [`handler_timeout`](crate::Builder::handler_timeout) cannot be ended: an error names it, and
    /// its guild waits until it returns; no other does. Once stopped it waits for the handlers at work, however long
    /// they take; a program that [stops on signals](crate::Stop::on_signals) ends before that if they take too long.
    ///
    /// # Errors
    /// See [`Error`]; the handlers at work are finished before it returns.
    pub fn run_blocking<F, O>(mut self, handler: F) -> Result<(), Error>
    where
        F: Fn(Event) -> O + Send + Sync,
        O: Outcome,
    {
        if !self.is_group() {
            while let Some(event) = self.next_blocking()? {
                guarded_blocking(&handler, &event);
            }
            return Ok(());
        }
        let limit = self.options.limit();
        let state = State { consumer: Some(self), threads: 0, resting: 0, result: None };
        let line = Line {
            handler,
            limit,
            state: Mutex::new(state),
            free: Condvar::new(),
            news: Condvar::new(),
            watch: Watch::default(),
            weight: Weight::default(),
        };
        std::thread::scope(|scope| {
            let first = line.start_thread(scope, &mut line.state());
            first.map_err(|source| Error::Io { doing: "starting a thread", source })?;
            line.watched(scope)
        })
    }

    /// The next event; `None` once it is stopped.
    fn next_for_thread(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.take_event()? {
                return Ok(Some(event));
            }
            if let Some((ticket, nap)) = self.nap_first() {
                self.sleep_blocking(ticket, nap);
                continue;
            }
            let Some(ticket) = self.arm() else { return Ok(None) };
            if self.options.stop.is_stopped() {
                return Ok(None);
            }
            if let Some(event) = self.take_event()? {
                return Ok(Some(event));
            }
            self.sleep_blocking(ticket, self.tick());
        }
    }
}

/// What the threads share: one of them has the consumer, and gives it away before it calls the handler.
struct Line<F> {
    handler: F,
    /// Threads at most.
    limit: usize,
    state: Mutex<State>,
    /// The consumer is there for another thread, or there are no more events.
    free: Condvar,
    /// A handler is called after a while, or no more are.
    news: Condvar,
    watch: Watch,
    weight: Weight,
}

struct State {
    /// `None` while a thread waits for an event or takes one.
    consumer: Option<Consumer>,
    threads: usize,
    /// Threads that have nothing to do.
    resting: usize,
    /// How the giving of events ended.
    result: Option<Result<(), Error>>,
}

impl<F, O> Line<F>
where
    F: Fn(Event) -> O + Send + Sync,
    O: Outcome,
{
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that events are given, until that ends.
    fn watched<'s>(&'s self, scope: &'s Scope<'s, '_>) -> Result<(), Error> {
        let mut watcher = Watcher::default();
        let mut state = self.state();
        loop {
            if let Some(result) = state.result.take() {
                // For those that come from a handler only now.
                state.result = Some(Ok(()));
                return result;
            }
            let sight = watcher.look(&self.watch);
            if sight == Sight::Stuck && state.consumer.is_some() {
                self.call_another(scope, &mut state);
            }
            state = match sight.next_look() {
                None => self.news.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(wait) => {
                    self.news.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Has another thread give events, while this one is in a handler.
    fn call_another<'s>(&'s self, scope: &'s Scope<'s, '_>, state: &mut State) {
        if state.resting > 0 {
            self.free.notify_one();
        } else if state.threads < self.limit
            && let Err(error) = self.start_thread(scope, state)
        {
            // Those there are do it, one after the other.
            tracing::warn!(%error, "no further thread for handlers");
        }
    }

    fn start_thread<'s>(
        &'s self,
        scope: &'s Scope<'s, '_>,
        state: &mut State,
    ) -> std::io::Result<()> {
        let thread = std::thread::Builder::new().name("mixcord-run".to_owned());
        thread.spawn_scoped(scope, move || self.give_events(scope))?;
        state.threads += 1;
        Ok(())
    }

    /// Gives events in turn with the other threads, until there are no more.
    fn give_events<'s>(&'s self, scope: &'s Scope<'s, '_>) {
        while let Some(mut consumer) = self.wait_for_turn() {
            match consumer.next_for_thread() {
                Ok(Some(event)) => {
                    let mut state = self.state();
                    state.consumer = Some(consumer);
                    if !self.weight.is_light() {
                        self.call_another(scope, &mut state);
                    }
                    drop(state);
                    self.call(&event);
                }
                end => {
                    let mut state = self.state();
                    // The group is left when all threads are done.
                    state.consumer = Some(consumer);
                    state.result = Some(end.map(drop));
                    self.free.notify_all();
                    self.news.notify_one();
                    return;
                }
            }
        }
    }

    fn wait_for_turn(&self) -> Option<Consumer> {
        let mut state = self.state();
        loop {
            if state.result.is_some() {
                return None;
            }
            if let Some(consumer) = state.consumer.take() {
                return Some(consumer);
            }
            state.resting += 1;
            state = self.free.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.resting -= 1;
        }
    }

    fn call(&self, event: &Event) {
        let begun = Instant::now();
        let (call, is_first) = self.watch.begin();
        if is_first {
            // Behind the lock: whoever looks has either seen the call, or waits.
            drop(self.state());
            self.news.notify_one();
        }
        guarded_blocking(&self.handler, event);
        self.watch.end(call);
        self.weight.learn(begun.elapsed());
    }
}
