//! Intents: which events a client asked for, and what those of others must not show.

use mixcord::Kind;

/// The intents of one client, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Intents(u64);

/// Every documented bit and its name, in the order of the documentation.
const NAMES: [(u64, &str); 21] = [
    (1, "GUILDS"),
    (1 << 1, "GUILD_MEMBERS"),
    (1 << 2, "GUILD_MODERATION"),
    (1 << 3, "GUILD_EXPRESSIONS"),
    (1 << 4, "GUILD_INTEGRATIONS"),
    (1 << 5, "GUILD_WEBHOOKS"),
    (1 << 6, "GUILD_INVITES"),
    (1 << 7, "GUILD_VOICE_STATES"),
    (1 << 8, "GUILD_PRESENCES"),
    (1 << 9, "GUILD_MESSAGES"),
    (1 << 10, "GUILD_MESSAGE_REACTIONS"),
    (1 << 11, "GUILD_MESSAGE_TYPING"),
    (1 << 12, "DIRECT_MESSAGES"),
    (1 << 13, "DIRECT_MESSAGE_REACTIONS"),
    (1 << 14, "DIRECT_MESSAGE_TYPING"),
    (1 << 15, "MESSAGE_CONTENT"),
    (1 << 16, "GUILD_SCHEDULED_EVENTS"),
    (1 << 20, "AUTO_MODERATION_CONFIGURATION"),
    (1 << 21, "AUTO_MODERATION_EXECUTION"),
    (1 << 24, "GUILD_MESSAGE_POLLS"),
    (1 << 25, "DIRECT_MESSAGE_POLLS"),
];

/// Bits that mean nothing to a bot, but that Discord lets pass.
const TOLERATED: u64 = 0b111 << 17 | 0b11 << 22;

impl Intents {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const GUILDS: u64 = 1;
    pub(crate) const GUILD_MEMBERS: u64 = 1 << 1;
    pub(crate) const GUILD_VOICE_STATES: u64 = 1 << 7;
    pub(crate) const GUILD_PRESENCES: u64 = 1 << 8;
    pub(crate) const MESSAGE_CONTENT: u64 = 1 << 15;

