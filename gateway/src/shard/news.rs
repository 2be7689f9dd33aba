//! What Discord sends and this version does not know: told once, in one line for all that a burst brought.

use mixcord_event::Warning;

/// So many names stand in the line; the others are told at level debug.
const NAMED: usize = 8;

/// Logs what was met for the first time.
pub(super) fn tell(warnings: &[Warning]) {
    let (mut keys, mut events) = (Vec::new(), Vec::new());
    for warning in warnings {
        match warning {
            Warning::Event(name) => events.push(&**name),
            Warning::Key(name) => keys.push(&**name),
            other => tracing::warn!(?other, "new to this version, passed on as it is"),
        }
    }
    tell_names("keys", &keys);
    tell_names("events", &events);
}

fn tell_names(what: &str, names: &[&str]) {
    let Some((named, others)) = names.split_at_checked(NAMED.min(names.len())) else { return };
    if named.is_empty() {
        return;
    }
    let count = names.len();
    tracing::warn!(what, count, first = ?named, "new to this version, passed on as they are");
    if !others.is_empty() {
        tracing::debug!(what, ?others, "new as well");
    }
}
