//! Records out of JSON, and what the annotator makes of them.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod asked;
pub(crate) mod instance;
pub(crate) mod invariants;
pub(crate) mod kills;
pub(crate) mod leaving;
pub(crate) mod overlay;
pub(crate) mod small_shm;

use mixcord_cache::annotate::{Outputs, Slice, annotate};
use mixcord_cache::settings::Settings;
use mixcord_cache::store::{MemoryStore, Store};
use mixcord_event::{Document, Flags, Header, Kind, Origin, Reason, Record, Shard, record};
use serde_json::Value as Json;

use self::overlay::Changes;

/// One output as a test sees it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Seen {
    pub(crate) kind: String,
    pub(crate) reason: Option<&'static str>,
    pub(crate) flags: Flags,
    pub(crate) data: Json,
    pub(crate) old: Json,
}

/// The bytes of a record with a payload.
pub(crate) fn record_bytes(kind: &str, payload: &Json, at: At) -> Vec<u8> {
    let known = Kind::from_name(kind.as_bytes());
    let document = Document::from_json(&payload.to_string()).expect("a payload");
    let kind_of = known.unwrap_or(Kind::UNKNOWN);
    let header = Header {
        kind: kind_of,
        flags: if at.member_events { Flags::MEMBER_EVENTS } else { Flags::NONE },
        reason: Reason::None,
        shard: Shard { id: at.shard, count: at.shards },
        session: 1,
        seq: at.seq,
        index: 0,
        key: guild_of(kind, payload),
        received_us: at.us,
        origin: Origin::default(),
    };
    let mut bytes = Vec::new();
    record::encode(&header, known.is_none().then_some(kind), document.as_bytes(), None, &mut bytes);
    bytes
}

fn guild_of(kind: &str, payload: &Json) -> u64 {
    let key = if matches!(kind, "GUILD_CREATE" | "GUILD_UPDATE" | "GUILD_DELETE") {
        "id"
    } else {
        "guild_id"
    };
    payload[key].as_str().and_then(|id| id.parse().ok()).unwrap_or(0)
}

/// Where and when a record came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    pub(crate) shard: u16,
    pub(crate) shards: u16,
    pub(crate) seq: u64,
    pub(crate) us: u64,
    /// Whether the session's intents bring the events of members.
    pub(crate) member_events: bool,
}

impl Default for At {
    fn default() -> Self {
        Self { shard: 0, shards: 1, seq: 1, us: 1_700_000_000_000_000, member_events: false }
    }
}

/// A document's JSON.
pub(crate) fn json(bytes: &[u8]) -> Json {
    let document = Document::from_bytes(bytes.to_vec()).expect("a document");
    serde_json::from_str(&document.to_json()).expect("JSON")
}

/// Feeds records into any store.
pub(crate) fn feed(
    store: &mut dyn Store,
    settings: &Settings,
    kind: &str,
    payload: &Json,
    at: At,
) -> Vec<Seen> {
    let bytes = record_bytes(kind, payload, at);
    let record = Record::parse(&bytes).expect("a record");
    let mut outputs = Outputs::default();
    let done = annotate(store, settings, &record, Slice::WHOLE, &mut outputs);
    assert!(done.expect("a store that can be read"));
    let seen = outputs.items().iter().map(|output| Seen {
        kind: if output.kind == Kind::UNKNOWN { record.kind_name() } else { output.kind.name() }
            .to_owned(),
        reason: output.reason.as_str(),
        flags: output.flags,
        data: json(output.data.bytes(record.data_bytes())),
        old: output.old.as_deref().map_or(Json::Null, json),
    });
    seen.collect()
}

/// A cache in memory that is fed JSON.
#[derive(Default)]
pub(crate) struct Cache {
    pub(crate) store: MemoryStore,
    pub(crate) settings: Settings,
    pub(crate) at: At,
    pub(crate) changes: Changes,
}

impl Cache {
    /// One whose store is of before, or is not.
    pub(crate) fn over(channels_apart: bool) -> Self {
        let mut cache = Self::default();
        if channels_apart {
            cache.store = MemoryStore::with_channels_apart();
        }
        cache.begin();
        cache
    }

    /// Another run: nothing is changed so far.
    pub(crate) fn begin(&mut self) {
        let channels_apart = !self.store.has_channels_whole();
        self.changes = Changes::default();
        self.changes.channels_apart = channels_apart;
    }

    /// Each record is a batch, as the engine makes it: begun in vain first, as when the output ring has
    /// no room, then begun again and committed.
    #[allow(clippy::needless_pass_by_value, reason = "payloads are written in place")]
    pub(crate) fn feed(&mut self, kind: &str, payload: Json) -> Vec<Seen> {
        self.at.seq += 1;
        self.at.us += 1;
        let in_vain = self.annotate(kind, &payload);
        self.changes.take_back_record();
        let seen = self.annotate(kind, &payload);
        assert_eq!(in_vain, seen, "{kind}");
        self.commit();
        seen
    }

    /// Ends the batch.
    pub(crate) fn commit(&mut self) {
        for (key, value) in self.changes.commit() {
            match value {
                Some(value) => self.store.put(key, &[&value]),
                None => self.store.delete(key),
            }
        }
    }

    fn annotate(&mut self, kind: &str, payload: &Json) -> Vec<Seen> {
        self.changes.begin_record();
        let Self { store, settings, at, changes } = self;
        changes.over(store, |store| feed(store, settings, kind, payload, *at))
    }

    /// The only output of an event that has no derived ones.
    #[allow(clippy::needless_pass_by_value, reason = "payloads are written in place")]
    pub(crate) fn one(&mut self, kind: &str, payload: Json) -> Seen {
        let mut seen = self.feed(kind, payload);
        assert_eq!(seen.len(), 1, "{kind}: {seen:#?}");
        seen.remove(0)
    }
}
