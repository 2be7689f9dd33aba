//! Messages to clients: a document, or JSON or a term of it, in Discord's envelope.

use mixcord::event::{Key, Map, Value, edit};
use mixcord::{Kind, atoms};
use mixcord_wire::term;

/// How messages of a connection are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Json,
    Etf,
}

/// The member under which the entity before stands, with `--with-old`.
const OLD: &str = "__old";

impl Encoding {
    /// Appends a value; `old` becomes a member of it, if it is a map.
    pub(crate) fn write_body(self, value: Value<'_>, old: Option<Value<'_>>, out: &mut Vec<u8>) {
        match self {
            Self::Json => {
                write_json(value, out);
                if let Some(old) = old
                    && out.pop_if(|last| *last == b'}').is_some()
                {
                    out.extend_from_slice(if out.last() == Some(&b'{') { b"\"" } else { b",\"" });
                    out.extend_from_slice(OLD.as_bytes());
                    out.extend_from_slice(b"\":");
                    write_json(old, out);
                    out.push(b'}');
                }
            }
            Self::Etf => match (value, old) {
                (Value::Map(map), Some(old)) => {
                    term::map_head(map.len() + 1, out);
                    write_pairs(map, out);
                    term::atom(OLD, out);
                    write_term(old, out);
                }
                _ => write_term(value, out),
            },
        }
    }

    /// Replaces `out` by a dispatch with a body in this encoding.
    pub(crate) fn write_dispatch(self, name: &str, seq: u64, body: &[u8], out: &mut Vec<u8>) {
        out.clear();
        match self {
            Self::Json => {
                out.extend_from_slice(b"{\"t\":");
                write_json(name.into(), out);
                out.extend_from_slice(format!(",\"s\":{seq},\"op\":0,\"d\":").as_bytes());
                out.extend_from_slice(body);
                out.push(b'}');
            }
            Self::Etf => {
                out.push(term::VERSION);
                term::map_head(4, out);
                term::atom("d", out);
                out.extend_from_slice(body);
                term::atom("op", out);
                term::integer(0, out);
                term::atom("s", out);
                term::unsigned(seq, out);
                term::atom("t", out);
                term::atom(name, out);
            }
        }
    }

    /// Replaces `out` by a message of another opcode than 0.
    pub(crate) fn write_control(self, op: u8, data: Control, out: &mut Vec<u8>) {
        out.clear();
        match self {
            Self::Json => {
                let data = match data {
                    Control::Null => "null".to_owned(),
                    Control::Bool(value) => value.to_string(),
                    Control::Hello { interval_ms } => {
                        format!(
                            "{{\"heartbeat_interval\":{interval_ms},\"_trace\":[\"[\\\"mixcord-proxy\\\"]\"]}}"
                        )
                    }
                };
                let text = format!("{{\"t\":null,\"s\":null,\"op\":{op},\"d\":{data}}}");
                out.extend_from_slice(text.as_bytes());
            }
            Self::Etf => {
                out.push(term::VERSION);
                term::map_head(4, out);
                term::atom("d", out);
                match data {
                    Control::Null => term::atom("nil", out),
                    Control::Bool(value) => write_term(value.into(), out),
                    Control::Hello { interval_ms } => {
                        term::map_head(2, out);
                        term::atom("heartbeat_interval", out);
                        term::unsigned(interval_ms, out);
                        term::atom("_trace", out);
                        term::list_head(1, out);
                        term::binary(b"[\"mixcord-proxy\"]", out);
                        term::list_end(out);
                    }
                }
                term::atom("op", out);
                term::integer(op.into(), out);
                for key in ["s", "t"] {
                    term::atom(key, out);
                    term::atom("nil", out);
                }
            }
        }
    }
}

/// What a message of another opcode than 0 carries.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Control {
    Null,
    Bool(bool),
    Hello { interval_ms: u64 },
}

