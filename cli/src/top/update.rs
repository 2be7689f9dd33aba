//! Updates as lines: what was, and what is.

use std::fmt::Write as _;

use mixcord::event::edit::changes;
use mixcord::{Event, atoms};

use crate::terminal::{Style, clip};

/// An update as a line: what it was -> what it is. `None` when nothing that can be shown changed.
pub(super) fn describe(event: &Event, style: Style) -> Option<String> {
    let old = event.old()?;
    let mut line = style.cyan(&format!("{:<20}", event.name()));
    let _ = match event.guild_id() {
        Some(guild) => write!(line, " {}", style.dim(&format!("guild {guild}"))),
        None => Ok(()),
    };
    if event.name().ends_with("_DELETE") || event.name().ends_with("_REMOVE") {
        let telling = [atoms::CONTENT, atoms::NAME, atoms::USER];
        let told = telling.iter().find_map(|key| Some((key, old.get(*key)?)));
        let told = told.map_or_else(
            || clip(&old.to_json(), 60),
            |(key, value)| format!("{key} {}", clip(&value.to_json(), 60)),
        );
        let _ = write!(line, "  {}", style.red(&format!("was: {told}")));
        return Some(line);
    }
    let changes = changes(old, event.data());
    // Where there is nothing on one side the field was only absent, not changed.
    let mut told: Vec<_> = changes
        .iter()
        .filter_map(|change| {
            Some((change.path_text(), change.old?.to_json(), change.new?.to_json()))
        })
        .filter(|(_, old, new)| old.len() + new.len() < 160)
        .collect();
    if told.is_empty() {
        return None;
    }
    // What changes with every update tells least.
    told.sort_by_key(|(path, ..)| path.ends_with("timestamp") || path == "version");
    for (path, old, new) in told.iter().take(2) {
        let (old, new) = (style.red(&clip(old, 28)), style.green(&clip(new, 28)));
        let _ = write!(line, "  {path}: {old} → {new}");
    }
    if told.len() > 2 {
        let _ = write!(line, "  {}", style.dim(&format!("+{}", told.len() - 2)));
    }
    Some(line)
}
