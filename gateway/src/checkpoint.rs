//! What a shard's ring keeps beside its records: the session that can be resumed (G-24), and how the
//! shard stands. Committed together with the records it belongs to.
//!
//! It is made of sections, so that a gateway reads what another release left, newer or older: whatever
//! becomes of the status, the session goes on.

use mixcord_event::figures::ShardFigures;
use mixcord_event::presence::SetPresence;
use mixcord_event::send::PresenceUpdate;
use mixcord_event::status::{CHECKPOINT, PROGRESS, SESSION, ShardStatus, decode_v2};
use mixcord_event::takeover::TAKEN;
use mixcord_event::{Encoding, sections};
use serde::{Deserialize, Serialize};

use crate::config::{Options, Token};
use crate::session::{GapReason, Restored, SessionInfo};
use crate::wire::API_VERSION;

/// Versions of the sections. Another one would cost every session: what is new goes to their ends.
const VERSION: u8 = 1;
/// As long as most are: one is made with each commit.
const USUAL_BYTES: usize = 768;
/// This program, in checkpoints.
const WRITER: &str = concat!("mixcord-gateway ", env!("CARGO_PKG_VERSION"));
/// The session's part is never larger; the ring's own limit is higher.
const BYTES_MAX: usize = 3 << 10;
/// Ids and URLs longer than this are not kept, and the session with them.
const TEXT_MAX: usize = 1 << 10;

/// A shard ring's checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// How the shard stands; for everybody. Its session counter and seq are what is committed.
    pub status: ShardStatus,
    /// The session that can be resumed; for the next gateway.
    session: Option<Saved>,
    /// `session`, encoded once for all the commits it goes with.
    encoded: Vec<u8>,
    /// What is counted; for everybody.
    figures: ShardFigures,
    /// The section of `figures`, encoded when they change.
    encoded_figures: Vec<u8>,
    /// What a command told the bot to show.
    presence: Option<SetPresence>,
    /// Its section.
    encoded_presence: Vec<u8>,
    /// The section that says what the ring goes on from, where it was taken over: for the bridge.
    taken: Vec<u8>,
}

/// A session and everything that has to be the same to resume it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Saved {
    id: String,
    resume_url: Option<String>,
    settings: Settings,
}

/// What a session depends on: with another value of any of these it cannot be resumed (G-24). A new field
/// goes to the end, and 0 in it says that nothing is known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Settings {
    shard: u16,
    shards: u16,
    intents: u64,
    etf: bool,
    api_version: u8,
    fingerprint: [u8; 16],
    /// Of token and API together. A session of a test server is none of Discord's, and its URL is no place for
    /// the token.
    account: [u8; 16],
    /// Those of IDENTIFY; 0 without.
    capabilities: u64,
}

impl Settings {
    /// What all shards of a process have in common.
    pub fn new(options: &Options, token: &Token) -> Self {
        Self {
            shard: 0,
            shards: 0,
            intents: options.intents.bits(),
            etf: options.encoding == Encoding::Etf,
            api_version: API_VERSION,
            fingerprint: token.fingerprint().0,
            account: token.fingerprint_at(&options.api_url).0,
            capabilities: options.capabilities.unwrap_or(0),
        }
    }

    /// Those of one of its shards.
    #[must_use]
    pub fn of_shard(&self, shard: u16, shards: u16) -> Self {
        Self { shard, shards, ..self.clone() }
    }

    /// Can a session that began with `saved` go on with these?
    fn go_on_from(&self, saved: &Self) -> bool {
        // A gateway of before the field does not say at which API it was; its sessions shall not pay for that.
        let account = if saved.account == [0; 16] { self.account } else { saved.account };
        *self == Self { account, ..saved.clone() }
    }
}

fn configuration() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<BYTES_MAX>()
}

