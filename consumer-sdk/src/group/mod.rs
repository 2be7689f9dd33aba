//! A member of a group: what it has out, and what is shared with the events that are.
//!
//! [`out`] one event until it is settled; [`policy`] what is done about those that fail; [`care`] the thread that
//! looks after them; [`meter`] what is counted; [`share`] which part of the group's events comes here.

mod care;
pub(crate) mod meter;
mod out;
pub(crate) mod policy;
mod share;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mixcord_event::Kind;
use mixcord_ring::{Buried, Delivery, Dropped, Records, Ring, Settled, TakeError, Worker};

use self::meter::{Counters, count};
use self::out::lock;
pub(crate) use self::out::{How, Keeper, Out};
use self::policy::Policy;
pub(crate) use self::share::OnRebalance;
use crate::doorbell::Doorbell;
use crate::received::{Context, Identity};

/// How often it is told that events are dropped.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// An event that was given up, for whom it may concern.
pub(crate) struct Corpse<'a> {
    pub(crate) records: Arc<Records>,
    pub(crate) attempt: u32,
    pub(crate) reason: &'a str,
}

/// Whom dead letters concern.
pub(crate) type OnDead = Box<dyn Fn(Corpse<'_>) + Send + Sync>;

/// The program's own code that is told of things.
pub(crate) struct Tells {
    pub(crate) on_dead: OnDead,
    /// `None` where the group is not sticky.
    pub(crate) on_rebalance: Option<OnRebalance>,
}

/// One member of a group, in this process: shared by the consumer, its events, and who looks after them.
pub(crate) struct Team {
    group: String,
    ring: Ring,
    /// `None` once the member left.
    worker: Mutex<Option<Worker>>,
    out: Mutex<Roll>,
    /// Something is out, or the member left.
    changed: Condvar,
    next: AtomicU64,
    care: Mutex<Option<JoinHandle<()>>>,
    policy: Policy,
    counters: Arc<Counters>,
    doorbell: Arc<Doorbell>,
    context: Arc<Context>,
    on_dead: OnDead,
    /// `None` where the group is not sticky.
    on_rebalance: Option<OnRebalance>,
    /// Held while the program is told of its share, and over each take.
    telling: Mutex<()>,
    /// When it was told last that events are too old.
    told_too_old: Mutex<Option<Instant>>,
}

/// The events that are out, by their number in the order they were given.
#[derive(Default)]
struct Roll {
    events: BTreeMap<u64, Weak<Out>>,
    /// Some were given since they were looked after.
    gave: bool,
    /// Who looks after them waits for the first, and wants to be told.
    rests: bool,
    left: bool,
}

impl Roll {
    /// Writes an event down; whether who rests has to be told.
    fn give(&mut self, number: u64, event: Weak<Out>) -> bool {
        self.events.insert(number, event);
        self.gave = true;
        std::mem::take(&mut self.rests)
    }

    /// Whether nothing is out, and nothing was since this was asked last: while events come and go who looks after
    /// them goes by the clock.
    fn is_quiet(&mut self) -> bool {
        !std::mem::take(&mut self.gave) && self.events.is_empty()
    }
}

impl fmt::Debug for Team {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Team").field("group", &self.group).finish_non_exhaustive()
    }
}

impl Team {
    pub(crate) fn new(
        group: String,
        worker: Worker,
        policy: Policy,
        counters: &Arc<Counters>,
        doorbell: &Arc<Doorbell>,
        context: &Arc<Context>,
        tells: Tells,
    ) -> std::io::Result<Arc<Self>> {
        let team = Arc::new(Self {
            group,
            ring: worker.ring().clone(),
            worker: Mutex::new(Some(worker)),
            out: Mutex::default(),
            changed: Condvar::new(),
            next: AtomicU64::new(0),
            care: Mutex::new(None),
            policy,
            counters: Arc::clone(counters),
            doorbell: Arc::clone(doorbell),
            context: Arc::clone(context),
            on_dead: tells.on_dead,
            on_rebalance: tells.on_rebalance,
            telling: Mutex::new(()),
            told_too_old: Mutex::new(None),
        });
        *lock(&counters.team) = Arc::downgrade(&team);
        *lock(&team.care) = Some(care::begin(&team)?);
        Ok(team)
    }

    pub(crate) fn group(&self) -> &str {
        &self.group
    }

    pub(crate) fn ring_id(&self) -> mixcord_ring::RingId {
        self.ring.id()
    }

