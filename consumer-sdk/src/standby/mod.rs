//! Waiting for what comes next: answers to questions, clicks on buttons.

mod queue;
mod watching;

use std::sync::Arc;
use std::time::{Duration, Instant};

use mixcord_event::Kind;

use self::queue::Queue;
pub(crate) use self::watching::Watching;
use crate::filter::Filter;
use crate::received::{Context, Event};

/// Sees every event of the instance in this process, whichever member of whichever group gets it:
/// [`Consumer::standby`](crate::Consumer::standby).
///
/// Events of it belong to nobody and need no acknowledgement. It reads the ring only while somebody waits.
#[derive(Clone)]
pub struct Standby {
    context: Arc<Context>,
}

/// Events that are waited for, from the moment it was made on. Dropping it ends the wait.
///
/// Up to 256 events are kept until they are asked for; then the watch ends with [`WaitError::Missed`].
pub struct Watch {
    queue: Arc<Queue>,
}

/// One event that is waited for: [`Event::wait_for`].
pub struct Waiting {
    watch: Watch,
    until: Option<Instant>,
}

/// Why an event that was waited for did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The time is up.
    #[error("nothing came in time")]
    Timeout,
    /// This process fell behind the ring, or the watch was not asked for long: it may have been among these.
    #[error("{records} records were missed, and what was waited for may be among them")]
    Missed {
        /// How many.
        records: u64,
    },
    /// The ring cannot be read any more, or the predicate panicked.
    #[error("the wait has ended: the events cannot be seen any more")]
    Ended,
}

impl Event {
    /// Waits for the first event of these kinds (of all, where there are none) for which `predicate` holds, among
    /// all that are published **from this call on**, whichever member of whichever group gets them. So call it
    /// before the question is asked, and await it afterwards: nothing is lost between the question and the
    /// answer, and it never waits for this event's own key.
    ///
    /// A confirmation dialog. The handler acknowledges its event first, so that the guild goes on meanwhile:
    ///
    /// ```
    /// use std::time::Duration;
    /// use mixcord::{Event, Kind, Value, atoms};
    ///
    /// # async fn send(_: &str) {}
    /// async fn confirm(event: Event) {
    ///     event.ack();
    ///     let user = |event: &Event| {
    ///         event.data().get(atoms::AUTHOR).and_then(|a| a.get(atoms::ID)).and_then(Value::as_u64)
    ///     };
    ///     let (asker, channel) = (user(&event), event.channel_id());
    ///     let answer = event.wait_for(
    ///         [Kind::MESSAGE_CREATE],
    ///         move |event| user(event) == asker && event.channel_id() == channel,
    ///         Duration::from_secs(30),
    ///     );
    ///     send("Are you sure?").await;
    ///     match answer.await {
    ///         Ok(answer) if answer.data().get(atoms::CONTENT).and_then(Value::as_str) == Some("yes") => {
    ///             send("Done.").await;
    ///         }
    ///         _ => send("Nothing was done.").await,
    ///     }
    /// }
    /// ```
    pub fn wait_for(
        &self,
        kinds: impl IntoIterator<Item = Kind>,
        predicate: impl Fn(&Self) -> bool + Send + 'static,
        timeout: Duration,
    ) -> Waiting {
        Standby::new(self.context()).wait_for(kinds, predicate, timeout)
    }

    /// What sees the events of the instance in this process.
    #[must_use]
    pub fn standby(&self) -> Standby {
        Standby::new(self.context())
    }
}

impl Standby {
    pub(crate) fn new(context: &Arc<Context>) -> Self {
        Self { context: Arc::clone(context) }
    }

    /// [`Event::wait_for`], where there is no event.
    pub fn wait_for(
        &self,
        kinds: impl IntoIterator<Item = Kind>,
        predicate: impl Fn(&Event) -> bool + Send + 'static,
        timeout: Duration,
    ) -> Waiting {
        let until = Instant::now().checked_add(timeout);
        Waiting { watch: self.enlist(kinds, predicate, 1), until }
    }

    /// Collects every event of these kinds (of all, where there are none) for which `predicate` holds, from this
    /// call on.
    ///
    /// A paginator:
    ///
    /// ```
    /// use std::time::Duration;
    /// use mixcord::{Event, Kind, Value, atoms};
    ///
    /// # async fn show(_: u32) -> Option<u64> { None }
    /// async fn paginate(event: Event) {
    ///     event.ack();
    ///     let channel = event.channel_id();
    ///     let mut clicks = event.standby().watch([Kind::INTERACTION_CREATE], move |click| {
    ///         click.channel_id() == channel
    ///     });
    ///     let mut page = 1;
    ///     show(page).await;
    ///     while let Ok(click) = clicks.next(Duration::from_secs(60)).await {
    ///         let data = click.data();
    ///         match data.get(atoms::DATA).and_then(|d| d.get(atoms::CUSTOM_ID)).and_then(Value::as_str) {
    ///             Some("back") => page -= 1,
    ///             _ => page += 1,
    ///         }
    ///         show(page).await;
    ///     }
    /// }
    /// ```
    pub fn watch(
        &self,
        kinds: impl IntoIterator<Item = Kind>,
        predicate: impl Fn(&Event) -> bool + Send + 'static,
    ) -> Watch {
        self.enlist(kinds, predicate, usize::MAX)
    }

    fn enlist(
        &self,
        kinds: impl IntoIterator<Item = Kind>,
        predicate: impl Fn(&Event) -> bool + Send + 'static,
        wanted: usize,
    ) -> Watch {
        let mut filter = Filter::default();
        kinds.into_iter().for_each(|kind| filter.add(kind));
        let queue = Arc::new(Queue::default());
        let writer = queue::Writer::new(&queue, predicate, wanted);
        self.context.lookout.enlist(filter, Box::new(writer));
        Watch { queue }
    }
}

impl Watch {
    /// The next event, within `timeout`.
    ///
    /// # Errors
    /// [`WaitError`]. After a timeout the watch goes on.
    pub async fn next(&mut self, timeout: Duration) -> Result<Event, WaitError> {
        self.until(Instant::now().checked_add(timeout)).await
    }

    /// [`next`](Self::next) for programs without an async runtime.
    ///
    /// # Errors
    /// [`WaitError`].
    pub fn next_blocking(&mut self, timeout: Duration) -> Result<Event, WaitError> {
        self.queue.wait(Instant::now().checked_add(timeout))
    }

    async fn until(&mut self, until: Option<Instant>) -> Result<Event, WaitError> {
        let next = self.queue.next();
        match until {
            Some(until) => {
                tokio::time::timeout_at(until.into(), next).await.unwrap_or(Err(WaitError::Timeout))
            }
            None => next.await,
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl Waiting {
    /// Waits on this thread, for programs without an async runtime.
    ///
    /// # Errors
    /// [`WaitError`].
    pub fn wait_blocking(self) -> Result<Event, WaitError> {
        self.watch.queue.wait(self.until)
    }
}

impl IntoFuture for Waiting {
    type Output = Result<Event, WaitError>;
    type IntoFuture = std::pin::Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move { self.watch.until(self.until).await })
    }
}

impl std::fmt::Debug for Standby {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Standby").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("until", &self.until).finish_non_exhaustive()
    }
}
