use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mixcord_event::topology;
use mixcord_ring::{
    AsyncBell, Limits, Member, Namespace, Observed, Observer, Ring, RingId, Start, TakeError,
    Ticket,
};

use crate::builder::Builder;
use crate::lane::{Damaged, Doorbell, Lane, Turn, wanted};
use crate::received::{Event, Holder};
use crate::{Error, Stop};

/// How much is copied out of the ring at a time: enough to spread the cost of taking a partition,
/// little enough that the work of a busy guild can move to another member soon.
const BATCH: Limits = Limits { records: 64, bytes: 1 << 20 };

/// How often a member that wants the ring's order looks whether it is still alone.
const COMPANY: Duration = Duration::from_millis(20);

/// The longest sleep of an observer: after it it looks whether the ring was replaced.
const NAP: Duration = Duration::from_millis(500);

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
    pub(crate) options: Builder,
    namespace: Namespace,
    source: Source,
    pub(crate) doorbell: Option<Arc<Doorbell>>,
    async_bell: Option<AsyncBell>,
    lost: VecDeque<u64>,
}

enum Source {
    Group {
        member: Box<Member>,
        ring: Ring,
        lanes: Vec<Lane>,
        turn: usize,
        order: Order,
    },
    Observer {
        observer: Box<Observer>,
        ring: Ring,
        seen: Arc<Observed>,
        next: u32,
    },
    /// Stopped before there was a ring.
    Closed,
}

/// How far a lone member that wants the ring's order may go.
#[derive(Default)]
struct Order {
    /// No record before this position waits in a partition that is not held.
    complete_to: u64,
    alone: bool,
    /// When the other members were last looked for.
    looked_at: Option<Instant>,
}

/// What there is to do.
enum Poll {
    Event(Event),
    Stopped,
    /// Nothing, before something is published, acknowledged or dropped, or before this time.
    Wait(Option<Instant>),
}

