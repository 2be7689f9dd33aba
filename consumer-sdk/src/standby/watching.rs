//! The thread that looks at every record while somebody waits for one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use mixcord_event::{Record, Seal};
use mixcord_ring::{Limits, Namespace, Observed, Observer, Ring, RingId, Start};

use crate::State;
use crate::filter::Filter;
use crate::received::{Context, Event, Holder, Lookout, Watcher};

const BATCH: Limits = Limits { records: 64, bytes: 1 << 20 };
/// How long it looks on when nobody waits any more.
const LINGER: Duration = Duration::from_secs(1);
/// How often it looks whether anybody gave up, or the ring was replaced.
const LOOK: Duration = Duration::from_millis(50);

/// A thread that looks on: when it ends by a panic of the program's own code (what waits is dropped on it), those
/// who wait are told, and the next who waits has another.
struct Looking(Arc<Watching>);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The events of one instance, for whoever waits for some.
pub(crate) struct Watching {
    namespace: Namespace,
    state: State,
    own: Weak<Self>,
    watchers: Mutex<Watchers>,
}

#[derive(Default)]
struct Watchers {
    ring: Option<Ring>,
    list: Vec<Enlisted>,
    /// A thread looks on.
    running: bool,
}

struct Enlisted {
    /// From here on, in this ring; in another from its first.
    from: (RingId, u64),
    filter: Filter,
    watcher: Box<dyn Watcher>,
}

impl Watching {
    pub(crate) fn new(namespace: &Namespace, state: &State) -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            namespace: namespace.clone(),
            state: state.clone(),
            own: own.clone(),
            watchers: Mutex::default(),
        })
    }

    /// Which ring the instance's events are in.
    pub(crate) fn follow(&self, ring: &Ring) {
        self.watchers().ring = Some(ring.clone());
    }

    fn watchers(&self) -> MutexGuard<'_, Watchers> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lookout for Watching {
    fn enlist(&self, filter: Filter, mut watcher: Box<dyn Watcher>) {
        let mut watchers = self.watchers();
        let Some(ring) = watchers.ring.clone() else { return watcher.end() };
        // Read under the lock that what was read is shown under: what is shown later came later.
        let from = (ring.id(), ring.tail());
        watchers.list.push(Enlisted { from, filter, watcher });
        if watchers.running {
            return;
        }
        let own = self.own.clone();
        let thread = std::thread::Builder::new().name("mixcord-standby".to_owned());
        let look_on = move || {
            let Some(watching) = own.upgrade() else { return };
            let looking = Looking(Arc::clone(&watching));
            watching.look_on(from.1, ring);
            // It ended as it should, and has said so.
            std::mem::forget(looking);
        };
        match thread.spawn(look_on) {
            Ok(_) => watchers.running = true,
            Err(error) => {
                tracing::error!(%error, "no thread to look for events that are waited for");
                watchers.list.drain(..).for_each(|mut enlisted| enlisted.watcher.end());
            }
        }
    }
}

impl Watching {
    /// Until nobody has waited for a while.
    fn look_on(self: Arc<Self>, from: u64, ring: Ring) {
        let (mut ring, mut start) = (ring, Start::At(from));
        loop {
            match self.look_at(&ring, start) {
                Some(new) => (ring, start) = (new, Start::At(0)),
                None => return,
            }
        }
    }

    /// Looks at one ring; gives the one that took its place.
    fn look_at(self: &Arc<Self>, ring: &Ring, start: Start) -> Option<Ring> {
        let observer = self.namespace.bell().map_err(|error| error.to_string()).and_then(|bell| {
            ring.observe("standby", start, &bell).map_err(|error| error.to_string())
        });
        let mut observer = match observer {
            Ok(observer) => observer,
            Err(error) => {
                tracing::error!(error, "events that are waited for cannot be seen");
                self.end();
                return None;
            }
        };
        let context = Arc::new(Context {
            state: self.state.clone(),
            lookout: Arc::clone(self) as Arc<dyn Lookout>,
        });
        let mut idle_since = None;
        loop {
            match self.show_next(ring.id(), &mut observer, &context) {
                Ok(true) => {}
                Ok(false) => {
                    let new = || Ring::attach(&self.namespace, ring.name()).ok();
                    if !ring.producer_alive()
                        && let Some(new) = new().filter(|_| !ring.is_current())
                    {
                        self.follow(&new);
                        return Some(new);
                    }
                    observer.wait(LOOK);
                }
                Err(error) => {
                    tracing::error!(error, "events that are waited for cannot be seen any more");
                    self.end();
                    return None;
                }
            }
            let mut watchers = self.watchers();
            watchers.list.retain(|enlisted| !enlisted.watcher.is_gone());
            if !watchers.list.is_empty() {
                idle_since = None;
                continue;
            }
            if idle_since.get_or_insert_with(Instant::now).elapsed() >= LINGER {
                watchers.running = false;
                return None;
            }
        }
    }

    /// Shows what was published; whether there was anything.
    fn show_next(
        &self,
        ring: RingId,
        observer: &mut Observer,
        context: &Arc<Context>,
    ) -> Result<bool, String> {
        let mut seen = Observed::default();
        let something = observer.read(BATCH, &mut seen).map_err(|error| error.to_string())?;
        let lost = seen.lost();
        if !something && lost == 0 {
            return Ok(false);
        }
        let seen = Arc::new(seen);
        // Not under the lock: whoever is shown an event may wait for another.
        let mut list = std::mem::take(&mut self.watchers().list);
        if lost > 0 {
            let first = seen.get(0).map_or(u64::MAX, |entry| entry.position);
            list.retain_mut(|enlisted| {
                let missed = enlisted.is_concerned(ring, first.saturating_sub(1));
                !missed || enlisted.watcher.missed(lost)
            });
        }
        for index in 0.. {
            let Some(entry) = seen.get(index as usize) else { break };
            let wants = |enlisted: &Enlisted| {
                enlisted.is_concerned(ring, entry.position) && enlisted.filter.admits_tag(entry.tag)
            };
            if entry.lost || !list.iter().any(wants) {
                continue;
            }
            // What cannot be read is told by those who have to handle it.
            let Ok(record) = Record::parse_sealed(entry.payload, Seal::from_bits(entry.seal))
            else {
                continue;
            };
            let holder = Holder::Seen(Arc::clone(&seen), index, Arc::clone(context));
            let event = Event::new(&record, entry.payload, holder, 1);
            list.retain_mut(|enlisted| {
                let wanted =
                    wants(enlisted) && enlisted.filter.admits(record.kind(), record.kind_name());
                !wanted || enlisted.watcher.show(&event)
            });
        }
        let mut watchers = self.watchers();
        // What came meanwhile is concerned by nothing that was read before.
        list.append(&mut watchers.list);
        watchers.list = list;
        Ok(true)
    }

    fn end(&self) {
        let mut watchers = self.watchers();
        watchers.running = false;
        watchers.list.drain(..).for_each(|mut enlisted| enlisted.watcher.end());
    }
}

impl Enlisted {
    fn is_concerned(&self, ring: RingId, position: u64) -> bool {
        self.from.0 != ring || position >= self.from.1
    }
}
