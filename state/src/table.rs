//! The tables: which there are, and how many ids their keys have.

use mixcord_table::{Key as TableKey, TableId};

use crate::{Key, Range, Resource};

/// A table of the store. Its number is part of the store's format.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Table {
    /// What belongs to no entity; keys in [`meta`](crate::meta).
    Meta,
    /// guild → its own fields, without collections and counts.
    Guilds,
    /// guild → [`GuildFacts`](crate::GuildFacts); exists for every guild heard of, cached or not.
    GuildFacts,
    /// guild → list of its emojis, in Discord's order.
    Emojis,
    /// guild → list of its stickers, in Discord's order.
    Stickers,
    /// guild, role → role.
    Roles,
    /// guild → ids of its roles in Discord's order, eight bytes each.
    RoleOrder,
    /// guild (0 for a private one), channel → channel.
    Channels,
    /// guild, thread → thread.
    Threads,
    /// guild, channel or thread → nothing, where it is cached neither as one nor as the other: it is known by its
    /// messages alone. In stores of before [`CHANNELS_WHOLE_SINCE`](crate::format::CHANNELS_WHOLE_SINCE) of each
    /// channel and thread what is known about it, without its guild.
    ChannelFacts,
    /// channel or thread → [`ChannelFacts`](crate::ChannelFacts): its guild and its messages among them. In stores of
    /// before the guild alone, eight bytes.
    ChannelMap,
    /// guild, user → member, without the user and the guild's id.
    Members,
    /// user → [`Tally`](crate::Tally) of the guilds that hold it, then the user.
    Users,
    /// guild, user → presence.
    Presences,
    /// guild, user → voice state, without the member where that is cached itself.
    VoiceStates,
    /// receive time and id, in order ([`Cached::key`](crate::Cached::key)) → message.
    Messages,
    /// guild, stage instance → stage instance.
    StageInstances,
    /// guild, scheduled event → scheduled event.
    ScheduledEvents,
    /// guild, sound → soundboard sound.
    Sounds,
    /// guild, integration → integration.
    Integrations,
    /// guild, rule → auto moderation rule.
    AutomodRules,
    /// guild, user → when it left, in microseconds since 1970, eight bytes; for a while only.
    Departed,
    /// guild, user → nothing: a member that only other events told, which `member_count` does not count
    /// before its GUILD_MEMBER_ADD.
    Uncounted,
    /// Of threads that are archived, since when: in the order of that ([`Archived::key`](crate::Archived::key)) → nothing;
    /// and by thread ([`Archived::since`](crate::Archived::since)) → microseconds since 1970, guild, eight bytes each.
    Archived,
}

