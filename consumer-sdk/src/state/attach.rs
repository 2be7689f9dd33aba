//! Which store is the current one, and opening it.
//!
//! The cache leaves the id of its store in the output ring with every commit. A query compares it
//! with the store that is open, so that no handler is answered from a store that was replaced before
//! its event was published.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, RwLock};
use std::time::Instant;

use mixcord_event::topology;
use mixcord_ring::{AttachError, Namespace, Ring};
use mixcord_state as store;
use store::{Checkpoint, OpenError};

use super::Error;

/// How often it is looked whether the output ring was replaced, in milliseconds.
const LOOK_MS: u64 = 250;

/// Everything of one instance's state that this process has open; there is one for each instance, which its
/// threads share.
pub(crate) struct Attachment {
    instance: String,
    namespace: Namespace,
    open: RwLock<Open>,
    started: Instant,
    /// When the ring was last looked for, in milliseconds since `started`.
    looked_ms: AtomicU64,
}

#[derive(Default)]
struct Open {
    ring: Option<Ring>,
    store: Option<OpenStore>,
}

struct OpenStore {
    state: store::State,
    /// The id that stood in the ring when it was opened: while it stands there nothing was rebuilt.
    seen: Option<u64>,
}

impl OpenStore {
    fn is_current(&self, ring: &Ring) -> bool {
        let glance = |id| ring.checkpoint_begins_with(&Checkpoint::head(id));
        self.seen.is_some_and(glance) || stands_in(ring).is_none_or(|id| Some(id) == self.seen)
    }
}

impl Attachment {
    /// The attachment of an instance, shared by all who ask for it.
    pub(super) fn of(instance: &str, namespace: Namespace) -> Arc<Self> {
        // Kept for the life of the process: handles come and go with events.
        static ALL: LazyLock<Mutex<HashMap<String, Arc<Attachment>>>> =
            LazyLock::new(Mutex::default);
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        let made = all.entry(instance.to_owned()).or_insert_with(|| {
            Arc::new(Self {
                instance: instance.to_owned(),
                namespace,
                open: RwLock::default(),
                started: Instant::now(),
                looked_ms: AtomicU64::new(0),
            })
        });
        Arc::clone(made)
    }

    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    /// A consumer reads this ring from now on.
    pub(crate) fn follow(&self, ring: &Ring) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if open.ring.as_ref().is_none_or(|known| known.id() != ring.id() || !known.is_current()) {
            open.ring = Some(ring.clone());
        }
    }

    /// Asks the current store.
    pub(super) fn ask<T>(
        &self,
        question: impl Fn(&store::State) -> Result<T, store::StoreError>,
    ) -> Result<T, Error> {
        loop {
            let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
            if !self.is_due()
                && let Open { ring: Some(ring), store: Some(store) } = &*open
                && store.is_current(ring)
            {
                let answer = question(&store.state);
                return answer
                    .map_err(|source| Error::Store { instance: self.instance.clone(), source });
            }
            drop(open);
            self.refresh()?;
        }
    }

    /// Whether the ring should be looked for again.
    fn is_due(&self) -> bool {
        self.now_ms().saturating_sub(self.looked_ms.load(Ordering::Relaxed)) >= LOOK_MS
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Finds the output ring, and opens the store whose id stands there.
    fn refresh(&self) -> Result<(), Error> {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let Open { ring, store } = &mut *open;
        if ring.as_ref().is_none_or(|ring| !ring.producer_alive()) {
            *ring = self.find_ring(ring.take())?;
        }
        self.looked_ms.store(self.now_ms(), Ordering::Relaxed);
        let Some(ring) = ring else {
            *store = None;
            return Err(self.not_yet());
        };
        let id = stands_in(ring);
        if id == Some(0) {
            *store = None;
            return Err(Error::Off { instance: self.instance.clone() });
        }
        if store.as_ref().is_some_and(|store| id.is_none() || store.seen == id) {
            return Ok(());
        }
        // The old one must be closed first.
        *store = None;
        let dir = store::directory(&self.instance);
        match store::State::open(&dir) {
            Ok(state) => {
                *store = Some(OpenStore { state, seen: id });
                Ok(())
            }
            Err(OpenError::NotFound { .. }) => Err(self.not_yet()),
            Err(source) => Err(Error::Open { instance: self.instance.clone(), source }),
        }
    }

    /// The output ring as it is now; the one that was known if it is still that.
    fn find_ring(&self, known: Option<Ring>) -> Result<Option<Ring>, Error> {
        match Ring::attach(&self.namespace, topology::OUTPUT_RING) {
            Ok(found) => Ok(Some(
                known
                    .filter(|known| known.id() == found.id() && known.is_current())
                    .unwrap_or(found),
            )),
            Err(AttachError::NotFound { .. }) => Ok(None),
            Err(source) => Err(Error::Ring { instance: self.instance.clone(), source }),
        }
    }

    fn not_yet(&self) -> Error {
        Error::NotYet { instance: self.instance.clone() }
    }
}

/// The id of the store that the ring's records belong to: 0 for none, `None` when no cache has
/// written it yet.
fn stands_in(ring: &Ring) -> Option<u64> {
    Checkpoint::store_in(&ring.checkpoint()?).ok()
}
