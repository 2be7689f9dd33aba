//! Handlers of an async runtime.
//!
//! A thread of its own gives the events: it waits for the ring as the blocking calls do, without waking the runtime,
//! and calls each handler. One that is through without waiting has cost no task and no other thread. One that waits
//! goes on as a task of the runtime. Handlers that [compute for long](super::weight) are tasks from the beginning;
//! and should one that was thought to be light not return, another thread goes on giving
//! [events](super::watch) in its place.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Instant;

use mixcord_ring::Bell;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tracing::Dispatch;
use tracing::subscriber::NoSubscriber;

use super::Outcome;
use super::guard::{guarded, queue};
use super::watch::{Sight, Watch, Watcher};
use super::weight::Weight;
use crate::consumer::Consumer;
use crate::group::meter::Counters;
use crate::{Builder, Error, Event};

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
        F: Fn(Event) -> Fut + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: Outcome,
    {
        self.connect().await?.run(handler).await
    }
}

impl Consumer {
    /// Calls the handler with every event until the consumer is stopped: for as many events at once as
    /// [`concurrency`](crate::Builder::concurrency) says, and one after the other for those of one guild, or whatever
    /// the [`order`](crate::Builder::order) is by. A handler begins on a thread of the consumer's, within the
    /// runtime's context; where it waits, and where handlers compute for long, it runs as a task of the runtime.
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
        F: Fn(Event) -> Fut + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: Outcome,
    {
        if !self.is_group() {
            while let Some(event) = self.next().await? {
                guarded(&handler, event).await;
            }
            return Ok(());
        }
        let grace = self.options.grace;
        // Dropped behind the line: its events go back before their tasks end.
        let mut tasks = JoinSet::new();
        let running = Running(Line::new(self, handler));
        let line = &running.0;
        line.start_thread()?;
        let result = line.watched().await;
        if tokio::time::timeout(grace, line.finish(&mut tasks)).await.is_err() {
            tracing::warn!("handlers are still at work: their events will be given again");
        }
        result
    }
}

/// A consumer that runs, for as long as somebody awaits it.
struct Running<F>(Arc<Line<F>>);

impl<F> Drop for Running<F> {
    fn drop(&mut self) {
        let line = &self.0;
        let (consumer, tasks) = {
            let mut state = line.state();
            state.is_over = true;
            (state.consumer.take(), std::mem::take(&mut state.tasks))
        };
        // Before the tasks are dropped, for which their events would count as failed.
        line.counters.leave();
        drop((consumer, tasks));
        // A thread that has the consumer drops it.
        if let Some(bell) = &line.bell {
            bell.ring();
        }
    }
}

/// What the threads that give events share.
struct Line<F> {
    handler: F,
    runtime: Handle,
    /// Who listens to `tracing` where the consumer runs; `None` where nobody does.
    listener: Option<Dispatch>,
    state: Mutex<State>,
    crew: Arc<Crew>,
    watch: Watch,
    weight: Weight,
    counters: Arc<Counters>,
    bell: Option<Bell>,
}

/// The threads of a line, told apart from it: one that says it ended has nothing of the handler any more.
#[derive(Default)]
struct Crew {
    /// Threads that give events, or are in a handler.
    threads: AtomicUsize,
    /// A handler is called after a while; no more events are given; a thread ended.
    news: Notify,
}

impl Crew {
    fn leave(&self) {
        self.threads.fetch_sub(1, Ordering::SeqCst);
        self.news.notify_one();
    }
}

#[derive(Default)]
struct State {
    /// `None` while a thread waits for an event or takes one, and once there are no more.
    consumer: Option<Consumer>,
    /// Handlers that wait, or compute for long.
    tasks: JoinSet<()>,
    /// How the giving of events ended, if by a panic of ours.
    result: Option<std::thread::Result<Result<(), Error>>>,
    /// Nobody awaits it any more.
    is_over: bool,
}

impl<F> Line<F> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends what has ended, and says how many handlers are at work, those included that are in a thread which did
    /// not come back.
    fn at_work(&self) -> usize {
        let mut state = self.state();
        while let Some(done) = state.tasks.try_join_next() {
            tell(done);
        }
        state.tasks.len() + self.crew.threads.load(Ordering::SeqCst).saturating_sub(1)
    }

    /// Gives the consumer back for the next event, by whichever thread.
    fn put_back(&self, consumer: Consumer) {
        let mut state = self.state();
        if !state.is_over {
            state.consumer = Some(consumer);
            return;
        }
        drop(state);
        drop(consumer);
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut state = self.state();
        if !state.is_over {
            state.tasks.spawn_on(work, &self.runtime);
            return;
        }
        drop(state);
        drop(work);
    }

    /// The next event; `None` once it is stopped or over.
    fn next(&self, consumer: &mut Consumer) -> Result<Option<Event>, Error> {
        let limit = consumer.options.limit();
        loop {
            let mut is_full = self.at_work() >= limit;
            if !is_full {
                if let Some(event) = self.take(consumer)? {
                    return Ok(Some(event));
                }
                if let Some((ticket, nap)) = consumer.nap_first() {
                    if self.state().is_over {
                        return Ok(None);
                    }
                    consumer.sleep_blocking(ticket, nap);
                    continue;
                }
            }
            // What is published concerns nobody who has enough.
            let ticket = if is_full { consumer.arm_for_own() } else { consumer.arm() };
            let Some(ticket) = ticket else { return Ok(None) };
            if consumer.options.stop.is_stopped() || self.state().is_over {
                return Ok(None);
            }
            is_full = self.at_work() >= limit;
            if !is_full && let Some(event) = self.take(consumer)? {
                return Ok(Some(event));
            }
            consumer.sleep_blocking(ticket, consumer.tick());
        }
    }

    /// An event that is there; none once nobody awaits the run: it would go back, and that would count.
    fn take(&self, consumer: &mut Consumer) -> Result<Option<Event>, Error> {
        // The lock keeps the end from coming between the look and the take.
        let state = self.state();
        if state.is_over { Ok(None) } else { consumer.take_event() }
    }

    /// Waits for the handlers at work, which it puts into `tasks`.
    async fn finish(&self, tasks: &mut JoinSet<()>) {
        loop {
            let news = self.crew.news.notified();
            let is_last = self.crew.threads.load(Ordering::SeqCst) == 0;
            *tasks = std::mem::take(&mut self.state().tasks);
            if tasks.is_empty() {
                if is_last {
                    return;
                }
                news.await;
            }
            while let Some(done) = tasks.join_next().await {
                tell(done);
            }
        }
    }
}

