//! Awaiting a bell in tokio: one thread sleeps on the futex for all tasks, and only while any task waits.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::bell::{Bell, Ticket};
use crate::system::nudge::Nudge;

/// The longest wait: news whose bringer was killed before it rang are found by then.
const TICK: Duration = Duration::from_millis(100);

/// A bound beyond which a wait is bounded by nothing that anybody lives to see.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// A bell to await. A clone shares the thread; one is enough for a process.
#[derive(Debug, Clone)]
pub struct AsyncBell {
    shared: Arc<Shared>,
    /// Ends the thread with the last clone, and gives the bell back.
    _end: Arc<End>,
}

#[derive(Debug)]
struct Shared {
    bell: Bell,
    state: Mutex<State>,
    /// There are waiters, or the end.
    news: Condvar,
    /// Ends the thread's sleep on the bell, for a sooner waiter or the end.
    nudge: Nudge,
}

#[derive(Debug, Default)]
struct State {
    waiters: Vec<Waiter>,
    next: u64,
    ended: bool,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    ticket: Ticket,
    until: Instant,
    waker: Waker,
}

#[derive(Debug)]
struct End {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for End {
    /// Waits for the thread, which is about to end: the bell is free when this is done.
    fn drop(&mut self) {
        self.shared.state().ended = true;
        self.shared.news.notify_all();
        self.shared.nudge.nudge();
        // Not when the last clone went with a task that the thread itself was waking.
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

impl AsyncBell {
    /// Starts the thread that waits on `bell`.
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn new(bell: Bell) -> io::Result<Self> {
        let (state, news, nudge) = (Mutex::default(), Condvar::new(), Nudge::default());
        let shared = Arc::new(Shared { bell, state, news, nudge });
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("ring-bell".to_owned())
            .spawn(move || for_thread.run())?;
        let end = End { shared: Arc::clone(&shared), thread: Some(thread) };
        Ok(Self { _end: Arc::new(end), shared })
    }

    /// Take it before arming, as with [`Bell::ticket`].
    pub fn ticket(&self) -> Ticket {
        self.shared.bell.ticket()
    }

    /// The bell below.
    pub fn bell(&self) -> &Bell {
        &self.shared.bell
    }

    /// Resolves once the bell was rung after `ticket` was taken, or a tenth of a second passed: look
    /// for work either way.
    pub async fn notified(&self, ticket: Ticket) {
        self.notified_within(ticket, TICK).await;
    }

    /// The same with another bound.
    pub async fn notified_within(&self, ticket: Ticket, bound: Duration) {
        let until = Instant::now() + bound.min(FOREVER);
        Notified { shared: &self.shared, ticket, until, number: None }.await;
    }
}

/// One wait; leaves the list when dropped.
struct Notified<'a> {
    shared: &'a Shared,
    ticket: Ticket,
    until: Instant,
    number: Option<u64>,
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.shared.bell.ticket() != self.ticket || Instant::now() >= self.until {
            return Poll::Ready(());
        }
        let mut state = self.shared.state();
        if let Some(number) = self.number
            && let Some(waiter) = state.waiters.iter_mut().find(|w| w.number == number)
        {
            waiter.waker.clone_from(context.waker());
            return Poll::Pending;
        }
        state.next += 1;
        let number = state.next;
        let first = state.waiters.is_empty();
        // Sleeping already for a later deadline: it must look anew.
        let sooner = state.waiters.iter().all(|waiter| self.until < waiter.until);
        state.waiters.push(Waiter {
            number,
            ticket: self.ticket,
            until: self.until,
            waker: context.waker().clone(),
        });
        drop(state);
        if first {
            self.shared.news.notify_one();
        } else if sooner {
            self.shared.nudge.nudge();
        }
        self.number = Some(number);
        Poll::Pending
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.shared.state().waiters.retain(|waiter| waiter.number != number);
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut state = self.state();
        while !state.ended {
            let (ticket, seen) = (self.bell.ticket(), self.nudge.seen());
            let now = Instant::now();
            let due = |waiter: &mut Waiter| waiter.ticket != ticket || waiter.until <= now;
            let due: Vec<_> = state.waiters.extract_if(.., due).collect();
            if !due.is_empty() {
                // Unlocked: what is woken, or ends with its waker, may come back here.
                drop(state);
                due.into_iter().for_each(|waiter| waiter.waker.wake());
                state = self.state();
                continue;
            }
            let Some(until) = state.waiters.iter().map(|waiter| waiter.until).min() else {
                state = self.news.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            self.bell.wait_or(ticket, until.saturating_duration_since(now), &self.nudge, seen);
            state = self.state();
        }
    }
}
