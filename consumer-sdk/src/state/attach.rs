//! Which store is the current one, and opening it.
//!
//! The cache leaves the id of its store in the output ring with every commit. A query compares it
//! with the store that is open, so that no handler is answered from a store that was replaced before
//! its event was published.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use mixcord_event::topology;
use mixcord_ring::{AttachError, Namespace, Ring};
use mixcord_state as store;
use store::{Checkpoint, OpenError};

use super::Error;

/// How often it is looked whether the output ring was replaced, in milliseconds.
const LOOK_MS: u64 = 250;

/// How long a store that went over into another file is waited for, before each look: 0.4 s in all, for its writer may
/// have to wait for a core between the two.
const MOVED_PAUSES: [Duration; 14] = {
    let mut pauses = [Duration::ZERO; 14];
    let mut look = 2;
    while look < pauses.len() {
        pauses[look] = Duration::from_micros(100 << (look - 2));
        look += 1;
    }
    pauses
};

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
    /// Shared with those who ask it now: they are answered from it also when another is opened meanwhile.
    store: Option<Arc<OpenStore>>,
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
        let of_store = |source| Error::Store { instance: self.instance.clone(), source };
        for pause in MOVED_PAUSES {
            // Its writer puts the other file in place right after it said so.
            std::thread::sleep(pause);
            let store = self.current()?;
            match question(&store.state) {
                Err(store::StoreError::Moved) => self.let_go(&store),
                answer => return answer.map_err(of_store),
            }
        }
        // It was killed between the two; the next one goes on with the file that is there.
        Err(of_store(store::StoreError::Unsettled))
    }

    /// The store lies in another file by now, whatever stands in the ring.
    fn let_go(&self, moved: &Arc<OpenStore>) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if open.store.as_ref().is_some_and(|store| Arc::ptr_eq(store, moved)) {
            open.store = None;
        }
    }

    /// The store whose id stands in the ring now. Nothing is locked when it is given: a question may take long (a
    /// large guild's snapshot), and whoever looks for the ring again would wait for it, and all others for him.
    fn current(&self) -> Result<Arc<OpenStore>, Error> {
        loop {
            let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
            if !self.is_due()
                && let Open { ring: Some(ring), store: Some(store) } = &*open
                && store.is_current(ring)
            {
                return Ok(Arc::clone(store));
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
        *store = None;
        let dir = store::directory(&self.instance);
        match store::State::open(&dir) {
            Ok(state) => {
                *store = Some(Arc::new(OpenStore { state, seen: id }));
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    use std::sync::mpsc;

    use mixcord_ring::{Geometry, Producer};

    use super::*;

    /// An output ring whose checkpoint names a store that is there.
    struct Rig {
        attachment: Arc<Attachment>,
        producer: Producer,
        store: store::Writer,
    }

    impl Rig {
        fn new(name: &str) -> Self {
            let instance = format!("t{}-attach-{name}", std::process::id());
            let namespace = Namespace::new(&topology::namespace(&instance)).expect("a name");
            let bell = namespace.bell().expect("a bell");
            let geometry = Geometry::new(64, 1 << 16, 4, 1, 4).expect("a geometry");
            let producer =
                Producer::create(&namespace, topology::OUTPUT_RING, geometry, &[], &bell);
            let dir = store::directory(&instance);
            fs::DirBuilder::new().mode(0o700).create(&dir).expect("a folder");
            let store = store::Writer::create(&dir, 64 << 20).expect("a store");
            let write = |name: &str, text: String| {
                let mut options = fs::OpenOptions::new();
                let file = options.write(true).create_new(true).mode(0o600).open(dir.join(name));
                file.and_then(|mut file| file.write_all(text.as_bytes())).expect("written");
            };
            write(
                store::format::FORMAT_FILE,
                store::format::text(store.version()).expect("a boot"),
            );
            write(store::format::WRITTEN_BY_FILE, store::format::written_by());
            let mut producer = producer.expect("a ring");
            producer.set_checkpoint(&Checkpoint::head(store.id())).expect("room");
            producer.publish();
            let attachment = Attachment::of(&instance, namespace);
            Self { attachment, producer, store }
        }
    }

    impl Drop for Rig {
        fn drop(&mut self) {
            let instance = self.attachment.instance().to_owned();
            let _ = fs::remove_dir_all(store::directory(&instance));
            for entry in fs::read_dir(Namespace::directory()).into_iter().flatten().flatten() {
                let prefix = format!("mixcord.{instance}.");
                if entry.file_name().to_string_lossy().starts_with(&prefix) {
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
    }

    /// A snapshot of a large guild takes its time, and the ring is looked for all the while.
    #[test]
    fn a_long_question_holds_up_no_other() {
        const PATIENCE: Duration = Duration::from_secs(20);
        let rig = Rig::new("long");
        let ask = |attachment: &Attachment| attachment.ask(|store| Ok(store.id()));
        let id = ask(&rig.attachment).expect("a store");
        let answered = rig.attachment.ask(|store| {
            let (sender, answer) = mpsc::channel();
            let attachment = Arc::clone(&rig.attachment);
            // Looked for so long ago that whoever asks next looks again.
            attachment.looked_ms.store(0, Ordering::Relaxed);
            while !attachment.is_due() {
                std::thread::yield_now();
            }
            std::thread::spawn(move || sender.send(ask(&attachment)));
            let other = answer.recv_timeout(PATIENCE).expect("it waits for the long question");
            assert_eq!(other.expect("a store"), id);
            // This one is still answered.
            Ok(store.id())
        });
        assert_eq!(answered.expect("a store"), id);
    }

    /// Between the moment at which the smaller file is there and that at which the ring names it, and after it.
    #[test]
    fn a_store_that_went_over_into_another_file_is_opened_again() {
        let mut rig = Rig::new("moved");
        let ask = |rig: &Rig| {
            rig.attachment.ask(|store| Ok((store.shard_of_guild(7)?, store.id()))).expect("a store")
        };
        let before = ask(&rig);
        assert_eq!(before, (None, rig.store.id()));
        while !rig.store.shrink(1000).expect("room") {}
        assert_ne!(rig.store.id(), before.1);
        assert_eq!(ask(&rig), (None, rig.store.id()));
        rig.producer.set_checkpoint(&Checkpoint::head(rig.store.id())).expect("room");
        rig.producer.publish();
        assert_eq!(ask(&rig), (None, rig.store.id()));
    }

    /// On a machine that has more to do than it can.
    #[test]
    fn a_store_whose_writer_is_kept_waiting_is_waited_for() {
        let rig = Rig::new("kept");
        let begun = Instant::now();
        let answer = rig.attachment.ask(|store| {
            let moved = begun.elapsed() < Duration::from_millis(250);
            if moved { Err(store::StoreError::Moved) } else { Ok(store.id()) }
        });
        assert_eq!(answer.expect("it is there in the end"), rig.store.id());
    }
}
