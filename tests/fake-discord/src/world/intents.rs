//! Gateway intents: which events a session asks for (gateway contract, section 13).

/// A set of intents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Intents(u64);

impl Intents {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const GUILDS: Self = Self(1);
    pub(crate) const GUILD_MEMBERS: Self = Self(1 << 1);
    pub(crate) const GUILD_MODERATION: Self = Self(1 << 2);
    pub(crate) const GUILD_EXPRESSIONS: Self = Self(1 << 3);
    pub(crate) const GUILD_INTEGRATIONS: Self = Self(1 << 4);
    pub(crate) const GUILD_WEBHOOKS: Self = Self(1 << 5);
    pub(crate) const GUILD_INVITES: Self = Self(1 << 6);
    pub(crate) const GUILD_VOICE_STATES: Self = Self(1 << 7);
    pub(crate) const GUILD_PRESENCES: Self = Self(1 << 8);
    pub(crate) const GUILD_MESSAGES: Self = Self(1 << 9);
    pub(crate) const GUILD_MESSAGE_REACTIONS: Self = Self(1 << 10);
    pub(crate) const GUILD_MESSAGE_TYPING: Self = Self(1 << 11);
    pub(crate) const DIRECT_MESSAGES: Self = Self(1 << 12);
    pub(crate) const DIRECT_MESSAGE_REACTIONS: Self = Self(1 << 13);
    pub(crate) const DIRECT_MESSAGE_TYPING: Self = Self(1 << 14);
    pub(crate) const MESSAGE_CONTENT: Self = Self(1 << 15);
    pub(crate) const GUILD_SCHEDULED_EVENTS: Self = Self(1 << 16);
    pub(crate) const AUTO_MODERATION_CONFIGURATION: Self = Self(1 << 20);
    pub(crate) const AUTO_MODERATION_EXECUTION: Self = Self(1 << 21);
    pub(crate) const GUILD_MESSAGE_POLLS: Self = Self(1 << 24);
    pub(crate) const DIRECT_MESSAGE_POLLS: Self = Self(1 << 25);

    /// Every documented bit.
    pub(crate) const ALL: Self = Self(0x0331_FFFF);
    /// Bits that mean nothing to a bot, but that Discord lets pass.
    pub(crate) const UNDOCUMENTED: u64 = 0b111 << 17 | 0b11 << 22;
    /// What an application must be granted before it may ask for it.
    pub(crate) const PRIVILEGED: Self =
        Self::GUILD_MEMBERS.with(Self::GUILD_PRESENCES).with(Self::MESSAGE_CONTENT);

    /// The set in `bits`; none when a bit has no meaning (close code 4013).
    pub(crate) fn from_bits(bits: u64) -> Option<Self> {
        (bits & !Self::ALL.0 == 0).then_some(Self(bits))
    }

    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether every intent of `other` is in the set.
    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether an event sent under any of `needed` is for this set.
    pub(crate) const fn admits(self, needed: Self) -> bool {
        needed.0 == 0 || self.0 & needed.0 != 0
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }
}
