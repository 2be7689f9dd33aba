//! Messages to clients: a document, or JSON or a term of it, in Discord's envelope.

use mixcord::event::{DEPTH_MAX, Key, Map, Value};
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
            Self::Etf => write_or_nil(out, |out| match (value, old) {
                (Value::Map(map), Some(old)) => {
                    term::map_head(map.len() + 1, out);
                    write_pairs(map, 1, out)?;
                    term::atom(OLD, out);
                    write_term(old, out);
                    Ok(())
                }
                _ => write_nested(value, 0, out),
            }),
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
    write_or_nil(out, |out| write_nested(value, 0, out));
}

/// A value nests deeper than any that was checked.
struct TooDeep;

/// As in JSON, what cannot be written says nothing.
fn write_or_nil(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<(), TooDeep>) {
    let start = out.len();
    if let Err(TooDeep) = write(out) {
        out.truncate(start);
        term::atom("nil", out);
    }
}

/// A value that stands in `depth` containers.
fn write_nested(value: Value<'_>, depth: usize, out: &mut Vec<u8>) -> Result<(), TooDeep> {
    if depth > DEPTH_MAX {
        return Err(TooDeep);
    }
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
                    return Ok(());
                }
                term::list_head(count, out);
                for item in list.iter() {
                    write_nested(item, depth + 1, out)?;
                }
            }
            term::list_end(out);
        }
        Value::Map(map) => {
            term::map_head(map.len(), out);
            write_pairs(map, depth + 1, out)?;
        }
    }
    Ok(())
}

/// The members of a map, which stand in `depth` containers.
fn write_pairs(map: Map<'_>, depth: usize, out: &mut Vec<u8>) -> Result<(), TooDeep> {
    for (key, value) in map {
        match key {
            Key::Atom(key) => term::atom(key.as_str(), out),
            // Ids as keys are text on the wire, and an atom is short.
            key => term::binary(key.as_str().as_bytes(), out),
        }
        write_nested(value, depth, out)?;
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
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

    /// P8: a seal that was forged lets bytes in that nobody checked. Nothing is on the stack for each level of them.
    #[test]
    fn p8_what_nests_deeper_than_the_stack_is_nothing() {
        let deep = unchecked(&["name", ""], 50_000);
        let data = json(r#"{"name":"a"}"#);
        for (encoding, nothing) in [(Encoding::Json, &b"null"[..]), (Encoding::Etf, b"d\0\x03nil")]
        {
            let mut out = Vec::new();
            encoding.write_body(Value::trusted(&deep), Some(data.value()), &mut out);
            assert_eq!(out, nothing);
            let beside = sent(encoding, &data, Some(&Document::trusted(deep.clone())));
            let told = beside.value().get_str("d").map(Value::to_json);
            assert_eq!(told.as_deref(), Some(r#"{"name":"a","__old":null}"#));
        }
    }

    /// Maps with one of these keys each, and lists where there is none, in one another so many times over, as nobody would
    /// write them who checks what he writes.
    pub(crate) fn unchecked(keys: &[&str], times: usize) -> Vec<u8> {
        const LIST32: u8 = 0x0F;
        const MAP32: u8 = 0x11;
        let head = |key: &&str| match *key {
            "" => (LIST32, Vec::new()),
            key => {
                let map = json(&serde_json::json!({ key: null }).to_string()).into_bytes();
                (MAP32, map[3..map.len() - 1].to_vec())
            }
        };
        let heads: Vec<_> = keys.iter().rev().map(head).collect();
        let (mut within, mut all) = (1, Vec::new());
        for (tag, key) in (0..times).flat_map(|_| &heads) {
            within += key.len() as u32;
            all.push([&[*tag][..], &within.to_le_bytes(), key].concat());
            within += 5;
        }
        all.reverse();
        all.push(vec![0]);
        all.concat()
    }
}
