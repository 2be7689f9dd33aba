//! What the forms of documents cost: a fixed number of puts or gets of one document, for callgrind.
//!
//!     forms plain|shaped|short|packed put|get member|presence|message COUNT
//!
//! `short` is `shaped` with short times and hashes. `plain` does the same in a table whose values have no forms. A put of `packed` is what the idle writer does with a
//! message that lies by its shape.

use std::hint::black_box;

use mixcord_event::Document;
use mixcord_state::tables::{EMOJIS, MEMBERS, MESSAGES};
use mixcord_state::{Arena, Key, Writer};

const MEMBER: &str = r#"{"roles": ["1000000000000001001", "1000000000000001002", "1000000000000001003"], "premium_since": null,
    "pending": false, "nick": "nick 7", "mute": false, "joined_at": "2020-01-01T00:00:00.000000+00:00", "flags": 0, "deaf": false,
    "communication_disabled_until": null, "banner": null, "avatar": null}"#;
const PRESENCE: &str = r#"{"user": {"id": "1000000000000004001"}, "guild_id": "1000000000000000000", "status": "online",
    "client_status": {"desktop": "online"}, "activities": [{"id": "ec0b28a579ecb4bd", "type": 0, "name": "Analytical Engine",
    "created_at": 1795080861412, "application_id": "613425648685547600", "details": "Bernoulli numbers", "state": "Note G"}]}"#;
const MESSAGE: &str = r#"{"type": 0, "tts": false, "timestamp": "2026-11-19T09:14:21.412000+00:00", "pinned": false,
    "nonce": "1000000000000100001", "mentions": [], "mention_roles": [], "mention_everyone": false, "member": {"roles":
    ["1000000000000001001", "1000000000000001002"], "premium_since": null, "pending": false, "nick": null, "mute": false,
    "joined_at": "2020-01-01T00:00:00.000000+00:00", "flags": 0, "deaf": false, "communication_disabled_until": null,
    "banner": null, "avatar": null}, "id": "1000000000000100001", "flags": 0, "embeds": [], "edited_timestamp": null,
    "content": "The engine weaves algebraic patterns just as the loom weaves flowers and leaves: see the notes below.",
    "components": [], "channel_type": 0, "channel_id": "1000000000000002001", "author": {"username": "calculator.7",
    "public_flags": 64, "id": "1000000000000004001", "global_name": "Calculator", "discriminator": "0",
    "avatar_decoration_data": null, "avatar": "a_9f8e7d6c5b4a39281706f5e4d3c2b1a0"}, "attachments": [], "guild_id": "1000000000000000000"}"#;

/// Values that are written by turns: few, so that all are near.
const KEYS: u64 = 64;
const BATCH: u64 = 256;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [form, what, document, count] = &arguments[..] else {
        return Err("forms plain|shaped|short|packed put|get member|presence|message COUNT".into());
    };
    let json = match document.as_str() {
        "member" => MEMBER,
        "presence" => PRESENCE,
        _ => MESSAGE,
    };
    let document = Document::from_json(json)?.into_bytes();
    let count: u64 = count.parse()?;
    let dir = std::env::temp_dir().join(format!("mixcord-forms-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let mut writer = Writer::create(&dir, 64 << 20)?;
    let key = |id: u64| -> Key {
        match form.as_str() {
            "plain" => EMOJIS.at(id % KEYS),
            "short" => MEMBERS.at(0, id % KEYS),
            _ => MESSAGES.at(0, id % KEYS),
        }
    };
    for id in 0..2 * KEYS {
        writer.put(key(id), &[&document])?;
    }
    let pack = |writer: &mut Writer| writer.pack_messages(None, 0, &mut || false);
    if form == "packed" {
        pack(&mut writer)?;
    }
    writer.commit((0, 0))?;
    let mut arena = Arena::default();
    for id in 0..count {
        match what.as_str() {
            "get" => {
                black_box(writer.get(key(id), &arena)?);
                arena.clear();
            }
            _ => writer.put(key(id), &[&document])?,
        }
        if id % BATCH == BATCH - 1 {
            if form == "packed" {
                pack(&mut writer)?;
            }
            writer.commit((0, 0))?;
        }
    }
    println!("{} bytes of a document", document.len());
    drop(writer);
    Ok(std::fs::remove_dir_all(&dir)?)
}
