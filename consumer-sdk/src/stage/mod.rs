//! A stage: a process between the cache and consumers, which passes each event on, changes it, leaves it out, or puts
//! events of its own behind it.
//!
//! ```no_run
//! use mixcord::stage::Emit;
//! use mixcord::{Event, Kind, atoms};
//!
//! #[tokio::main]
//! async fn main() -> std::process::ExitCode {
//!     let _log = mixcord::log::init();
//!     let stage = mixcord::stage("spam").kinds([Kind::MESSAGE_CREATE]).stop_on_signals();
//!     mixcord::exit(stage.run(score).await)
//! }
//!
//! async fn score(event: Event) -> Result<Emit, mixcord::event::DocumentError> {
//!     let text = event.data().get(atoms::CONTENT).and_then(|text| text.as_str()).unwrap_or_default();
//!     let score = if text.contains("free") { 0.9 } else { 0.0 };
//!     Emit::with(&event, &[("spam_score", score.into())])
//! }
//! ```
//!
//! A consumer reads the stage instead of the cache with [`source("spam")`](crate::Builder::source), or without any
//! change to it with `MIXCORD_SOURCE=spam`; a stage reads another one the same way.
//!
//! * **A ring of its own.** The stage writes `stage-NAME`, which has groups, lag and back-pressure like the output
//!   ring, and outlives the process.
//! * **In the order of the ring.** A stage is one process, and its function is called for one event at a time.
//! * **Exactly once.** How far the source is done stands in the stage's ring and is published together with the events
//!   that came of it: what a killed stage had not published is worked out again, and nobody saw it the first time.
//!   Only what the function itself does elsewhere happens twice then.
//! * **Identity.** What is passed on or changed keeps its [identity](crate::Event::identity). What a stage adds is
//!   named by the stage's ring and its position there.
//! * **State and commands** work behind a stage as in front of it: what its consumers are told is in the
//!   [state](crate::state) already.
//! * **A function that fails** holds up everything behind it, so it is not tried for long: after
//!   [`attempts`](Stage::attempts) its event is passed on as it is, or what [`on_failure`](Stage::on_failure) says.
//!   So is one at which the process died as often.
//! * **Loss is visible.** Where the source lost records, or the stage's own ring is gone, a [`GAP`](crate::Kind::GAP)
//!   for each shard says so.

mod call;
mod emit;
mod input;
mod line;
mod outlet;
pub(crate) mod progress;
mod work;

use std::future::Future;
use std::time::Duration;

use mixcord_event::{Kind, topology};
use mixcord_ring::{Geometry, GeometryError, Pace, Start};

pub use self::emit::{Added, Emit, Emits};
use self::line::Line;
use crate::builder::Search;
use crate::group::policy::Policy;
#[cfg(feature = "testing")]
use crate::options::Home;
use crate::options::{Absence, Options};
use crate::{Error, Event, Stop};

/// Attempts after which an event is passed on as it is. Everything behind it waits meanwhile.
const ATTEMPTS: u8 = 3;
/// How long a function may have an event.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(10);

/// A stage of this name, before it runs. See the [module](mod@crate::stage).
#[must_use = "`run` runs it"]
pub fn stage(name: impl Into<String>) -> Stage {
    let policy =
        Policy { attempts: ATTEMPTS, handler_timeout: Some(FUNCTION_TIMEOUT), ..Policy::new() };
    let name = name.into();
    let group = Some(topology::stage_ring(&name));
    let options = Options { group, policy, ..Options::new() };
    Stage { name, options, sizes: None, on_failure: OnFailure::Pass }
}

/// What a stage is, before it runs: made by [`stage`](fn@stage).
#[derive(Debug, Clone)]
#[must_use = "`run` runs it"]
pub struct Stage {
    name: String,
    options: Options,
    sizes: Option<(u32, u64)>,
    on_failure: OnFailure,
}

/// What becomes of an event with which the function failed for the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnFailure {
    /// It is passed on as it is.
    #[default]
    Pass,
    /// It is left out.
    Drop,
    /// The stage ends with [`Error::Stage`], and begins with this event when it is started again.
    Stop,
}

impl Stage {
    /// Whose events: as [`Builder::instance`](crate::Builder::instance).
    pub fn instance(mut self, name: impl Into<String>) -> Self {
        self.options.instance = name.into();
        self
    }

    /// Works in the rings of a test.
    #[cfg(feature = "testing")]
    pub(crate) fn home(mut self, home: Home) -> Self {
        self.options.home = home;
        self
    }

    /// What it reads: `"out"`, what the cache publishes, or another stage by its name. By default what
    /// `MIXCORD_SOURCE` in the environment says, else `out`.
    pub fn source(mut self, name: impl Into<String>) -> Self {
        self.options.source = name.into();
        self
    }

