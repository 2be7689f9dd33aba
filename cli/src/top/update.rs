//! Updates as lines: what was, and what is.

use std::fmt::Write as _;

use mixcord_monitor::update::Update;

use crate::terminal::{Style, clip};

/// An update as a line: what it was -> what it is.
pub(super) fn line(update: &Update, style: Style) -> String {
    let mut line = style.cyan(&format!("{:<20}", update.kind));
    if let Some(guild) = &update.guild_id {
        let _ = write!(line, " {}", style.dim(&format!("guild {guild}")));
    }
    for change in &update.changes {
        let old = change.old.as_deref().unwrap_or_default();
        let _ = match &change.new {
            Some(new) => {
                let (old, new) = (style.red(&clip(old, 28)), style.green(&clip(new, 28)));
                write!(line, "  {}: {old} → {new}", change.path)
            }
            None => {
                let told = format!("was: {} {}", change.path, clip(old, 60));
                write!(line, "  {}", style.red(&told))
            }
        };
    }
    if update.more > 0 {
        let _ = write!(line, "  {}", style.dim(&format!("+{}", update.more)));
    }
    line
}
