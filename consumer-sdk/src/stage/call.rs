//! Calling a stage's function: whatever it does, there is an answer, or the stage was stopped.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use super::emit::{Emit, Emits};
use crate::options::Options;
use crate::run::panicked;
use crate::{Event, Stop};

/// How often it is looked, while a function waits, whether it took too long or the stage was stopped.
const LOOK: Duration = Duration::from_millis(50);
const TOO_LONG: &str = "it took too long";

/// What came of a call.
pub(super) enum Called {
    Emit(Emit),
    Failed(String),
    /// The stage was stopped, and the function did not end in time.
    Stopped,
}

/// Calls the function once. Before it waits, `waits` is called.
pub(super) async fn call<F, Fut>(
    function: &F,
    event: Event,
    options: &Options,
    waits: impl FnOnce(),
) -> Called
where
    F: Fn(Event) -> Fut,
    Fut: Future,
    Fut::Output: Emits,
{
    let mut work = pin!(async move { function(event).await.emits() });
    if let Poll::Ready(done) = poll_fn(|context| Poll::Ready(guarded(work.as_mut(), context))).await
    {
        return done;
    }
    waits();
    let began = Instant::now();
    let mut stopped = None;
    loop {
        let go_on = poll_fn(|context| guarded(work.as_mut(), context));
        if let Ok(done) = tokio::time::timeout(LOOK, go_on).await {
            return done;
        }
        if options.policy.handler_timeout.is_some_and(|longest| began.elapsed() >= longest) {
            return Called::Failed(TOO_LONG.to_owned());
        }
        if has_ended(&options.stop, &mut stopped, options.grace) {
            tracing::warn!("the stage's function is still at work: its event will be given again");
            return Called::Stopped;
        }
    }
}

/// Polls the function, whose panic ends here.
fn guarded(
    work: Pin<&mut impl Future<Output = Result<Emit, String>>>,
    context: &mut std::task::Context<'_>,
) -> Poll<Called> {
    match catch_unwind(AssertUnwindSafe(|| work.poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(Ok(emit))) => Poll::Ready(Called::Emit(emit)),
        Ok(Poll::Ready(Err(reason))) => Poll::Ready(Called::Failed(reason)),
        Err(panic) => Poll::Ready(Called::Failed(panicked(panic))),
    }
}

/// Whether the stage was stopped so long ago.
fn has_ended(stop: &Stop, since: &mut Option<Instant>, grace: Duration) -> bool {
    stop.is_stopped() && since.get_or_insert_with(Instant::now).elapsed() >= grace
}
