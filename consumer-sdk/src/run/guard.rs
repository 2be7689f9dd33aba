//! Calling a handler: whatever it does, its event is settled.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use super::Outcome;
use crate::received::Event;

/// Calls the handler, whose panic ends here, and settles the event.
pub(super) async fn guarded<F, Fut>(handler: &F, event: &Event)
where
    F: Fn(Event) -> Fut,
    Fut: Future,
    Fut::Output: Outcome,
{
    let given = event.clone();
    let mut work = pin!(async move { handler(given).await.failure() });
    let failure = std::future::poll_fn(|context| {
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(failure)) => Poll::Ready(failure),
            Err(panic) => Poll::Ready(Some(told(panic))),
        }
    })
    .await;
    settle(event, failure);
}

/// The same on this thread.
pub(super) fn guarded_blocking<F, O>(handler: &F, event: &Event)
where
    F: Fn(Event) -> O,
    O: Outcome,
{
    let given = event.clone();
    let failure = catch_unwind(AssertUnwindSafe(|| handler(given).failure()));
    settle(event, failure.unwrap_or_else(|panic| Some(told(panic))));
}

/// Acknowledges the event, or says why it is to be given again.
fn settle(event: &Event, failure: Option<String>) {
    let Some(reason) = failure else { return event.ack() };
    let (kind, identity, attempt) = (event.name(), event.identity(), event.attempt());
    tracing::warn!(kind, %identity, attempt, reason, "the handler failed");
    event.fail();
}

/// What a panic says. It is the handler's own value, and so is what happens when that is dropped.
fn told(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let told = format!("panicked: {}", text.unwrap_or("(no text)"));
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
    told
}
