//! The cache's state, asked from your own process: guilds, members, messages as they are now.
//!
//! A handler asks through its event, anything else through [`State::attach`]:
//!
//! ```no_run
//! use mixcord::{Event, atoms};
//!
//! async fn greet(event: Event) -> Result<(), mixcord::state::Error> {
//!     let Some(guild) = event.guild_id() else { return Ok(()) };
//!     if let Some(guild) = event.state().guild(guild)? {
//!         println!("it happened in {:?}", guild.get(atoms::NAME));
//!     }
//!     Ok(())
//! }
//! ```
//!
//! * **At or after the event.** The cache commits its state before it publishes the event, so what a
//!   handler is told already contains the event, and perhaps later ones.
//! * **Nobody is asked.** A query reads the cache's store from shared memory, in about a microsecond and
//!   without a lock, from any thread; it disturbs neither the cache nor other readers, and answers while the
//!   cache is away too. While the cache stores a batch it waits for that, some microseconds; half a second,
//!   once, where the cache was killed in it.
//! * **Owned answers.** Each call copies what it needs, and nobody has to know of those who read. Each value
//!   in an answer is whole and current; what is kept apart and changed in one moment (a member and its user)
//!   may be read one before and one after it, both at or after the event.
//! * **Missing is `None`.** An entity that is not cached, that the intents do not show, or whose
//!   resource is switched off is not an error.

mod attach;
mod entities;
mod error;
mod look;
mod many;
mod permissions;
#[cfg(feature = "testing")]
mod world;

use std::fmt;
use std::sync::Arc;
#[cfg(feature = "testing")]
use std::sync::RwLock;

use mixcord_event::{Document, topology};
use mixcord_state as store;
pub use mixcord_state::{Found, GuildSnapshot, Resource, ResourceSizes, ResourceStats, StateStats};

use self::attach::Attachment;
pub use self::entities::Entities;
use self::entities::Range;
pub use self::error::Error;
use self::look::Look;
pub use self::many::Get;
pub use self::permissions::Permissions;
#[cfg(feature = "testing")]
pub(crate) use self::world::World;
use crate::options::namespace;

/// The cache's state of one instance, read directly from its store. Clones are the same.
///
/// It follows the cache: a store that was rebuilt is opened again, an instance that starts later is
/// found then. Every call fails with an [`Error`] that says what to do when there is no state.
#[derive(Clone)]
pub struct State {
    source: Source,
}

/// Who answers.
#[derive(Clone)]
enum Source {
    /// The cache's store.
    Store(Arc<Attachment>),
    /// A world made by a test.
    #[cfg(feature = "testing")]
    Made(Arc<RwLock<World>>),
}

/// The answer of a query for one entity: a document of your own, or `None` when it is not cached.
pub type Answer = Result<Option<Document>, Error>;