impl Checkpoint {
    /// Reads a ring's checkpoint; `None` when it does not even say how far the shard's sessions came.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&CHECKPOINT, sections) = bytes.split_first()? else { return Self::decode_v2(bytes) };
        let (session, seq) = progress(sections::find(sections, PROGRESS, VERSION)?)?;
        let status = ShardStatus::decode(bytes).unwrap_or_default();
        let status = ShardStatus { session, seq, ..status };
        let encoded = sections::find(sections, SESSION, VERSION).unwrap_or_default();
        let session = (!encoded.is_empty()).then(|| sections::read(encoded)).flatten();
        let mut read = Self { status, session, encoded: encoded.to_vec(), ..Self::default() };
        read.figures = ShardFigures::decode(bytes).unwrap_or_default();
        read.show(SetPresence::decode(bytes));
        let taken = sections::each(sections).find(|(section, _)| *section == TAKEN);
        read.taken = taken.map(|(_, bytes)| bytes.to_vec()).unwrap_or_default();
        Some(read)
    }

    /// What a gateway left that wrote no sections yet.
    fn decode_v2(bytes: &[u8]) -> Option<Self> {
        let (status, rest) = decode_v2(bytes)?;
        let session: Option<Saved> = sections::read(rest)?;
        let encoded = session.as_ref().map(encode).unwrap_or_default();
        Some(Self { status, session, encoded, ..Self::default() })
    }

    /// The bytes for the ring.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(USUAL_BYTES);
        bytes.push(CHECKPOINT);
        let (session, seq) = (self.status.session.to_le_bytes(), self.status.seq);
        let progress =
            [&session[..], &[u8::from(seq.is_some())], &seq.unwrap_or(0).to_le_bytes()].concat();
        sections::put(&mut bytes, PROGRESS, VERSION, &progress);
        if self.session.is_some() {
            sections::put(&mut bytes, SESSION, VERSION, &self.encoded);
        }
        self.status.put(&mut bytes);
        bytes.extend_from_slice(&self.encoded_figures);
        bytes.extend_from_slice(&self.encoded_presence);
        bytes.extend_from_slice(&self.taken);
        sections::put(&mut bytes, sections::WRITER, 1, WRITER.as_bytes());
        bytes
    }

    /// Changes what is counted.
    pub fn count(&mut self, change: impl FnOnce(&mut ShardFigures)) {
        change(&mut self.figures);
        self.encoded_figures = self.figures.encode();
    }

    /// What is counted.
    pub fn figures(&self) -> &ShardFigures {
        &self.figures
    }

    /// The figures of a process that begins. Of those before it only the age of a session goes on, with that.
    pub fn count_anew(&mut self, pid: u32, now_us: u64, resumes: bool) {
        self.count(|figures| {
            let (session_since_us, began_at) =
                if resumes { (figures.session_since_us, figures.began_at) } else { (0, 0) };
            *figures = ShardFigures {
                pid,
                started_us: now_us,
                session_since_us,
                began_at,
                refilled_us: figures.refilled_us,
                ..ShardFigures::default()
            };
        });
    }

    /// From now on the bot shows this, if a command said so. One that is too long is forgotten with the process.
    pub fn show(&mut self, presence: Option<SetPresence>) {
        self.encoded_presence = presence.as_ref().map(SetPresence::encode).unwrap_or_default();
        self.presence = presence;
    }

    /// What the next IDENTIFY has to say, where the options say `configured`.
    pub fn presence(&self, configured: Option<&PresenceUpdate>) -> Option<PresenceUpdate> {
        let set = self.presence.as_ref().map(|set| &set.presence);
        set.or(configured).cloned()
    }

    /// Forgets what a command told the bot to show where the options have said something else since.
    pub fn forget_presence(&mut self, configured: Option<&PresenceUpdate>) {
        if self.presence.as_ref().is_some_and(|set| set.instead_of.as_ref() != configured) {
            self.show(None);
        }
    }

    /// A session begins.
    pub fn begin(&mut self, counter: u32, session: &SessionInfo, settings: &Settings) {
        let long = |text: &str| text.len() > TEXT_MAX;
        let resume_url = session.resume_url.clone().filter(|url| !long(url));
        self.status.session = counter;
        self.session = (!long(&session.id)).then(|| Saved {
            id: session.id.clone(),
            resume_url,
            settings: settings.clone(),
        });
        self.encoded = self.session.as_ref().map(encode).unwrap_or_default();
    }

    /// There is none any more that could be resumed: it is closed for good.
    pub fn end_session(&mut self) {
        self.session = None;
        self.encoded.clear();
    }

    /// The shard is not run any more, and its session is closed for good.
    pub fn close(&mut self) {
        "stopped".clone_into(&mut self.status.state);
        self.end_session();
    }

    /// What READY called the last session, if it is kept.
    pub fn session_id(&self) -> Option<&str> {
        self.session.as_ref().map(|saved| saved.id.as_str())
    }

    /// What a new process can go on with.
    pub fn restore(&self, settings: &Settings) -> Restored {
        let (seq, counter) = (self.status.seq, self.status.session);
        match &self.session {
            Some(saved) if settings.go_on_from(&saved.settings) => {
                let session =
                    SessionInfo { id: saved.id.clone(), resume_url: saved.resume_url.clone() };
                Restored { session: Some(session), seq, counter, lost: None }
            }
            // There was a session, and it cannot be used.
            saved => {
                let reason = match saved {
                    Some(_) => GapReason::SettingsChanged,
                    None => GapReason::SessionNotKept,
                };
                Restored { session: None, seq, counter, lost: seq.map(|_| reason) }
            }
        }
    }

    /// What to go on with when a ring's checkpoint cannot be read: the counter has to rise above
    /// any it could have had.
    pub fn unreadable(now_s: u64) -> Restored {
        Restored {
            session: None,
            seq: None,
            counter: u32::try_from(now_s).unwrap_or(u32::MAX / 2),
            lost: Some(GapReason::CheckpointUnreadable),
        }
    }
}

/// The texts are bounded, so that it always fits; no session is the safe way to be wrong.
fn encode(session: &Saved) -> Vec<u8> {
    bincode::serde::encode_to_vec(session, configuration()).unwrap_or_default()
}

/// The counter of the newest session, and Discord's last sequence number in the ring.
fn progress(content: &[u8]) -> Option<(u32, Option<u64>)> {
    let (counter, rest) = content.split_first_chunk()?;
    let (&is_there, rest) = rest.split_first()?;
    let seq = u64::from_le_bytes(*rest.first_chunk()?);
    Some((u32::from_le_bytes(*counter), (is_there != 0).then_some(seq)))
}

#[cfg(test)]
mod tests;
