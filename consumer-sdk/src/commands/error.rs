use std::fmt;
use std::io;
use std::time::Duration;

use mixcord_event::command::Refusal;

/// What is not there yet, or for the moment, is looked for again after this time.
const SOON: Duration = Duration::from_millis(100);

/// Why a command was not sent. Each says what, where and what to do about it.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Discord would not take it, now or ever: nothing was sent.
    #[error("the command is wrong: {0}")]
    Invalid(String),
    /// No gateway process runs the shard.
    #[error(
        "no gateway process of instance \"{instance}\" runs {}: start mixcord-gateway with --instance {instance} \
         (`mixcord ls` shows what runs)",
        .shard.map_or_else(|| "any shard".to_owned(), |shard| format!("shard {shard}"))
    )]
    NoGateway {
        /// The instance.
        instance: String,
        /// The shard that was looked for; `None` when not one process was found.
        shard: Option<u16>,
    },
    /// The shard has no session at the moment: it is connecting, identifying or resuming.
    #[error("shard {shard} is not connected to Discord at the moment: try again")]
    NotConnected {
        /// The shard.
        shard: u16,
    },
    /// One of Discord's limits on what a connection may send (G-28, G-29).
    #[error("rate limited: try again in {retry_after:?}")]
    RateLimited {
        /// When there is room again.
        retry_after: Duration,
    },
    /// The gateway process is older than this crate and does not know the command: nothing was sent.
    #[error(
        "the mixcord-gateway of instance \"{instance}\" is older than this program and does not know the command: \
         update it to {} or newer",
        env!("CARGO_PKG_VERSION")
    )]
    OldGateway {
        /// The instance.
        instance: String,
    },
    /// The answer is none that this crate knows. Whether the command was sent is not known.
    #[error(
        "the gateway's answer is none that mixcord {} knows: rebuild this program with the mixcord of that \
         gateway; whether the command was sent is not known",
        env!("CARGO_PKG_VERSION")
    )]
    Version,
    /// The gateway did not send it, for a reason that came later than this list.
    #[error("{why}")]
    Refused {
        /// Why, and what to do about it.
        why: String,
        /// When to try again; `None` when that is no use.
        retry_after: Option<Duration>,
    },
    /// The gateway process did not answer in time. Whether it sent the command is not known.
    #[error(
        "no answer from the gateway within {waited:?}: whether the command was sent is not known"
    )]
    Timeout {
        /// How long was waited.
        waited: Duration,
    },
    /// The gateway process ended before it answered. Whether it sent the command is not known.
    #[error("the gateway ended before it answered: whether the command was sent is not known")]
    Ended,
    /// The socket belongs to another user: nothing was sent to it.
    #[error("{path} belongs to user {uid}: nothing was sent to it; remove it")]
    Stranger {
        /// The socket.
        path: String,
        /// Its owner.
        uid: u32,
    },
    /// A command for several shards was sent by some of them only.
    #[error("sent by {sent} of {}: {}", .sent + .failed.len(), Failed::list(.failed))]
    Partly {
        /// How many sent it: gateway processes for a presence, else shards.
        sent: usize,
        /// The others. Asked again, [`Commands::send`](super::Commands::send) asks all of them;
        /// [`patience`](super::Commands::patience) asks only those that refused.
        failed: Vec<Failed>,
    },
    /// The system refused something.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
}

/// One of several that did not send a command.
#[derive(Debug)]
#[non_exhaustive]
pub struct Failed {
    /// The shard; of a gateway process as a whole, its first.
    pub shard: u16,
    /// Why.
    pub error: Error,
}

impl Failed {
    fn list(failed: &[Self]) -> String {
        let each = failed.iter().map(|Self { shard, error }| format!("shard {shard}: {error}"));
        each.collect::<Vec<_>>().join("; ")
    }
}

impl Error {
    /// How long to wait before the same command has a chance; `None` when trying again is no use, or
    /// when the command may have been sent already.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } => Some(*retry_after),
            Self::Refused { retry_after, .. } => *retry_after,
            Self::NotConnected { .. } | Self::NoGateway { .. } | Self::Stranger { .. } => {
                Some(SOON)
            }
            Self::Partly { failed, .. } => {
                failed.iter().filter_map(|failed| failed.error.retry_after()).min()
            }
            _ => None,
        }
    }

    /// Is it about what was asked for, so that trying again the same way is no use?
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Invalid(_) | Self::OldGateway { .. } => true,
            Self::Partly { failed, .. } => failed.iter().all(|it| it.error.is_configuration()),
            _ => false,
        }
    }

    pub(super) fn refused(instance: &str, refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid(why) => Self::Invalid(why),
            Refusal::WrongShard { shard } => {
                Self::NoGateway { instance: instance.to_owned(), shard: Some(shard) }
            }
            Refusal::NotConnected { shard } => Self::NotConnected { shard },
            Refusal::RateLimited { retry_after_ms } => {
                Self::RateLimited { retry_after: Duration::from_millis(retry_after_ms) }
            }
            Refusal::Malformed => Self::OldGateway { instance: instance.to_owned() },
            Refusal::Other { why, retry_after_ms } => {
                Self::Refused { why, retry_after: retry_after_ms.map(Duration::from_millis) }
            }
            _ => Self::Version,
        }
    }
}

/// Its `Debug` is its message, so that a `main` that returns it tells its user something useful.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
