use std::collections::BTreeMap;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Stylize};
use ratatui::text::Line;

use super::table::{self, Cell, Column};
use crate::terminal::thousands;
use crate::top::Look;
use crate::top::app::App;

pub(in crate::top) const COLUMNS: [Column; 4] =
    [("kind", 40), ("events/s", 10), ("since it started", 17), ("", 10)];

pub(super) fn draw(app: &mut App, look: &Look, frame: &mut Frame<'_>, area: Rect) {
    let cache = look.overview.output().and_then(|ring| ring.cache.as_ref());
    let rates: BTreeMap<_, _> = look.rates.kinds(&look.overview).into_iter().collect();
    let most = rates.values().copied().fold(0.0, f64::max);
    let kinds = cache.into_iter().flat_map(|cache| &cache.events_by_kind);
    let rows = kinds.map(|(kind, count)| {
        let rate = rates.get(kind).copied().unwrap_or(0.0);
        let width = if most > 0.0 { (rate / most * 10.0).round() as usize } else { 0 };
        vec![
            Cell::text((*kind).to_owned()),
            Cell::number(rate, thousands(rate.round() as u64)),
            Cell::number(*count as f64, thousands(*count)),
            Cell::left(rate, Line::from("█".repeat(width).fg(Color::Cyan))),
        ]
    });
    let rows = rows.collect();
    table::draw(app, &COLUMNS, rows, frame, area);
}
