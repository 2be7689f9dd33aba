//! What each close code means for the session (contract §7).

/// The code we close with when the session shall live on (G-22: anything but 1000 and 1001).
pub const RESUMABLE_CLOSE: u16 = 4000;

/// The code we close with when another session has taken its place (G-22).
pub const ENDING_CLOSE: u16 = 1000;

/// What to do after the server closed the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Connect again and resume (G-20).
    Resume,
    /// The session is gone: connect again and identify.
    Identify,
    /// Connecting again cannot help; the operator has to change something.
    Fatal(Fatal),
}

/// Why no connection can ever succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fatal {
    /// 4004.
    #[error("Discord refused the token (close code 4004): check DISCORD_TOKEN or --token-file")]
    Authentication,
    /// 4010.
    #[error("Discord refused the shard number or count (close code 4010): check --shards")]
    InvalidShard,
    /// 4011.
    #[error("the bot is in too many guilds for this shard count (close code 4011): raise --shards")]
    ShardingRequired,
    /// 4012.
    #[error(
        "Discord no longer speaks gateway version 10 (close code 4012): update mixcord-gateway"
    )]
    InvalidVersion,
    /// 4013.
    #[error("Discord does not know some of the intents (close code 4013): check --intents")]
    InvalidIntents,
    /// 4014.
    #[error(
        "Discord has not granted a privileged intent (close code 4014): \
         grant it in the developer portal or take it out of --intents"
    )]
    DisallowedIntents,
}

/// The verdict on a close code; `None` is a connection that ended without one.
pub(super) fn verdict(code: Option<u16>) -> Verdict {
    match code {
        Some(4004) => Verdict::Fatal(Fatal::Authentication),
        Some(4010) => Verdict::Fatal(Fatal::InvalidShard),
        Some(4011) => Verdict::Fatal(Fatal::ShardingRequired),
        Some(4012) => Verdict::Fatal(Fatal::InvalidVersion),
        Some(4013) => Verdict::Fatal(Fatal::InvalidIntents),
        Some(4014) => Verdict::Fatal(Fatal::DisallowedIntents),
        Some(4001 | 4003 | 4005 | 4006 | 4007 | 4009) => Verdict::Identify,
        // G-27: trying RESUME first never costs identify budget, whatever the code.
        _ => Verdict::Resume,
    }
}

/// Is the code in the contract's table (or no code at all)?
pub(super) fn is_known(code: Option<u16>) -> bool {
    matches!(code, None | Some(1000..=1015 | 4000..=4014))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// §15 line 7: every close code of §7.
    #[test]
    fn g20_g27_every_code_of_the_table() {
        for code in [1000, 1001, 1006, 4000, 4002, 4008, 4015, 4999] {
            assert_eq!(verdict(Some(code)), Verdict::Resume, "{code}");
        }
        assert_eq!(verdict(None), Verdict::Resume);
        for code in [4001, 4003, 4005, 4006, 4007, 4009] {
            assert_eq!(verdict(Some(code)), Verdict::Identify, "{code}");
        }
        for code in [4004, 4010, 4011, 4012, 4013, 4014] {
            assert!(matches!(verdict(Some(code)), Verdict::Fatal(_)), "{code}");
        }
    }

    #[test]
    fn g22_our_own_code_keeps_the_session() {
        assert!(!matches!(RESUMABLE_CLOSE, 1000 | 1001));
        assert!((4000..5000).contains(&RESUMABLE_CLOSE));
    }
}
