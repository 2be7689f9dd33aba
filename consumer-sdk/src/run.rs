use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::task::Poll;
use std::time::Instant;

use tokio::task::{JoinError, JoinSet};

use crate::consumer::Consumer;
use crate::filter::Filter;
use crate::lane::{Damaged, Lane, Turn};
use crate::received::Event;
use crate::{Error, Stop};

/// What a handler returns: nothing, or a `Result` whose error says why the event is to be given again.
pub trait Outcome {
    /// Why the event is not handled; `None` when it is.
    fn failure(self) -> Option<String>;
}

impl Outcome for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl<E: fmt::Display> Outcome for Result<(), E> {
    fn failure(self) -> Option<String> {
        self.err().map(|error| error.to_string())
    }
}

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

    /// A partition to work on: one whose pause is over, or a new one.
    fn find_work(&mut self, parked: &mut Vec<Lane>) -> Result<Option<Work>, Error> {
        let now = Instant::now();
        let due = |lane: &Lane| lane.resumes_at().is_none_or(|at| at <= now);
        if let Some(at) = parked.iter().position(due) {
            return Ok(Some(Work::Lane(parked.swap_remove(at))));
        }
        let lane = self.take_lane(None)?;
        Ok(lane.map(Work::Lane).or_else(|| self.take_lost().map(Work::Lost)))
    }

    /// [`run`](Self::run) on threads of its own, as many as the
    /// [`concurrency`](crate::Builder::concurrency), for programs without an async runtime. Once stopped it
    /// waits for the handlers at work, however long they take.
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
        let Some(doorbell) = self.doorbell.clone() else { return Ok(()) };
        let (filter, stop) = (self.options.filter.clone(), self.options.stop.clone());
        let (give_work, work) = mpsc::channel::<Work>();
        let (give_back, back) = mpsc::channel::<Result<Option<Lane>, Damaged>>();
        let work = Mutex::new(work);
        std::thread::scope(|scope| {
            for _ in 0..self.options.concurrency {
                let (work, give_back) = (&work, give_back.clone());
                let (handler, filter, stop, doorbell) = (&handler, &filter, &stop, &doorbell);
                scope.spawn(move || {
                    loop {
                        let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        let done = match next {
                            Ok(Work::Lane(lane)) => drain_blocking(lane, handler, filter, stop),
                            Ok(Work::Lost(event)) => {
                                guarded_blocking(handler, &event);
                                Ok(None)
                            }
                            Err(mpsc::RecvError) => return,
                        };
                        if give_back.send(done).is_err() {
                            return;
                        }
                        doorbell.ring();
                    }
                });
            }
            let result = self.dispatch_blocking(&give_work, &back, &stop);
            // Without more work to come the threads finish what they handle, and end.
            drop(give_work);
            result
        })
    }

    fn dispatch_blocking(
        &mut self,
        give_work: &mpsc::Sender<Work>,
        back: &mpsc::Receiver<Result<Option<Lane>, Damaged>>,
        stop: &Stop,
    ) -> Result<(), Error> {
        let mut at_work = 0;
        let mut parked = Vec::new();
        while !stop.is_stopped() {
            let Some(ticket) = self.arm() else { return Ok(()) };
            while let Ok(done) = back.try_recv() {
                at_work -= 1;
                let lane = done.map_err(|damaged| self.damaged(&damaged))?;
                parked.extend(lane);
            }
            while at_work < self.options.concurrency
                && let Some(work) = self.find_work(&mut parked)?
            {
                at_work += 1;
                // The receiver lives as long as the threads, which outlive this function.
                let _ = give_work.send(work);
            }
            if !stop.is_stopped() {
                let until = parked.iter().filter_map(Lane::resumes_at).min();
                self.sleep_blocking(ticket, until);
            }
        }
        Ok(())
    }
}

/// What a task or thread does next.
enum Work {
    Lane(Lane),
    Lost(Event),
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
    while !stop.is_stopped() {
        match lane.turn(filter)? {
            Turn::Event(event) => guarded(handler, &event).await,
            Turn::Out | Turn::Paused(_) => break,
            Turn::Done => return Ok(None),
        }
    }
    Ok(Some(lane))
}

fn drain_blocking<F, O>(
    mut lane: Lane,
    handler: &F,
    filter: &Filter,
    stop: &Stop,
) -> Result<Option<Lane>, Damaged>
where
    F: Fn(Event) -> O,
    O: Outcome,
{
    while !stop.is_stopped() {
        match lane.turn(filter)? {
            Turn::Event(event) => guarded_blocking(handler, &event),
            Turn::Out | Turn::Paused(_) => break,
            Turn::Done => return Ok(None),
        }
    }
    Ok(Some(lane))
}

/// Calls the handler, whose panic ends here, and settles the event.
async fn guarded<F, Fut>(handler: &F, event: &Event)
where
    F: Fn(Event) -> Fut,
    Fut: Future,
    Fut::Output: Outcome,
{
    let given = event.clone();
    let mut work = pin!(async move { handler(given).await });
    let caught = std::future::poll_fn(|context| {
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await;
    settle(event, caught.map(Outcome::failure));
}

fn guarded_blocking<F, O>(handler: &F, event: &Event)
where
    F: Fn(Event) -> O,
    O: Outcome,
{
    let given = event.clone();
    let caught = catch_unwind(AssertUnwindSafe(|| handler(given)));
    settle(event, caught.map(Outcome::failure));
}

/// Acknowledges the event, or says why it is to be given again.
fn settle(event: &Event, outcome: Result<Option<String>, Box<dyn Any + Send>>) {
    let failure =
        outcome.unwrap_or_else(|panic| Some(format!("panicked: {}", panic_text(&*panic))));
    let Some(reason) = failure else { return event.ack() };
    let (kind, identity, attempt) = (event.name(), event.identity(), event.attempt());
    tracing::warn!(kind, %identity, attempt, reason, "the handler failed");
    event.fail();
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)")
}