impl Table {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 24] = [
        Self::Meta,
        Self::Guilds,
        Self::GuildFacts,
        Self::Emojis,
        Self::Stickers,
        Self::Roles,
        Self::RoleOrder,
        Self::Channels,
        Self::Threads,
        Self::ChannelFacts,
        Self::ChannelMap,
        Self::Members,
        Self::Users,
        Self::Presences,
        Self::VoiceStates,
        Self::Messages,
        Self::StageInstances,
        Self::ScheduledEvents,
        Self::Sounds,
        Self::Integrations,
        Self::AutomodRules,
        Self::Departed,
        Self::Uncounted,
        Self::Archived,
    ];

    /// Its place in [`Table::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether its keys are pairs of ids.
    #[must_use]
    pub(crate) const fn is_of_pairs(self) -> bool {
        !matches!(
            self,
            Self::Guilds
                | Self::GuildFacts
                | Self::Emojis
                | Self::Stickers
                | Self::RoleOrder
                | Self::ChannelMap
                | Self::Users
        )
    }

    /// The key of these ids, if keys of this table may have them: where they are of one id, the second is 0.
    #[must_use]
    pub const fn checked_key(self, owner: u64, id: u64) -> Option<Key> {
        if self.is_of_pairs() || id == 0 { Some(Key::new(self, owner, id)) } else { None }
    }

    /// Its name in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Guilds => "guilds",
            Self::GuildFacts => "guild_facts",
            Self::Emojis => "emojis",
            Self::Stickers => "stickers",
            Self::Roles => "roles",
            Self::RoleOrder => "role_order",
            Self::Channels => "channels",
            Self::Threads => "threads",
            Self::ChannelFacts => "channel_facts",
            Self::ChannelMap => "channel_map",
            Self::Members => "members",
            Self::Users => "users",
            Self::Presences => "presences",
            Self::VoiceStates => "voice_states",
            Self::Messages => "messages",
            Self::StageInstances => "stage_instances",
            Self::ScheduledEvents => "scheduled_events",
            Self::Sounds => "soundboard_sounds",
            Self::Integrations => "integrations",
            Self::AutomodRules => "automod_rules",
            Self::Departed => "departed",
            Self::Uncounted => "uncounted",
            Self::Archived => "archived",
        }
    }

    pub(crate) const fn id(self) -> TableId {
        let number = self as u16;
        let id = match self.is_of_pairs() {
            true => TableId::of_pairs(number),
            false => TableId::of_ids(number),
        };
        match id {
            Some(id) => id,
            None => unreachable!(),
        }
    }

    /// The table that the map in memory knows by this.
    pub(crate) fn of(id: TableId) -> Option<Self> {
        let table = *Self::ALL.get(usize::from(id.number()))?;
        (table.id() == id).then_some(table)
    }

    /// The key with these ids, of which a table of single ids takes the first.
    #[must_use]
    pub const fn key(self, owner: u64, id: u64) -> Key {
        Key::new(self, owner, if self.is_of_pairs() { id } else { 0 })
    }

    /// All of its keys.
    #[must_use]
    pub const fn all(self) -> Range {
        let id = if self.is_of_pairs() { u64::MAX } else { 0 };
        Range { first: Key::new(self, 0, 0), last: Key::new(self, u64::MAX, id) }
    }

    /// Its keys under a guild's id: the one, or all that the guild owns.
    #[must_use]
    pub const fn of_guild(self, guild: u64) -> Range {
        let id = if self.is_of_pairs() { u64::MAX } else { 0 };
        Range { first: Key::new(self, guild, 0), last: Key::new(self, guild, id) }
    }

    /// The resource whose entities it holds, if it holds entities.
    #[must_use]
    pub const fn resource(self) -> Option<Resource> {
        Some(match self {
            Self::Guilds => Resource::Guilds,
            Self::Emojis => Resource::Emojis,
            Self::Stickers => Resource::Stickers,
            Self::Roles => Resource::Roles,
            Self::Channels => Resource::Channels,
            Self::Threads => Resource::Threads,
            Self::Members => Resource::Members,
            Self::Users => Resource::Users,
            Self::Presences => Resource::Presences,
            Self::VoiceStates => Resource::VoiceStates,
            Self::Messages => Resource::Messages,
            Self::StageInstances => Resource::StageInstances,
            Self::ScheduledEvents => Resource::ScheduledEvents,
            Self::Sounds => Resource::SoundboardSounds,
            Self::Integrations => Resource::Integrations,
            Self::AutomodRules => Resource::AutomodRules,
            Self::Meta
            | Self::GuildFacts
            | Self::RoleOrder
            | Self::ChannelFacts
            | Self::ChannelMap
            | Self::Departed
            | Self::Uncounted
            | Self::Archived => return None,
        })
    }
}

/// A key as the map in memory has it.
pub(crate) const fn at(key: Key) -> TableKey {
    TableKey::new(key.owner(), key.id())
}

/// A table whose keys are single ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Singles(Table);

impl Singles {
    /// The key of an id.
    #[must_use]
    pub const fn at(self, id: u64) -> Key {
        Key::new(self.0, id, 0)
    }

    /// All of its keys.
    #[must_use]
    pub const fn all(self) -> Range {
        self.0.all()
    }

    /// Which table it is.
    #[must_use]
    pub const fn table(self) -> Table {
        self.0
    }
}

/// A table whose keys are an owner's id and the id of what it owns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pairs(Table);

impl Pairs {
    /// The key of what `owner` owns under `id`.
    #[must_use]
    pub const fn at(self, owner: u64, id: u64) -> Key {
        Key::new(self.0, owner, id)
    }

    /// Every key of `owner`.
    #[must_use]
    pub const fn of(self, owner: u64) -> Range {
        self.0.of_guild(owner)
    }

    /// Every key of all owners up to `last`.
    #[must_use]
    pub const fn up_to(self, last: u64) -> Range {
        Range { first: self.at(0, 0), last: self.at(last, u64::MAX) }
    }

    /// All of its keys.
    #[must_use]
    pub const fn all(self) -> Range {
        self.0.all()
    }

    /// Which table it is.
    #[must_use]
    pub const fn table(self) -> Table {
        self.0
    }
}

/// The tables by their kind of keys.
pub mod tables {
    use super::{Pairs, Singles, Table};

