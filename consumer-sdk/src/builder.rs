use std::sync::Arc;
use std::time::{Duration, Instant};

use mixcord_event::{Kind, topology};
use mixcord_process::signals;
use mixcord_ring::{AttachError, Namespace, Pace, Ring, Start};

use crate::consumer::Consumer;
use crate::group::policy::Mode;
#[cfg(feature = "testing")]
use crate::options::Home;
use crate::options::{Absence, OnDead, OnRebalance, Options};
use crate::{DeadLetter, Error, Order, Rebalance, Stop};

/// How often a consumer looks whether the output ring is there.
const LOOK: Duration = Duration::from_millis(50);

/// What a program has for its own end once `run` has given up on its handlers.
const AFTER_GRACE: Duration = Duration::from_millis(500);

/// What a consumer is, before it is connected: [`Consumer::builder`].
#[derive(Debug, Clone)]
pub struct Builder {
    options: Options,
}

impl Consumer {
    /// Says which events, as which group, and connects.
    #[must_use]
    pub fn builder() -> Builder {
        Builder { options: Options::new() }
    }
}

impl Builder {
    /// Whose events: the `--instance` of the gateway and the cache. By default what `MIXCORD_INSTANCE`
    /// in the environment says, else `mixcord`.
    #[must_use]
    pub fn instance(mut self, name: impl Into<String>) -> Self {
        self.options.instance = name.into();
        self
    }

    /// What it reads: `"out"`, what the cache publishes, or a [stage](mod@crate::stage) by its name. By default what
    /// `MIXCORD_SOURCE` in the environment says, else `out`.
    ///
    /// A group is of one source: of that name there is another in each ring.
    #[must_use]
    pub fn source(mut self, name: impl Into<String>) -> Self {
        self.options.source = name.into();
        self
    }

    /// Reads the rings of a test.
    #[cfg(feature = "testing")]
    pub(crate) fn home(mut self, home: Home) -> Self {
        self.options.home = home;
        self
    }

    /// Joins the group of this name. Every group gets every event; inside a group each event goes
    /// to one member. The group is durable unless [`ephemeral`](Self::ephemeral): it is created by
    /// its first member and keeps what its members have not acknowledged, also while none lives,
    /// and when the ring is full of it, the pipeline waits.
    #[must_use]
    pub fn group(mut self, name: impl Into<String>) -> Self {
        self.options.group = Some(name.into());
        self
    }

    /// Looks on instead of joining a group: every event, in order, without acknowledgements. An
    /// observer never holds anybody up; when it falls too far behind it skips, and an event with
    /// [`lost`](crate::Event::lost) says how much.
    #[must_use]
    pub fn observer(mut self) -> Self {
        self.options.observer = true;
        self
    }

    /// The group lives only as long as it has members.
    #[must_use]
    pub fn ephemeral(mut self) -> Self {
        self.options.ephemeral = true;
        self
    }

    /// Lets go of a group that is absent for this long, if the ring is full because of it: 15 minutes by default.
    /// A group is absent when no member lives, or when none of them moves. When it comes back, an event with
    /// [`lost`](crate::Event::lost) says what it missed. Counts when the group is created.
    #[must_use]
    pub fn max_absence(mut self, absence: Duration) -> Self {
        self.options.absence = Absence::After(absence);
        self
    }

    /// The group is kept however long it is absent, and holds up the whole pipeline when the ring is full of
    /// what it has not handled: gateway, cache and every other group wait until it comes back or is removed
    /// (`mixcord groups rm NAME`). Counts when the group is created.
    #[must_use]
    pub fn forever(mut self) -> Self {
        self.options.absence = Absence::Never;
        self
    }

    /// A group that does not exist yet, or an observer, starts at the oldest record still there.
    #[must_use]
    pub fn from_earliest(mut self) -> Self {
        self.options.start = Start::Earliest;
        self
    }

    /// A group that does not exist yet, or an observer, starts with what comes from now on: the
    /// default. A group that exists goes on where it was, whatever is said here.
    #[must_use]
    pub fn from_latest(mut self) -> Self {
        self.options.start = Start::Latest;
        self
    }

    /// Each event is given once, and is lost if its handler fails or the process dies. For what must not be
    /// repeated and may be missed.
    #[must_use]
    pub fn at_most_once(mut self) -> Self {
        self.options.policy.mode = Mode::AtMostOnce;
        self
    }

    /// How often an event is given before it is given up and kept as a dead letter: 5 by default, 0 for no limit,
    /// 15 at most. Failures count, in whatever process, and processes that died while it was the only event they
    /// had. What waits behind it then goes on.
    #[must_use]
    pub fn attempts(mut self, attempts: u8) -> Self {
        self.options.policy.attempts = attempts;
        self
    }

    /// How long an event rests whose handler failed before it is given again: `first` at first, twice
    /// that after each further failure, `longest` at most. 50 ms and 30 s by default. The events behind
    /// it, of its guild or whatever the [`order`](Self::order) is by, wait as long; all others go on.
    #[must_use]
    pub fn retry(mut self, first: Duration, longest: Duration) -> Self {
        self.options.policy.retry = (first, longest);
        self
    }

