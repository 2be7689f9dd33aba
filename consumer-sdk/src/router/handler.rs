//! Functions as handlers: each argument is made of the event.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::extract::{FromEvent, Mismatch};
use crate::{Event, Outcome};

/// What a handler comes to: why it failed, if it did.
pub(super) type Handled = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// A handler, whatever its arguments were.
pub(super) type Route<S> = Arc<dyn Fn(Event, &S) -> Handled + Send + Sync>;

/// An async function of up to six arguments, each of which is [made of the event](FromEvent).
///
/// Its answer is that of a handler of [`Consumer::run`](crate::Consumer::run): nothing, or a `Result` with any
/// error.
pub trait Handler<A, S>: Send + Sync + 'static {
    #[doc(hidden)]
    fn call(&self, event: Event, shared: &S) -> Handled;
}

macro_rules! handlers {
    ($($argument:ident)*) => {
        impl<F, Fut, S, $($argument,)*> Handler<($($argument,)*), S> for F
        where
            F: Fn($($argument),*) -> Fut + Send + Sync + 'static,
            Fut: Future + Send + 'static,
            Fut::Output: Outcome,
            $($argument: FromEvent<S>,)*
        {
            #[allow(non_snake_case, unused_variables, reason = "one macro for any number of arguments")]
            fn call(&self, event: Event, shared: &S) -> Handled {
                $(
                    let $argument = match $argument::from_event(&event, shared) {
                        Ok(made) => made,
                        Err(mismatch) => return refuse(&event, &mismatch),
                    };
                )*
                let work = self($($argument),*);
                Box::pin(async move { work.await.failure().map_or(Ok(()), Err) })
            }
        }
    };
}

handlers! {}
handlers! { A1 }
handlers! { A1 A2 }
handlers! { A1 A2 A3 }
handlers! { A1 A2 A3 A4 }
handlers! { A1 A2 A3 A4 A5 }
handlers! { A1 A2 A3 A4 A5 A6 }

/// Gives an event up that no attempt will handle. Of an observer's that is only told.
fn refuse(event: &Event, mismatch: &Mismatch) -> Handled {
    let reason = mismatch.to_string();
    event.term(&reason);
    Box::pin(async move { Err(reason) })
}

pub(super) fn route<A, S>(handler: impl Handler<A, S>) -> Route<S> {
    Arc::new(move |event, shared| handler.call(event, shared))
}
