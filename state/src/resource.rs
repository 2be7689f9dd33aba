//! The resources a user may switch off.

use std::fmt;
use std::str::FromStr;

use crate::Table;

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
