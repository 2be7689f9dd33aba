use std::time::{Duration, Instant};

use mixcord_event::{Kind, topology};
use mixcord_process::signals;
use mixcord_ring::{AttachError, Namespace, Ring, Start};

use crate::consumer::Consumer;
use crate::lane::Mode;
use crate::options::{Options, namespace};
use crate::{Error, Stop};

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

    /// Lets go of a group that has had no member for this long, if the ring is full because of it.
    /// When it comes back, an event with [`lost`](crate::Event::lost) says what it missed.
    /// Counts when the group is created.
    #[must_use]
    pub fn max_absence(mut self, absence: Duration) -> Self {
        self.options.max_absence = Some(absence);
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

    /// Acknowledges each event before its handler sees it: it is never given twice, and is lost if
    /// the handler fails or the process dies. For what must not be repeated and may be missed.
    #[must_use]
    pub fn at_most_once(mut self) -> Self {
        self.options.terms.mode = Mode::AtMostOnce;
        self
    }

    /// How long an event rests whose handler failed before it is given again: `first` at first, twice
    /// that after each further failure, `longest` at most. 50 ms and 30 s by default. The events behind
    /// it in its partition wait as long.
    #[must_use]
    pub fn retry(mut self, first: Duration, longest: Duration) -> Self {
        self.options.terms.retry = (first, longest);
        self
    }

    /// Gives events one at a time in the order of the ring, and so each shard's events in Discord's
    /// order (P1), while this is the only member of its group; with others beside it the order is
    /// that of each guild, as always. It holds every partition that has records, and a failed event
    /// holds up all that are newer. For [`next`](Consumer::next) and its like;
    /// [`run`](Consumer::run) hands events out side by side.
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

    /// How many events may be out at a time, each of another partition, so never two of one guild:
    /// the handlers that `run` runs at once, the threads of `run_blocking`, the unacknowledged
    /// events that `next` gives. 16 by default, at least 1.
    #[must_use]
    pub fn concurrency(mut self, events: usize) -> Self {
        self.options.concurrency = events.max(1);
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
        loop {
            match search.look()? {
                Look::Found(ring) => {
                    return Consumer::open(search.options, search.namespace, &ring);
                }
                Look::Stopped => return Consumer::closed(search.options, search.namespace),
                Look::Absent => {}
            }
            tokio::time::sleep(LOOK).await;
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

/// What came of a look for the output ring.
enum Look {
    Found(Ring),
    Absent,
    Stopped,
}

/// The output ring being looked for.
struct Search {
    options: Options,
    namespace: Namespace,
    since: Instant,
    told: bool,
}

impl Search {
    fn new(options: Options) -> Result<Self, Error> {
        options.check()?;
        let namespace = namespace(&options.instance)?;
        signals::allow(options.grace.saturating_add(AFTER_GRACE));
        if options.signals {
            options.stop.on_signals()?;
        }
        Ok(Self { options, namespace, since: Instant::now(), told: false })
    }

    fn look(&mut self) -> Result<Look, Error> {
        let instance = &self.options.instance;
        match Ring::attach(&self.namespace, topology::OUTPUT_RING) {
            Ok(ring) => return Ok(Look::Found(ring)),
            Err(AttachError::NotFound { .. }) => {}
            Err(source) => return Err(Error::Attach { instance: instance.clone(), source }),
        }
        let waited = self.since.elapsed();
        if self.options.stop.is_stopped() {
            return Ok(Look::Stopped);
        }
        if self.options.wait.is_some_and(|longest| waited >= longest) {
            return Err(Error::Timeout { instance: instance.clone(), waited });
        }
        if !self.told && waited > Duration::from_secs(1) {
            self.told = true;
            tracing::info!(instance, "waiting for the output ring: is mixcord-cache running?");
        }
        Ok(Look::Absent)
    }
}
