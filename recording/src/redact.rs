//! Contents and names replaced, the same by the same.

use std::hash::{BuildHasher, RandomState};

use mixcord_event::{
    DEPTH_MAX, Key, Kind, List, ListWriter, Map, MapWriter, Record, Value, Writer, record,
};

/// Keys whose texts say nothing of people, and which a cache or a bot decides by. All other text is replaced, under
/// keys that nobody knows as well.
const KEPT: &[&str] = &[
    "allow",
    "app_permissions",
    "archive_timestamp",
    "communication_disabled_until",
    "create_timestamp",
    "created_at",
    "deny",
    "discriminator",
    "edited_timestamp",
    "ends_at",
    "expires_at",
    "features",
    "guild_locale",
    "joined_at",
    "last_pin_timestamp",
    "locale",
    "permissions",
    "preferred_locale",
    "premium_since",
    "region",
    "request_to_speak_timestamp",
    "rtc_region",
    "scheduled_end_time",
    "scheduled_start_time",
    "timestamp",
    "type",
    "user_locale",
];
/// What a presence may be. Under the same key a voice channel has a text of its members'.
const PRESENCES: &[&str] = &["online", "idle", "dnd", "offline", "invisible"];
/// Keys whose texts are called names in what replaces them.
const NAMES: &[&str] = &["username", "global_name", "nick", "name", "display_name"];

/// Replaces every text of an event but those that say nothing of people: the same text by the same, by a key that is
/// forgotten with it. Ids, numbers, flags and times stay, and so do the names and `custom_id`s of commands and buttons,
/// by which a bot finds its handler.
#[derive(Debug, Default)]
pub struct Redactor {
    key: RandomState,
}

/// Where in an event a value stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    kind: Kind,
    key: &'a str,
    /// In the `data` of an interaction, and not in what that resolves.
    of_command: bool,
    /// The containers it stands in.
    depth: usize,
}

impl Redactor {
    /// With a key of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The record with its texts replaced.
    #[must_use]
    pub fn record(&self, record: &Record<'_>) -> Vec<u8> {
        let kind = record.kind();
        let place = Place { kind, key: "", of_command: false, depth: 0 };
        let document = |value: Value<'_>| {
            let mut bytes = Vec::new();
            self.document(value, place, &mut bytes);
            bytes
        };
        let (data, old) = (document(record.data()), record.old().map(document));
        let mut bytes = Vec::new();
        record::encode(
            record.header(),
            Some(record.kind_name()),
            &data,
            old.as_deref(),
            &mut bytes,
        );
        bytes
    }

    fn document(&self, value: Value<'_>, place: Place<'_>, out: &mut Vec<u8>) {
        match value {
            Value::Map(map) => self.map(map, place, Writer::new(out).map()),
            Value::List(list) => self.list(list, place, Writer::new(out).list()),
            Value::Str(text) => Writer::new(out).value(self.text(text, place).as_str()),
            value => Writer::new(out).value(value),
        }
    }

    /// What stands in more containers than a document has that was checked is left out, here and in lists.
    fn map(&self, map: Map<'_>, of: Place<'_>, mut out: MapWriter<'_>) {
        if of.depth >= DEPTH_MAX {
            return;
        }
        for (key, value) in map {
            let name = key.as_str();
            let of_command = match name {
                "data" => of.kind == Kind::INTERACTION_CREATE,
                "resolved" | "message" => false,
                _ => of.of_command,
            };
            let place = Place { key: name, of_command, depth: of.depth + 1, ..of };
            match (key, value) {
                (Key::Atom(key), Value::Map(map)) => self.map(map, place, out.map(key)),
                (Key::Text(key), Value::Map(map)) => self.map(map, place, out.named_map(key)),
                (Key::Atom(key), Value::List(list)) => self.list(list, place, out.list(key)),
                (Key::Text(key), Value::List(list)) => self.list(list, place, out.named_list(key)),
                (key, Value::Str(text)) => out.keyed(key, self.text(text, place).as_str()),
                // Of a later layout: what is in it is not known.
                (key @ Key::Unknown(_), _) => out.keyed(key, Value::Null),
                (key, value) => out.keyed(key, value),
            }
        }
    }

    fn list(&self, list: List<'_>, of: Place<'_>, mut out: ListWriter<'_>) {
        if of.depth >= DEPTH_MAX {
            return;
        }
        let place = Place { depth: of.depth + 1, ..of };
        for value in list.iter() {
            match value {
                Value::Map(map) => self.map(map, place, out.map()),
                Value::List(list) => self.list(list, place, out.list()),
                Value::Str(text) => out.push(self.text(text, place).as_str()),
                value => out.push(value),
            }
        }
    }

    fn text(&self, text: &str, place: Place<'_>) -> String {
        let is_own = match place.kind {
            Kind::GAP => place.key == "reason",
            Kind::SHARD_STATE => matches!(place.key, "state" | "stage"),
            _ => PRESENCES.contains(&text),
        };
        let routes = place.of_command && matches!(place.key, "name" | "custom_id");
        if text.is_empty() || is_own || routes || KEPT.contains(&place.key) {
            return text.to_owned();
        }
        let what = if NAMES.contains(&place.key) { "name" } else { "text" };
        format!("{what}-{:016x}", self.key.hash_one(text))
    }
}

