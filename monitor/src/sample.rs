//! One look at an instance.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mixcord::State;
use mixcord::operator::{self, Instance, Overview};
use serde::Serialize;

use crate::process::{Usage, usage};

/// A look that is no older serves whoever asks: however many ask, and how often, it costs no more.
const FRESH: Duration = Duration::from_millis(200);

/// How often the store is counted, which may take long where it is large.
const COUNT_EVERY: Duration = Duration::from_secs(10);

/// All that is known at one moment.
#[derive(Debug)]
pub struct Sample {
    /// When it was taken.
    pub at: Instant,
    /// The same, in seconds since the Unix epoch.
    pub unix: f64,
    /// How long it took.
    pub took: Duration,
    /// What `mixcord ls --json` prints.
    pub overview: Overview,
    /// What the cache remembers; `None` without a store.
    pub store: Option<Arc<Store>>,
    /// What the processes take, as far as they say which they are.
    pub processes: Vec<Usage>,
}

/// What the cache remembers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Store {
    /// Entities and bytes, by resource.
    pub resources: Vec<(&'static str, u64, u64)>,
    /// Bytes of the file.
    pub file_bytes: u64,
}

/// Where samples come from.
#[derive(Debug)]
pub struct Source {
    instance: Instance,
    last: Mutex<Option<Arc<Sample>>>,
    store: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    state: Option<State>,
    at: Option<Instant>,
    store: Option<Arc<Store>>,
}

impl Source {
    /// Of this instance.
    ///
    /// # Errors
    /// When the name cannot be one.
    pub fn new(instance: &str) -> Result<Self, operator::Error> {
        Ok(Self {
            instance: Instance::open(instance)?,
            last: Mutex::default(),
            store: Mutex::default(),
        })
    }

    /// The instance.
    #[must_use]
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// How it is now, or was a moment ago.
    ///
    /// # Errors
    /// When /dev/shm cannot be listed.
    pub fn look(&self) -> Result<Arc<Sample>, operator::Error> {
        // Whoever comes while another looks waits for that look and takes it.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sample) = last.as_ref().filter(|sample| sample.at.elapsed() < FRESH) {
            return Ok(Arc::clone(sample));
        }
        let sample = Arc::new(self.take()?);
        *last = Some(Arc::clone(&sample));
        Ok(sample)
    }

    fn take(&self) -> Result<Sample, operator::Error> {
        let at = Instant::now();
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let overview = self.instance.overview()?;
        let alive = |ring: &&operator::RingStatus| ring.producer_alive;
        let gateways = overview.shards().filter(alive).filter_map(|ring| ring.shard.as_ref()?.pid);
        let cache = overview.output().into_iter().filter(alive);
        let cache = cache.filter_map(|ring| ring.cache.as_ref().map(|cache| cache.pid));
        let proxies = overview.proxies.running.iter().filter(|proxy| proxy.alive);
        let bridges = overview.bridges.iter().filter(|bridge| bridge.alive);
        let processes = [
            usage("gateway", gateways),
            usage("cache", cache),
            usage("proxy", proxies.map(|proxy| proxy.pid)),
            usage("bridge", bridges.map(|bridge| bridge.pid)),
            usage("monitor", [std::process::id()]),
        ];
        let processes = processes.into_iter().flatten().collect();
        let store = self.count();
        Ok(Sample { at, unix, took: at.elapsed(), overview, store, processes })
    }

    /// What the cache remembers, or did some seconds ago.
    fn count(&self) -> Option<Arc<Store>> {
        let mut counted = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.at.is_none_or(|at| at.elapsed() >= COUNT_EVERY) {
            counted.at = Some(Instant::now());
            if counted.state.is_none() {
                counted.state = State::attach(self.instance.name()).ok();
            }
            counted.store = counted.state.as_ref().and_then(|state| {
                let stats = state.stats().ok()?;
                let resources = stats.resources.iter();
                Some(Arc::new(Store {
                    resources: resources
                        .map(|it| (it.resource.name(), it.entities, it.bytes))
                        .collect(),
                    file_bytes: stats.file_bytes,
                }))
            });
        }
        counted.store.clone()
    }
}
