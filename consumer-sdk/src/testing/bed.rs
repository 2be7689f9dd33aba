//! The place where a test runs.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};
use std::time::Duration;

use mixcord_event::{Header, Kind, Value, atoms, topology};
use mixcord_ring::{Geometry, Meta, Namespace, Producer, Ring, StageError};

use super::made::{Made, document};
use crate::commands::{Command, Commands};
use crate::options::Home;
use crate::received::{Context, Lookout};
use crate::stage::Stage;
use crate::standby::Watching;
use crate::state::{Resource, World};
use crate::{Builder, Consumer, State};

/// How often it is looked whether a group has handled everything.
const LOOK: Duration = Duration::from_millis(1);

/// An instance of Mixcord for one test, in this process's memory: events, a state, a ring for consumers, and a
/// list of the commands that were sent. See the [module](super).
pub struct Testbed {
    namespace: Namespace,
    state: State,
    world: Arc<RwLock<World>>,
    context: Arc<Context>,
    producer: Mutex<Producer>,
    ring: Ring,
    sent: Arc<Mutex<Vec<Command>>>,
    seq: AtomicU64,
}

impl Default for Testbed {
    fn default() -> Self {
        Self::new()
    }
}

impl Testbed {
    /// A bed that knows nothing, with a ring of 4,096 records and 4 MiB.
    ///
    /// # Panics
    /// When there is no memory for it.
    #[must_use]
    pub fn new() -> Self {
        Self::with_ring(4096, 4 << 20)
    }

    /// A bed with a ring of so many records, a power of two, and bytes: a small one fills.
    ///
    /// # Panics
    /// When there can be no such ring, or is no memory for it.
    #[must_use]
    pub fn with_ring(records: u32, bytes: u64) -> Self {
        let namespace = Namespace::private();
        let bell = namespace.bell().expect("a bell of a namespace that nobody else has");
        let geometry = Geometry::new(records, bytes, 8, 64, 16).expect("a ring of these sizes");
        let producer = Producer::create(&namespace, topology::OUTPUT_RING, geometry, &[], &bell);
        let producer = producer.expect("memory for a ring");
        let ring = producer.ring();
        let world = Arc::<RwLock<World>>::default();
        let state = State::made(Arc::clone(&world));
        let watching = Watching::new(&namespace, &state);
        watching.follow(&ring);
        let lookout: Arc<dyn Lookout> = watching;
        let context = Arc::new(Context { state: state.clone(), lookout });
        let (producer, sent, seq) = (Mutex::new(producer), Arc::default(), AtomicU64::new(0));
        Self { namespace, state, world, context, producer, ring, sent, seq }
    }

    /// An event of this kind with this data, as JSON: a text, or what prints as it, such as `serde_json::json!`.
    ///
    /// # Panics
    /// When the data is no JSON.
    pub fn event(&self, kind: Kind, data: impl fmt::Display) -> Made<'_> {
        self.event_named(kind.name(), data)
    }

    /// [`event`](Self::event) by the name of its kind, also of one that this build does not know.
    ///
    /// # Panics
    /// When the data is no JSON.
    pub fn event_named(&self, name: &str, data: impl fmt::Display) -> Made<'_> {
        Made::new(self, name, document(&data))
    }

    /// A consumer of this bed: say which group, and connect. It gets what is
    /// [published](Made::publish), by the rules of production.
    #[must_use]
    pub fn consumer(&self) -> Builder {
        Consumer::builder().home(Home::Made(self.namespace.clone(), self.state.clone()))
    }

    /// A stage of this bed: what is [published](Made::publish) goes through it to the bed's consumers of
    /// [`source(name)`](Builder::source), once it runs.
    pub fn stage(&self, name: &str) -> Stage {
        crate::stage(name).home(Home::Made(self.namespace.clone(), self.state.clone()))
    }

    /// The state, as handlers see it.
    #[must_use]
    pub fn state(&self) -> State {
        self.state.clone()
    }

    /// Puts a guild into the state, with all that it lists, as its `GUILD_CREATE` does; JSON as for
    /// [`event`](Self::event).
    ///
    /// # Panics
    /// When it is no JSON.
    pub fn guild(&self, payload: impl fmt::Display) -> &Self {
        self.world().put_guild(document(&payload).value());
        self
    }

    /// Puts one entity into the state, as Discord sends it, in the place of one that is there. `owner` is its guild,
    /// the channel of a message, and 0 for users and private channels.
    ///
    /// # Panics
    /// When it is no JSON, or says no id.
    pub fn entity(&self, resource: Resource, owner: u64, entity: impl fmt::Display) -> &Self {
        let entity = document(&entity);
        let id = id_of(resource, entity.value());
        let id = id.unwrap_or_else(|| panic!("the test's entity of {} has no id", resource.name()));
        self.world().put(resource, owner, id, entity.value());
        self
    }

    /// Takes one entity out of the state.
    pub fn forget(&self, resource: Resource, owner: u64, id: u64) -> &Self {
        self.world().remove(resource, owner, id);
        self
    }

    /// Says who the bot is.
    ///
    /// # Panics
    /// When it is no JSON.
    pub fn me(&self, user: impl fmt::Display) -> &Self {
        self.world().set_me(document(&user));
        self
    }

    /// Commands that are checked and written down, not sent.
    #[must_use]
    pub fn commands(&self) -> Commands {
        Commands::recorded(Arc::clone(&self.sent))
    }

    /// The commands that were sent since the last call.
    #[must_use]
    pub fn sent(&self) -> Vec<Command> {
        std::mem::take(&mut *self.sent.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many records of the bed's ring a group has not handled; `None` when there is no such group.
    #[must_use]
    pub fn lag(&self, group: &str) -> Option<u64> {
        self.ring.groups().into_iter().find(|found| found.name == group).map(|found| found.lag)
    }

    /// Waits until a group has handled everything that was published, dead letters included.
    pub async fn drained(&self, group: &str) {
        while self.lag(group) != Some(0) {
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(super) fn next_seq(&self) -> u64 {
        self.seq.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn ring_id(&self) -> u64 {
        self.ring.id().0
    }

    pub(super) fn context(&self) -> Arc<Context> {
        Arc::clone(&self.context)
    }

    pub(super) fn publish(&self, header: &Header, record: &[u8]) {
        let mut producer = self.producer();
        let tag = header.kind.number().into();
        let meta = Meta { key: header.key, tag, source: header.origin.position, ..Meta::default() };
        match producer.stage(&meta, &[record]) {
            Ok(_) => producer.publish(),
            Err(StageError::Full) => panic!("the bed's ring is full: a group handles nothing"),
            Err(error) => panic!("the bed's ring takes no such event: {error}"),
        };
    }

    fn producer(&self) -> MutexGuard<'_, Producer> {
        self.producer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn world(&self) -> RwLockWriteGuard<'_, World> {
        self.world.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Testbed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Testbed").finish_non_exhaustive()
    }
}

/// Where an entity says its id.
fn id_of(resource: Resource, entity: Value<'_>) -> Option<u64> {
    match resource {
        Resource::Members | Resource::Presences => entity.get(atoms::USER)?.get(atoms::ID),
        Resource::VoiceStates => entity.get(atoms::USER_ID),
        Resource::SoundboardSounds => entity.get(atoms::SOUND_ID),
        _ => entity.get(atoms::ID),
    }?
    .as_id()
}
