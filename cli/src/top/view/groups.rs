use std::time::Duration;

use mixcord::operator::{GroupStatus, RingStatus, span};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Stylize;
use ratatui::text::{Line, Span};

use super::bar;
use super::table::{self, Cell, Column};
use crate::terminal::thousands;
use crate::top::Look;
use crate::top::app::App;

pub(in crate::top) const COLUMNS: [Column; 8] = [
    ("group", 16),
    ("ring", 11),
    ("members", 10),
    ("behind", 9),
    ("oldest", 7),
    ("events/s", 8),
    ("takes", 9),
    ("dead", 5),
];

/// Those of the output ring, and the cache's where it is behind: one a shard is of no use while it is not.
pub(super) fn draw(app: &mut App, look: &Look, frame: &mut Frame<'_>, area: Rect) {
    let rings = look.overview.rings.iter();
    let groups = rings.flat_map(|ring| ring.groups.iter().map(move |group| (ring, group)));
    let shown = groups.filter(|(ring, group)| ring.of_shard().is_none() || group.lag > 0);
    let rows =
        shown.map(|(ring, group)| row(ring, group, look.rates.group(ring, &group.name))).collect();
    table::draw(app, &COLUMNS, rows, frame, area);
}

fn row(ring: &RingStatus, group: &GroupStatus, rate: f64) -> Vec<Cell> {
    let members = f64::from(group.members);
    let members = if group.damaged {
        Cell::number(members, Line::from("damaged".red()))
    } else if group.evicted {
        Cell::number(members, Line::from("let go".red()))
    } else if group.members == 0 {
        Cell::number(members, Line::from("none".red()))
    } else {
        Cell::number(members, group.members.to_string())
    };
    let oldest = group.oldest_seconds;
    let dead: Span<'static> =
        if group.dead > 0 { thousands(group.dead).yellow() } else { "0".to_owned().into() };
    vec![
        Cell::text(group.name.clone()),
        Cell::text(ring.name.clone()),
        members,
        Cell::number(group.lag as f64, thousands(group.lag)),
        Cell::number(
            oldest.unwrap_or(0.0),
            oldest.map_or_else(
                || "–".to_owned(),
                |seconds| span(Duration::from_secs_f64(seconds.max(0.0))),
            ),
        ),
        Cell::number(rate, thousands(rate.round() as u64)),
        Cell::left(group.fullness, bar(group.fullness, 4)),
        Cell::number(group.dead as f64, Line::from(dead)),
    ]
}