impl Consumer {
    /// Says which events, as which group, and connects.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn open(options: Builder, namespace: Namespace, ring: &Ring) -> Result<Self, Error> {
        let bell = namespace
            .bell()
            .map_err(|source| Error::Bell { instance: options.instance.clone(), source })?;
        let doorbell = Arc::new(Doorbell::new(bell));
        options.stop.register(&doorbell);
        let source = Source::join(&options, ring, options.start, &doorbell)?;
        let doorbell = Some(doorbell);
        Ok(Self { options, namespace, source, doorbell, async_bell: None, lost: VecDeque::new() })
    }

    pub(crate) fn closed(options: Builder, namespace: Namespace) -> Self {
        let (source, lost) = (Source::Closed, VecDeque::new());
        Self { options, namespace, source, doorbell: None, async_bell: None, lost }
    }

    /// The handle that stops this consumer.
    #[must_use]
    pub fn stop_handle(&self) -> Stop {
        self.options.stop.clone()
    }

    /// The next event, waiting for one; `None` once the consumer is stopped.
    ///
    /// Up to [`concurrency`](Builder::concurrency) events may be out unacknowledged, never two of
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

    /// The event for records lost, when some were.
    pub(crate) fn take_lost(&mut self) -> Option<Event> {
        self.lost.pop_front().and_then(Event::lost_records)
    }

    fn poll_group(&mut self) -> Result<Poll, Error> {
        loop {
            let Source::Group { lanes, turn, .. } = &mut self.source else {
                return Ok(Poll::Stopped);
            };
            let mut wake: Option<Instant> = None;
            let mut tried = 0;
            while tried < lanes.len() {
                let at = *turn % lanes.len();
                match lanes[at].turn(&self.options.filter) {
                    Ok(Turn::Event(event)) => return Ok(Poll::Event(event)),
                    Ok(Turn::Done) => {
                        lanes.swap_remove(at);
                        continue;
                    }
                    Ok(Turn::Out) => {}
                    Ok(Turn::Paused(until)) => wake = earlier(wake, Some(until)),
                    Err(damaged) => return Err(self.damaged(&damaged)),
                }
                *turn = at + 1;
                tried += 1;
            }
            let at = *turn;
            let room = lanes.len() < self.options.concurrency;
            let notify = self.doorbell.clone();
            if room && let Some(lane) = self.take_lane(notify.as_ref())? {
                if let Source::Group { lanes, turn, .. } = &mut self.source {
                    lanes.push(lane);
                    *turn = lanes.len() - 1;
                }
                continue;
            }
            if let Some(event) = self.take_lost() {
                return Ok(Poll::Event(event));
            }
            if let Source::Group { turn, .. } = &mut self.source {
                *turn = at;
            }
            return Ok(Poll::Wait(wake));
        }
    }

    /// Whether the next event is the oldest of all partitions: asked for, and possible, which it is
    /// as long as no other member takes partitions away.
    fn is_in_order(&mut self) -> bool {
        let Source::Group { member, order, .. } = &mut self.source else { return false };
        if !self.options.ring_order {
            return false;
        }
        let now = Instant::now();
        if order.looked_at.is_none_or(|at| now.duration_since(at) >= COMPANY) {
            order.looked_at = Some(now);
            let alone = member.group().is_some_and(|group| group.members <= 1);
            if alone && !order.alone {
                // Others may have left older records behind.
                order.complete_to = 0;
            }
            order.alone = alone;
        }
        order.alone
    }

    /// Holds every partition that has records and gives the oldest of them all.
    fn poll_in_order(&mut self) -> Result<Poll, Error> {
        let notify = self.doorbell.clone();
        loop {
            let Source::Group { ring, lanes, order, .. } = &mut self.source else {
                return Ok(Poll::Stopped);
            };
            let mut oldest: Option<(u64, usize)> = None;
            let mut at = 0;
            while let Some(lane) = lanes.get_mut(at) {
                let turn = match lane.head(&self.options.filter) {
                    Ok(Some(position)) => {
                        oldest = Some(oldest.map_or((position, at), |o| o.min((position, at))));
                        at += 1;
                        continue;
                    }
                    Ok(None) => lane.turn(&self.options.filter),
                    Err(damaged) => Err(damaged),
                };
                match turn {
                    // What follows a batch may be older than what other partitions have.
                    Ok(Turn::Done) => {
                        lanes.swap_remove(at);
                        order.complete_to = 0;
                    }
                    Ok(Turn::Out) => return Ok(Poll::Wait(None)),
                    Ok(Turn::Paused(until)) => return Ok(Poll::Wait(Some(until))),
                    // Its rest ended between the two looks.
                    Ok(Turn::Event(event)) => return Ok(Poll::Event(event)),
                    Err(damaged) => return Err(self.damaged(&damaged)),
                }
            }
            if let Some((position, at)) = oldest
                && position < order.complete_to
            {
                return match lanes[at].turn(&self.options.filter) {
                    Ok(Turn::Event(event)) => Ok(Poll::Event(event)),
                    Ok(_) => continue,
                    Err(damaged) => Err(self.damaged(&damaged)),
                };
            }
            let (tail, id) = (ring.tail(), ring.id());
            let mut taken = false;
            while let Some(lane) = self.take_lane(notify.as_ref())? {
                if let Source::Group { lanes, .. } = &mut self.source {
                    lanes.push(lane);
                }
                taken = true;
            }
            if let Some(event) = self.take_lost() {
                return Ok(Poll::Event(event));
            }
            if !taken && oldest.is_none() {
                return Ok(Poll::Wait(None));
            }
            // A ring that took the place of the old one counts its records anew.
            if let Source::Group { order, ring, .. } = &mut self.source
                && ring.id() == id
            {
                order.complete_to = tail;
            }
        }
    }

    fn poll_observer(&mut self) -> Result<Poll, Error> {
        loop {
            let Source::Observer { observer, ring, seen, next } = &mut self.source else {
                return Ok(Poll::Stopped);
            };
            while let Some(entry) = seen.get(*next as usize) {
                let index = *next;
                *next += 1;
                match wanted(&entry, &self.options.filter) {
                    Ok(Some(record)) => {
                        let holder = Holder::Seen(Arc::clone(seen), index);
                        return Ok(Poll::Event(Event::new(&record, entry.payload, holder, 1)));
                    }
                    Ok(None) => {}
                    Err(source) => {
                        let damaged = Damaged { position: entry.position, source };
                        return Err(self.damaged(&damaged));
                    }
                }
            }
            // A buffer that no event shares any more is used again.
            if Arc::get_mut(seen).is_none() {
                *seen = Arc::default();
            }
            let Some(into) = Arc::get_mut(seen) else { return Ok(Poll::Wait(None)) };
            *next = 0;
            let something =
                observer.read(BATCH, into).map_err(|source| take_error(&self.options, source))?;
            let lost = into.lost();
            if something {
                if lost > 0
                    && let Some(event) = Event::lost_records(lost)
                {
                    return Ok(Poll::Event(event));
                }
                continue;
            }
            if !ring.producer_alive()
                && let Some(new) = replacement(&self.namespace, ring.id())
                && let Some(doorbell) = &self.doorbell
            {
                tracing::warn!(instance = self.options.instance, "the output ring was replaced");
                self.source = Source::join(&self.options, &new, Start::Earliest, doorbell)?;
                continue;
            }
            return Ok(Poll::Wait(None));
        }
    }

    /// Takes a partition that has records, when there is one. Follows the output ring when it was
    /// replaced and everything in the old one is acknowledged.
    /// `notify` is woken when an event of the lane is settled.
    pub(crate) fn take_lane(
        &mut self,
        notify: Option<&Arc<Doorbell>>,
    ) -> Result<Option<Lane>, Error> {
        let Some(doorbell) = &self.doorbell else { return Ok(None) };
        loop {
            let Source::Group { member, ring, lanes, .. } = &mut self.source else {
                return Ok(None);
            };
            match member.take(BATCH) {
                Ok(Some(batch)) => {
                    return Ok(Some(Lane::new(batch, self.options.terms, notify.cloned())));
                }
                Ok(None) => {}
                // The next take goes on behind the loss.
                Err(TakeError::Evicted { lost, .. }) => {
                    self.lost.push_back(lost.end.saturating_sub(lost.start));
                    return Ok(None);
                }
                Err(source) => return Err(take_error(&self.options, source)),
            }
            if ring.producer_alive() || !lanes.is_empty() || member.lag() > 0 {
                return Ok(None);
            }
            let Some(new) = replacement(&self.namespace, ring.id()) else { return Ok(None) };
            tracing::warn!(instance = self.options.instance, "the output ring was replaced");
            self.source = Source::join(&self.options, &new, Start::Earliest, doorbell)?;
        }
    }

    pub(crate) fn is_group(&self) -> bool {
        matches!(self.source, Source::Group { .. })
    }

    /// Announces that we are about to wait; whoever calls looks once more before. `None` when there
    /// is nothing to wait for.
    pub(crate) fn arm(&mut self) -> Option<Ticket> {
        let doorbell = self.doorbell.as_ref()?;
        let ticket = doorbell.bell.ticket();
        doorbell.arm();
        match &mut self.source {
            Source::Group { member, .. } => member.arm(),
            Source::Observer { observer, .. } => observer.arm(),
            Source::Closed => return None,
        }
        Some(ticket)
    }

    pub(crate) async fn sleep(
        &mut self,
        ticket: Ticket,
        until: Option<Instant>,
    ) -> Result<(), Error> {
        let Some(doorbell) = &self.doorbell else { return Ok(()) };
        if self.async_bell.is_none() {
            let bell = AsyncBell::new(doorbell.bell.clone())
                .map_err(|source| Error::Io { doing: "starting the waiting thread", source })?;
            self.async_bell = Some(bell);
        }
        if let Some(bell) = &self.async_bell {
            bell.notified_within(ticket, self.nap(until)).await;
        }
        Ok(())
    }

    pub(crate) fn sleep_blocking(&self, ticket: Ticket, until: Option<Instant>) {
        if let Some(doorbell) = &self.doorbell {
            doorbell.bell.wait(ticket, self.nap(until));
        }
    }

    /// How long to sleep: until then, but not longer than the ring asks for, as a dead member rings
    /// no bell.
    fn nap(&self, until: Option<Instant>) -> Duration {
        let longest = match &self.source {
            Source::Group { member, .. } => member.tick(),
            Source::Observer { .. } | Source::Closed => NAP,
        };
        until.map_or(longest, |until| until.saturating_duration_since(Instant::now()).min(longest))
    }

    pub(crate) fn damaged(&self, damaged: &Damaged) -> Error {
        let Damaged { position, source } = *damaged;
        Error::Record { instance: self.options.instance.clone(), position, source }
    }
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Source {
    fn join(
        options: &Builder,
        ring: &Ring,
        start: Start,
        doorbell: &Arc<Doorbell>,
    ) -> Result<Self, Error> {
        let group = options.group.as_deref().unwrap_or("an observer");
        let refused = |source| Error::Join {
            instance: options.instance.clone(),
            group: group.to_owned(),
            source,
        };
        let ring = ring.clone();
        if options.observer {
            let observer = ring.observe("observer", start, &doorbell.bell).map_err(refused)?;
            let (observer, seen) = (Box::new(observer), Arc::default());
            return Ok(Self::Observer { observer, ring, seen, next: 0 });
        }
        let spec = options.spec(group, start);
        let member = Box::new(ring.join(&spec, &doorbell.bell).map_err(refused)?);
        let order = Order::default();
        Ok(Self::Group { member, ring, lanes: Vec::new(), turn: 0, order })
    }
}

/// The output ring that took the place of the one with this id, when one did.
fn replacement(namespace: &Namespace, id: RingId) -> Option<Ring> {
    Ring::attach(namespace, topology::OUTPUT_RING).ok().filter(|ring| ring.id() != id)
}

fn take_error(options: &Builder, source: TakeError) -> Error {
    let group = options.group.clone().unwrap_or_else(|| "(observer)".to_owned());
    Error::Take { instance: options.instance.clone(), group, source }
}

pub(crate) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
