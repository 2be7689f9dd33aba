//! Voice, when another set of sessions takes over: Discord has the bot leave the voice channels that a session joined
//! once that session is closed for good. So the new set joins them first (op 4), and the old one is not closed before
//! the state says that the bot is in voice by the new one, or it is no use to wait.
//!
//! Which session a voice state belongs to stands in it (`session_id`), so nothing is remembered here, and nothing that was
//! joined by the new set is joined again. Who is killed in the middle begins anew if the change is not over by then; else the
//! bot leaves with the old sessions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mixcord_event::command::{Command, Refusal, Reply, Request, Target};
use mixcord_event::send::VoiceState;
use mixcord_event::{Document, Value, atoms, topology};
use mixcord_ring::{Namespace, Ring};
use mixcord_state::{OpenError, State};
use tokio::time::Instant;

use crate::checkpoint::Checkpoint;
use crate::commands::Desk;
use crate::config::ShardSet;

/// How often the state is read.
const LOOK: Duration = Duration::from_millis(200);
/// How soon a channel is joined again that the state does not show.
const AGAIN: Duration = Duration::from_secs(5);
/// So long nothing may have moved until the rest is left to itself: Discord answers within a second, but a shard may
/// send no more than two a second, and may have to connect before.
const PATIENCE: Duration = Duration::from_secs(20);

/// The voice channels that sessions of one shard count joined.
#[derive(Debug)]
pub(crate) struct Voices {
    instance: String,
    /// What READY called those sessions.
    sessions: BTreeSet<String>,
}

impl Voices {
    /// Those that the sessions in these rings joined.
    pub(crate) fn of(namespace: &Namespace, instance: &str, shards: &ShardSet) -> Self {
        let session = |id| {
            let ring = Ring::attach(namespace, &topology::shard_ring(id, shards.count)).ok()?;
            let checkpoint = Checkpoint::decode(&ring.checkpoint()?)?;
            Some(checkpoint.session_id()?.to_owned())
        };
        Self { instance: instance.to_owned(), sessions: shards.ids().filter_map(session).collect() }
    }

    /// Waits until the bot is in none of them by those sessions, or nothing moves any more. `by` joins them, where it is
    /// given: else another process does.
    pub(crate) async fn moved(self, by: Option<Arc<Desk>>) {
        let mut asked: BTreeMap<u64, Instant> = BTreeMap::new();
        let mut fewest = usize::MAX;
        let mut since = Instant::now();
        loop {
            let Some(left) = self.left().await else {
                // The cache makes its state anew, say.
                if since.elapsed() >= PATIENCE {
                    tracing::warn!(
                        "the state does not say where the bot is in voice: it leaves with the old sessions"
                    );
                    return;
                }
                tokio::time::sleep(LOOK).await;
                continue;
            };
            if left.is_empty() {
                return;
            }
            if left.len() < fewest {
                if fewest == usize::MAX {
                    tracing::info!(
                        channels = left.len(),
                        "the new sessions join the voice channels of the old ones"
                    );
                }
                (fewest, since) = (left.len(), Instant::now());
            }
            if since.elapsed() >= PATIENCE {
                tracing::warn!(
                    channels = left.len(),
                    "voice channels that the new sessions did not get into: the bot leaves them with the old ones"
                );
                return;
            }
            for voice in by.iter().flat_map(|_| &left) {
                if asked.get(&voice.guild_id).is_some_and(|at| at.elapsed() < AGAIN) {
                    continue;
                }
                let Some(desk) = &by else { break };
                match join(desk, voice.clone()).await {
                    // The limit is a shard's, and others may have more left: they come in the next round.
                    Reply::Refused(Refusal::RateLimited { .. } | Refusal::NotConnected { .. }) => {}
                    _ => {
                        asked.insert(voice.guild_id, Instant::now());
                    }
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Those that are left, as the state has them now: none where there is no state, and `None` where it cannot be read.
    async fn left(&self) -> Option<Vec<VoiceState>> {
        if self.sessions.is_empty() {
            return Some(Vec::new());
        }
        let (instance, sessions) = (self.instance.clone(), self.sessions.clone());
        let look = move || {
            let state = match State::open(&mixcord_state::directory(&instance)) {
                Err(OpenError::NotFound { .. }) => return Some(Vec::new()),
                state => state.ok()?,
            };
            let Some(me) = state.me().ok()?.and_then(|me| me.get(atoms::ID)?.as_id()) else {
                return Some(Vec::new());
            };
            let voices = state.voice_states_of(me).ok()?;
            let of_these = |document: &Document| {
                let session = document.get(atoms::SESSION_ID).and_then(|id| id.as_str());
                session.is_some_and(|session| sessions.contains(session))
            };
            let left = voices.iter().filter(|(_, document)| of_these(document));
            Some(left.filter_map(|(guild, document)| as_it_is(*guild, document)).collect())
        };
        // A thread that may wait: a state of ten thousand guilds has some ten thousand voice states.
        tokio::task::spawn_blocking(look).await.ok().flatten()
    }
}

/// What joins the channel that the bot is in, as it is there.
fn as_it_is(guild_id: u64, state: &Document) -> Option<VoiceState> {
    let flag = |key| matches!(state.get(key), Some(Value::Bool(true)));
    let channel_id = Some(state.get(atoms::CHANNEL_ID)?.as_id()?);
    let (self_mute, self_deaf) = (flag(atoms::SELF_MUTE), flag(atoms::SELF_DEAF));
    Some(VoiceState { guild_id, channel_id, self_mute, self_deaf })
}

async fn join(desk: &Desk, voice: VoiceState) -> Reply {
    desk.handle(Request { target: Target::Guild, command: Command::VoiceState(voice) }).await
}
