//! A moderation log: what was deleted or changed, from what to what; and, from the audit log, by whom.
//!
//! Old values come with the events, so this process remembers nothing and may be restarted at any time.
use mixcord::event::Value;
use mixcord::{Consumer, Event, Kind, Router, atoms};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let _log = mixcord::log::init();
    let consumer = Consumer::builder().group("modlog").stop_on_signals();
    mixcord::exit(consumer.route(router()).await)
}

pub(crate) fn router() -> Router {
    let changed = [
        Kind::MESSAGE_UPDATE,
        Kind::GUILD_MEMBER_UPDATE,
        Kind::GUILD_ROLE_UPDATE,
        Kind::CHANNEL_UPDATE,
        Kind::GUILD_UPDATE,
    ];
    let gone = [Kind::MESSAGE_DELETE, Kind::GUILD_ROLE_DELETE, Kind::CHANNEL_DELETE];
    Router::new()
        .on_each(changed, |event: Event| async move { print(changes(&event)) })
        .on_each(gone, |event: Event| async move { print(removed(&event)) })
        .on(Kind::GUILD_AUDIT_LOG_ENTRY_CREATE, |entry: Entry| async move { print([entry.told()]) })
}

fn print(lines: impl IntoIterator<Item = String>) {
    lines.into_iter().for_each(|line| println!("{line}"));
}

/// One line for each place that changed.
fn changes(event: &Event) -> Vec<String> {
    let Some(change) = event.change() else { return Vec::new() };
    // Discord sets these with everything.
    let noise = ["edited_timestamp", "flags"];
    let places = change.changes().into_iter().filter(|place| !noise.contains(&&*place.path_text()));
    let text =
        |value: Option<Value<'_>>| value.map_or_else(|| "nothing".to_owned(), Value::to_json);
    let line = |path: String, old, new| {
        let who = named(event).unwrap_or_default();
        format!("{}{who}: {path} {} -> {}", change.entity, text(old), text(new))
    };
    places.map(|place| line(place.path_text(), place.old, place.new)).collect()
}

/// What was removed, as it was; nothing where it was not cached.
fn removed(event: &Event) -> Option<String> {
    let change = event.change()?;
    let old = change.old?;
    let text = |key| old.get(key).and_then(Value::as_str);
    let what = text(atoms::CONTENT).or_else(|| text(atoms::NAME)).unwrap_or_default();
    let author = old.get(atoms::AUTHOR).and_then(|author| author.get(atoms::USERNAME)?.as_str());
    let by = author.map(|author| format!(" of {author}")).unwrap_or_default();
    Some(format!("{}{by} deleted: {what:?}", change.entity))
}

/// The name of what an event is about.
fn named(event: &Event) -> Option<String> {
    let entity = event.change()?.new?;
    let user = entity.get(atoms::USER).or_else(|| entity.get(atoms::AUTHOR));
    let name =
        user.and_then(|user| user.get(atoms::USERNAME)).or_else(|| entity.get(atoms::NAME))?;
    Some(format!(" {}", name.as_str()?))
}

/// What is wanted of an entry of the audit log: who did what to whom, and why he says he did.
#[derive(serde::Deserialize)]
struct Entry {
    user_id: Option<u64>,
    action_type: u64,
    target_id: Option<u64>,
    reason: Option<String>,
}

impl Entry {
    fn told(&self) -> String {
        let Self { user_id, action_type, target_id, reason } = self;
        let id = |id: &Option<u64>| id.map_or_else(|| "nobody".to_owned(), |id| id.to_string());
        let why = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        format!("by {}: action {action_type} on {}{why}", id(user_id), id(target_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixcord::testing::Testbed;

    #[tokio::test]
    async fn it_tells_what_changed_and_what_was_removed() {
        let bed = Testbed::new();
        let message = |text: &str, edited: &str| {
            format!(
                r#"{{"id":"1","content":"{text}","edited_timestamp":{edited},"author":{{"id":"5","username":"ada"}}}}"#
            )
        };
        let edit = bed.event(Kind::MESSAGE_UPDATE, message("b", r#""2020-01-01T00:00:00Z""#));
        let edit = edit.old(message("a", "null")).make();
        assert_eq!(changes(&edit), [r#"message ada: content "a" -> "b""#]);
        let role = |color: u32| format!(r#"{{"id":"3","name":"mods","color":{color}}}"#);
        let data = format!(r#"{{"guild_id":"9","role":{}}}"#, role(2));
        let role = bed.event(Kind::GUILD_ROLE_UPDATE, data).old(role(1)).make();
        assert_eq!(changes(&role), ["role mods: color 1 -> 2"]);
        let deleted = bed.event(Kind::MESSAGE_DELETE, r#"{"id":"1","channel_id":"7"}"#);
        let known = deleted.clone().old(message("a", "null")).make();
        assert_eq!(removed(&known).as_deref(), Some(r#"message of ada deleted: "a""#));
        assert_eq!(removed(&deleted.make()), None);
        let entry = r#"{"user_id":"5","action_type":20,"target_id":"6","reason":"spam"}"#;
        let entry: Entry = bed
            .event(Kind::GUILD_AUDIT_LOG_ENTRY_CREATE, entry)
            .make()
            .data_as()
            .expect("an entry");
        assert_eq!(entry.told(), "by 5: action 20 on 6 (spam)");
    }
}
