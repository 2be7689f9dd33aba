//! The payloads that are measured: written from the documented fields, sized like real ones.

use serde_json::{Value, json};

/// A gateway message in both encodings.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) name: &'static str,
    pub(crate) json: String,
    pub(crate) etf: Vec<u8>,
}

impl Payload {
    fn new(name: &'static str, data: &Value) -> Self {
        let message = json!({"op": 0, "s": 4711, "t": name, "d": data});
        Self { name, json: message.to_string(), etf: etf(&message) }
    }
}

/// About 2 kB as JSON: an author, a member, a mention, an embed, an attachment, a reply.
pub(crate) fn message_create() -> Payload {
    let author = json!({
        "id": "302050872383242240", "username": "ada.lovelace", "global_name": "Ada",
        "avatar": "3d1c0f4e8b5a2f6e9d7c1b0a4f8e2d6c", "discriminator": "0", "public_flags": 256,
        "avatar_decoration_data": null, "banner": null, "accent_color": null, "bot": false,
        "clan": null, "primary_guild": null, "collectibles": null
    });
    let data = json!({
        "id": "1175623482374918194", "channel_id": "613425648685547545", "guild_id": "613425648685547541",
        "type": 19, "tts": false, "timestamp": "2026-11-19T09:14:21.412000+00:00",
        "edited_timestamp": null, "pinned": false, "nonce": "1175623481934512128", "flags": 0,
        "content": "The engine weaves algebraic patterns just as the loom weaves flowers and leaves — \
                    see the notes below, and tell me <@82198898841029460> if table 3 is right.",
        "mention_everyone": false, "mention_roles": ["613426354628722689"],
        "mentions": [{
            "id": "82198898841029460", "username": "charles", "global_name": "Charles B.",
            "avatar": "a_9f8e7d6c5b4a39281706f5e4d3c2b1a0", "discriminator": "0", "public_flags": 64,
            "avatar_decoration_data": null, "clan": null,
            "member": {"roles": ["613426354628722689"], "nick": "CB", "avatar": null, "deaf": false,
                       "mute": false, "flags": 0, "pending": false, "premium_since": null,
                       "joined_at": "2019-08-20T16:05:13.214000+00:00",
                       "communication_disabled_until": null, "banner": null}
        }],
        "attachments": [{
            "id": "1175623482089705472", "filename": "table-3.png", "size": 84213, "width": 1280,
            "height": 720, "content_type": "image/png", "placeholder_version": 1,
            "url": "https://cdn.example.org/attachments/613425648685547545/1175623482089705472/table-3.png",
            "proxy_url": "https://media.example.org/attachments/613425648685547545/1175623482089705472/table-3.png"
        }],
        "embeds": [{"type": "rich", "title": "Note G", "description": "Diagram for the computation of Bernoulli numbers",
                    "color": 5_814_783, "fields": [{"name": "Operations", "value": "25", "inline": true}]}],
        "components": [],
        "message_reference": {"type": 0, "channel_id": "613425648685547545", "guild_id": "613425648685547541",
                              "message_id": "1175623391819948094"},
        "author": author,
        "member": {"roles": ["613426354628722689", "613426354628722690"], "nick": null, "avatar": null,
                   "joined_at": "2020-01-11T10:00:21.008000+00:00", "premium_since": null, "deaf": false,
                   "mute": false, "flags": 2, "pending": false, "communication_disabled_until": null,
                   "banner": null}
    });
    Payload::new("MESSAGE_CREATE", &data)
}

/// Discord's own shape: atom keys and constants, ids as SMALL_BIG, lists of bytes as STRING_EXT.
fn etf(message: &Value) -> Vec<u8> {
    let mut out = vec![131];
    term(message, false, &mut out);
    out
}

fn term(value: &Value, is_id: bool, out: &mut Vec<u8>) {
    match value {
        Value::Null => atom("nil", out),
        Value::Bool(true) => atom("true", out),
        Value::Bool(false) => atom("false", out),
        Value::Number(number) => integer_or_float(number, out),
        Value::String(text) => match text.parse::<u64>() {
            Ok(id) if is_id => big(id, out),
            _ => tagged(109, text.len(), text.as_bytes(), out),
        },
        Value::Array(items) if items.is_empty() => out.push(106),
        Value::Array(items) => list(items, is_id, out),
        Value::Object(members) => {
            tagged(116, members.len(), &[], out);
            for (key, member) in members {
                atom(key, out);
                if key == "t" {
                    atom(member.as_str().unwrap_or("nil"), out);
                } else {
                    term(member, holds_ids(key), out);
                }
            }
        }
    }
}

fn list(items: &[Value], is_id: bool, out: &mut Vec<u8>) {
    let bytes: Option<Vec<u8>> =
        items.iter().map(|i| i.as_u64().and_then(|n| u8::try_from(n).ok())).collect();
    if let Some(bytes) = bytes {
        out.push(107);
        out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
        out.extend_from_slice(&bytes);
        return;
    }
    tagged(108, items.len(), &[], out);
    items.iter().for_each(|item| term(item, is_id, out));
    out.push(106);
}

fn holds_ids(key: &str) -> bool {
    key == "id" || key.ends_with("_id") || matches!(key, "roles" | "mention_roles" | "ids")
}

fn atom(name: &str, out: &mut Vec<u8>) {
    out.push(100);
    out.extend_from_slice(&(name.len() as u16).to_be_bytes());
    out.extend_from_slice(name.as_bytes());
}

fn integer_or_float(number: &serde_json::Number, out: &mut Vec<u8>) {
    match number.as_i64() {
        Some(small @ 0..=255) => out.extend_from_slice(&[97, small as u8]),
        Some(int) if i32::try_from(int).is_ok() => {
            out.push(98);
            out.extend_from_slice(&(int as i32).to_be_bytes());
        }
        Some(large) if large >= 0 => big(large as u64, out),
        _ => {
            out.push(70);
            out.extend_from_slice(&number.as_f64().unwrap_or(0.0).to_be_bytes());
        }
    }
}

fn big(id: u64, out: &mut Vec<u8>) {
    let digits = 8 - id.leading_zeros() as usize / 8;
    out.extend_from_slice(&[110, digits as u8, 0]);
    out.extend_from_slice(&id.to_le_bytes()[..digits]);
}

fn tagged(tag: u8, length: usize, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(&(length as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}
