//! An event for people: what it changed, old → new.

use std::fmt::Write as _;

use mixcord::Event;
use mixcord_monitor::update::Update;

use crate::terminal::{Style, clip};

/// Longer values are cut.
const VALUE: usize = 100;

/// The event in a line, and a line for each value that it changed.
pub(super) fn lines(event: &Event, style: Style) -> String {
    if let Some(count) = event.lost() {
        return format!("{}\n", style.red(&format!("{count} events were missed")));
    }
    let mut out = style.cyan(event.name());
    let seconds = event.received_us() / 1_000_000 % 86_400;
    let time = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let _ = write!(out, "  {}  shard {}", style.dim(&time), event.shard().id);
    for (name, id) in [("guild", event.guild_id()), ("channel", event.channel_id())] {
        if let Some(id) = id {
            let _ = write!(out, "  {}", style.dim(&format!("{name} {id}")));
        }
    }
    if let Some(reason) = event.reason().as_str() {
        let _ = write!(out, "  {reason}");
    }
    out.push('\n');
    match Update::of(event, usize::MAX) {
        Some(update) => {
            for change in &update.changes {
                let old = style.red(&clip(change.old.as_deref().unwrap_or_default(), VALUE));
                let _ = match &change.new {
                    Some(new) => {
                        let new = style.green(&clip(new, VALUE));
                        writeln!(out, "  {}: {old} → {new}", change.path)
                    }
                    None => writeln!(out, "  was {} {old}", change.path),
                };
            }
        }
        // What is new, or of which nothing was known.
        None => {
            let _ = writeln!(out, "  {}", style.green(&clip(&event.data().to_json(), VALUE * 2)));
        }
    }
    out
}
