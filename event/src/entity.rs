//! The entity an event is about, before and after it, in one shape for every kind.
//!
//! An event's data keeps Discord's shape, which for some kinds wraps the entity (`{guild_id, role}`), or is a
//! part of it (the pins of a channel). [`EntityChange`] has the entity itself on both sides, as the cache's
//! state has it, so that the two can be read into one type and compared.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::{
    Document, Flags, Kind, Map, ReadError, Record, Value, Writer,
    atom::{Atom, atoms},
    edit,
};

/// What an event is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Entity {
    /// A guild: its own fields, with roles, emojis and stickers.
    Guild,
    /// A channel.
    Channel,
    /// A list of channels.
    Channels,
    /// A thread.
    Thread,
    /// A member, with its user.
    Member,
    /// A user.
    User,
    /// A role.
    Role,
    /// All emojis of a guild: `{guild_id, emojis}`.
    Emojis,
    /// All stickers of a guild: `{guild_id, stickers}`.
    Stickers,
    /// A scheduled event.
    ScheduledEvent,
    /// A stage instance.
    StageInstance,
    /// A sound of a guild's soundboard.
    SoundboardSound,
    /// An integration.
    Integration,
    /// A rule of auto moderation.
    AutoModerationRule,
    /// A message.
    Message,
    /// A list of messages.
    Messages,
    /// A presence.
    Presence,
    /// A voice state, without the member that Discord puts into it.
    VoiceState,
}

