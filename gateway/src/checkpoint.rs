//! What a shard's ring keeps beside its records: the session that can be resumed (G-24), and how the
//! shard stands. Committed together with the records it belongs to.

use mixcord_event::Encoding;
use serde::{Deserialize, Serialize};

use crate::config::Fingerprint;
use crate::session::{GapReason, Restored, SessionInfo};
use crate::wire::API_VERSION;

/// The layout of these bytes. Another one is not read.
const LAYOUT: u16 = 1;
/// No checkpoint is larger; the ring's own limit is higher.
const BYTES_MAX: usize = 3 << 10;
/// Ids and URLs longer than this are not kept, and the session with them.
const TEXT_MAX: usize = 1 << 10;

/// A shard ring's checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    layout: u16,
    /// The counter of the newest session.
    pub counter: u32,
    /// The last sequence number in the ring; `None` before the first session.
    pub seq: Option<u64>,
    /// The session that can be resumed.
    pub session: Option<Saved>,
    /// How the shard stands.
    pub figures: Figures,
}

/// A session and everything that has to be the same to resume it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    id: String,
    resume_url: Option<String>,
    settings: Settings,
}

/// What a session depends on: with another value of any of these it cannot be resumed (G-24).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    shard: u16,
    shards: u16,
    intents: u64,
    etf: bool,
    api_version: u8,
    fingerprint: [u8; 16],
}

impl Settings {
    /// Of a shard of this process.
    pub fn new(
        shard: u16,
        shards: u16,
        intents: u64,
        encoding: Encoding,
        fingerprint: Fingerprint,
    ) -> Self {
        let etf = encoding == Encoding::Etf;
        let api_version = API_VERSION;
        Self { shard, shards, intents, etf, api_version, fingerprint: fingerprint.0 }
    }
}

/// How a shard stands, for others to read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Figures {
    /// The state's name.
    pub state: String,
    /// The last heartbeats' latencies in microseconds, newest last; at most ten.
    pub latencies_us: Vec<u64>,
    /// Connections lost since the process started.
    pub reconnects: u64,
    /// Messages left out because they could not be decoded.
    pub undecodable: u64,
    /// Gap records written.
    pub gaps: u64,
    /// Times the socket was not read because the ring was full.
    pub stalls: u64,
    /// How long it was not read, in milliseconds.
    pub stalled_ms: u64,
}

fn configuration() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<BYTES_MAX>()
}

impl Checkpoint {
    /// Reads a ring's checkpoint; `None` when the bytes are none of this layout.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (checkpoint, used): (Self, _) =
            bincode::serde::decode_from_slice(bytes, configuration()).ok()?;
        (used == bytes.len() && checkpoint.layout == LAYOUT).then_some(checkpoint)
    }

    /// The bytes for the ring.
    pub fn encode(&mut self) -> Vec<u8> {
        self.layout = LAYOUT;
        bincode::serde::encode_to_vec(&*self, configuration()).unwrap_or_else(|_| {
            // Only texts of Discord's could make it too large, and `begin` bounds those.
            self.session = None;
            bincode::serde::encode_to_vec(&*self, configuration()).unwrap_or_default()
        })
    }

    /// A session begins.
    pub fn begin(&mut self, counter: u32, session: &SessionInfo, settings: &Settings) {
        let long = |text: &str| text.len() > TEXT_MAX;
        let resume_url = session.resume_url.clone().filter(|url| !long(url));
        self.counter = counter;
        self.session = (!long(&session.id)).then(|| Saved {
            id: session.id.clone(),
            resume_url,
            settings: settings.clone(),
        });
    }

    /// What a new process can go on with.
    pub fn restore(&self, settings: &Settings) -> Restored {
        let (seq, counter) = (self.seq, self.counter);
        match &self.session {
            Some(saved) if saved.settings == *settings => {
                let session =
                    SessionInfo { id: saved.id.clone(), resume_url: saved.resume_url.clone() };
                Restored { session: Some(session), seq, counter, lost: None }
            }
            // There was a session, and it cannot be used.
            _ if seq.is_some() => {
                Restored { session: None, seq, counter, lost: Some(GapReason::SettingsChanged) }
            }
            _ => Restored { session: None, seq, counter, lost: None },
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

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(intents: u64) -> Settings {
        Settings::new(1, 4, intents, Encoding::Etf, Fingerprint([3; 16]))
    }

    fn checkpoint() -> Checkpoint {
        let mut checkpoint = Checkpoint { seq: Some(77), ..Checkpoint::default() };
        let session = SessionInfo { id: "abc".into(), resume_url: Some("wss://x".into()) };
        checkpoint.begin(5, &session, &settings(513));
        checkpoint
    }

    #[test]
    fn g24_the_same_settings_resume_any_other_owe_a_gap() {
        let bytes = checkpoint().encode();
        let read = Checkpoint::decode(&bytes).expect("reads");
        let restored = read.restore(&settings(513));
        assert_eq!(restored.session.map(|session| session.id), Some("abc".into()));
        assert_eq!((restored.seq, restored.counter, restored.lost), (Some(77), 5, None));
        let others = [
            settings(1),
            Settings::new(1, 8, 513, Encoding::Etf, Fingerprint([3; 16])),
            Settings::new(2, 4, 513, Encoding::Etf, Fingerprint([3; 16])),
            Settings::new(1, 4, 513, Encoding::Json, Fingerprint([3; 16])),
            Settings::new(1, 4, 513, Encoding::Etf, Fingerprint([4; 16])),
        ];
        for other in others {
            let restored = read.restore(&other);
            assert_eq!(restored.session, None, "{other:?}");
            assert_eq!(restored.lost, Some(GapReason::SettingsChanged));
        }
        assert_eq!(Checkpoint::default().restore(&settings(1)).lost, None);
    }

    #[test]
    fn p8_other_bytes_are_no_checkpoint() {
        let bytes = checkpoint().encode();
        for end in 0..bytes.len() {
            assert_eq!(Checkpoint::decode(&bytes[..end]), None);
        }
        assert_eq!(Checkpoint::decode(&[0xff; 400]), None);
        let mut other = bytes;
        other[0] = other[0].wrapping_add(1);
        assert_eq!(Checkpoint::decode(&other), None);
    }

    #[test]
    fn endless_texts_are_not_kept() {
        let mut checkpoint = checkpoint();
        let session = SessionInfo { id: "i".repeat(10_000), resume_url: None };
        checkpoint.begin(6, &session, &settings(1));
        assert!(checkpoint.session.is_none());
        let session = SessionInfo { id: "i".into(), resume_url: Some("u".repeat(10_000)) };
        checkpoint.begin(6, &session, &settings(1));
        assert!(checkpoint.encode().len() < 200);
    }
}
