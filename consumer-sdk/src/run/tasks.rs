//! Handlers as tasks of an async runtime.

use std::future::Future;
use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};

use super::Outcome;
use super::guard::{guarded, queue};
use crate::consumer::Consumer;
use crate::{Builder, Error};

impl Builder {
    /// Connects, and [runs](Consumer::run).
    ///
    /// # Errors
    /// See [`Error`].
    ///
    /// # Panics
    /// As [`connect`](Self::connect).
    pub async fn run<F, Fut>(self, handler: F) -> Result<(), Error>
    where
        F: Fn(crate::Event) -> Fut + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: Outcome,
    {
        self.connect().await?.run(handler).await
    }
}

impl Consumer {
    /// Calls the handler with every event until the consumer is stopped: for as many events at once as
    /// [`concurrency`](crate::Builder::concurrency) says, and one after the other for those of one guild, or whatever
    /// the [`order`](crate::Builder::order) is by. Handlers run as tasks of the runtime.
    ///
    /// An event is acknowledged when its handler returns `()` or `Ok(())`. When it returns an error, panics, or takes
    /// longer than the [`handler_timeout`](crate::Builder::handler_timeout), the attempt failed: that is logged, and
    /// the event is given again after a pause that grows ([`retry`](crate::Builder::retry)), until its
    /// [`attempts`](crate::Builder::attempts) are used up and it is kept as a dead letter. Only its own guild waits
    /// meanwhile. A handler that calls [`Event::ack`](crate::Event::ack) and works on frees its guild at once.
    ///
    /// Each call runs in a `tracing` span `event` with the event's kind, guild, identity and attempt.
    ///
    /// An observer's events are handled one after the other, and a failure is logged only.
    ///
    /// # Errors
    /// See [`Error`]; the handlers at work are finished before it returns.
    ///
    /// # Panics
    /// On a tokio runtime without a timer ([`connect`](crate::Builder::connect)).
    pub async fn run<F, Fut>(mut self, handler: F) -> Result<(), Error>
    where
        F: Fn(crate::Event) -> Fut + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: Outcome,
    {
        if !self.is_group() {
            while let Some(event) = self.next().await? {
                guarded(&handler, event).await;
            }
            return Ok(());
        }
        let handler = Arc::new(handler);
        let mut tasks = JoinSet::new();
        let result = self.dispatch(&handler, &mut tasks).await;
        let finish = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(self.options.grace, finish).await.is_err() {
            tracing::warn!("handlers are still at work: their events will be given again");
            // Before the tasks are dropped, for which their events would count as failed.
            self.leave();
            tasks.abort_all();
        }
        result
    }

    async fn dispatch<F, Fut>(
        &mut self,
        handler: &Arc<F>,
        tasks: &mut JoinSet<()>,
    ) -> Result<(), Error>
    where
        F: Fn(crate::Event) -> Fut + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: Outcome,
    {
        while !self.options.stop.is_stopped() {
            while let Some(done) = tasks.try_join_next() {
                tell(done);
            }
            let is_full = tasks.len() >= self.options.limit();
            // What is published concerns nobody who has enough.
            let ticket = if is_full { self.arm_for_own() } else { self.arm() };
            let Some(ticket) = ticket else { return Ok(()) };
            while tasks.len() < self.options.limit()
                && let Some(event) = self.take_event()?
            {
                let handler = Arc::clone(handler);
                queue(&event);
                tasks.spawn(async move { guarded(&*handler, event).await });
            }
            if self.options.stop.is_stopped() {
                break;
            }
            tokio::select! {
                slept = self.sleep(ticket, None) => slept?,
                Some(done) = tasks.join_next() => tell(done),
            }
        }
        Ok(())
    }
}

fn tell(done: Result<(), JoinError>) {
    if let Err(error) = done {
        // Handlers' panics are caught inside; the event of a cancelled task failed.
        tracing::error!(%error, "a handler's task ended");
    }
}