    /// How long a handler may have its event: 60 s by default, `None` for as long as it likes. At half of it a
    /// warning names the event. Then the attempt has failed: a future is dropped where it stands, and an event from
    /// [`next`](Consumer::next) is taken back. A thread of [`run_blocking`](Consumer::run_blocking) cannot be ended:
    /// an error is logged, and its guild (no other) waits until it returns, so that no two events of one guild are
    /// ever handled side by side. [`Event::progress`](crate::Event::progress) begins the time anew, and behind
    /// [`Event::ack`](crate::Event::ack) there is none.
    #[must_use]
    pub fn handler_timeout(mut self, longest: impl Into<Option<Duration>>) -> Self {
        self.options.policy.handler_timeout = longest.into();
        self
    }

    /// Is told of every event that this process writes down as dead, on whichever thread that happens: its handler
    /// failed for the last time or said so, its processes died with it too often, or its bytes are damaged. Of what
    /// others of the group write down they are told; of what a process wrote down right before it was killed nobody
    /// is. It is kept as a dead letter in any case, and logged.
    #[must_use]
    pub fn on_dead(mut self, told: impl Fn(&DeadLetter) + Send + Sync + 'static) -> Self {
        self.options.on_dead = Some(OnDead(Arc::new(told)));
        self
    }

    /// Drops events of this kind that the gateway received longer ago; counted by [`Consumer::meter`]. By default
    /// 3 s for `INTERACTION_CREATE`, as Discord takes no answer later than that, and `None`, any age, for all other
    /// kinds. Measured when the event is given; an observer gets all.
    #[must_use]
    pub fn max_age(mut self, kind: Kind, longest: impl Into<Option<Duration>>) -> Self {
        match longest.into() {
            Some(longest) => self.options.policy.max_age.insert(kind, longest),
            None => self.options.policy.max_age.remove(&kind),
        };
        self
    }

