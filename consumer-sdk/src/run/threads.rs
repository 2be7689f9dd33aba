//! Handlers on threads, for programs without an async runtime.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

use super::Outcome;
use super::guard::{guarded_blocking, queue};
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
        let Some(doorbell) = self.doorbell.clone() else { return Ok(()) };
        let (give, work) = mpsc::channel::<Event>();
        let (work, at_work) = (Mutex::new(work), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            let (work, at_work, handler, doorbell) = (&work, &at_work, &handler, &doorbell);
            let thread = move || {
                loop {
                    let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(event) = next else { return };
                    guarded_blocking(handler, &event);
                    at_work.fetch_sub(1, Ordering::SeqCst);
                    drop(event);
                    doorbell.ring();
                }
            };
            let mut threads = 0;
            let start = || std::thread::Builder::new().spawn_scoped(scope, thread).map(drop);
            let result = self.dispatch_blocking(&give, at_work, &mut threads, start);
            // Without more work to come the threads finish what they handle, and end.
            drop(give);
            result
        })
    }

    fn dispatch_blocking(
        &mut self,
        give: &mpsc::Sender<Event>,
        at_work: &AtomicUsize,
        threads: &mut usize,
        start: impl Fn() -> std::io::Result<()>,
    ) -> Result<(), Error> {
        let limit = self.options.limit();
        while !self.options.stop.is_stopped() {
            let is_full = at_work.load(Ordering::SeqCst) >= limit;
            let ticket = if is_full { self.arm_for_own() } else { self.arm() };
            let Some(ticket) = ticket else { return Ok(()) };
            while at_work.load(Ordering::SeqCst) < limit
                && let Some(event) = self.take_event()?
            {
                if at_work.fetch_add(1, Ordering::SeqCst) >= *threads {
                    match start() {
                        Ok(()) => *threads += 1,
                        Err(source) if *threads == 0 => {
                            return Err(Error::Io { doing: "starting a thread", source });
                        }
                        // Those there are do it, one after the other.
                        Err(error) => tracing::warn!(%error, "no further thread for handlers"),
                    }
                }
                queue(&event);
                // The receiver lives as long as the threads, which outlive this function.
                let _ = give.send(event);
            }
            if !self.options.stop.is_stopped() {
                self.sleep_blocking(ticket, None);
            }
        }
        Ok(())
    }
}
