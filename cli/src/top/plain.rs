//! The picture for a file or a pipe: some plain lines, each of which stands for itself.

use std::fmt::Write as _;

use mixcord_monitor::update::Update;

use super::Look;
use super::update::line;
use crate::ls::{bridges, holdup_line, others, shard_line};
use crate::terminal::{Style, thousands};

pub(super) fn lines(look: &Look, updates: Vec<Update>) -> String {
    let (style, mut out) = (Style::plain(), String::new());
    let seconds = look.running.as_secs_f64().round();
    let rings = &look.overview.rings;
    if rings.is_empty() {
        let name = &look.overview.instance;
        let _ = writeln!(out, "{seconds:>4} s  instance {name} has no rings{}", others(name));
    }
    for ring in rings {
        let _ = write!(
            out,
            "{seconds:>4} s  {:<12} {:>9} events/s  {:>3.0} % full",
            ring.name,
            thousands(look.rates.ring(ring).round() as u64),
            ring.fullness * 100.0
        );
        if let Some(shard) = &ring.shard {
            let _ = write!(out, "  {}", shard_line(shard, ring.producer_alive, style));
        }
        for group in &ring.groups {
            let (lag, members) = (thousands(group.lag), group.members);
            let _ = write!(out, "  {}: lag {lag}, members {members}", group.name);
        }
        let _ = writeln!(out, "{}", if ring.producer_alive { "" } else { "  no producer" });
        if let Some(holdup) = &ring.held_by {
            let _ = writeln!(out, "{seconds:>4} s  {}: {}", ring.name, holdup_line(holdup));
        }
    }
    for bridge in bridges(&look.overview.bridges, style) {
        let _ = writeln!(out, "{seconds:>4} s  {bridge}");
    }
    if let Some(reshard) = crate::ls::reshard(&look.overview) {
        let _ = writeln!(out, "{seconds:>4} s  reshard {reshard}");
    }
    for update in updates {
        let _ = writeln!(out, "{seconds:>4} s  {}", line(&update, style));
    }
    out
}
