//! Handlers as tasks of an async runtime.

use std::future::Future;
use std::ops::ControlFlow;
use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};

use super::guard::guarded;
use super::{Outcome, Work};
use crate::consumer::Consumer;
use crate::filter::Filter;
use crate::lane::{Damaged, Lane};
use crate::received::Event;
use crate::{Error, Stop};

impl Consumer {
    /// Calls the handler with every event until the consumer is stopped, for several partitions at
    /// once ([`concurrency`](crate::Builder::concurrency)) and one after the other inside a
    /// partition, so that each guild's events are handled in order.
    ///
    /// An event is acknowledged when its handler returns `()` or `Ok(())`. When it returns an error or
    /// panics, a warning is logged and the event is given again after a pause that grows
    /// ([`retry`](crate::Builder::retry)); the events behind it in its partition wait, others go on. Handlers run as tasks of the
    /// runtime. A handler may acknowledge early with [`Event::ack`].
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
        F: Fn(Event) -> Fut + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: Outcome,
    {
        if !self.is_group() {
            while let Some(event) = self.next().await? {
                guarded(&handler, &event).await;
            }
            return Ok(());
        }
        let handler = Arc::new(handler);
        let mut tasks = JoinSet::new();
        let mut parked = Vec::new();
        let result = self.dispatch(&handler, &mut tasks, &mut parked).await;
        parked.clear();
        let finish = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(self.options.grace, finish).await.is_err() {
            tracing::warn!("handlers are still at work: their events will be given again");
            tasks.abort_all();
        }
        result
    }

    async fn dispatch<F, Fut>(
        &mut self,
        handler: &Arc<F>,
        tasks: &mut JoinSet<Result<Option<Lane>, Damaged>>,
        parked: &mut Vec<Lane>,
    ) -> Result<(), Error>
    where
        F: Fn(Event) -> Fut + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: Outcome,
    {
        let stop = self.options.stop.clone();
        while !stop.is_stopped() {
            while let Some(done) = tasks.try_join_next() {
                self.collect(done, parked)?;
            }
            let Some(ticket) = self.arm() else { return Ok(()) };
            while tasks.len() < self.options.concurrency
                && let Some(work) = self.find_work(parked)?
            {
                let (handler, filter) = (Arc::clone(handler), self.options.filter.clone());
                let stop = stop.clone();
                tasks.spawn(async move {
                    match work {
                        Work::Lane(lane) => drain(lane, &*handler, &filter, &stop).await,
                        Work::Lost(event) => {
                            guarded(&*handler, &event).await;
                            Ok(None)
                        }
                    }
                });
            }
            if stop.is_stopped() {
                break;
            }
            let until = parked.iter().filter_map(Lane::resumes_at).min();
            tokio::select! {
                slept = self.sleep(ticket, until) => slept?,
                Some(done) = tasks.join_next() => self.collect(done, parked)?,
            }
        }
        Ok(())
    }

    fn collect(
        &self,
        done: Result<Result<Option<Lane>, Damaged>, JoinError>,
        parked: &mut Vec<Lane>,
    ) -> Result<(), Error> {
        match done {
            Ok(Ok(lane)) => parked.extend(lane),
            Ok(Err(damaged)) => return Err(self.damaged(&damaged)),
            // Handlers' panics are caught inside; the lane of a cancelled task was let go.
            Err(error) => tracing::error!(%error, "a handler's task ended"),
        }
        Ok(())
    }
}

/// Handles what is left of a lane's batch. Gives the lane back when an event failed or when we are
/// told to stop, `None` when it is done.
async fn drain<F, Fut>(
    mut lane: Lane,
    handler: &F,
    filter: &Filter,
    stop: &Stop,
) -> Result<Option<Lane>, Damaged>
where
    F: Fn(Event) -> Fut,
    Fut: Future,
    Fut::Output: Outcome,
{
    loop {
        match lane.step(filter, stop)? {
            ControlFlow::Continue(event) => guarded(handler, &event).await,
            ControlFlow::Break(unfinished) => return Ok(unfinished.then_some(lane)),
        }
    }
}
