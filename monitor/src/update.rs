//! An event as what was and what is.

use mixcord::event::edit::changes;
use mixcord::{Event, atoms};
use serde::Serialize;

/// Longer values are not shown: they tell nothing on one line.
const VALUE_BYTES_MAX: usize = 160;

/// The kinds that usually have an old value worth seeing.
pub const TELLING: [&str; 11] = [
    "GUILD_UPDATE",
    "CHANNEL_UPDATE",
    "THREAD_UPDATE",
    "GUILD_MEMBER_UPDATE",
    "GUILD_ROLE_UPDATE",
    "MESSAGE_UPDATE",
    "MESSAGE_DELETE",
    "PRESENCE_UPDATE",
    "USER_UPDATE",
    "VOICE_STATE_UPDATE",
    "GUILD_MEMBER_REMOVE",
];

/// What an event changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Update {
    /// Discord's name for it.
    pub kind: String,
    /// The guild it belongs to, as text.
    pub guild_id: Option<String>,
    /// What changed, the most telling first.
    pub changes: Vec<Change>,
    /// How many changes more there were, of which nothing is told.
    pub more: usize,
}

/// One value that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Where in the entity.
    pub path: String,
    /// What it was, as JSON.
    pub old: Option<String>,
    /// What it is, as JSON; `None` of what is removed.
    pub new: Option<String>,
}

impl Update {
    /// What an event changed, told by at most `most` values; `None` where nothing that can be shown did.
    #[must_use]
    pub fn of(event: &Event, most: usize) -> Option<Self> {
        let old = event.old()?;
        let (kind, guild_id) = (event.name().to_owned(), event.guild_id().map(|id| id.to_string()));
        if kind.ends_with("_DELETE") || kind.ends_with("_REMOVE") {
            let telling = [atoms::CONTENT, atoms::NAME, atoms::USER];
            let told = telling.iter().find_map(|key| Some((key.to_string(), old.get(*key)?)));
            let (path, value) = told.unwrap_or_else(|| (String::new(), old));
            let changes = vec![Change { path, old: Some(value.to_json()), new: None }];
            return Some(Self { kind, guild_id, changes, more: 0 });
        }
        // Where there is nothing on one side the field was only absent, not changed.
        let both = changes(old, event.data()).into_iter().filter_map(|change| {
            let (old, new) = (change.old?.to_json(), change.new?.to_json());
            let is_short = old.len() + new.len() < VALUE_BYTES_MAX;
            let (old, new) = (Some(old), Some(new));
            is_short.then(|| Change { path: change.path_text(), old, new })
        });
        let mut told: Vec<_> = both.collect();
        // What changes with every update tells least.
        told.sort_by_key(|it| it.path.ends_with("timestamp") || it.path == "version");
        let more = told.len().saturating_sub(most);
        told.truncate(most);
        (!told.is_empty()).then_some(Self { kind, guild_id, changes: told, more })
    }
}
