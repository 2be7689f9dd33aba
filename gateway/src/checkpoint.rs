//! What a shard's ring keeps beside its records: the session that can be resumed (G-24), and how the
//! shard stands. Committed together with the records it belongs to.

use mixcord_event::Encoding;
use mixcord_event::status::ShardStatus;
use serde::{Deserialize, Serialize};

use crate::config::Fingerprint;
use crate::session::{GapReason, Restored, SessionInfo};
use crate::wire::API_VERSION;

/// The session's part is never larger; the ring's own limit is higher.
const BYTES_MAX: usize = 3 << 10;
/// Ids and URLs longer than this are not kept, and the session with them.
const TEXT_MAX: usize = 1 << 10;
/// `None`, encoded.
const NO_SESSION: u8 = 0;

/// A shard ring's checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// How the shard stands; for everybody.
    pub status: ShardStatus,
    /// The session that can be resumed; for the next gateway.
    session: Option<Saved>,
    /// `session`, encoded once for all the commits it goes with.
    encoded: Vec<u8>,
}

/// A session and everything that has to be the same to resume it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Saved {
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

fn configuration() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<BYTES_MAX>()
}

impl Checkpoint {
    /// Reads a ring's checkpoint; `None` when the bytes are none of this layout.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (status, rest) = ShardStatus::decode(bytes)?;
        let (session, used) = bincode::serde::decode_from_slice(rest, configuration()).ok()?;
        (used == rest.len()).then(|| Self { status, session, encoded: rest.to_vec() })
    }

    /// The bytes for the ring.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.status.encode();
        match &self.session {
            Some(_) => bytes.extend_from_slice(&self.encoded),
            None => bytes.push(NO_SESSION),
        }
        bytes
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
        // The texts are bounded, so that it always fits; no session is the safe way to be wrong.
        self.encoded = bincode::serde::encode_to_vec(&self.session, configuration())
            .unwrap_or_else(|_| vec![NO_SESSION]);
    }

    /// What a new process can go on with.
    pub fn restore(&self, settings: &Settings) -> Restored {
        let (seq, counter) = (self.status.seq, self.status.session);
        match &self.session {
            Some(saved) if saved.settings == *settings => {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(intents: u64) -> Settings {
        Settings::new(1, 4, intents, Encoding::Etf, Fingerprint([3; 16]))
    }

    fn checkpoint() -> Checkpoint {
        let mut checkpoint = Checkpoint::default();
        checkpoint.status.seq = Some(77);
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
        let read = Checkpoint::decode(&checkpoint.encode()).expect("reads");
        assert_eq!(read.restore(&settings(1)).lost, Some(GapReason::SessionNotKept));
        let session = SessionInfo { id: "i".into(), resume_url: Some("u".repeat(10_000)) };
        checkpoint.begin(6, &session, &settings(1));
        assert!(checkpoint.encode().len() < 200);
    }
}