impl<F, Fut> Line<F>
where
    F: Fn(Event) -> Fut + Send + Sync + 'static,
    Fut: Future + Send + 'static,
    Fut::Output: Outcome,
{
    fn new(consumer: Consumer, handler: F) -> Arc<Self> {
        let (counters, bell) = (consumer.counters(), consumer.bell());
        let state = State { consumer: Some(consumer), ..State::default() };
        Arc::new(Self {
            handler,
            runtime: Handle::current(),
            listener: tracing::dispatcher::get_default(|it| {
                (!it.is::<NoSubscriber>()).then(|| it.clone())
            }),
            state: Mutex::new(state),
            crew: Arc::default(),
            watch: Watch::default(),
            weight: Weight::default(),
            counters,
            bell,
        })
    }

    /// Sees to it that events are given, until that ends.
    async fn watched(self: &Arc<Self>) -> Result<(), Error> {
        let mut watcher = Watcher::default();
        loop {
            let news = self.crew.news.notified();
            match self.state().result.take() {
                Some(Ok(result)) => return result,
                Some(Err(panic)) => resume_unwind(panic),
                None => {}
            }
            let sight = watcher.look(&self.watch);
            let Some(next_look) = sight.next_look() else {
                news.await;
                continue;
            };
            let is_left = sight == Sight::Stuck && self.state().consumer.is_some();
            if is_left && let Err(error) = self.start_thread() {
                tracing::warn!(%error, "a handler blocks its thread, and no other can be had: events wait");
            }
            let _ = tokio::time::timeout(next_look, news).await;
        }
    }

    fn start_thread(self: &Arc<Self>) -> Result<(), Error> {
        self.crew.threads.fetch_add(1, Ordering::SeqCst);
        let (line, crew) = (Arc::clone(self), Arc::clone(&self.crew));
        let thread = std::thread::Builder::new().name("mixcord-run".to_owned());
        let started = thread.spawn(move || {
            let context = line.runtime.enter();
            let listener = line.listener.as_ref().map(tracing::dispatcher::set_default);
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| line.give_events())) {
                line.state().result = Some(Err(panic));
            }
            drop((listener, context));
            drop(line);
            crew.leave();
        });
        started.map(drop).map_err(|source| {
            self.crew.leave();
            Error::Io { doing: "starting a thread", source }
        })
    }

    /// Gives events until there are no more to give, or another thread does it.
    fn give_events(self: &Arc<Self>) {
        loop {
            let Some(mut consumer) = self.state().consumer.take() else { return };
            let event = match self.next(&mut consumer) {
                Ok(Some(event)) => event,
                end => {
                    // The group is left when the handlers at work are done.
                    self.put_back(consumer);
                    self.state().result = Some(Ok(end.map(drop)));
                    return;
                }
            };
            let line = Arc::clone(self);
            if self.weight.is_light() {
                self.put_back(consumer);
                self.begin(async move { guarded(&line.handler, event).await });
            } else {
                queue(&event);
                self.spawn(async move { line.weighed(event).await });
                self.put_back(consumer);
            }
        }
    }

    /// Calls a handler here, and lets a task go on with it where it waits.
    fn begin(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut work = Box::pin(work);
        let begun = Instant::now();
        let (call, is_first) = self.watch.begin();
        if is_first {
            self.crew.news.notify_one();
        }
        // What would wake it by this waker is looked for again: a task begins with a call.
        let mut context = Context::from_waker(Waker::noop());
        let is_waiting = work.as_mut().poll(&mut context).is_pending();
        self.watch.end(call);
        self.weight.learn(begun.elapsed());
        if is_waiting {
            self.spawn(work);
        }
    }

    /// A handler as a task, whose first steps are weighed.
    async fn weighed(&self, event: Event) {
        let mut work = std::pin::pin!(guarded(&self.handler, event));
        let mut is_first = true;
        let first_weighed = std::future::poll_fn(|context| {
            if !std::mem::take(&mut is_first) {
                return work.as_mut().poll(context);
            }
            let begun = Instant::now();
            let polled = work.as_mut().poll(context);
            self.weight.learn(begun.elapsed());
            polled
        });
        first_weighed.await;
    }
}

fn tell(done: Result<(), JoinError>) {
    if let Err(error) = done {
        // Handlers' panics are caught inside; the event of a cancelled task failed.
        tracing::error!(%error, "a handler's task ended");
    }
}
