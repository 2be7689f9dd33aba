//! Handlers on threads, for programs without an async runtime.

use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError, mpsc};

use super::guard::guarded_blocking;
use super::{Outcome, Work};
use crate::consumer::Consumer;
use crate::filter::Filter;
use crate::lane::{Damaged, Lane};
use crate::received::Event;
use crate::{Error, Stop};

impl Consumer {
    /// [`run`](Self::run) on threads of its own, as many as the
    /// [`concurrency`](crate::Builder::concurrency), for programs without an async runtime. Once stopped it
    /// waits for the handlers at work, however long they take; a program that
    /// [stops on signals](crate::Stop::on_signals) ends before that if they take too long.
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
    loop {
        match lane.step(filter, stop)? {
            ControlFlow::Continue(event) => guarded_blocking(handler, &event),
            ControlFlow::Break(unfinished) => return Ok(unfinished.then_some(lane)),
        }
    }
}
