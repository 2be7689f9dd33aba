//! Calling a handler: whatever it does, its event is settled.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use tracing::{Instrument, Span};

use super::Outcome;
use crate::group::Keeper;
use crate::received::Event;

const TOO_LONG: &str = "its handler took too long";

/// The event waits until its handler can begin, which is no fault of the handler's.
pub(super) fn queue(event: &Event) {
    if let Some(out) = event.out() {
        out.keep_as(Keeper::Queue);
    }
}

/// Calls the handler, whose panic ends here, and settles the event.
pub(super) async fn guarded<F, Fut>(handler: &F, event: Event)
where
    F: Fn(Event) -> Fut,
    Fut: Future,
    Fut::Output: Outcome,
{
    let span = span(&event);
    attempt(handler, event).instrument(span).await;
}

async fn attempt<F, Fut>(handler: &F, event: Event)
where
    F: Fn(Event) -> Fut,
    Fut: Future,
    Fut::Output: Outcome,
{
    let out = event.out().cloned();
    if out.as_ref().is_some_and(|out| !out.keep_as(Keeper::Task)) {
        return;
    }
    let given = event.clone();
    let mut work = Box::pin(async move { handler(given).await.failure() });
    let is_expired = || out.as_ref().is_some_and(|out| out.is_expired());
    let failure = std::future::poll_fn(|context| {
        if is_expired() {
            return Poll::Ready(Some(TOO_LONG.to_owned()));
        }
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(failure)) => return Poll::Ready(failure),
            Err(panic) => return Poll::Ready(Some(panicked(panic))),
        }
        let Some(out) = &out else { return Poll::Pending };
        out.wake_with(context.waker());
        // It may have expired before there was somebody to wake.
        if is_expired() { Poll::Ready(Some(TOO_LONG.to_owned())) } else { Poll::Pending }
    })
    .await;
    // Before the next of its key is given: two of them are never at work.
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(work))) {
        forget(panic);
    }
    settle(&event, failure);
}

/// The same on this thread.
pub(super) fn guarded_blocking<F, O>(handler: &F, event: &Event)
where
    F: Fn(Event) -> O,
    O: Outcome,
{
    let _span = span(event).entered();
    if event.out().is_some_and(|out| !out.keep_as(Keeper::Thread)) {
        return;
    }
    let given = event.clone();
    let failure = catch_unwind(AssertUnwindSafe(|| handler(given).failure()));
    settle(event, failure.unwrap_or_else(|panic| Some(panicked(panic))));
}

fn span(event: &Event) -> Span {
    let (kind, guild, attempt) = (event.name(), event.guild_id(), event.attempt());
    tracing::info_span!("event", kind, guild, identity = %event.identity(), attempt)
}

/// Acknowledges the event, or says why it is to be given again.
fn settle(event: &Event, failure: Option<String>) {
    match failure {
        None => event.ack(),
        Some(reason) if event.out().is_some() => event.fail(&reason),
        Some(reason) => {
            let (kind, identity) = (event.name(), event.identity());
            tracing::warn!(kind, %identity, reason, "the handler failed");
        }
    }
}

/// What a panic says.
pub(crate) fn panicked(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let told = format!("panicked: {}", text.unwrap_or("(no text)"));
    forget(panic);
    told
}

/// Drops a panic. It is the handler's own value, and so is what happens then.
fn forget(panic: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
}
