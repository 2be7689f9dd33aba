//! What your code asks of Discord through the gateway: presence, voice states, members, sounds,
//! channel info.
//!
//! ```no_run
//! use mixcord::commands::{Commands, RequestMembers};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let commands = Commands::open("mixcord")?;
//! let all = RequestMembers {
//!     guild_id: 41_771_983_423_143_937,
//!     query: Some(String::new()),
//!     nonce: Some("all-members".to_owned()),
//!     ..RequestMembers::default()
//! };
//! commands.send(all).await?;
//! // The answer comes as events of kind GUILD_MEMBERS_CHUNK, to every group.
//! # Ok(())
//! # }
//! ```
//!
//! Each command goes to the gateway process that runs the shard of its guild (G-39), over that
//! process's own socket, which no other user can open. There it is checked, held to Discord's limits
//! and answered: sent, or refused and why ([`Error`]). Discord itself answers with events, or not at
//! all: `RATE_LIMITED` and `GUILD_MEMBERS_CHUNK` arrive like any other event.

mod error;
mod link;
mod plan;

use std::time::{Duration, Instant};

use mixcord_event::topology;

pub use error::{Error, Failed};
pub use mixcord_event::command::{Command, PAUSE_MAX};
pub use mixcord_event::send::{
    Activity, PresenceUpdate, RequestChannelInfo, RequestMembers, RequestSounds, VoiceState,
};

use crate::Consumer;
use link::Link;
use plan::Plan;

/// How long a gateway process may take to answer, unless [`Commands::timeout`] says otherwise. It
/// answers at once, unless Discord's end takes nothing for a while.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends commands to the gateway processes of one instance. Holds no connection: it works across
/// restarts of the gateway, and clones cost nothing.
#[derive(Debug, Clone)]
pub struct Commands {
    instance: String,
    /// Where they are written down instead of being sent.
    #[cfg(feature = "testing")]
    recorded: Option<std::sync::Arc<std::sync::Mutex<Vec<Command>>>>,
    timeout: Duration,
    patience: Duration,
}

impl Consumer {
    /// Commands to the gateway processes of this consumer's instance.
    #[must_use]
    pub fn commands(&self) -> Commands {
        Commands::of(self.options.instance.clone())
    }
}

impl Commands {
    /// Commands to the gateway processes of `instance`; whether there are any is seen with the
    /// first command.
    ///
    /// # Errors
    /// When the name cannot be one.
    pub fn open(instance: impl Into<String>) -> Result<Self, crate::Error> {
        let instance = instance.into();
        if !topology::is_instance_name(&instance) {
            return Err(crate::Error::Instance { instance });
        }
        Ok(Self::of(instance))
    }

    /// `instance` has the name of one.
    fn of(instance: String) -> Self {
        Self {
            instance,
            #[cfg(feature = "testing")]
            recorded: None,
            timeout: TIMEOUT,
            patience: Duration::ZERO,
        }
    }

    /// Writes commands down that are fit to be sent.
    #[cfg(feature = "testing")]
    pub(crate) fn recorded(sent: std::sync::Arc<std::sync::Mutex<Vec<Command>>>) -> Self {
        Self { recorded: Some(sent), ..Self::of("testing".to_owned()) }
    }

    /// Whether a command was written down instead of sent.
    fn record(&self, _command: &Command) -> bool {
        #[cfg(feature = "testing")]
        if let Some(sent) = &self.recorded {
            let mut sent = sent.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            sent.push(_command.clone());
            return true;
        }
        false
    }

    /// How long to wait for an answer; 10 s by default.
    #[must_use]
    pub fn timeout(mut self, longest: Duration) -> Self {
        self.timeout = longest;
        self
    }

    /// Tries again for this long what is refused for the moment only
    /// ([`Error::retry_after`]): a limit, a shard that is connecting, a gateway that restarts.
    /// Not at all by default.
    #[must_use]
    pub fn patience(mut self, longest: Duration) -> Self {
        self.patience = longest;
        self
    }

    /// Sends a command to the shard of its guild; a presence to every shard. Sounds of guilds of
    /// several shards are asked for shard by shard.
    ///
    /// # Errors
    /// When it was refused, or nobody is there to send it. Of several, those that did not send theirs are
    /// named ([`Error::Partly`]); all others did.
    pub async fn send(&self, command: impl Into<Command>) -> Result<(), Error> {
        self.carry_out(Plan::new(&self.instance, None, command.into())?).await
    }

    /// Has a shard give its connection up and resume its session on a new one.
    ///
    /// # Errors
    /// When nobody runs the shard, or it is not connected.
    pub fn reconnect_blocking(&self, shard: u16) -> Result<(), Error> {
        self.send_to_blocking(shard, Command::Reconnect)
    }

    /// Has every shard give its connection up, so that its session can be resumed, and make no other for so many
    /// seconds, at most [`PAUSE_MAX`]; with 0 all go on at once. Discord keeps what happens meanwhile, for a few
    /// minutes. Asked again, the time begins anew.
    ///
    /// # Errors
    /// When nobody runs a shard. Until all that was received is in the rings it is refused for the moment, and
    /// [`Error::retry_after`] says when to ask again.
    pub fn pause_blocking(&self, seconds: u16) -> Result<(), Error> {
        self.send_blocking(Command::Pause { seconds })
    }

    /// [`send`](Self::send) to this shard and no other: for a presence.
    ///
    /// # Errors
    /// As for [`send`](Self::send); also when the command's guild is of another shard.
    pub async fn send_to(&self, shard: u16, command: impl Into<Command>) -> Result<(), Error> {
        self.carry_out(Plan::new(&self.instance, Some(shard), command.into())?).await
    }

    /// [`send`](Self::send) for programs without an async runtime.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub fn send_blocking(&self, command: impl Into<Command>) -> Result<(), Error> {
        self.carry_out_blocking(Plan::new(&self.instance, None, command.into())?)
    }

    /// [`send_to`](Self::send_to) for programs without an async runtime.
    ///
    /// # Errors
    /// As for [`send_to`](Self::send_to).
    pub fn send_to_blocking(&self, shard: u16, command: impl Into<Command>) -> Result<(), Error> {
        self.carry_out_blocking(Plan::new(&self.instance, Some(shard), command.into())?)
    }

    async fn carry_out(&self, mut plan: Plan) -> Result<(), Error> {
        if self.record(plan.command()) {
            return Ok(());
        }
        let since = Instant::now();
        loop {
            while let Some(step) = plan.next()? {
                plan.answered(Link::ask(&step.socket, &step.packet, self.timeout).await);
            }
            match self.again(since, &plan) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return plan.outcome(),
            }
            plan.restart();
        }
    }

    fn carry_out_blocking(&self, mut plan: Plan) -> Result<(), Error> {
        if self.record(plan.command()) {
            return Ok(());
        }
        let since = Instant::now();
        loop {
            while let Some(step) = plan.next()? {
                plan.answered(Link::ask_blocking(&step.socket, &step.packet, self.timeout));
            }
            match self.again(since, &plan) {
                Some(wait) => std::thread::sleep(wait),
                None => return plan.outcome(),
            }
            plan.restart();
        }
    }

    /// How long to wait before the next try; `None` when there is none.
    fn again(&self, since: Instant, plan: &Plan) -> Option<Duration> {
        plan.retry_after().filter(|wait| since.elapsed() + *wait <= self.patience)
    }
}
