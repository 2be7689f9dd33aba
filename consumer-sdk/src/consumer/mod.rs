mod group;
mod next;
mod observer;
mod source;
mod stream;
mod waiting;
mod wanted;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mixcord_ring::{AsyncBell, Bell, Limits, Namespace, Pacer, Pulse, Ring};

pub use self::next::Next;
use self::source::Source;
pub(crate) use self::source::{replacement, take_error};
use self::stream::Streaming;
pub(crate) use self::wanted::Damaged;
use crate::doorbell::Doorbell;
use crate::group::meter::{Counters, Meter};
use crate::options::Options;
use crate::received::{Context, Event, Lookout};
use crate::standby::{Standby, Watching};
use crate::{Error, State, Stop};

/// How much an observer copies out of the ring at a time.
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
    context: Arc<Context>,
    watching: Arc<Watching>,
    counters: Arc<Counters>,
    pub(crate) doorbell: Option<Arc<Doorbell>>,
    async_bell: Option<AsyncBell>,
    streaming: Streaming,
    lost: VecDeque<u64>,
    /// Learns how events come, and how to wait for them.
    pacer: Pacer,
    /// Whether the ring's producer lives.
    pulse: Pulse,
}

/// What there is to do.
enum Poll {
    Event(Event),
    Stopped,
    /// Nothing, before something is published, or settled.
    Wait,
}

impl Consumer {
    pub(crate) fn open(options: Options, namespace: Namespace, ring: &Ring) -> Result<Self, Error> {
        let bell = namespace
            .bell()
            .map_err(|source| Error::Bell { instance: options.instance.clone(), source })?;
        let doorbell = Arc::new(Doorbell::new(bell));
        options.stop.register(&doorbell);
        let mut consumer = Self::closed(options, namespace)?;
        let Self { options, counters, context, .. } = &consumer;
        let source = Source::join(options, ring, options.start, counters, &doorbell, context)?;
        consumer.watching.follow(ring);
        consumer.source = source;
        consumer.doorbell = Some(doorbell);
        Ok(consumer)
    }

    /// What connecting gives that was stopped before there was a ring.
    pub(crate) fn closed(options: Options, namespace: Namespace) -> Result<Self, Error> {
        let state = options.state()?;
        let watching = Watching::new(&namespace, &state);
        let lookout = Arc::clone(&watching) as Arc<dyn Lookout>;
        let context = Arc::new(Context { state, lookout });
        let (source, counters) = (Source::Closed, Arc::default());
        let (doorbell, async_bell, lost) = (None, None, VecDeque::new());
        let (pacer, pulse) = (Pacer::new(options.pace()), Pulse::new());
        Ok(Self {
            options,
            namespace,
            source,
            context,
            watching,
            counters,
            doorbell,
            async_bell,
            streaming: Streaming::default(),
            lost,
            pacer,
            pulse,
        })
    }

    /// The cache's state, as [`Event::state`] gives it.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.context.state
    }

    /// The handle that stops this consumer.
    #[must_use]
    pub fn stop_handle(&self) -> Stop {
        self.options.stop.clone()
    }

    /// What sees every event of the instance in this process, whichever member of whichever group gets it.
    #[must_use]
    pub fn standby(&self) -> Standby {
        Standby::new(&self.context)
    }

    /// Reads lag and counts, also while `run` has the consumer.
    #[must_use]
    pub fn meter(&self) -> Meter {
        Meter { counters: Arc::clone(&self.counters) }
    }

    /// The next event, waiting for one; `None` once the consumer is stopped.
    ///
    /// Up to [`concurrency`](crate::Builder::concurrency) events may be out unsettled, never two of one guild (or
    /// whatever the [`order`](crate::Builder::order) is by): the next comes when the one before is settled. Say what
    /// became of it with [`Event::ack`], [`nak`](Event::nak), [`term`](Event::term) and
    /// [`progress`](Event::progress). One that is dropped without a word failed, and is given again after a pause;
    /// one that is not settled within the [`handler_timeout`](crate::Builder::handler_timeout) is taken back.
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
            if let Some((ticket, nap)) = self.nap_first() {
                self.sleep(ticket, nap).await?;
                continue;
            }
            let Some(ticket) = self.arm() else { return Ok(None) };
            match self.poll()? {
                Poll::Event(event) => return Ok(Some(event)),
                Poll::Stopped => return Ok(None),
                Poll::Wait => {}
            }
            self.sleep(ticket, self.tick()).await?;
        }
    }

    /// [`next`](Self::next) for at most `timeout`. Dropping the future loses nothing.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn next_within(&mut self, timeout: Duration) -> Result<Next, Error> {
        match tokio::time::timeout(timeout, self.next()).await {
            Ok(next) => next.map(Next::from),
            Err(_) => Ok(Next::Timeout),
        }
    }

    /// [`next`](Self::next) for programs without an async runtime.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn next_blocking(&mut self) -> Result<Option<Event>, Error> {
        self.next_until(None).map(Next::event)
    }

    /// [`next_blocking`](Self::next_blocking) for at most `timeout`.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Next, Error> {
        self.next_until(Instant::now().checked_add(timeout))
    }

    fn next_until(&mut self, deadline: Option<Instant>) -> Result<Next, Error> {
        loop {
            if let Some(event) = self.poll_ready()? {
                return Ok(event.into());
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_none_or(|left| !left.is_zero())
                && let Some((ticket, nap)) = self.nap_first()
            {
                self.sleep_blocking(ticket, left.map_or(nap, |left| left.min(nap)));
                continue;
            }
            let Some(ticket) = self.arm() else { return Ok(Next::Stopped) };
            match self.poll()? {
                Poll::Event(event) => return Ok(Next::Event(event)),
                Poll::Stopped => return Ok(Next::Stopped),
                Poll::Wait => {}
            }
            match left {
                Some(left) if left.is_zero() => return Ok(Next::Timeout),
                Some(left) => self.sleep_blocking(ticket, left.min(self.tick())),
                None => self.sleep_blocking(ticket, self.tick()),
            }
        }
    }

    /// Records between the group's acknowledgements (or the observer) and the newest record.
    #[must_use]
    pub fn lag(&self) -> u64 {
        match &self.source {
            Source::Group { team, .. } => team.lag().unwrap_or_default(),
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
            Poll::Wait => None,
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
            Source::Group { .. } => self.poll_group(),
            Source::Observer { .. } => self.poll_observer(),
            Source::Closed => Ok(Poll::Stopped),
        }
    }

    pub(crate) fn ring(&self) -> Option<&Ring> {
        self.source.ring()
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    pub(crate) fn instance(&self) -> &str {
        &self.options.instance
    }

    pub(crate) fn is_group(&self) -> bool {
        matches!(self.source, Source::Group { .. })
    }

    /// What it counts, and the member that does.
    pub(crate) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// The bell that it sleeps on.
    pub(crate) fn bell(&self) -> Option<Bell> {
        self.doorbell.as_ref().map(|doorbell| doorbell.bell.clone())
    }

    /// Leaves the group; what is out goes to another member.
    pub(crate) fn leave(&self) {
        if let Source::Group { team, .. } = &self.source {
            team.leave();
        }
    }

    fn damaged(&self, damaged: &Damaged) -> Error {
        damaged.error(&self.options.instance, || self.source.writer())
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.leave();
    }
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").field("options", &self.options).finish_non_exhaustive()
    }
}