#[cfg(test)]
mod tests {
    use mixcord_event::{Document, Header, Seal};

    use super::*;

    /// What Mixcord says of itself is nobody's secret, and what a session is called is.
    #[test]
    fn how_a_shard_stands_is_kept() {
        let said = r#"{"state":"connected","session_id":"a","reshard":{"from":2,"stage":"cut"}}"#;
        let data = Document::from_json(said).expect("JSON").into_bytes();
        let (header, mut bytes) =
            (Header { kind: Kind::SHARD_STATE, ..Header::default() }, Vec::new());
        record::encode(&header, None, &data, None, &mut bytes);
        let redacted = Redactor::new().record(&Record::parse(&bytes).expect("a record"));
        let told = Record::parse(&redacted).expect("a record").data().to_json();
        assert!(
            told.contains(r#""state":"connected""#) && told.contains(r#""stage":"cut""#),
            "{told}"
        );
        assert!(!told.contains(r#""session_id":"a""#), "{told}");
    }

    /// P8: what nobody checked, under a seal that was forged, is cut where no document goes on.
    #[test]
    fn p8_what_nests_without_end_is_cut() {
        let list = |depth: u32| {
            // Lists with four bytes for their length, in one another.
            let heads = (0..depth).rev().map(|within| (within * 5 + 1).to_le_bytes());
            let heads = heads.flat_map(|within| [&[0x0F][..], &within].concat());
            heads.chain([0]).collect::<Vec<u8>>()
        };
        let redacted = |data: &[u8], old: &[u8]| {
            let (header, mut bytes) = (Header::default(), Vec::new());
            record::encode(&header, None, data, Some(old), &mut bytes);
            let record = Record::parse_sealed(&bytes, Seal::of(&bytes)).expect("under its seal");
            Redactor::new().record(&record)
        };
        let deepest = list(u32::try_from(DEPTH_MAX).expect("a few"));
        let bytes = redacted(&deepest, &list(100_000));
        let record = Record::parse(&bytes).expect("a record as it should be");
        assert_eq!(record.data(), Value::trusted(&deepest), "nothing is missing");
        assert!(record.old().is_some_and(|old| old.to_json().starts_with("[[[")));
        let map = Document::from_json(r#"{"name":{}}"#).expect("JSON").into_bytes();
        let heads = (1..100_000_u32).rev().map(|within| (within * 7 - 4).to_le_bytes());
        let heads = heads.flat_map(|within| [&[0x11][..], &within, &map[3..5]].concat());
        let bytes = redacted(&heads.chain([0]).collect::<Vec<u8>>(), &deepest);
        Record::parse(&bytes).expect("a record as it should be");
    }
}
