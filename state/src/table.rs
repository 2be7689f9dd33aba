//! The tables, and the resources a user may switch off.

use std::fmt;
use std::str::FromStr;

/// A table of the store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Table {
    /// What belongs to no entity; keys in [`meta`].
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
    /// guild, channel or thread → [`ChannelFacts`](crate::ChannelFacts), its messages among them.
    ChannelFacts,
    /// channel or thread → guild, eight bytes.
    ChannelMap,
    /// guild, user → member, without the user and the guild's id.
    Members,
    /// user → [`Tally`](crate::Tally) of the guilds that hold it, then the user.
    Users,
    /// guild, user → presence.
    Presences,
    /// guild, user → voice state.
    VoiceStates,
    /// receive time in microseconds since 1970, message → message.
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
}

impl Table {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 23] = [
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
    ];

    /// Those under a guild whose keys begin with its id, in the order they are freed.
    pub const OF_GUILD: [Self; 17] = [
        Self::Guilds,
        Self::GuildFacts,
        Self::Emojis,
        Self::Stickers,
        Self::Roles,
        Self::RoleOrder,
        Self::Channels,
        Self::Threads,
        Self::Presences,
        Self::VoiceStates,
        Self::StageInstances,
        Self::ScheduledEvents,
        Self::Sounds,
        Self::Integrations,
        Self::AutomodRules,
        Self::Departed,
        Self::Uncounted,
    ];

    /// Its place in [`Table::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether its keys are pairs of ids.
    #[must_use]
    pub const fn is_wide(self) -> bool {
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
        }
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
            | Self::Uncounted => return None,
        })
    }
}

/// Keys of [`Table::Meta`].
pub mod meta {
    use crate::Key;

    /// The store's id, eight bytes: another one means that the store was rebuilt.
    pub const STORE: Key = Key::pair(0, 0);
    /// The bot's own user, as a document.
    pub const ME: Key = Key::pair(0, 1);
    /// The resources that are cached, a bit each by their number in [`Resource`](crate::Resource), eight
    /// bytes; absent in a store that was just made.
    pub const RESOURCES: Key = Key::pair(0, 2);
    /// The output ring's id and the tail it is to reach: two numbers of eight bytes.
    pub const OUTPUT: Key = Key::pair(1, 0);
    /// The shard count whose rings are read.
    pub const SHARDS: Key = Key::pair(1, 1);
    /// When what is applied was received, and until when what another shard count received is left out:
    /// two numbers of microseconds since 1970, eight bytes each.
    pub const TIMES: Key = Key::pair(1, 2);
    /// Losses that are not told yet: shard count, shard and reason of each, eight bytes each.
    pub const GAPS: Key = Key::pair(1, 3);
    /// Owner of the keys of input positions.
    pub const INPUTS: u64 = 2;

    /// The position in the ring of `shard` of `shards`: ring id, position, and the index of the output
    /// that comes next there, eight bytes each.
    #[must_use]
    pub const fn input(shard: u16, shards: u16) -> Key {
        Key::pair(INPUTS, ((shards as u64) << 16) | shard as u64)
    }
}

macro_rules! resources {
    ($($variant:ident $name:literal $doc:literal,)*) => {
        /// A kind of entity that can be cached or not.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Resource { $(#[doc = $doc] $variant,)* }

        impl Resource {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name on the command line.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

resources! {
    Guilds "guilds" "Guilds' own fields.",
    Channels "channels" "Channels.",
    Threads "threads" "Threads.",
    Roles "roles" "Roles.",
    Emojis "emojis" "Emojis.",
    Stickers "stickers" "Stickers.",
    Members "members" "Members.",
    Users "users" "Users.",
    Presences "presences" "Presences.",
    VoiceStates "voice_states" "Voice states.",
    Messages "messages" "Messages, bounded by count and age.",
    StageInstances "stage_instances" "Stage instances.",
    ScheduledEvents "scheduled_events" "Scheduled events.",
    SoundboardSounds "soundboard_sounds" "Soundboard sounds.",
    Integrations "integrations" "Integrations.",
    AutomodRules "automod_rules" "Auto moderation rules.",
}

impl Resource {
    /// The table that holds its entities.
    #[must_use]
    pub const fn table(self) -> Table {
        match self {
            Self::Guilds => Table::Guilds,
            Self::Channels => Table::Channels,
            Self::Threads => Table::Threads,
            Self::Roles => Table::Roles,
            Self::Emojis => Table::Emojis,
            Self::Stickers => Table::Stickers,
            Self::Members => Table::Members,
            Self::Users => Table::Users,
            Self::Presences => Table::Presences,
            Self::VoiceStates => Table::VoiceStates,
            Self::Messages => Table::Messages,
            Self::StageInstances => Table::StageInstances,
            Self::ScheduledEvents => Table::ScheduledEvents,
            Self::SoundboardSounds => Table::Sounds,
            Self::Integrations => Table::Integrations,
            Self::AutomodRules => Table::AutomodRules,
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No resource is called so.
#[derive(Debug, thiserror::Error)]
#[error("no resource is called {name:?}; there are {}", names())]
pub struct UnknownResource {
    /// What was asked for.
    pub name: String,
}

impl FromStr for Resource {
    type Err = UnknownResource;

    fn from_str(name: &str) -> Result<Self, UnknownResource> {
        let found = Self::ALL.iter().find(|resource| resource.name() == name);
        found.copied().ok_or_else(|| UnknownResource { name: name.to_owned() })
    }
}

fn names() -> String {
    Resource::ALL.iter().map(|resource| resource.name()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_and_their_tables_know_each_other() {
        for &resource in Resource::ALL {
            assert_eq!(resource.table().resource(), Some(resource));
            assert_eq!(resource.name().parse::<Resource>().unwrap(), resource);
        }
        assert_eq!(Table::ALL.iter().filter_map(|table| table.resource()).count(), 16);
    }
}
