//! Several entities in one question.

use mixcord_event::Document;

use super::look::Look;
use super::{Error, Resource, State};

/// An entity to be asked for by [`State::get_many`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Get {
    /// The guild of this id.
    Guild(u64),
    /// The channel or thread of this id.
    Channel(u64),
    /// A guild's role.
    Role(u64, u64),
    /// A guild's member, by the user's id.
    Member(u64, u64),
    /// A user.
    User(u64),
    /// The presence of a guild's member.
    Presence(u64, u64),
    /// The voice state of a guild's member.
    VoiceState(u64, u64),
    /// A channel's message.
    Message(u64, u64),
    /// The bot's own user.
    Me,
    /// The entity of any resource under its owner's id and its own ([`State::entity`]).
    Entity(Resource, u64, u64),
}

impl State {
    /// What a handler asks together: each as its own method gives it, in the order asked, and all of the same
    /// store. Between two of them the cache may have gone on.
    ///
    /// # Errors
    /// When there is no state: see [`Error`].
    ///
    /// ```no_run
    /// # fn example(state: &mixcord::State, guild: u64, user: u64) -> Result<(), mixcord::state::Error> {
    /// use mixcord::state::Get;
    ///
    /// let [guild, member, me] = state.get_many([Get::Guild(guild), Get::Member(guild, user), Get::Me])?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_many<const N: usize>(
        &self,
        wanted: [Get; N],
    ) -> Result<[Option<Document>; N], Error> {
        self.ask(|look| {
            let mut found = [const { None }; N];
            for (place, get) in found.iter_mut().zip(wanted) {
                *place = get.from(look)?;
            }
            Ok(found)
        })
    }
}

impl Get {
    fn from(self, look: &dyn Look) -> Result<Option<Document>, mixcord_state::StoreError> {
        let (resource, owner, id) = match self {
            Self::Channel(id) => return look.channel(id),
            Self::Me => return look.me(),
            Self::Guild(id) => (Resource::Guilds, 0, id),
            Self::User(id) => (Resource::Users, 0, id),
            Self::Role(guild, id) => (Resource::Roles, guild, id),
            Self::Member(guild, user) => (Resource::Members, guild, user),
            Self::Presence(guild, user) => (Resource::Presences, guild, user),
            Self::VoiceState(guild, user) => (Resource::VoiceStates, guild, user),
            Self::Message(channel, id) => (Resource::Messages, channel, id),
            Self::Entity(resource, owner, id) => (resource, owner, id),
        };
        look.entity(resource, owner, id)
    }
}