    /// The function sees only these kinds; all others are passed on as they are, without a look into them.
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        kinds.into_iter().for_each(|kind| self.options.filter.add(kind));
        self
    }

    /// Like [`kinds`](Self::kinds), by name; also those that another stage made up.
    pub fn names<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().for_each(|name| self.options.filter.add_name(name));
        self
    }

    /// Sizes of the stage's ring: so many records, a power of two, and so many bytes. By default those of its source.
    /// One that is there gets them when its consumers have read everything.
    pub fn ring(mut self, records: u32, bytes: u64) -> Self {
        self.sizes = Some((records, bytes));
        self
    }

    /// The first time it begins with the oldest event that is still there; by default with what comes from then on.
    /// One that ran before goes on where it was, whatever is said here.
    pub fn from_earliest(mut self) -> Self {
        self.options.start = Start::Earliest;
        self
    }

    /// Lets go of a stage that is away for so long, if its source is full because of it: 15 minutes by default. When
    /// it comes back, GAPs say that events were lost. Counts when it runs for the first time.
    pub fn max_absence(mut self, absence: Duration) -> Self {
        self.options.absence = Absence::After(absence);
        self
    }

    /// The source waits for the stage however long it is away, and so does everybody who reads the same source.
    /// Counts when it runs for the first time.
    pub fn forever(mut self) -> Self {
        self.options.absence = Absence::Never;
        self
    }

    /// How often the function is tried with an event: 3 times by default, at least once, 255 times at most. As often
    /// the process may die of it.
    pub fn attempts(mut self, attempts: u8) -> Self {
        self.options.policy.attempts = attempts.max(1);
        self
    }

    /// The pause before it is tried again: `first`, then twice that each time, `longest` at most. 50 ms and 30 s by
    /// default.
    pub fn retry(mut self, first: Duration, longest: Duration) -> Self {
        self.options.policy.retry = (first, longest);
        self
    }

    /// How long the function may have an event before the attempt has failed: 10 s by default, `None` for as long as
    /// it likes. Everything behind it waits as long.
    pub fn timeout(mut self, longest: impl Into<Option<Duration>>) -> Self {
        self.options.policy.handler_timeout = longest.into();
        self
    }

    /// What becomes of an event with which the function failed for the last time; it is logged in any case.
    pub fn on_failure(mut self, then: OnFailure) -> Self {
        self.on_failure = then;
        self
    }

    /// As [`Builder::pace`](crate::Builder::pace).
    pub fn pace(mut self, pace: Pace) -> Self {
        self.options.pace = Some(pace);
        self
    }

    /// How long it waits for its source to appear; for ever by default.
    pub fn wait(mut self, longest: Duration) -> Self {
        self.options.wait = Some(longest);
        self
    }

    /// How long the function may go on with its event once the stage is stopped: 4 s by default. What is not done by
    /// then is done when the stage starts again.
    pub fn grace(mut self, longest: Duration) -> Self {
        self.options.grace = longest;
        self
    }

    /// Stops with this handle.
    pub fn stop(mut self, stop: &Stop) -> Self {
        self.options.stop = stop.clone();
        self
    }

    /// Stops on SIGTERM and Ctrl-C ([`Stop::on_signals`]).
    pub fn stop_on_signals(mut self) -> Self {
        self.options.signals = true;
        self
    }

    /// Calls the function with every event, in the order of the source, and publishes what it says, until the stage is
    /// stopped. The function gives an [`Emit`], or a `Result` of one.
    ///
    /// # Errors
    /// See [`Error`]; none of them goes away by itself. Started again, the stage goes on where it was.
    ///
    /// # Panics
    /// On a tokio runtime without a timer.
    pub async fn run<F, Fut>(self, function: F) -> Result<(), Error>
    where
        F: Fn(Event) -> Fut + Send + Sync,
        Fut: Future + Send,
        Fut::Output: Emits,
    {
        let Self { name, options, sizes, on_failure } = self;
        if !topology::is_stage_name(&name) || options.source == name {
            return Err(Error::StageName { stage: name });
        }
        let sizes = |source: Geometry| -> Result<Geometry, GeometryError> {
            let Some((records, bytes)) = sizes else { return Ok(source) };
            Geometry::new(records, bytes, source.groups, source.partitions, source.members)
        };
        let mut search = Search::new(options)?;
        let Some(source) = search.find().await? else { return Ok(()) };
        let geometry = sizes(source.geometry()).map_err(|source| Error::StageRing {
            stage: name.clone(),
            source: Box::new(source.into()),
        })?;
        let Search { options, namespace, .. } = search;
        Line::open(name, options, on_failure, &namespace, source, geometry)?.run(&function).await
    }
}
