//! What a record will ask the store for, guessed from its payload before its turn comes.
//!
//! Nearly everything that a busy bot's state holds is far from the processor when its event comes: to wait
//! for it is most of what an event costs. So it is sent for some records ahead.

use mixcord_event::{Kind, Map, Record, atoms};
use mixcord_state::tables::{
    CHANNEL_FACTS, CHANNEL_MAP, DEPARTED, GUILD_FACTS, MEMBERS, PRESENCES, USERS, VOICE_STATES,
};
use mixcord_state::{Cached, Key, Pairs};

use super::document::id_in;
use super::names::Names;
use crate::store::Subject;

/// Places in the store that a record will want. A guess: nothing but time depends on it.
#[derive(Clone, Copy, Default, Debug)]
pub struct Wants {
    /// Values that are read, and mostly written anew.
    pub values: [Option<Key>; 3],
    /// What is asked for and mostly not there.
    pub absent: Option<Key>,
    /// What is read where the first of the values is not there.
    pub instead: [Option<Key>; 2],
    /// A channel and a message of it, which is found by what is known about the channel: the first of the values.
    pub message: Option<(u64, u64)>,
    /// Whom it speaks of.
    pub subjects: [Option<Subject>; 2],
}

impl Wants {
    /// What the record will want, which need not be checked, of a store that has what is known about a channel in one
    /// value with its guild, or has not.
    #[must_use]
    pub fn of(record: &Record<'_>, names: &Names<'_>, has_channels_whole: bool) -> Self {
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
        let guild = names.guild.unwrap_or(0);
        let of_map = |user: Option<Map<'_>>| user.and_then(|user| id_in(user, atoms::ID));
        let user = names.user_id.or_else(|| of_map(names.user)).or_else(|| of_map(names.author));
        let of_user = |table: Pairs| user.map(|user| table.at(guild, user));
        let channel = names.channel.map(|channel| match has_channels_whole {
            true => CHANNEL_MAP.at(channel),
            false => CHANNEL_FACTS.at(guild, channel),
        });
        let facts = Some(GUILD_FACTS.at(guild));
        let member = user.map(|user| Subject::Member { guild, user });
        let people = Self { subjects: [member, user.map(Subject::User)], ..Self::default() };
        match kind {
            Kind::PRESENCE_UPDATE => {
                let instead = [of_user(MEMBERS), facts];
                Self { values: [of_user(PRESENCES), None, None], instead, ..Self::default() }
            }
            Kind::MESSAGE_CREATE => {
                let received_us = record.header().received_us;
                let absent = names.id.map(|id| Cached { id, received_us }.key());
                Self { values: [channel, None, None], absent, ..people }
            }
            Kind::MESSAGE_UPDATE | Kind::MESSAGE_DELETE => {
                let message = names.channel.zip(names.id);
                Self { values: [channel, None, None], message, ..Self::default() }
            }
            Kind::MESSAGE_REACTION_ADD | Kind::MESSAGE_REACTION_REMOVE => {
                let message = names.channel.zip(names.message);
                Self { values: [channel, None, None], message, ..people }
            }
            Kind::GUILD_MEMBER_UPDATE => {
                let user = user.map(|user| USERS.at(user));
                Self { values: [of_user(MEMBERS), user, facts], ..people }
            }
            Kind::VOICE_STATE_UPDATE => {
                let user = user.map(|user| USERS.at(user));
                let values = [of_user(VOICE_STATES), of_user(MEMBERS), user];
                Self { values, absent: of_user(DEPARTED), ..people }
            }
            _ => people,
        }
    }
}
