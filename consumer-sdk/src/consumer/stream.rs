//! A consumer as a stream.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll as Polled, ready};
use std::time::Duration;

use futures_core::Stream;
use mixcord_ring::Ticket;

use super::{Consumer, Poll};
use crate::{Error, Event};

/// What a consumer that is polled waits for.
#[derive(Default)]
pub(super) struct Streaming {
    sleep: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    failed: bool,
}

/// Gives what [`next`](Consumer::next) gives: the events as they come, and its end when the consumer is stopped.
/// After an error there are none.
impl Stream for Consumer {
    type Item = Result<Event, Error>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Polled<Option<Self::Item>> {
        if self.streaming.failed {
            return Polled::Ready(None);
        }
        let next = ready!(self.poll_stream(context)).transpose();
        self.streaming.failed = matches!(next, Some(Err(_)));
        Polled::Ready(next)
    }
}

impl Consumer {
    fn poll_stream(&mut self, context: &mut Context<'_>) -> Polled<Result<Option<Event>, Error>> {
        loop {
            if let Some(next) = self.poll_ready()? {
                return Polled::Ready(Ok(next));
            }
            if let Some(sleep) = &mut self.streaming.sleep {
                ready!(sleep.as_mut().poll(context));
                self.streaming.sleep = None;
                continue;
            }
            if let Some((ticket, nap)) = self.nap_first() {
                self.fall_asleep(ticket, nap)?;
                continue;
            }
            let Some(ticket) = self.arm() else { return Polled::Ready(Ok(None)) };
            match self.poll()? {
                Poll::Event(event) => return Polled::Ready(Ok(Some(event))),
                Poll::Stopped => return Polled::Ready(Ok(None)),
                Poll::Wait => self.fall_asleep(ticket, self.tick())?,
            }
        }
    }

    fn fall_asleep(&mut self, ticket: Ticket, longest: Duration) -> Result<(), Error> {
        if let Some(bell) = self.async_bell()?.cloned() {
            let sleep = async move { bell.notified_within(ticket, longest).await };
            self.streaming.sleep = Some(Box::pin(sleep));
        }
        Ok(())
    }
}