    pub(crate) fn shared_ring(&self) -> &Ring {
        &self.ring
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(crate) fn take(&self) -> Result<Option<Delivery>, TakeError> {
        let telling = self.settle_share();
        let mut worker = lock(&self.worker);
        let Some(worker_at_work) = worker.as_mut() else { return Ok(None) };
        let taken = worker_at_work.take();
        let mut buried = Vec::new();
        while let Some(one) = worker_at_work.take_buried() {
            buried.push(one);
        }
        // The program's own code is told without the lock.
        drop((worker, telling));
        buried.into_iter().for_each(|one| self.tell_buried(one));
        taken
    }

    /// Keeps a record as a dead letter that nobody can read; its handler never sees it.
    pub(crate) fn bury_damaged(&self, delivery: Delivery, reason: &str) {
        let (records, position) = (delivery.records(), delivery.position());
        let attempts = delivery.attempt();
        match delivery.settle(mixcord_ring::Settle::Dead { reason }) {
            Ok(Settled::Dead { dropped }) => {
                self.tell_dead(records, position, attempts.into(), reason, &dropped);
            }
            Ok(_) => {}
            Err(error) => {
                let group = self.group();
                tracing::error!(group, position, reason, %error, "a damaged record could not be put away");
            }
        }
    }

    fn tell_buried(&self, buried: Buried) {
        let Buried { records, position, attempts, reason, dropped, .. } = buried;
        self.tell_dead(records, position, attempts.into(), &reason, &dropped);
    }

    /// Of a record that is dead without its handler's doing.
    fn tell_dead(
        &self,
        records: Arc<Records>,
        position: u64,
        attempt: u32,
        reason: &str,
        dropped: &[Dropped],
    ) {
        count(&self.counters.dead);
        let group = self.group();
        tracing::error!(
            group,
            position,
            attempt,
            reason,
            "given up: kept as a dead letter; see `mixcord groups dead {group}`"
        );
        self.tell_dropped(dropped);
        self.bury(Corpse { records, attempt, reason });
    }

    fn tell_dropped(&self, dropped: &[Dropped]) {
        for letter in dropped {
            let kind = u16::try_from(letter.tag).ok().and_then(Kind::from_number);
            tracing::error!(
                group = self.group(),
                kind = kind.map(Kind::name),
                position = letter.position,
                source_position = letter.source,
                key = letter.key,
                "the oldest dead letter had to go for it: it is lost"
            );
        }
    }

    /// Asks for the bell at the next news.
    pub(crate) fn arm(&self) {
        if let Some(worker) = lock(&self.worker).as_mut() {
            worker.arm();
        }
    }

    /// Nothing more is taken for now: another member may have what there is.
    pub(crate) fn pass_on(&self) {
        if let Some(worker) = lock(&self.worker).as_mut() {
            worker.pass_on();
        }
    }

    /// The longest sleep.
    pub(crate) fn tick(&self) -> Duration {
        lock(&self.worker).as_ref().map_or(Duration::ZERO, Worker::tick)
    }

    /// Records the group has not settled, counted from the first of them; `None` when it left.
    pub(crate) fn lag(&self) -> Option<u64> {
        lock(&self.worker).as_mut().map(Worker::lag)
    }

    /// Where the group begins that this member made.
    pub(crate) fn began_at(&self) -> Option<u64> {
        lock(&self.worker).as_ref()?.began_at()
    }

    /// How many events are out, and for how long the oldest has been.
    pub(crate) fn in_work(&self) -> (usize, Option<Duration>) {
        let out = lock(&self.out);
        let oldest = out.events.values().find_map(Weak::upgrade);
        let count = out.events.len();
        drop(out);
        (count, oldest.map(|oldest| oldest.given().elapsed()))
    }

    pub(crate) fn is_full(&self, limit: usize) -> bool {
        lock(&self.out).events.len() >= limit
    }

    /// Writes an event down as out.
    pub(crate) fn give(
        self: &Arc<Self>,
        delivery: Delivery,
        kind: Kind,
        identity: Identity,
    ) -> Arc<Out> {
        if delivery.attempt() > 1 {
            count(&self.counters.retried);
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let out = Arc::new(Out::new(self, number, delivery, kind, identity));
        let mut roll = lock(&self.out);
        let rests = roll.give(number, Arc::downgrade(&out));
        drop(roll);
        if rests {
            self.changed.notify_one();
        }
        out
    }

    pub(crate) fn drop_too_old(&self, delivery: Delivery, kind: Kind, identity: Identity) {
        count(&self.counters.too_old);
        let (group, kind) = (self.group(), kind.name());
        tracing::debug!(group, kind, %identity, "dropped: too old to be of use");
        let mut told = lock(&self.told_too_old);
        if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            *told = Some(Instant::now());
            let dropped = self.counters.too_old.load(Ordering::Relaxed);
            tracing::warn!(
                group, kind, %identity, dropped,
                "events are dropped because they are older than their max_age: this group is behind"
            );
        }
        drop(told);
        self.pass(delivery);
    }

    /// Settles an event that nobody wants.
    pub(crate) fn pass(&self, delivery: Delivery) {
        if let Err(error) = delivery.settle(mixcord_ring::Settle::Ack) {
            tracing::debug!(group = self.group(), %error, "an event could not be passed over");
        }
    }

    /// Leaves the group: what is out goes to another member.
    pub(crate) fn leave(&self) {
        let mut roll = lock(&self.out);
        roll.left = true;
        let events: Vec<_> = roll.events.values().filter_map(Weak::upgrade).collect();
        drop(roll);
        self.changed.notify_all();
        for out in events {
            out.settle(How::Leave);
        }
        let (worker, care) = (lock(&self.worker).take(), lock(&self.care).take());
        if let Some(worker) = worker {
            self.tell_all_lost(worker.partitions());
        }
        // Its hold on the ring ends here, not some time later. It may be this very thread, in the program's own code.
        if let Some(care) = care.filter(|care| care.thread().id() != thread::current().id()) {
            let _ = care.join();
        }
    }

    /// An event is out no more.
    fn strike(&self, number: u64) {
        lock(&self.out).events.remove(&number);
    }

    fn ring(&self) {
        self.doorbell.ring();
    }

    fn bury(&self, corpse: Corpse<'_>) {
        (self.on_dead)(corpse);
    }
}
