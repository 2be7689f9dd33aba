//! What a shard's ring keeps beside its records: the session that can be resumed (G-24), and how the
//! shard stands. Committed together with the records it belongs to.
//!
//! It is made of sections, so that a gateway reads what another release left, newer or older: whatever
//! becomes of the status, the session goes on.

use mixcord_event::figures::ShardFigures;
use mixcord_event::status::{CHECKPOINT, PROGRESS, SESSION, ShardStatus, decode_v2};
use mixcord_event::{Encoding, sections};
use serde::{Deserialize, Serialize};

use crate::config::Fingerprint;
use crate::session::{GapReason, Restored, SessionInfo};
use crate::wire::API_VERSION;

/// Versions of the sections. Another one would cost every session: what is new goes to their ends.
const VERSION: u8 = 1;
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
    /// Reads a ring's checkpoint; `None` when it does not even say how far the shard's sessions came.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&CHECKPOINT, sections) = bytes.split_first()? else { return Self::decode_v2(bytes) };
        let (session, seq) = progress(sections::find(sections, PROGRESS, VERSION)?)?;
        let status = ShardStatus::decode(bytes).unwrap_or_default();
        let status = ShardStatus { session, seq, ..status };
        let encoded = sections::find(sections, SESSION, VERSION).unwrap_or_default();
        let session = (!encoded.is_empty()).then(|| sections::read(encoded)).flatten();
        let figures = ShardFigures::decode(bytes).unwrap_or_default();
        Some(Self { status, session, encoded: encoded.to_vec(), figures, ..Self::default() })
    }

    /// What a gateway left that wrote no sections yet.
    fn decode_v2(bytes: &[u8]) -> Option<Self> {
        let (status, rest) = decode_v2(bytes)?;
        let (session, used): (Option<Saved>, usize) =
            bincode::serde::decode_from_slice(rest, configuration()).ok()?;
        let encoded = session.as_ref().map(encode).unwrap_or_default();
        (used == rest.len()).then_some(Self { status, session, encoded, ..Self::default() })
    }

    /// The bytes for the ring.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![CHECKPOINT];
        let (session, seq) = (self.status.session.to_le_bytes(), self.status.seq);
        let progress =
            [&session[..], &[u8::from(seq.is_some())], &seq.unwrap_or(0).to_le_bytes()].concat();
        sections::put(&mut bytes, PROGRESS, VERSION, &progress);
        if self.session.is_some() {
            sections::put(&mut bytes, SESSION, VERSION, &self.encoded);
        }
        self.status.put(&mut bytes);
        bytes.extend_from_slice(&self.encoded_figures);
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
            let session_since_us = if resumes { figures.session_since_us } else { 0 };
            *figures = ShardFigures {
                pid,
                started_us: now_us,
                session_since_us,
                ..ShardFigures::default()
            };
        });
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
    fn p8_other_bytes_are_no_checkpoint_and_no_other_session() {
        let bytes = checkpoint().encode();
        for end in 0..bytes.len() {
            let Some(read) = Checkpoint::decode(&bytes[..end]) else { continue };
            assert_eq!((read.status.session, read.status.seq), (5, Some(77)), "cut at {end}");
            assert!(read.session.is_none_or(|saved| saved.id == "abc"), "cut at {end}");
        }
        assert_eq!(Checkpoint::decode(&[0xff; 400]), None);
        let mut other = bytes;
        other[0] = other[0].wrapping_add(1);
        assert_eq!(Checkpoint::decode(&other), None);
    }

    /// What the gateway of 2026-11 left: no sections, and the status in front of the session.
    const V2: &[u8] = b"\x02\x09connected\x05\x01\x4d\x02\xfb\x28\xa0\xfb\x04\xa6\x03\x01\x02\x04\xfb\xdc\x05\x00\
        \x01\x03abc\x01\x07wss://x\x01\x04\xfb\x01\x02\x01\x0a\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03";

    /// What the first gateway with sections leaves: progress, session, status, writer.
    const V3: &[u8] = b"\x03\
        \x02\x01\x0d\x00\x00\x00\x05\x00\x00\x00\x01\x4d\x00\x00\x00\x00\x00\x00\x00\
        \x03\x01\x24\x00\x00\x00\x03abc\x01\x07wss://x\x01\x04\xfb\x01\x02\x01\x0a\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\
        \x04\x01\x1c\x00\x00\x00\x09connected\x05\x01\x4d\x02\xfb\x28\xa0\xfb\x04\xa6\x03\x01\x02\x04\xfb\xdc\x05\x00\
        \x01\x01\x15\x00\x00\x00mixcord-gateway 0.1.0";

    fn resumes(bytes: &[u8]) -> ShardStatus {
        let read = Checkpoint::decode(bytes).expect("reads");
        let restored = read.restore(&settings(513));
        let session = SessionInfo { id: "abc".into(), resume_url: Some("wss://x".into()) };
        let expected = Restored { session: Some(session), seq: Some(77), counter: 5, lost: None };
        assert_eq!(restored, expected);
        assert_eq!(
            Checkpoint::decode(&read.encode()).expect("again").restore(&settings(513)),
            expected
        );
        read.status
    }

    /// G-F9: an upgrade of the gateway, from whatever release, identifies nobody anew.
    #[test]
    fn p11_the_sessions_of_older_gateways_are_resumed() {
        for frozen in [V2, V3] {
            let status = resumes(frozen);
            assert_eq!((status.state.as_str(), status.latencies_us.len()), ("connected", 2));
            assert_eq!((status.reconnects, status.gaps, status.stalled_ms), (3, 2, 1500));
        }
    }

    /// And so does the way back: sections that are new, a longer status and one that means something
    /// else, a longer session and progress.
    #[test]
    fn p11_the_sessions_of_newer_gateways_are_resumed() {
        let longer = |section: u8, more: &[u8], version: u8| {
            let content = sections::find(&V3[1..], section, 1).expect("there");
            let mut bytes = Vec::new();
            sections::put(&mut bytes, section, version, &[content, more].concat());
            bytes
        };
        let mut unknown = Vec::new();
        sections::put(&mut unknown, 77, 9, &[0xff; 500]);
        let parts = |status_version| {
            [
                unknown.clone(),
                longer(4, b"\x2a\x05later", status_version),
                longer(3, b"\x01\x02", 1),
                longer(2, &[9; 8], 1),
            ]
            .concat()
        };
        let status = resumes(&[&[CHECKPOINT][..], &parts(1)].concat());
        assert_eq!((status.state.as_str(), status.stalls), ("connected", 4));
        let status = resumes(&[&[CHECKPOINT][..], &parts(2)].concat());
        assert_eq!(status, ShardStatus { session: 5, seq: Some(77), ..ShardStatus::default() });
        // A status of nobody's making: it is empty, and the session stands.
        let broken = [&V3[..1], &V3[1..][..61], b"\x04\x01\x02\x00\x00\x00\xff\xff"].concat();
        assert_eq!(resumes(&broken).state, "");
    }

    /// What is not there any more cannot be resumed, but its counter and seq are known.
    #[test]
    fn a_session_in_a_form_that_nobody_knows_owes_a_gap() {
        let mut bytes = V3.to_vec();
        let at = 1 + 6 + 13;
        assert_eq!(bytes[at..at + 2], [SESSION, VERSION]);
        bytes[at + 1] = 2;
        let restored = Checkpoint::decode(&bytes).expect("reads").restore(&settings(513));
        assert_eq!((restored.session, restored.seq, restored.counter), (None, Some(77), 5));
        assert_eq!(restored.lost, Some(GapReason::SessionNotKept));
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
