//! The picture as text: for a terminal, and as plain lines.

use std::fmt::Write as _;

use anyhow::Result;

use super::Picture;
use crate::ls::{group_line, holdup_line, others, shard_line};
use crate::terminal::thousands;

impl Picture {
    /// The picture for a terminal.
    pub(super) fn draw(&mut self) -> Result<String> {
        let rings = self.rates()?;
        let style = self.style;
        let mut out = String::new();
        let name = self.instance.name();
        let _ = writeln!(
            out,
            "{}  {}",
            style.bold(&format!("mixcord · {name}")),
            style.dim(&format!("{} s", self.started.elapsed().as_secs()))
        );
        if let Some(title) = &self.title {
            let _ = writeln!(out, "{title}");
        }
        if rings.is_empty() {
            let _ = writeln!(out, "\nno rings yet{}", others(name));
        }
        for (ring, rate) in &rings {
            let producer =
                if ring.producer_alive { String::new() } else { style.red("  no producer") };
            let _ = writeln!(
                out,
                "\n{} {}  {} events/s{producer}",
                style.bold(&format!("{:<14}", ring.name)),
                style.bar(ring.fullness, 24),
                style.cyan(&format!("{:>9}", thousands(*rate))),
            );
            if let Some(shard) = &ring.shard {
                let _ = writeln!(out, "  {}", shard_line(shard, ring.producer_alive, style));
            }
            for group in &ring.groups {
                let _ = writeln!(out, "  {}", group_line(group, style));
            }
            if let Some(holdup) = &ring.held_by {
                let _ = writeln!(out, "  {}", style.red(&holdup_line(holdup)));
            }
        }
        if !self.updates.is_empty() {
            let _ = writeln!(out, "\n{}", style.bold("some updates, old → new"));
        }
        for update in &self.updates {
            let _ = writeln!(out, "  {update}");
        }
        Ok(out)
    }

    /// The same for a file or a pipe: some plain lines, each of which stands for itself.
    pub(super) fn lines(&mut self) -> Result<String> {
        let rings = self.rates()?;
        let mut out = String::new();
        let seconds = self.started.elapsed().as_secs_f64().round();
        if rings.is_empty() {
            let name = self.instance.name();
            let _ = writeln!(out, "{seconds:>4} s  instance {name} has no rings{}", others(name));
        }
        for (ring, rate) in &rings {
            let _ = write!(
                out,
                "{seconds:>4} s  {:<12} {:>9} events/s  {:>3.0} % full",
                ring.name,
                thousands(*rate),
                ring.fullness * 100.0
            );
            if let Some(shard) = &ring.shard {
                let _ = write!(out, "  {}", shard_line(shard, ring.producer_alive, self.style));
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
        for update in self.updates.drain(..) {
            let _ = writeln!(out, "{seconds:>4} s  {update}");
        }
        Ok(out)
    }
}