fn write_json(value: Value<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    // Documents come out of our own segments: one that cannot be written is damaged, and says nothing.
    if serde_json::to_writer(&mut *out, &value).is_err() {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

fn write_term(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => term::atom("nil", out),
        Value::Bool(true) => term::atom("true", out),
        Value::Bool(false) => term::atom("false", out),
        Value::Int(value) => term::integer(value, out),
        Value::Uint(value) | Value::Id(value) => term::unsigned(value, out),
        Value::Float(value) => term::float(value, out),
        Value::Str(text) => term::binary(text.as_bytes(), out),
        Value::List(list) => {
            let bytes = list.iter().map(|item| item.as_i64().and_then(|n| u8::try_from(n).ok()));
            let count = list.iter().count();
            if count > 0 {
                if term::byte_list(count, bytes, out) {
                    return;
                }
                term::list_head(count, out);
                list.iter().for_each(|item| write_term(item, out));
            }
            term::list_end(out);
        }
        Value::Map(map) => {
            term::map_head(map.len(), out);
            write_pairs(map, out);
        }
    }
}

fn write_pairs(map: Map<'_>, out: &mut Vec<u8>) {
    for (key, value) in map {
        match key {
            Key::Atom(key) => term::atom(key.as_str(), out),
            // Ids as keys are text on the wire, and an atom is short.
            key => term::binary(key.as_str().as_bytes(), out),
        }
        write_term(value, out);
    }
}

/// A message without what only MESSAGE_CONTENT shows; `None` where it shows as it is: to its author, to whom it
/// mentions, and in private. `me` is the bot.
pub(crate) fn without_content(kind: Kind, data: Value<'_>, me: u64) -> Option<Vec<u8>> {
    if !matches!(kind, Kind::MESSAGE_CREATE | Kind::MESSAGE_UPDATE) {
        return None;
    }
    let map = data.as_map()?;
    map.get(atoms::GUILD_ID)?;
    if shows_to(map, me) {
        return None;
    }
    let mut out = Vec::new();
    strip(map, &mut out);
    Some(out)
}

/// The same of what was there before a message's event, in a guild: a message or a list of messages.
pub(crate) fn old_without_content(kind: Kind, old: Value<'_>, me: u64) -> Option<Vec<u8>> {
    let is_of_messages = matches!(
        kind,
        Kind::MESSAGE_CREATE
            | Kind::MESSAGE_UPDATE
            | Kind::MESSAGE_DELETE
            | Kind::MESSAGE_DELETE_BULK
    );
    if !is_of_messages {
        return None;
    }
    let mut out = Vec::new();
    match old {
        Value::Map(message) if !shows_to(message, me) => strip(message, &mut out),
        Value::List(messages) => {
            let mut list = mixcord::event::Writer::new(&mut out).list();
            for message in messages.iter() {
                match message {
                    Value::Map(map) if !shows_to(map, me) => {
                        let mut bare = Vec::new();
                        strip(map, &mut bare);
                        list.push(Value::trusted(&bare));
                    }
                    other => list.push(other),
                }
            }
            list.end();
        }
        _ => return None,
    }
    Some(out)
}

/// Whether a message's content shows to its author, or to whom it mentions.
fn shows_to(message: Map<'_>, me: u64) -> bool {
    let is_me = |user: Value<'_>| user.get(atoms::ID).and_then(Value::as_id) == Some(me);
    let mentions = message.get(atoms::MENTIONS).and_then(Value::as_list);
    message.get(atoms::AUTHOR).is_some_and(is_me)
        || mentions.is_some_and(|list| list.iter().any(is_me))
}

/// Writes a message without its content, and the one that it answers.
fn strip(message: Map<'_>, out: &mut Vec<u8>) {
    let (mut bare, mut none) = (Vec::new(), Vec::new());
    edit::without(message, &[atoms::POLL], &mut bare);
    mixcord::event::Writer::new(&mut none).list().end();
    let Value::Map(bare) = Value::trusted(&bare) else { return };
    let nothing = Value::trusted(&none);
    let mut answered = Vec::new();
    let mut changes: Vec<_> = [atoms::EMBEDS, atoms::ATTACHMENTS, atoms::COMPONENTS]
        .into_iter()
        .filter(|key| bare.contains(*key))
        .map(|key| (key, nothing))
        .collect();
    if bare.contains(atoms::CONTENT) {
        changes.push((atoms::CONTENT, Value::Str("")));
    }
    if let Some(Value::Map(other)) = bare.get(atoms::REFERENCED_MESSAGE) {
        strip(other, &mut answered);
        changes.push((atoms::REFERENCED_MESSAGE, Value::trusted(&answered)));
    }
    edit::with(bare, &changes, out);
}

#[cfg(test)]
mod tests {
    use mixcord::event::Document;
    use proptest::prelude::*;

    use super::*;

    fn json(text: &str) -> Document {
        Document::from_json(text).expect("json")
    }

    /// A dispatch of this data, read as another library reads it.
    fn sent(encoding: Encoding, data: &Document, old: Option<&Document>) -> Document {
        let (mut body, mut out) = (Vec::new(), Vec::new());
        encoding.write_body(data.value(), old.map(Document::value), &mut body);
        encoding.write_dispatch("GUILD_UPDATE", 300, &body, &mut out);
        match encoding {
            Encoding::Json => json(std::str::from_utf8(&out).expect("text")),
            Encoding::Etf => Document::from_etf(&out).expect("a term"),
        }
    }

    fn values() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            (-1e9..1e9).prop_map(|number: f64| (number + 0.5).into()),
            ".{0,20}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            let keys = prop_oneof![Just("id".to_owned()), Just("name".to_owned()), "[a-z0-9]{1,9}"];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::btree_map(keys, inner, 0..6)
                    .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn p6_json_and_etf_say_the_same(data in values(), old in values()) {
            let data = json(&serde_json::json!({ "d": data }).to_string());
            let old = json(&old.to_string());
            let as_json = sent(Encoding::Json, &data, Some(&old)).to_json();
            let as_etf = sent(Encoding::Etf, &data, Some(&old)).to_json();
            let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("json");
            prop_assert_eq!(read(&as_json), read(&as_etf));
            prop_assert_eq!(read(&as_json)["d"]["__old"].clone(), read(&old.to_json()));
        }
    }

    #[test]
    fn ids_are_text_in_json_and_integers_in_terms() {
        let data = json(r#"{"id":"175928847299117063","shard":[0,1],"nonce":"7"}"#);
        let mut out = Vec::new();
        Encoding::Json.write_body(data.value(), None, &mut out);
        assert_eq!(out, br#"{"id":"175928847299117063","shard":[0,1],"nonce":"7"}"#);
        out.clear();
        Encoding::Etf.write_body(data.value(), None, &mut out);
        // SMALL_BIG_EXT of eight bytes; STRING_EXT of two.
        assert!(out.windows(3).any(|part| part == [110, 8, 0]));
        assert!(out.windows(5).any(|part| part == [107, 0, 2, 0, 1]));
    }

    #[test]
    fn an_empty_map_takes_the_entity_before_too() {
        let mut out = Vec::new();
        let (data, old) = (json("{}"), json(r#"{"name":"a"}"#));
        Encoding::Json.write_body(data.value(), Some(old.value()), &mut out);
        assert_eq!(out, br#"{"__old":{"name":"a"}}"#);
    }

    #[test]
    fn content_shows_to_whom_discord_shows_it() {
        let message = |more: &str| {
            json(&format!(
                r#"{{"id":"1","content":"secret","embeds":[{{}}],"attachments":[],"poll":{{}},
                   "author":{{"id":"5"}},"mentions":[]{more}}}"#
            ))
        };
        let bare = |message: &Document| {
            without_content(Kind::MESSAGE_CREATE, message.value(), 9)
                .map(|bytes| Document::trusted(bytes).to_json())
        };
        let hidden = bare(&message(r#","guild_id":"3","referenced_message":{"content":"secret"}"#));
        let hidden = hidden.expect("of a guild");
        assert!(!hidden.contains("secret") && !hidden.contains("poll"), "{hidden}");
        assert!(
            hidden.contains(r#""content":"""#) && hidden.contains(r#""embeds":[]"#),
            "{hidden}"
        );
        for (kind, old) in [
            (Kind::MESSAGE_DELETE, message("")),
            (Kind::MESSAGE_DELETE_BULK, json(&format!("[{}]", message("").to_json()))),
        ] {
            let hidden = old_without_content(kind, old.value(), 9).expect("of a guild");
            let hidden = Document::trusted(hidden).to_json();
            assert!(!hidden.contains("secret") && hidden.contains("author"), "{hidden}");
            let own = old_without_content(kind, old.value(), 5).map(Document::trusted);
            assert!(own.is_none_or(|own| own.to_json().contains("secret")));
        }
        let guild = json(r#"{"content":"a name"}"#);
        assert_eq!(old_without_content(Kind::GUILD_UPDATE, guild.value(), 9), None);
        assert_eq!(bare(&message("")), None, "private");
        assert_eq!(bare(&message(r#","guild_id":"3","mentions":[{"id":"9"}]"#)), None, "mentioned");
        assert_eq!(bare(&message(r#","guild_id":"3","author":{"id":"9"}"#)), None, "its own");
        assert_eq!(
            without_content(Kind::TYPING_START, json(r#"{"guild_id":"3"}"#).value(), 9),
            None
        );
    }
}