/// Where the entity after an event is.
#[derive(Clone, Copy)]
enum After {
    /// It is the data.
    Data,
    /// It is a member of the data.
    Under(Atom),
    /// There is none any more.
    Gone,
    /// It is the old one with these fields of the data.
    Fields(&'static [Atom]),
    /// Each of a list is its old one with these fields of the data's list.
    Listed(&'static [Atom]),
    /// Each kind has its own rule.
    Arrival,
    Departure,
    Edit,
    NewThread,
    OwnMembership,
    Voice,
}

/// Members of `GUILD_CREATE` that are entities of their own.
const APART: [Atom; 8] = [
    atoms::CHANNELS,
    atoms::THREADS,
    atoms::MEMBERS,
    atoms::PRESENCES,
    atoms::VOICE_STATES,
    atoms::STAGE_INSTANCES,
    atoms::GUILD_SCHEDULED_EVENTS,
    atoms::SOUNDBOARD_SOUNDS,
];

/// One row for each kind that is about an entity.
const fn row(kind: Kind) -> Option<(Entity, After)> {
    use After::*;
    Some(match kind {
        Kind::GUILD_CREATE => (Entity::Guild, Arrival),
        Kind::GUILD_UPDATE => (Entity::Guild, Data),
        Kind::GUILD_DELETE => (Entity::Guild, Departure),
        Kind::CHANNEL_CREATE | Kind::CHANNEL_UPDATE => (Entity::Channel, Data),
        Kind::CHANNEL_DELETE => (Entity::Channel, Gone),
        Kind::CHANNEL_PINS_UPDATE => (Entity::Channel, Fields(&[atoms::LAST_PIN_TIMESTAMP])),
        Kind::VOICE_CHANNEL_STATUS_UPDATE => (Entity::Channel, Fields(&[atoms::STATUS])),
        Kind::VOICE_CHANNEL_START_TIME_UPDATE => {
            (Entity::Channel, Fields(&[atoms::VOICE_START_TIME]))
        }
        Kind::CHANNEL_INFO => (Entity::Channels, Listed(&[atoms::STATUS, atoms::VOICE_START_TIME])),
        Kind::THREAD_CREATE => (Entity::Thread, NewThread),
        Kind::THREAD_UPDATE => (Entity::Thread, Data),
        Kind::THREAD_DELETE => (Entity::Thread, Gone),
        Kind::THREAD_MEMBER_UPDATE => (Entity::Thread, OwnMembership),
        Kind::THREAD_MEMBERS_UPDATE => (Entity::Thread, Fields(&[atoms::MEMBER_COUNT])),
        Kind::GUILD_MEMBER_ADD | Kind::GUILD_MEMBER_UPDATE => (Entity::Member, Data),
        Kind::GUILD_MEMBER_REMOVE => (Entity::Member, Gone),
        Kind::USER_UPDATE => (Entity::User, Data),
        Kind::GUILD_ROLE_CREATE | Kind::GUILD_ROLE_UPDATE => (Entity::Role, Under(atoms::ROLE)),
        Kind::GUILD_ROLE_DELETE => (Entity::Role, Gone),
        Kind::GUILD_EMOJIS_UPDATE => (Entity::Emojis, Data),
        Kind::GUILD_STICKERS_UPDATE => (Entity::Stickers, Data),
        Kind::GUILD_SCHEDULED_EVENT_CREATE | Kind::GUILD_SCHEDULED_EVENT_UPDATE => {
            (Entity::ScheduledEvent, Data)
        }
        Kind::GUILD_SCHEDULED_EVENT_DELETE => (Entity::ScheduledEvent, Gone),
        Kind::STAGE_INSTANCE_CREATE | Kind::STAGE_INSTANCE_UPDATE => (Entity::StageInstance, Data),
        Kind::STAGE_INSTANCE_DELETE => (Entity::StageInstance, Gone),
        Kind::GUILD_SOUNDBOARD_SOUND_CREATE | Kind::GUILD_SOUNDBOARD_SOUND_UPDATE => {
            (Entity::SoundboardSound, Data)
        }
        Kind::GUILD_SOUNDBOARD_SOUND_DELETE => (Entity::SoundboardSound, Gone),
        Kind::INTEGRATION_CREATE | Kind::INTEGRATION_UPDATE => (Entity::Integration, Data),
        Kind::INTEGRATION_DELETE => (Entity::Integration, Gone),
        Kind::AUTO_MODERATION_RULE_CREATE | Kind::AUTO_MODERATION_RULE_UPDATE => {
            (Entity::AutoModerationRule, Data)
        }
        Kind::AUTO_MODERATION_RULE_DELETE => (Entity::AutoModerationRule, Gone),
        Kind::MESSAGE_CREATE => (Entity::Message, Data),
        Kind::MESSAGE_UPDATE => (Entity::Message, Edit),
        Kind::MESSAGE_DELETE => (Entity::Message, Gone),
        Kind::MESSAGE_DELETE_BULK => (Entity::Messages, Gone),
        Kind::PRESENCE_UPDATE => (Entity::Presence, Data),
        Kind::VOICE_STATE_UPDATE => (Entity::VoiceState, Voice),
        _ => return None,
    })
}

impl Entity {
    /// What events of this kind are about; `None` for those about no entity that the cache keeps, which have
    /// neither old nor new.
    #[must_use]
    pub fn of(kind: Kind) -> Option<Self> {
        row(kind).map(|(entity, _)| entity)
    }

    /// Its name for people: `scheduled event`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Guild => "guild",
            Self::Channel => "channel",
            Self::Channels => "list of channels",
            Self::Thread => "thread",
            Self::Member => "member",
            Self::User => "user",
            Self::Role => "role",
            Self::Emojis => "emojis",
            Self::Stickers => "stickers",
            Self::ScheduledEvent => "scheduled event",
            Self::StageInstance => "stage instance",
            Self::SoundboardSound => "soundboard sound",
            Self::Integration => "integration",
            Self::AutoModerationRule => "auto moderation rule",
            Self::Message => "message",
            Self::Messages => "list of messages",
            Self::Presence => "presence",
            Self::VoiceState => "voice state",
        }
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An entity before and after an event.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct EntityChange {
    /// What it is.
    pub entity: Entity,
    /// As it was; `None` where it did not exist, or was not cached.
    pub old: Option<Document>,
    /// As it is now; `None` where it was deleted, or the event has only a part of it and the rest was not cached.
    pub new: Option<Document>,
}

impl EntityChange {
    /// Of a record; `None` for kinds that are about no entity ([`Entity::of`]).
    #[must_use]
    pub fn of(record: &Record<'_>) -> Option<Self> {
        Self::between(record.kind(), record.header().flags, record.data(), record.old())
    }

    /// Of an event of this kind with these flags, data and old entity.
    #[must_use]
    pub fn between(
        kind: Kind,
        flags: Flags,
        data: Value<'_>,
        old: Option<Value<'_>>,
    ) -> Option<Self> {
        let (entity, after) = row(kind)?;
        let both = old.and_then(Value::as_map).zip(data.as_map());
        let new = match after {
            After::Data => Some(data.to_document()),
            After::Under(key) => data.get(key).map(Value::to_document),
            After::Gone => None,
            After::Fields(fields) => both.map(|(old, data)| with_fields(old, data, fields)),
            After::Listed(fields) => old.map(|old| each_with_fields(old, data, fields)),
            After::Arrival => data
                .as_map()
                .filter(|_| !is_unavailable(data))
                .map(|guild| edited(|out| edit::without(guild, &APART, out))),
            After::Departure => both.filter(|_| is_unavailable(data)).map(|(old, _)| {
                edited(|out| edit::with(old, &[(atoms::UNAVAILABLE, Value::Bool(true))], out))
            }),
            // What came too late changed nothing.
            After::Edit if flags.contains(Flags::STALE) => old.map(Value::to_document),
            After::Edit => Some(data.to_document()),
            After::NewThread => data
                .as_map()
                .map(|thread| edited(|out| edit::without(thread, &[atoms::NEWLY_CREATED], out))),
            After::OwnMembership => both.map(|(old, data)| {
                let member = edited(|out| edit::without(data, &[atoms::GUILD_ID], out));
                edited(|out| edit::with(old, &[(atoms::MEMBER, member.value())], out))
            }),
            After::Voice if data.get(atoms::CHANNEL_ID).is_some_and(Value::is_null) => None,
            After::Voice => data.as_map().map(|state| {
                let whole =
                    edited(|out| edit::merge(both.map_or(Map::EMPTY, |(old, _)| old), state, out));
                without_member(whole.value())
            }),
        };
        let old = old.map(|old| match after {
            After::Voice => without_member(old),
            _ => old.to_document(),
        });
        Some(Self { entity, old, new })
    }

    /// Every place where the two differ; none where one of them is missing.
    #[must_use]
    pub fn changes(&self) -> Vec<edit::Change<'_>> {
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => edit::changes(old.value(), new.value()),
            _ => Vec::new(),
        }
    }

