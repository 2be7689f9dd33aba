//! What a shard is given to run.

use std::sync::Arc;
use std::time::Duration;

use mixcord_event::presence::SetPresence;
use mixcord_event::send::{Identify, PresenceUpdate};
use mixcord_event::{Encoding, Shard};
use mixcord_ring::{AsyncBell, Producer};
use tokio::sync::{Semaphore, watch};

use super::attendance::Attendance;
use super::output::OutputError;
use super::standing::Standing;
use super::workbench::Workbenches;
use crate::backoff::Backoff;
use crate::checkpoint::Settings;
use crate::commands::Desk;
use crate::config::{Options, Token};
use crate::gateway::Gateway;
use crate::identify::Gate;
use crate::rhythm::Rhythm;
use crate::session::Times;
use crate::tenure::Tenure;
use crate::wire::Compression;

/// Handshakes at a time, each with its lookup in a thread: a thousand shards that start, or come back
/// after an outage, would be late for each other's HELLO.
const OPENING_MAX: usize = 64;

/// What all shards of the process share.
#[derive(Debug)]
pub struct Context {
    /// Where to connect.
    pub gateway: Arc<Gateway>,
    /// The token, for IDENTIFY and RESUME.
    pub token: Token,
    /// Permits.
    pub gate: Gate,
    /// Requests of consumers.
    pub desk: Arc<Desk>,
    /// What sessions depend on.
    pub settings: Settings,
    /// Intents' bits.
    pub intents: u64,
    /// What Discord sends.
    pub encoding: Encoding,
    /// How it is compressed.
    pub compression: Compression,
    /// The largest message in bytes, once decompressed.
    pub message_max: usize,
    /// When sockets are read.
    pub rhythm: Arc<Rhythm>,
    /// What decoding needs.
    pub workbenches: Workbenches,
    /// Kept per shard while its ring is full, in bytes.
    pub buffer: usize,
    /// The presence in IDENTIFY, unless a command set another.
    pub presence: Option<PresenceUpdate>,
    /// `large_threshold` in IDENTIFY.
    pub large_threshold: Option<u8>,
    /// `capabilities` in IDENTIFY.
    pub capabilities: Option<u64>,
    /// Who is connected.
    pub attendance: Attendance,
    /// Sessions of another shard count ended before: new ones begin with a gap.
    pub replaces_other_count: bool,
    /// What a command told the bot to show on the sessions that these are to replace.
    pub inherited: Option<SetPresence>,
    /// What these sessions are to the bot.
    pub standing: Standing,
    /// Delays between connections.
    pub backoff: Backoff,
    /// Limits of the session.
    pub times: Times,
    /// Whether this machine may have sessions, where another one may take the shards over.
    pub tenure: Option<Tenure>,
    /// Connections that may be opened at a time.
    pub opening: Semaphore,
    /// Whose turn it is to begin another session for a state that was lost: one shard's at a time. `None` where
    /// the operator does not want that.
    pub refills: Option<Semaphore>,
}

impl Context {
    /// What the operator decided, and what was made of it at the start.
    pub fn new(
        options: &Options,
        gateway: Arc<Gateway>,
        gate: Gate,
        desk: Arc<Desk>,
        attendance: Attendance,
        rhythm: Arc<Rhythm>,
        replaces_other_count: bool,
    ) -> Self {
        let message_max = usize::try_from(options.message_bytes_max).unwrap_or(usize::MAX);
        Self {
            token: gateway.token().clone(),
            settings: Settings::new(options, gateway.token()),
            gateway,
            gate,
            desk,
            attendance,
            rhythm,
            intents: options.intents.bits(),
            encoding: options.encoding,
            compression: options.compression,
            message_max,
            workbenches: Workbenches::new(message_max),
            buffer: usize::try_from(options.buffer_bytes).unwrap_or(usize::MAX),
            presence: options.presence.clone(),
            large_threshold: options.large_threshold,
            capabilities: options.capabilities,
            replaces_other_count,
            inherited: None,
            standing: Standing::default(),
            backoff: Backoff::of(options),
            times: Times {
                hello: Duration::from_millis(options.hello_timeout_ms.into()),
                ..Times::default()
            },
            tenure: None,
            opening: Semaphore::new(OPENING_MAX),
            refills: (!options.no_refill).then(|| Semaphore::new(1)),
        }
    }

    /// May a session be begun or resumed on this machine?
    pub fn may_run(&self) -> bool {
        self.tenure.as_ref().is_none_or(Tenure::is_held)
    }

    /// Waits until one may.
    pub async fn until_it_may_run(&self) {
        if let Some(tenure) = &self.tenure {
            tenure.held().await;
        }
    }

    /// What begins a session of `shard` that shows `presence`.
    pub fn identify(&self, shard: Shard, presence: Option<PresenceUpdate>) -> Identify {
        Identify {
            token: self.token.reveal().to_owned(),
            intents: self.intents,
            shard,
            large_threshold: self.large_threshold,
            presence,
            capabilities: self.capabilities,
        }
    }
}

/// What one run of a shard begins with.
pub struct Start {
    /// The shard.
    pub shard: Shard,
    /// Its ring.
    pub producer: Producer,
    /// Rings when there is space again.
    pub bell: AsyncBell,
    /// Says when to stop.
    pub stop: watch::Receiver<bool>,
    /// Runs that failed in a row before this one.
    pub failures: u32,
}

impl std::fmt::Debug for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Start").field("shard", &self.shard).finish_non_exhaustive()
    }
}

/// Why a run of a shard ended before its time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// The ring cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The ring cannot be opened again.
    #[error("{0}")]
    Ring(String),
    /// No permit can be had.
    #[error("the common identify queue cannot be used: {0}")]
    Permit(std::io::Error),
}
