//! Intents, by number or by name (contract §13).

use std::str::FromStr;

/// Every documented intent and its bit.
const NAMES: [(&str, u32); 21] = [
    ("GUILDS", 0),
    ("GUILD_MEMBERS", 1),
    ("GUILD_MODERATION", 2),
    ("GUILD_EXPRESSIONS", 3),
    ("GUILD_INTEGRATIONS", 4),
    ("GUILD_WEBHOOKS", 5),
    ("GUILD_INVITES", 6),
    ("GUILD_VOICE_STATES", 7),
    ("GUILD_PRESENCES", 8),
    ("GUILD_MESSAGES", 9),
    ("GUILD_MESSAGE_REACTIONS", 10),
    ("GUILD_MESSAGE_TYPING", 11),
    ("DIRECT_MESSAGES", 12),
    ("DIRECT_MESSAGE_REACTIONS", 13),
    ("DIRECT_MESSAGE_TYPING", 14),
    ("MESSAGE_CONTENT", 15),
    ("GUILD_SCHEDULED_EVENTS", 16),
    ("AUTO_MODERATION_CONFIGURATION", 20),
    ("AUTO_MODERATION_EXECUTION", 21),
    ("GUILD_MESSAGE_POLLS", 24),
    ("DIRECT_MESSAGE_POLLS", 25),
];

/// Members, presences and message content have to be granted first.
const PRIVILEGED: u64 = 1 << 1 | 1 << 8 | 1 << 15;

/// A set of intents. Bits without a name pass: Discord is the judge of them (4013).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intents(u64);

impl Intents {
    /// The number sent in IDENTIFY.
    pub fn bits(self) -> u64 {
        self.0
    }

    fn all() -> u64 {
        NAMES.iter().fold(0, |bits, (_, bit)| bits | 1 << bit)
    }
}

impl Default for Intents {
    /// All that need no grant.
    fn default() -> Self {
        Self(Self::all() & !PRIVILEGED)
    }
}

impl FromStr for Intents {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(bits) = text.trim().parse::<u64>() {
            return if bits > i64::MAX as u64 {
                Err("the number is too large".into())
            } else {
                Ok(Self(bits))
            };
        }
        let mut bits = 0;
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            bits |= match name.to_ascii_uppercase().as_str() {
                "ALL" => Self::all(),
                "UNPRIVILEGED" | "DEFAULT" => Self::all() & !PRIVILEGED,
                upper => NAMES
                    .iter()
                    .find(|(known, _)| *known == upper)
                    .map(|(_, bit)| 1 << bit)
                    .ok_or_else(|| {
                    format!(
                        "unknown intent {name:?}; a number, ALL, UNPRIVILEGED or Discord's names"
                    )
                })?,
            };
        }
        Ok(Self(bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contracts_two_sums() {
        assert_eq!("ALL".parse(), Ok(Intents(53_608_447)));
        assert_eq!(Intents::default(), Intents(53_575_421));
    }

    #[test]
    fn numbers_and_names() {
        assert_eq!("513".parse(), Ok(Intents(513)));
        assert_eq!("GUILDS, guild_messages".parse(), Ok(Intents(513)));
        assert_eq!("0".parse(), Ok(Intents(0)));
        assert!("GUILDS,NONSENSE".parse::<Intents>().is_err());
        assert!("99999999999999999999".parse::<Intents>().is_err());
        assert!("18446744073709551615".parse::<Intents>().is_err());
    }
}
