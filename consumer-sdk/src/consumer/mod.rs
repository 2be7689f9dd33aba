mod group;
mod observer;
mod order;
mod source;
mod waiting;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mixcord_ring::{AsyncBell, Limits, Namespace, Ring};

use self::source::Source;
use self::waiting::earlier;
use crate::doorbell::Doorbell;
use crate::lane::Damaged;
use crate::options::Options;
use crate::received::Event;
use crate::{Error, State, Stop};

/// How much is copied out of the ring at a time: enough to spread the cost of taking a partition,
/// little enough that the work of a busy guild can move to another member soon.
const BATCH: Limits = Limits { records: 64, bytes: 1 << 20 };

/// A member of a group, or an observer: where events come from.
///
/// ```no_run
/// # async fn example() -> Result<(), mixcord::Error> {
/// let mut consumer = mixcord::Consumer::builder().group("greeter").connect().await?;
/// while let Some(event) = consumer.next().await? {
///     println!("{} of guild {:?}", event.name(), event.guild_id());
///     event.ack();
/// }
/// # Ok(())
/// # }
/// ```
///
/// Dropping it leaves the group; what was not acknowledged goes to another member.
pub struct Consumer {
    pub(crate) options: Options,
    namespace: Namespace,
    source: Source,
    state: State,
    pub(crate) doorbell: Option<Arc<Doorbell>>,
    async_bell: Option<AsyncBell>,
    lost: VecDeque<u64>,
}

/// What there is to do.
enum Poll {
    Event(Event),
    Stopped,
    /// Nothing, before something is published, acknowledged or dropped, or before this time.
    Wait(Option<Instant>),
}

impl Consumer {
    pub(crate) fn open(options: Options, namespace: Namespace, ring: &Ring) -> Result<Self, Error> {
        let bell = namespace
            .bell()
            .map_err(|source| Error::Bell { instance: options.instance.clone(), source })?;
        let doorbell = Arc::new(Doorbell::new(bell));
        options.stop.register(&doorbell);
        let state = State::attach(&options.instance)?;
        let source = Source::join(&options, ring, options.start, &state, &doorbell)?;
        let (doorbell, lost) = (Some(doorbell), VecDeque::new());
        Ok(Self { options, namespace, source, state, doorbell, async_bell: None, lost })
    }

    /// What connecting gives that was stopped before there was a ring.
    pub(crate) fn closed(options: Options, namespace: Namespace) -> Result<Self, Error> {
        let state = State::attach(&options.instance)?;
        let (source, lost) = (Source::Closed, VecDeque::new());
        Ok(Self { options, namespace, source, state, doorbell: None, async_bell: None, lost })
    }

    /// The cache's state, as [`Event::state`] gives it.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The handle that stops this consumer.
    #[must_use]
    pub fn stop_handle(&self) -> Stop {
        self.options.stop.clone()
    }

    /// The next event, waiting for one; `None` once the consumer is stopped.
    ///
    /// Up to [`concurrency`](crate::Builder::concurrency) events may be out unacknowledged, never two of
    /// one partition (so never two of one guild): the next of a partition comes when the one before
    /// is acknowledged, and if that was dropped unacknowledged, it is that one again.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// See [`Error`]; none of them goes away by itself.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.poll_ready()? {
                return Ok(event);
            }
            let Some(ticket) = self.arm() else { return Ok(None) };
            let until = match self.poll()? {
                Poll::Event(event) => return Ok(Some(event)),
                Poll::Stopped => return Ok(None),
                Poll::Wait(until) => until,
            };
            self.sleep(ticket, until).await?;
        }
    }

    /// [`next`](Self::next) for programs without an async runtime.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn next_blocking(&mut self) -> Result<Option<Event>, Error> {
        self.next_until(None).map(|event| event.flatten())
    }

    /// [`next_blocking`](Self::next_blocking) for at most `timeout`: then `Ok(None)`. The inner
    /// `None` says that the consumer is stopped.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Option<Event>>, Error> {
        self.next_until(Instant::now().checked_add(timeout))
    }

    fn next_until(&mut self, deadline: Option<Instant>) -> Result<Option<Option<Event>>, Error> {
        loop {
            if let Some(event) = self.poll_ready()? {
                return Ok(Some(event));
            }
            let Some(ticket) = self.arm() else { return Ok(Some(None)) };
            let until = match self.poll()? {
                Poll::Event(event) => return Ok(Some(Some(event))),
                Poll::Stopped => return Ok(Some(None)),
                Poll::Wait(until) => until,
            };
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(None);
            }
            self.sleep_blocking(ticket, earlier(until, deadline));
        }
    }

    /// Records between the group's acknowledgements (or the observer) and the newest record.
    #[must_use]
    pub fn lag(&self) -> u64 {
        match &self.source {
            Source::Group { member, .. } => member.lag(),
            Source::Observer { observer, ring, .. } => {
                ring.tail().saturating_sub(observer.position())
            }
            Source::Closed => 0,
        }
    }

    /// The outer `None` says that there is nothing to give now.
    fn poll_ready(&mut self) -> Result<Option<Option<Event>>, Error> {
        Ok(match self.poll()? {
            Poll::Event(event) => Some(Some(event)),
            Poll::Stopped => Some(None),
            Poll::Wait(_) => None,
        })
    }

    fn poll(&mut self) -> Result<Poll, Error> {
        if self.options.stop.is_stopped() {
            return Ok(Poll::Stopped);
        }
        if let Some(event) = self.take_lost() {
            return Ok(Poll::Event(event));
        }
        match &self.source {
            Source::Group { .. } => {
                if self.is_in_order() {
                    self.poll_in_order()
                } else {
                    self.poll_group()
                }
            }
            Source::Observer { .. } => self.poll_observer(),
            Source::Closed => Ok(Poll::Stopped),
        }
    }

    pub(crate) fn is_group(&self) -> bool {
        matches!(self.source, Source::Group { .. })
    }

    pub(crate) fn damaged(&self, damaged: &Damaged) -> Error {
        let Damaged { position, source } = *damaged;
        let instance = self.options.instance.clone();
        if !source.is_of_another_release() {
            return Error::Record { instance, position, source };
        }
        let writer = self.source.writer().unwrap_or_else(|| "another mixcord-cache".to_owned());
        Error::Newer { instance, position, writer, source }
    }
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").field("options", &self.options).finish_non_exhaustive()
    }
}
