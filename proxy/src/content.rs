//! What MESSAGE_CONTENT alone shows, and how a message is without it.

use mixcord::event::{List, Map, Value, Writer, edit};
use mixcord::{Kind, atoms};

/// A message without what only MESSAGE_CONTENT shows; `None` where it shows as it is: to its author, to whom it
/// mentions, and in private. `me` is the bot.
pub(crate) fn without_content(kind: Kind, data: Value<'_>, me: u64) -> Option<Vec<u8>> {
    let map = data.as_map()?;
    let mut out = Vec::new();
    match kind {
        Kind::MESSAGE_CREATE | Kind::MESSAGE_UPDATE => {
            map.get(atoms::GUILD_ID)?;
            if shows_to(map, me) {
                return None;
            }
            strip(map, me, 0, &mut out);
        }
        // It quotes what somebody wrote.
        Kind::AUTO_MODERATION_ACTION_EXECUTION => {
            let quotes = [atoms::CONTENT, atoms::MATCHED_CONTENT];
            let quotes = quotes.into_iter().filter(|key| map.contains(*key));
            let changes: Vec<_> = quotes.map(|key| (key, Value::Str(""))).collect();
            edit::with(map, &changes, &mut out);
        }
        _ => return None,
    }
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
        Value::Map(message) if !shows_to(message, me) => strip(message, me, 0, &mut out),
        Value::List(messages) => {
            let mut list = Writer::new(&mut out).list();
            for message in messages.iter() {
                match message {
                    Value::Map(map) if !shows_to(map, me) => {
                        let mut bare = Vec::new();
                        strip(map, me, 1, &mut bare);
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

/// Discord shows the message that is answered, and none that this one answers. Each level here is one more copy.
const MESSAGE_DEPTH_MAX: usize = 8;

/// Writes a message without its content, and so those that it answers or passes on. It stands in `depth` containers: of
/// what stands in more than [`MESSAGE_DEPTH_MAX`] nothing is shown.
fn strip(message: Map<'_>, me: u64, depth: usize, out: &mut Vec<u8>) {
    if depth > MESSAGE_DEPTH_MAX {
        return edit::null(out);
    }
    let (mut bare, mut none) = (Vec::new(), Vec::new());
    edit::without(message, &[atoms::POLL], &mut bare);
    Writer::new(&mut none).list().end();
    let Value::Map(bare) = Value::trusted(&bare) else { return };
    let nothing = Value::trusted(&none);
    let (mut answered, mut passed_on) = (Vec::new(), Vec::new());
    let mut changes: Vec<_> = [atoms::EMBEDS, atoms::ATTACHMENTS, atoms::COMPONENTS]
        .into_iter()
        .filter(|key| bare.contains(*key))
        .map(|key| (key, nothing))
        .collect();
    if bare.contains(atoms::CONTENT) {
        changes.push((atoms::CONTENT, Value::Str("")));
    }
    if let Some(Value::Map(other)) = bare.get(atoms::REFERENCED_MESSAGE)
        && !shows_to(other, me)
    {
        strip(other, me, depth + 1, &mut answered);
        changes.push((atoms::REFERENCED_MESSAGE, Value::trusted(&answered)));
    }
    if let Some(Value::List(snapshots)) = bare.get(atoms::MESSAGE_SNAPSHOTS) {
        strip_snapshots(snapshots, me, depth + 1, &mut passed_on);
        changes.push((atoms::MESSAGE_SNAPSHOTS, Value::trusted(&passed_on)));
    }
    edit::with(bare, &changes, out);
}

/// Writes the messages that one passes on, without their content; their list stands in `depth` containers.
fn strip_snapshots(snapshots: List<'_>, me: u64, depth: usize, out: &mut Vec<u8>) {
    let mut list = Writer::new(out).list();
    for snapshot in snapshots.iter() {
        let message = snapshot.get(atoms::MESSAGE).and_then(Value::as_map);
        match (snapshot, message) {
            (Value::Map(snapshot), Some(message)) => {
                let (mut bare, mut whole) = (Vec::new(), Vec::new());
                strip(message, me, depth + 2, &mut bare);
                edit::with(snapshot, &[(atoms::MESSAGE, Value::trusted(&bare))], &mut whole);
                list.push(Value::trusted(&whole));
            }
            // Whatever it is, it is no message.
            (other, _) => list.push(other),
        }
    }
    list.end();
}

#[cfg(test)]
mod tests {
    use mixcord::event::Document;

    use super::*;
    use crate::encode::tests::unchecked;

    fn json(text: &str) -> Document {
        Document::from_json(text).expect("json")
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
        // What is answered may be the bot's own, and what is passed on is somebody's.
        let own = message(
            r#","guild_id":"3","referenced_message":{"content":"mine","author":{"id":"9"}}"#,
        );
        assert!(bare(&own).expect("of a guild").contains("mine"));
        let passed_on = r#","guild_id":"3","message_snapshots":[{"message":{"content":"secret","embeds":[{}]}}]"#;
        let hidden = bare(&message(passed_on)).expect("of a guild");
        assert!(!hidden.contains("secret") && hidden.contains("message_snapshots"), "{hidden}");
        let quoted =
            json(r#"{"guild_id":"3","content":"secret","matched_content":"secret","rule_id":"1"}"#);
        let hidden = without_content(Kind::AUTO_MODERATION_ACTION_EXECUTION, quoted.value(), 9);
        let hidden = Document::trusted(hidden.expect("quoted")).to_json();
        assert!(!hidden.contains("secret") && hidden.contains("rule_id"), "{hidden}");
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

    /// P8: of what nobody checked, under a seal that was forged, no more is looked at than messages have.
    #[test]
    fn p8_messages_that_answer_each_other_without_end_are_cut() {
        for keys in [&["referenced_message"][..], &["message_snapshots", "", "message"]] {
            let deep = unchecked(keys, 100_000 / keys.len());
            let message = json(r#"{"guild_id":"3","content":"secret"}"#);
            let mut whole = Vec::new();
            let Value::Map(deep) = Value::trusted(&deep) else { unreachable!("a map") };
            edit::merge(message.value().as_map().expect("a map"), deep, &mut whole);
            let hidden = without_content(Kind::MESSAGE_CREATE, Value::trusted(&whole), 9);
            let hidden = Document::trusted(hidden.expect("of a guild"));
            assert_eq!(hidden.get(atoms::CONTENT), Some(Value::Str("")));
            assert!(hidden.as_bytes().len() < 4096, "{} bytes are left", hidden.as_bytes().len());
            let old = old_without_content(Kind::MESSAGE_DELETE, Value::trusted(&whole), 9);
            assert_eq!(old.as_deref(), Some(hidden.as_bytes()));
        }
    }
}
