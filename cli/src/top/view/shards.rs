use std::time::Duration;

use mixcord::operator::{RingStatus, span};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Stylize;
use ratatui::text::{Line, Span};

use super::table::{self, Cell, Column};
use super::{bar, state_colour};
use crate::terminal::thousands;
use crate::top::Look;
use crate::top::app::App;

pub(in crate::top) const COLUMNS: [Column; 9] = [
    ("shard", 9),
    ("state", 13),
    ("events/s", 9),
    ("ring", 11),
    ("behind", 7),
    ("ms", 5),
    ("session", 7),
    ("lost", 5),
    ("gaps", 5),
];

pub(super) fn draw(app: &mut App, look: &Look, frame: &mut Frame<'_>, area: Rect) {
    let rows = look.overview.shards().filter_map(|ring| row(ring, look.rates.ring(ring))).collect();
    table::draw(app, &COLUMNS, rows, frame, area);
}

fn row(ring: &RingStatus, rate: f64) -> Option<Vec<Cell>> {
    let (number, count) = ring.of_shard()?;
    let status = ring.shard.as_ref();
    let told = status.map_or("unknown", |status| status.state.as_str());
    let state = match status.and_then(|status| status.stalled_now_seconds) {
        _ if !ring.producer_alive && told != "stopped" => "gone".to_owned().red(),
        Some(seconds) => format!("unread {seconds:.0} s").red(),
        None => Span::styled(told.to_owned(), state_colour(told, ring.producer_alive)),
    };
    let lag = ring.groups.iter().map(|group| group.lag).max().unwrap_or(0);
    let latency = status.and_then(|status| status.latency_ms());
    let session = status.and_then(|status| status.session_seconds);
    let count_of = |count: u64| {
        let text = thousands(count);
        Cell::number(
            count as f64,
            if count > 0 { Line::from(text.yellow()) } else { Line::from(text) },
        )
    };
    Some(vec![
        Cell::left(f64::from(number), format!("{number}/{count}")),
        Cell::text(state),
        Cell::number(rate, thousands(rate.round() as u64)),
        Cell::left(ring.fullness, bar(ring.fullness, 5)),
        Cell::number(lag as f64, thousands(lag)),
        Cell::number(
            latency.unwrap_or(-1.0),
            latency.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.0}")),
        ),
        Cell::number(
            session.unwrap_or(-1.0),
            session.map_or_else(
                || "–".to_owned(),
                |seconds| span(Duration::from_secs_f64(seconds.max(0.0))),
            ),
        ),
        count_of(status.map_or(0, |status| status.reconnects)),
        count_of(status.map_or(0, |status| status.gaps)),
    ])
}