    /// [`Table::Guilds`].
    pub const GUILDS: Singles = Singles(Table::Guilds);
    /// [`Table::GuildFacts`].
    pub const GUILD_FACTS: Singles = Singles(Table::GuildFacts);
    /// [`Table::Emojis`].
    pub const EMOJIS: Singles = Singles(Table::Emojis);
    /// [`Table::Stickers`].
    pub const STICKERS: Singles = Singles(Table::Stickers);
    /// [`Table::Roles`].
    pub const ROLES: Pairs = Pairs(Table::Roles);
    /// [`Table::RoleOrder`].
    pub const ROLE_ORDER: Singles = Singles(Table::RoleOrder);
    /// [`Table::Channels`].
    pub const CHANNELS: Pairs = Pairs(Table::Channels);
    /// [`Table::Threads`].
    pub const THREADS: Pairs = Pairs(Table::Threads);
    /// [`Table::ChannelFacts`].
    pub const CHANNEL_FACTS: Pairs = Pairs(Table::ChannelFacts);
    /// [`Table::ChannelMap`].
    pub const CHANNEL_MAP: Singles = Singles(Table::ChannelMap);
    /// [`Table::Members`].
    pub const MEMBERS: Pairs = Pairs(Table::Members);
    /// [`Table::Users`].
    pub const USERS: Singles = Singles(Table::Users);
    /// [`Table::Presences`].
    pub const PRESENCES: Pairs = Pairs(Table::Presences);
    /// [`Table::VoiceStates`].
    pub const VOICE_STATES: Pairs = Pairs(Table::VoiceStates);
    /// [`Table::Messages`].
    pub const MESSAGES: Pairs = Pairs(Table::Messages);
    /// [`Table::StageInstances`].
    pub const STAGE_INSTANCES: Pairs = Pairs(Table::StageInstances);
    /// [`Table::ScheduledEvents`].
    pub const SCHEDULED_EVENTS: Pairs = Pairs(Table::ScheduledEvents);
    /// [`Table::Sounds`].
    pub const SOUNDS: Pairs = Pairs(Table::Sounds);
    /// [`Table::Integrations`].
    pub const INTEGRATIONS: Pairs = Pairs(Table::Integrations);
    /// [`Table::AutomodRules`].
    pub const AUTOMOD_RULES: Pairs = Pairs(Table::AutomodRules);
    /// [`Table::Departed`].
    pub const DEPARTED: Pairs = Pairs(Table::Departed);
    /// [`Table::Uncounted`].
    pub const UNCOUNTED: Pairs = Pairs(Table::Uncounted);
    /// [`Table::Archived`].
    pub const ARCHIVED: Pairs = Pairs(Table::Archived);

    /// Those under a guild whose keys begin with its id, in the order they are freed.
    pub const OF_GUILD: [Table; 17] = [
        Table::Guilds,
        Table::GuildFacts,
        Table::Emojis,
        Table::Stickers,
        Table::Roles,
        Table::RoleOrder,
        Table::Channels,
        Table::Threads,
        Table::Presences,
        Table::VoiceStates,
        Table::StageInstances,
        Table::ScheduledEvents,
        Table::Sounds,
        Table::Integrations,
        Table::AutomodRules,
        Table::Departed,
        Table::Uncounted,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_part_of_the_format() {
        for (number, table) in Table::ALL.into_iter().enumerate() {
            assert_eq!((table.index(), table.id().number()), (number, number as u16));
            assert_eq!(table.id().is_of_pairs(), table.is_of_pairs());
        }
        assert_eq!(Table::Members as u16, 11);
        assert_eq!(Table::Uncounted as u16, 22);
        assert_eq!(Table::Archived as u16, 23);
    }

    #[test]
    fn keys_of_a_kind_of_table_belong_to_it() {
        assert!(tables::GUILDS.at(5) < tables::GUILDS.at(6));
        assert!(tables::MEMBERS.of(7).contains(tables::MEMBERS.at(7, u64::MAX)));
        assert!(!tables::MEMBERS.of(7).contains(tables::MEMBERS.at(8, 0)));
        assert!(!tables::MEMBERS.of(7).contains(tables::ROLES.at(7, 1)));
        assert!(tables::GUILDS.all().contains(tables::GUILDS.at(u64::MAX)));
        let all = tables::ROLES.all();
        assert_eq!(all.behind(tables::ROLES.at(u64::MAX, u64::MAX)), None);
        let next = all.behind(tables::ROLES.at(3, u64::MAX));
        assert_eq!(next.map(|range| range.first), Some(tables::ROLES.at(4, 0)));
        let users = tables::USERS.all().behind(tables::USERS.at(3));
        assert_eq!(users.map(|range| range.first), Some(tables::USERS.at(4)));
    }
}
