//! Close codes (gateway contract, section 7).

/// Why the server closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// 4001: an opcode that there is not.
    UnknownOpcode,
    /// 4002: a message that cannot be read, or is too large.
    DecodeError,
    /// 4003: something was sent before IDENTIFY or RESUME.
    NotAuthenticated,
    /// 4004: a wrong token.
    AuthenticationFailed,
    /// 4005: a second IDENTIFY.
    AlreadyAuthenticated,
    /// 4007: a RESUME behind what was sent.
    InvalidSeq,
    /// 4008: too many messages.
    RateLimited,
    /// 4009: no heartbeats.
    SessionTimedOut,
    /// 4010: a shard that cannot be.
    InvalidShard,
    /// 4011: too many guilds for one shard.
    ShardingRequired,
    /// 4012: a version that is not spoken.
    InvalidVersion,
    /// 4013: intents that there are not.
    InvalidIntents,
    /// 4014: intents that this bot may not have.
    DisallowedIntents,
    /// Any other.
    Other(u16),
}

impl Close {
    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::UnknownOpcode => 4001,
            Self::DecodeError => 4002,
            Self::NotAuthenticated => 4003,
            Self::AuthenticationFailed => 4004,
            Self::AlreadyAuthenticated => 4005,
            Self::InvalidSeq => 4007,
            Self::RateLimited => 4008,
            Self::SessionTimedOut => 4009,
            Self::InvalidShard => 4010,
            Self::ShardingRequired => 4011,
            Self::InvalidVersion => 4012,
            Self::InvalidIntents => 4013,
            Self::DisallowedIntents => 4014,
            Self::Other(code) => code,
        }
    }

    /// Discord's words for it.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self.code() {
            4000 => "Unknown error.",
            4001 => "Unknown opcode.",
            4002 => "Error while decoding payload.",
            4003 => "Not authenticated.",
            4004 => "Authentication failed.",
            4005 => "Already authenticated.",
            4007 => "Invalid seq.",
            4008 => "Rate limited.",
            4009 => "Session timed out.",
            4010 => "Invalid shard.",
            4011 => "Sharding required.",
            4012 => "Invalid API version.",
            4013 => "Invalid intent(s).",
            4014 => "Disallowed intent(s).",
            _ => "",
        }
    }

    /// Whether the session is gone with the connection: RESUME is then answered with op 9 false.
    #[must_use]
    pub fn ends_session(self) -> bool {
        matches!(self.code(), 4001 | 4003..=4005 | 4007 | 4009..=4014)
    }
}
