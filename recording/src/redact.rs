//! Contents and names replaced, the same by the same.

use std::hash::{BuildHasher, RandomState};

use mixcord_event::{Key, Kind, List, ListWriter, Map, MapWriter, Record, Value, Writer, record};

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
        let place = Place { kind, key: "", of_command: false };
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

    fn map(&self, map: Map<'_>, of: Place<'_>, mut out: MapWriter<'_>) {
        for (key, value) in map {
            let name = key.as_str();
            let of_command = match name {
                "data" => of.kind == Kind::INTERACTION_CREATE,
                "resolved" | "message" => false,
                _ => of.of_command,
            };
            let place = Place { key: name, of_command, ..of };
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

    fn list(&self, list: List<'_>, place: Place<'_>, mut out: ListWriter<'_>) {
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
            Kind::SHARD_STATE => place.key == "state",
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