    /// Both read into a type of yours: old, then new.
    ///
    /// # Errors
    /// When one of them does not fit the type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<(Option<T>, Option<T>), ReadError> {
        let read = |side: &Option<Document>| side.as_ref().map(Document::read).transpose();
        Ok((read(&self.old)?, read(&self.new)?))
    }
}

fn is_unavailable(guild: Value<'_>) -> bool {
    guild.get(atoms::UNAVAILABLE).and_then(Value::as_bool) == Some(true)
}

fn edited(edit: impl FnOnce(&mut Vec<u8>)) -> Document {
    let mut bytes = Vec::new();
    edit(&mut bytes);
    Document::trusted(bytes)
}

fn with_fields(old: Map<'_>, data: Map<'_>, fields: &[Atom]) -> Document {
    let some = edited(|out| edit::only(data, fields, out));
    edited(|out| edit::merge(old, some.value().as_map().unwrap_or(Map::EMPTY), out))
}

/// A list of channels, each with the fields that the data's list has for it.
fn each_with_fields(old: Value<'_>, data: Value<'_>, fields: &[Atom]) -> Document {
    let listed = |id| {
        let channels = data.get(atoms::CHANNELS)?.as_list()?;
        channels.iter().find(|item| item.get(atoms::ID) == Some(id))?.as_map()
    };
    edited(|out| {
        let mut list = Writer::new(out).list();
        for channel in old.as_list().into_iter().flat_map(|list| list.iter()) {
            let own = channel.as_map().zip(channel.get(atoms::ID).and_then(listed));
            match own {
                Some((channel, data)) => list.push(with_fields(channel, data, fields).value()),
                None => list.push(channel),
            }
        }
        list.end();
    })
}

fn without_member(state: Value<'_>) -> Document {
    match state.as_map() {
        Some(map) => edited(|out| edit::without(map, &[atoms::MEMBER], out)),
        None => state.to_document(),
    }
}