    /// Which events wait for each other: those of a guild by default. Kept by the group from its creation on; a
    /// member that asks for another is refused, one that asks for none takes what there is.
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.options.order = Some(order);
        self
    }

    /// Keeps guilds with members: as long as this process lives and has its share, all events of its guilds come here,
    /// so that what it knows of them may stay in its memory. Every member has an equal share; one that joins is given
    /// its part by the others, each guild once no event of it is out, and the share of one that dies is taken up
    /// within a fraction of a second. [`on_rebalance`](Self::on_rebalance) is told of each change. Kept by the group
    /// from its creation on; a member that does not ask for it is refused.
    ///
    /// Limits: guilds are kept by [partition](crate::Rebalance), so a group has no more members with work than the
    /// output ring has partitions; a member that lives but takes nothing keeps its guilds waiting; what a process had
    /// in memory is gone with it; and with `mixcord groups reset --force` a guild may be handled elsewhere while a
    /// handler here is still at work on it.
    #[must_use]
    pub fn sticky(mut self) -> Self {
        self.options.sticky = true;
        self
    }

    /// Is told which guilds this member of a [`sticky`](Self::sticky) group has from now on, and which no more, on
    /// whichever thread finds out: before the first event of a guild that was gained, and after the last one of a
    /// guild that is lost was settled, while nobody else is given any yet. So what is known of a guild can be written
    /// down here for the next one. Nothing is taken until it returns; all that is left is lost when the consumer
    /// ends.
    ///
    /// ```no_run
    /// # use std::collections::HashMap;
    /// # use std::sync::{Arc, Mutex};
    /// let scores: Arc<Mutex<HashMap<u64, u64>>> = Arc::default();
    /// let known = Arc::clone(&scores);
    /// let consumer = mixcord::Consumer::builder()
    ///     .group("scores")
    ///     .sticky()
    ///     .on_rebalance(move |change| known.lock().unwrap().retain(|guild, _| !change.loses(*guild)));
    /// ```
    #[must_use]
    pub fn on_rebalance(mut self, told: impl Fn(&Rebalance) + Send + Sync + 'static) -> Self {
        self.options.on_rebalance = Some(OnRebalance(Arc::new(told)));
        self
    }

    /// Gives the whole group one event at a time, in the order of the ring, and so each shard's events in Discord's
    /// order (P1): one that fails, or whose handler takes long, holds up all that are newer. A group that is there
    /// with another order keeps that; then it holds while this is its only member.
    #[must_use]
    pub fn in_ring_order(mut self) -> Self {
        self.options.ring_order = true;
        self
    }

    /// Only these kinds; others are passed over without being looked at. Add [`Kind::GAP`] to hear
    /// of what Discord did not resume. All members of a group should ask for the same.
    #[must_use]
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        kinds.into_iter().for_each(|kind| self.options.filter.add(kind));
        self
    }

    /// Like [`kinds`](Self::kinds), by name; also names newer than this build.
    #[must_use]
    pub fn names<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().for_each(|name| self.options.filter.add_name(name));
        self
    }

    /// How many events may be out at a time in this process, never two of one guild (or whatever the
    /// [`order`](Self::order) is by): the handlers that `run` runs at once, the threads of `run_blocking`, the
    /// unsettled events that `next` gives. 64 by default, at least 1; thousands are fine for handlers that wait.
    #[must_use]
    pub fn concurrency(mut self, events: usize) -> Self {
        self.options.concurrency = events.max(1);
        self
    }

    /// What counts more where events come often: how soon each is there, or what waiting for it costs. By default
    /// what `MIXCORD_PACE` in the environment says (`low-latency`, `balanced`, `low-cpu`), else [`Pace::Balanced`]:
    /// where it would be woken more than 3,000 times a second, it looks every millisecond instead. Behind a gateway that
    /// does the same, as it does by default, events come in batches less often than that, and are never kept waiting here.
    #[must_use]
    pub fn pace(mut self, pace: Pace) -> Self {
        self.options.pace = Some(pace);
        self
    }

    /// How long connecting waits for the output ring to appear; for ever by default, so that the
    /// processes can start in any order.
    #[must_use]
    pub fn wait(mut self, longest: Duration) -> Self {
        self.options.wait = Some(longest);
        self
    }

    /// How long `run` lets the handlers at work finish once it is stopped: 4 s by default. What they
    /// have not finished by then is given again. A program that stops on signals ends half a second
    /// later whatever it does ([`Stop::on_signals`]): one that has more to put in order wants more grace.
    #[must_use]
    pub fn grace(mut self, longest: Duration) -> Self {
        self.options.grace = longest;
        self
    }

    /// Stops with this handle.
    #[must_use]
    pub fn stop(mut self, stop: &Stop) -> Self {
        self.options.stop = stop.clone();
        self
    }

    /// Stops on SIGTERM and Ctrl-C ([`Stop::on_signals`]).
    #[must_use]
    pub fn stop_on_signals(mut self) -> Self {
        self.options.signals = true;
        self
    }

    /// Connects, waiting for the output ring if it is not there yet. Stopped meanwhile, it gives a
    /// consumer that has no events.
    ///
    /// # Errors
    /// See [`Error`]; none of them goes away by itself.
    ///
    /// # Panics
    /// On a tokio runtime without a timer, as everything async here: `#[tokio::main]` has one, a
    /// `runtime::Builder` wants `enable_time()`.
    pub async fn connect(self) -> Result<Consumer, Error> {
        let mut search = Search::new(self.options)?;
        let found = search.find().await?;
        let Search { options, namespace, .. } = search;
        match found {
            Some(ring) => Consumer::open(options, namespace, &ring),
            None => Consumer::closed(options, namespace),
        }
    }

    /// [`connect`](Self::connect) for programs without an async runtime.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn connect_blocking(self) -> Result<Consumer, Error> {
        let mut search = Search::new(self.options)?;
        loop {
            match search.look()? {
                Look::Found(ring) => {
                    return Consumer::open(search.options, search.namespace, &ring);
                }
                Look::Stopped => return Consumer::closed(search.options, search.namespace),
                Look::Absent => {}
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// What came of a look for the ring.
enum Look {
    Found(Ring),
    Absent,
    Stopped,
}

/// The ring being looked for that a consumer or a stage is to read.
pub(crate) struct Search {
    pub(crate) options: Options,
    pub(crate) namespace: Namespace,
    ring: String,
    since: Instant,
    told: bool,
}

impl Search {
    pub(crate) fn new(options: Options) -> Result<Self, Error> {
        options.check()?;
        let ring = options.ring()?;
        let namespace = options.namespace()?;
        signals::allow(options.grace.saturating_add(AFTER_GRACE));
        if options.signals {
            options.stop.on_signals()?;
        }
        Ok(Self { options, namespace, ring, since: Instant::now(), told: false })
    }

    /// Waits for it; `None` once it is stopped.
    pub(crate) async fn find(&mut self) -> Result<Option<Ring>, Error> {
        loop {
            match self.look()? {
                Look::Found(ring) => return Ok(Some(ring)),
                Look::Stopped => return Ok(None),
                Look::Absent => {}
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn look(&mut self) -> Result<Look, Error> {
        let instance = &self.options.instance;
        match Ring::attach(&self.namespace, &self.ring) {
            Ok(ring) => return Ok(Look::Found(ring)),
            Err(AttachError::NotFound { .. }) => {}
            Err(source) => return Err(Error::Attach { instance: instance.clone(), source }),
        }
        let waited = self.since.elapsed();
        if self.options.stop.is_stopped() {
            return Ok(Look::Stopped);
        }
        if self.options.wait.is_some_and(|longest| waited >= longest) {
            let (instance, source) = (instance.clone(), self.options.source.clone());
            return Err(if self.ring == topology::OUTPUT_RING {
                Error::Timeout { instance, waited }
            } else {
                Error::NoStage { instance, stage: source, waited }
            });
        }
        if !self.told && waited > Duration::from_secs(1) {
            self.told = true;
            if self.ring == topology::OUTPUT_RING {
                tracing::info!(instance, "waiting for the output ring: is mixcord-cache running?");
            } else {
                let stage = &self.options.source;
                tracing::info!(instance, stage, "waiting for the stage: does it run?");
            }
        }
        Ok(Look::Absent)
    }
}