impl State {
    /// The state of an instance. Nothing needs to run yet: what is missing is said by each query.
    ///
    /// # Errors
    /// When the name cannot be an instance's.
    ///
    /// ```no_run
    /// use mixcord::atoms;
    ///
    /// let state = mixcord::State::attach("mixcord")?;
    /// for member in state.members(81384788765712384) {
    ///     println!("{:?}", member?.document.get(atoms::USER));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn attach(instance: &str) -> Result<Self, crate::Error> {
        let attachment = Attachment::of(instance, namespace(instance)?);
        Ok(Self { source: Source::Store(attachment) })
    }

    /// Answers from this world.
    #[cfg(feature = "testing")]
    pub(crate) fn made(world: Arc<RwLock<World>>) -> Self {
        Self { source: Source::Made(world) }
    }

    /// A consumer reads this ring from now on. That of a stage says nothing of the state.
    pub(crate) fn follow(&self, ring: &mixcord_ring::Ring) {
        if ring.name() != topology::OUTPUT_RING {
            return;
        }
        match &self.source {
            Source::Store(attachment) => attachment.follow(ring),
            #[cfg(feature = "testing")]
            Source::Made(_) => {}
        }
    }

    /// The instance.
    #[must_use]
    pub fn instance(&self) -> &str {
        match &self.source {
            Source::Store(attachment) => attachment.instance(),
            #[cfg(feature = "testing")]
            Source::Made(_) => "testing",
        }
    }

    /// A guild: its own fields with `member_count`, roles, emojis and stickers. Channels, members
    /// and the like are entities of their own.
    pub fn guild(&self, id: u64) -> Answer {
        self.entity(Resource::Guilds, 0, id)
    }

    /// A channel or thread, wherever it is.
    pub fn channel(&self, id: u64) -> Answer {
        self.ask(|look| look.channel(id))
    }

    /// A role.
    pub fn role(&self, guild: u64, id: u64) -> Answer {
        self.entity(Resource::Roles, guild, id)
    }

    /// A member with its user and the guild's id.
    pub fn member(&self, guild: u64, user: u64) -> Answer {
        self.entity(Resource::Members, guild, user)
    }

    /// A user that some cached guild holds.
    pub fn user(&self, id: u64) -> Answer {
        self.entity(Resource::Users, 0, id)
    }

    /// The presence of a member who is not offline.
    pub fn presence(&self, guild: u64, user: u64) -> Answer {
        self.entity(Resource::Presences, guild, user)
    }

    /// The voice state of a member who is in a voice channel.
    pub fn voice_state(&self, guild: u64, user: u64) -> Answer {
        self.entity(Resource::VoiceStates, guild, user)
    }

    /// A message of the bounded history.
    pub fn message(&self, channel: u64, id: u64) -> Answer {
        self.entity(Resource::Messages, channel, id)
    }

    /// An emoji of a guild.
    pub fn emoji(&self, guild: u64, id: u64) -> Answer {
        self.entity(Resource::Emojis, guild, id)
    }

    /// A sticker of a guild.
    pub fn sticker(&self, guild: u64, id: u64) -> Answer {
        self.entity(Resource::Stickers, guild, id)
    }

    /// The bot's own user.
    pub fn me(&self) -> Answer {
        self.ask(|look| look.me())
    }

    /// The entity of any resource under its id (the user's, of what a member has) and the id of its
    /// guild; of its channel, for a message; 0 for guilds, users and private channels.
    pub fn entity(&self, resource: Resource, owner: u64, id: u64) -> Answer {
        self.ask(|look| look.entity(resource, owner, id))
    }

    /// The guild of a channel or thread; `Some(0)` for a private channel.
    ///
    /// # Errors
    /// When there is no state: see [`Error`].
    pub fn guild_of_channel(&self, channel: u64) -> Result<Option<u64>, Error> {
        self.ask(|look| look.guild_of_channel(channel))
    }

    /// The shard a guild's events come from, and out of how many.
    ///
    /// # Errors
    /// When there is no state: see [`Error`].
    pub fn shard_of_guild(&self, guild: u64) -> Result<Option<(u16, u16)>, Error> {
        self.ask(|look| look.shard_of_guild(guild))
    }

    /// How many members a guild has, if Discord said so, and how many of them are cached.
    ///
    /// # Errors
    /// When there is no state: see [`Error`].
    pub fn member_counts(&self, guild: u64) -> Result<Option<(Option<u64>, u64)>, Error> {
        self.ask(|look| look.member_counts(guild))
    }

    /// A guild with its channels, threads, members, presences and all else that it has, of one moment; `None` where
    /// it is not cached. Its [`position`](GuildSnapshot::position) says which: who goes on with the guild's events
    /// from there ([`Event::position`](crate::Event::position)) has missed none and sees none twice. Of a guild of
    /// which more than `large` members are cached it has only those who are online or in a voice channel, and the bot.
    ///
    /// # Errors
    /// When there is no state: see [`Error`].
    pub fn guild_snapshot(&self, guild: u64, large: usize) -> Result<Option<GuildSnapshot>, Error> {
        self.ask_store(|store| store.guild_snapshot(guild, large))
    }

    /// The cached guilds, by id.
    #[must_use]
    pub fn guilds(&self) -> Entities {
        self.entities(Resource::Guilds)
    }

    /// The cached members of a guild, by user id.
    #[must_use]
    pub fn members(&self, guild: u64) -> Entities {
        self.entities_of(Resource::Members, guild)
    }

    /// The channels of a guild without its threads, by id; with 0, the private channels.
    #[must_use]
    pub fn channels(&self, guild: u64) -> Entities {
        self.entities_of(Resource::Channels, guild)
    }

    /// The threads of a guild, by id.
    #[must_use]
    pub fn threads(&self, guild: u64) -> Entities {
        self.entities_of(Resource::Threads, guild)
    }

    /// The roles of a guild, by id.
    #[must_use]
    pub fn roles(&self, guild: u64) -> Entities {
        self.entities_of(Resource::Roles, guild)
    }

    /// At most `limit` messages of a channel that are older than the message `id`, the newest first.
    /// The newest of all are those before `u64::MAX`.
    #[must_use]
    pub fn messages_before(&self, channel: u64, id: u64, limit: usize) -> Entities {
        self.range(Range::Before { channel, id, limit })
    }

    /// At most `limit` messages of a channel that are newer than the message `id`, the oldest first.
    #[must_use]
    pub fn messages_after(&self, channel: u64, id: u64, limit: usize) -> Entities {
        self.range(Range::After { channel, id, limit })
    }

    /// Every entity of a resource, those of one guild after the other; messages in the order in which
    /// they were received.
    #[must_use]
    pub fn entities(&self, resource: Resource) -> Entities {
        self.range(Range::All(resource))
    }

    /// The entities of a resource that one guild has; one channel, for messages.
    #[must_use]
    pub fn entities_of(&self, resource: Resource, owner: u64) -> Entities {
        self.range(Range::Of(resource, owner))
    }

    /// How many entities of a resource are cached.
    ///
    /// # Errors
    /// When there is no state: see [`Error`].
    pub fn count(&self, resource: Resource) -> Result<u64, Error> {
        self.ask(|look| look.count(resource))
    }

    /// Entities and bytes of each resource, and of the store.
    ///
    /// # Errors
    /// When there is no state: see [`Error`].
    pub fn stats(&self) -> Result<StateStats, Error> {
        self.ask_store(store::State::stats)
    }

    /// What the entities of each resource take: as documents, as they are stored, and around that. It looks at
    /// the keys of all of them, and at some of the values.
    ///
    /// # Errors
    /// When there is no state: see [`Error`].
    pub fn sizes(&self) -> Result<Vec<ResourceSizes>, Error> {
        self.ask_store(store::State::sizes)
    }

    /// Where the store is.
    ///
    /// # Errors
    /// When there is no state: see [`Error`].
    pub fn directory(&self) -> Result<std::path::PathBuf, Error> {
        self.ask_store(|store| Ok(store.dir().to_owned()))
    }

    fn range(&self, range: Range) -> Entities {
        match &self.source {
            Source::Store(_) => Entities::scanned(self, range.scan()),
            #[cfg(feature = "testing")]
            Source::Made(world) => {
                let world = world.read().unwrap_or_else(std::sync::PoisonError::into_inner);
                Entities::listed(self, world.list(range))
            }
        }
    }

    fn ask<T>(
        &self,
        question: impl Fn(&dyn Look) -> Result<T, store::StoreError>,
    ) -> Result<T, Error> {
        match &self.source {
            Source::Store(attachment) => attachment.ask(|store| question(store)),
            #[cfg(feature = "testing")]
            Source::Made(world) => {
                let world = world.read().unwrap_or_else(std::sync::PoisonError::into_inner);
                let instance = "testing".to_owned();
                question(&*world).map_err(|source| Error::Store { instance, source })
            }
        }
    }

    /// What only a store can answer.
    fn ask_store<T>(
        &self,
        question: impl Fn(&store::State) -> Result<T, store::StoreError>,
    ) -> Result<T, Error> {
        match &self.source {
            Source::Store(attachment) => attachment.ask(question),
            #[cfg(feature = "testing")]
            Source::Made(_) => Err(Error::Made),
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("State").field(&self.instance()).finish()
    }
}