    /// The set in `bits`; none when a bit has no meaning (4013).
    pub(crate) fn from_bits(bits: u64) -> Option<Self> {
        let known = NAMES.iter().fold(TOLERATED, |known, (bit, _)| known | bit);
        (bits & !known == 0).then_some(Self(bits & !TOLERATED))
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    pub(crate) const fn has(self, bits: u64) -> bool {
        self.0 & bits == bits
    }

    /// The names of those that `granted` lacks, separated by commas; none when it has all.
    pub(crate) fn missing_in(self, granted: u64) -> Option<String> {
        let missing = NAMES.iter().filter(|(bit, _)| self.0 & !granted & bit != 0);
        let names: Vec<_> = missing.map(|(_, name)| *name).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }

    /// Is an event of this kind for whoever has these? `direct`: it has no guild.
    pub(crate) const fn admits(self, kind: Kind, direct: bool) -> bool {
        let needed = needed(kind, direct);
        needed == 0 || self.0 & needed != 0
    }
}

/// Whether events of this kind come to everybody, whatever they asked for: what happens to a bot, and nothing that
/// is of a guild as it is cached.
pub(crate) const fn is_for_all(kind: Kind) -> bool {
    needed(kind, false) == 0
}

/// An event is sent to whoever has any of these intents, and to everybody where there are none.
const fn needed(kind: Kind, direct: bool) -> u64 {
    let (guild, private) = match kind {
        Kind::CHANNEL_CREATE | Kind::CHANNEL_PINS_UPDATE => (1, 1 << 12),
        Kind::CHANNEL_UPDATE
        | Kind::CHANNEL_DELETE
        | Kind::VOICE_CHANNEL_STATUS_UPDATE
        | Kind::VOICE_CHANNEL_START_TIME_UPDATE
        | Kind::THREAD_CREATE
        | Kind::THREAD_UPDATE
        | Kind::THREAD_DELETE
        | Kind::THREAD_LIST_SYNC
        | Kind::THREAD_MEMBER_UPDATE
        | Kind::GUILD_CREATE
        | Kind::GUILD_UPDATE
        | Kind::GUILD_DELETE
        | Kind::GUILD_ROLE_CREATE
        | Kind::GUILD_ROLE_UPDATE
        | Kind::GUILD_ROLE_DELETE
        | Kind::STAGE_INSTANCE_CREATE
        | Kind::STAGE_INSTANCE_UPDATE
        | Kind::STAGE_INSTANCE_DELETE => (1, 0),
        Kind::THREAD_MEMBERS_UPDATE => (1 | 1 << 1, 0),
        Kind::GUILD_MEMBER_ADD | Kind::GUILD_MEMBER_UPDATE | Kind::GUILD_MEMBER_REMOVE => {
            (1 << 1, 0)
        }
        Kind::GUILD_AUDIT_LOG_ENTRY_CREATE | Kind::GUILD_BAN_ADD | Kind::GUILD_BAN_REMOVE => {
            (1 << 2, 0)
        }
        Kind::GUILD_EMOJIS_UPDATE
        | Kind::GUILD_STICKERS_UPDATE
        | Kind::GUILD_SOUNDBOARD_SOUND_CREATE
        | Kind::GUILD_SOUNDBOARD_SOUND_UPDATE
        | Kind::GUILD_SOUNDBOARD_SOUND_DELETE
        | Kind::GUILD_SOUNDBOARD_SOUNDS_UPDATE => (1 << 3, 0),
        Kind::GUILD_INTEGRATIONS_UPDATE
        | Kind::INTEGRATION_CREATE
        | Kind::INTEGRATION_UPDATE
        | Kind::INTEGRATION_DELETE => (1 << 4, 0),
        Kind::WEBHOOKS_UPDATE => (1 << 5, 0),
        Kind::INVITE_CREATE | Kind::INVITE_DELETE => (1 << 6, 0),
        Kind::VOICE_STATE_UPDATE | Kind::VOICE_CHANNEL_EFFECT_SEND => (1 << 7, 0),
        Kind::PRESENCE_UPDATE => (1 << 8, 0),
        Kind::MESSAGE_CREATE | Kind::MESSAGE_UPDATE | Kind::MESSAGE_DELETE => (1 << 9, 1 << 12),
        Kind::MESSAGE_DELETE_BULK => (1 << 9, 0),
        Kind::MESSAGE_REACTION_ADD
        | Kind::MESSAGE_REACTION_REMOVE
        | Kind::MESSAGE_REACTION_REMOVE_ALL
        | Kind::MESSAGE_REACTION_REMOVE_EMOJI => (1 << 10, 1 << 13),
        Kind::TYPING_START => (1 << 11, 1 << 14),
        Kind::MESSAGE_POLL_VOTE_ADD | Kind::MESSAGE_POLL_VOTE_REMOVE => (1 << 24, 1 << 25),
        Kind::GUILD_SCHEDULED_EVENT_CREATE
        | Kind::GUILD_SCHEDULED_EVENT_UPDATE
        | Kind::GUILD_SCHEDULED_EVENT_DELETE
        | Kind::GUILD_SCHEDULED_EVENT_USER_ADD
        | Kind::GUILD_SCHEDULED_EVENT_USER_REMOVE => (1 << 16, 0),
        Kind::AUTO_MODERATION_RULE_CREATE
        | Kind::AUTO_MODERATION_RULE_UPDATE
        | Kind::AUTO_MODERATION_RULE_DELETE => (1 << 20, 0),
        Kind::AUTO_MODERATION_ACTION_EXECUTION => (1 << 21, 0),
        _ => (0, 0),
    };
    // A kind that is of guilds alone needs its intent however it comes.
    if direct && private != 0 { private } else { guild }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_without_a_meaning_are_refused_and_tolerated_ones_forgotten() {
        assert_eq!(Intents::from_bits(1 << 40), None);
        assert_eq!(Intents::from_bits(1 | 1 << 17), Some(Intents(1)));
    }

    #[test]
    fn what_the_gateway_lacks_is_named() {
        let wanted = Intents(1 | 1 << 1 | 1 << 15);
        assert_eq!(wanted.missing_in(1), Some("GUILD_MEMBERS, MESSAGE_CONTENT".to_owned()));
        assert_eq!(wanted.missing_in(u64::MAX), None);
    }

    #[test]
    fn direct_messages_have_an_intent_of_their_own() {
        let guilds = Intents(1 << 9);
        assert!(guilds.admits(Kind::MESSAGE_CREATE, false));
        assert!(!guilds.admits(Kind::MESSAGE_CREATE, true));
        assert!(guilds.admits(Kind::INTERACTION_CREATE, true));
        assert!(guilds.admits(Kind::UNKNOWN, false));
        assert!(is_for_all(Kind::INTERACTION_CREATE) && !is_for_all(Kind::TYPING_START));
    }
}
