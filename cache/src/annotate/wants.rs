//! What a record will ask the store for, guessed from its payload before its turn comes.
//!
//! Nearly everything that a busy bot's state holds is far from the processor when its event comes: to wait
//! for it is most of what an event costs. So it is sent for some records ahead.

use mixcord_event::{Kind, Map, Record, Value, atoms};
use mixcord_state::tables::{
    CHANNEL_FACTS, DEPARTED, GUILD_FACTS, MEMBERS, PRESENCES, USERS, VOICE_STATES,
};
use mixcord_state::{Cached, Key, Pairs};

use super::id_in;
use crate::store::Subject;

/// Places in the store that a record will want. A guess: nothing but time depends on it.
#[derive(Clone, Copy, Default, Debug)]
pub struct Wants {
    /// Values that are read, and mostly written anew.
    pub values: [Option<Key>; 3],
    /// What is asked for and mostly not there.
    pub absent: Option<Key>,
    /// A message that is found by the channel facts under the first of the values.
    pub message: Option<u64>,
    /// Whom it speaks of.
    pub subjects: [Option<Subject>; 2],
}

/// What is looked at of a payload, as far as it is there.
#[derive(Clone, Copy, Default)]
struct Names {
    guild: Option<u64>,
    channel: Option<u64>,
    id: Option<u64>,
    message: Option<u64>,
    user: Option<u64>,
}

impl Wants {
    /// What the record will want, which need not be checked.
    #[must_use]
    pub fn of(record: &Record<'_>) -> Self {
        let kind = record.kind();
        match kind {
            Kind::PRESENCE_UPDATE
            | Kind::MESSAGE_CREATE
            | Kind::MESSAGE_UPDATE
            | Kind::MESSAGE_DELETE
            | Kind::MESSAGE_REACTION_ADD
            | Kind::MESSAGE_REACTION_REMOVE
            | Kind::TYPING_START
            | Kind::GUILD_MEMBER_UPDATE
            | Kind::VOICE_STATE_UPDATE => {}
            _ => return Self::default(),
        }
        let names = Names::of(record.data().as_map().unwrap_or(Map::EMPTY));
        let guild = names.guild.unwrap_or(0);
        let of_user = |table: Pairs| names.user.map(|user| table.at(guild, user));
        let channel = names.channel.map(|channel| CHANNEL_FACTS.at(guild, channel));
        let facts = Some(GUILD_FACTS.at(guild));
        let member = names.user.map(|user| Subject::Member { guild, user });
        let people = Self { subjects: [member, names.user.map(Subject::User)], ..Self::default() };
        match kind {
            Kind::PRESENCE_UPDATE => {
                Self { values: [of_user(PRESENCES), facts, None], ..Self::default() }
            }
            Kind::MESSAGE_CREATE => {
                let received_us = record.header().received_us;
                let absent = names.id.map(|id| Cached { id, received_us }.key());
                Self { values: [channel, None, None], absent, ..people }
            }
            Kind::MESSAGE_UPDATE | Kind::MESSAGE_DELETE => {
                Self { values: [channel, None, None], message: names.id, ..Self::default() }
            }
            Kind::MESSAGE_REACTION_ADD | Kind::MESSAGE_REACTION_REMOVE => {
                Self { values: [channel, None, None], message: names.message, ..people }
            }
            Kind::GUILD_MEMBER_UPDATE => {
                let user = names.user.map(|user| USERS.at(user));
                Self { values: [of_user(MEMBERS), user, facts], ..people }
            }
            Kind::VOICE_STATE_UPDATE => Self {
                values: [of_user(VOICE_STATES), facts, None],
                absent: of_user(DEPARTED),
                ..people
            },
            _ => people,
        }
    }
}

impl Names {
    /// One walk over the payload, which comes near by it, too.
    fn of(data: Map<'_>) -> Self {
        let mut names = Self::default();
        let inner = |value: Value<'_>| value.as_map().and_then(|map| id_in(map, atoms::ID));
        for (key, value) in data.iter() {
            let Some(key) = key.atom() else { continue };
            if key == atoms::GUILD_ID {
                names.guild = value.as_id();
            } else if key == atoms::CHANNEL_ID {
                names.channel = value.as_id();
            } else if key == atoms::ID {
                names.id = value.as_id();
            } else if key == atoms::MESSAGE_ID {
                names.message = value.as_id();
            } else if key == atoms::USER_ID {
                names.user = value.as_id();
            } else if key == atoms::USER || key == atoms::AUTHOR {
                names.user = inner(value);
            }
        }
        names
    }
}
