//! A set of permissions, by Discord's names.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Sub};

use mixcord_event::Value;

/// A set of Discord's permissions. It prints as their names: `VIEW_CHANNEL | SEND_MESSAGES`.
///
/// Bits that have no name here, because Discord gave them one later, are kept.
///
/// ```
/// use mixcord::state::Permissions;
///
/// let needed = Permissions::VIEW_CHANNEL | Permissions::SEND_MESSAGES;
/// let held = Permissions::from_bits(1 << 10);
/// assert_eq!((needed - held).to_string(), "SEND_MESSAGES");
/// assert!(!held.contains(needed));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Permissions(u64);

macro_rules! permissions {
    ($($(#[$what:meta])* $name:ident = $bit:literal;)*) => {
        impl Permissions {
            $($(#[$what])* pub const $name: Self = Self(1 << $bit);)*

            /// All that have a name: what owners and administrators have.
            pub const ALL: Self = Self($(1 << $bit)|*);

            const NAMES: &'static [(Self, &'static str)] = &[$((Self::$name, stringify!($name))),*];
        }
    };
}

permissions! {
    /// Making invites.
    CREATE_INSTANT_INVITE = 0;
    /// Removing members.
    KICK_MEMBERS = 1;
    /// Banning members.
    BAN_MEMBERS = 2;
    /// Everything, in all channels, whatever their overwrites say.
    ADMINISTRATOR = 3;
    /// Editing and deleting channels.
    MANAGE_CHANNELS = 4;
    /// Editing the guild.
    MANAGE_GUILD = 5;
    /// Adding new reactions to messages.
    ADD_REACTIONS = 6;
    /// Reading the audit log.
    VIEW_AUDIT_LOG = 7;
    /// Being heard above others in voice channels.
    PRIORITY_SPEAKER = 8;
    /// Going live.
    STREAM = 9;
    /// Seeing a channel, and joining it.
    VIEW_CHANNEL = 10;
    /// Writing messages, and making threads in forums; not writing in threads.
    SEND_MESSAGES = 11;
    /// Writing messages that are read aloud.
    SEND_TTS_MESSAGES = 12;
    /// Deleting messages of others.
    MANAGE_MESSAGES = 13;
    /// Links are shown with a preview.
    EMBED_LINKS = 14;
    /// Uploading files.
    ATTACH_FILES = 15;
    /// Reading messages of before.
    READ_MESSAGE_HISTORY = 16;
    /// Calling everybody, and any role.
    MENTION_EVERYONE = 17;
    /// Using emojis of other guilds.
    USE_EXTERNAL_EMOJIS = 18;
    /// Seeing the guild's insights.
    VIEW_GUILD_INSIGHTS = 19;
    /// Joining voice channels.
    CONNECT = 20;
    /// Speaking in voice channels.
    SPEAK = 21;
    /// Muting members in voice channels.
    MUTE_MEMBERS = 22;
    /// Deafening members in voice channels.
    DEAFEN_MEMBERS = 23;
    /// Moving members between voice channels.
    MOVE_MEMBERS = 24;
    /// Speaking without pressing a key.
    USE_VAD = 25;
    /// Changing one's own nickname.
    CHANGE_NICKNAME = 26;
    /// Changing nicknames of others.
    MANAGE_NICKNAMES = 27;
    /// Editing and giving roles below one's own; in a channel: editing its overwrites.
    MANAGE_ROLES = 28;
    /// Editing webhooks.
    MANAGE_WEBHOOKS = 29;
    /// Editing and deleting emojis, stickers and sounds of all.
    MANAGE_GUILD_EXPRESSIONS = 30;
    /// Using commands of applications.
    USE_APPLICATION_COMMANDS = 31;
    /// Asking to speak in stage channels.
    REQUEST_TO_SPEAK = 32;
    /// Editing and deleting scheduled events of all.
    MANAGE_EVENTS = 33;
    /// Deleting and archiving threads, and seeing private ones.
    MANAGE_THREADS = 34;
    /// Making public threads.
    CREATE_PUBLIC_THREADS = 35;
    /// Making private threads.
    CREATE_PRIVATE_THREADS = 36;
    /// Using stickers of other guilds.
    USE_EXTERNAL_STICKERS = 37;
    /// Writing messages in threads.
    SEND_MESSAGES_IN_THREADS = 38;
    /// Using activities in voice channels.
    USE_EMBEDDED_ACTIVITIES = 39;
    /// Timing members out.
    MODERATE_MEMBERS = 40;
    /// Seeing insights of role subscriptions.
    VIEW_CREATOR_MONETIZATION_ANALYTICS = 41;
    /// Using the soundboard in voice channels.
    USE_SOUNDBOARD = 42;
    /// Making emojis, stickers and sounds, and editing one's own.
    CREATE_GUILD_EXPRESSIONS = 43;
    /// Making scheduled events, and editing one's own.
    CREATE_EVENTS = 44;
    /// Using sounds of other guilds.
    USE_EXTERNAL_SOUNDS = 45;
    /// Sending voice messages.
    SEND_VOICE_MESSAGES = 46;
    /// Setting the status of a voice channel.
    SET_VOICE_CHANNEL_STATUS = 48;
    /// Sending polls.
    SEND_POLLS = 49;
    /// Apps that a user has installed may answer where all see it.
    USE_EXTERNAL_APPS = 50;
    /// Pinning messages.
    PIN_MESSAGES = 51;
    /// Writing without waiting in slow channels.
    BYPASS_SLOWMODE = 52;
}

impl Permissions {
    /// None at all.
    pub const NONE: Self = Self(0);

    /// Of Discord's number.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Discord's number.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Of the value of a `permissions`, `allow` or `deny`: none for anything else.
    pub(super) fn of(value: Option<Value<'_>>) -> Self {
        let bits = value.and_then(|value| match value {
            Value::Str(text) => text.parse().ok(),
            other => other.as_u64(),
        });
        Self(bits.unwrap_or(0))
    }

    /// Whether all of `these` are among them.
    #[must_use]
    pub const fn contains(self, these: Self) -> bool {
        self.0 & these.0 == these.0
    }

    /// Whether any of `these` is among them.
    #[must_use]
    pub const fn intersects(self, these: Self) -> bool {
        self.0 & these.0 != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of those that have a name, with that, in the order of the bits.
    pub fn names(self) -> impl Iterator<Item = (Self, &'static str)> {
        Self::NAMES.iter().copied().filter(move |(one, _)| self.contains(*one))
    }
}

impl BitOr for Permissions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Permissions {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for Permissions {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// Those that are not among the others.
impl Sub for Permissions {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl FromIterator<Self> for Permissions {
    fn from_iter<I: IntoIterator<Item = Self>>(all: I) -> Self {
        all.into_iter().fold(Self::NONE, BitOr::bitor)
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let mut between = "";
        for (_, name) in self.names() {
            write!(f, "{between}{name}")?;
            between = " | ";
        }
        let unnamed = *self - Self::ALL;
        if !unnamed.is_empty() {
            write!(f, "{between}{:#x}", unnamed.0)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_prints_its_names_and_keeps_what_has_none() {
        assert_eq!(Permissions::NONE.to_string(), "none");
        let set = Permissions::KICK_MEMBERS | Permissions::PIN_MESSAGES;
        assert_eq!(set.to_string(), "KICK_MEMBERS | PIN_MESSAGES");
        let later = Permissions::from_bits(1 << 60 | 2);
        assert_eq!(later.to_string(), "KICK_MEMBERS | 0x1000000000000000");
        assert_eq!(later.bits(), 1 << 60 | 2);
        assert_eq!(set.names().map(|(one, _)| one).collect::<Permissions>(), set);
    }

    #[test]
    fn it_reads_text_as_discord_sends_it_and_numbers() {
        assert_eq!(Permissions::of(Some(Value::Str("2"))), Permissions::KICK_MEMBERS);
        assert_eq!(Permissions::of(Some(Value::Int(2))), Permissions::KICK_MEMBERS);
        for nothing in [None, Some(Value::Null), Some(Value::Str("x")), Some(Value::Int(-1))] {
            assert_eq!(Permissions::of(nothing), Permissions::NONE);
        }
    }
}
