//! Tables that are sorted and scrolled.

use std::cmp::Ordering;

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::Stylize;
use ratatui::text::Line;
use ratatui::widgets::{Row, Table};

use crate::top::app::App;

/// A column: its name, and its width in cells.
pub(super) type Column = (&'static str, u16);

/// A cell: what is shown, and what is sorted by.
pub(super) struct Cell {
    shown: Line<'static>,
    key: Key,
}

#[derive(PartialEq)]
enum Key {
    Number(f64),
    Text(String),
}

impl Cell {
    pub(super) fn number(value: f64, shown: impl Into<Line<'static>>) -> Self {
        Self { shown: shown.into().right_aligned(), key: Key::Number(value) }
    }

    /// A number that stands at the left, as names do.
    pub(super) fn left(value: f64, shown: impl Into<Line<'static>>) -> Self {
        Self { shown: shown.into(), key: Key::Number(value) }
    }

    pub(super) fn text(shown: impl Into<Line<'static>>) -> Self {
        let shown = shown.into();
        let key = Key::Text(shown.to_string());
        Self { shown, key }
    }
}

impl Key {
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Number(_), Self::Text(_)) => Ordering::Less,
            (Self::Text(_), Self::Number(_)) => Ordering::Greater,
        }
    }
}

/// Draws the rows that there is room for, in the order that is asked for.
pub(super) fn draw(
    app: &mut App,
    columns: &[Column],
    mut rows: Vec<Vec<Cell>>,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let sort = app.sort();
    rows.sort_by(|a, b| {
        let keys = a.get(sort.column).zip(b.get(sort.column));
        let order = keys.map_or(Ordering::Equal, |(a, b)| a.key.compare(&b.key));
        if sort.descending { order.reverse() } else { order }
    });
    // The line of names is above.
    app.page = usize::from(area.height.saturating_sub(1)).max(1);
    app.rows = rows.len();
    app.scroll = app.scroll.min(app.rows.saturating_sub(app.page));
    let header = columns.iter().enumerate().map(|(place, (name, _))| {
        let arrow = if sort.descending { "▾" } else { "▴" };
        let text = if place == sort.column { format!("{name}{arrow}") } else { (*name).to_owned() };
        let line = Line::from(text.bold());
        let is_number = rows.first().is_some_and(|row| row[place].shown.alignment.is_some());
        if is_number { line.right_aligned() } else { line }
    });
    let header = Row::new(header.collect::<Vec<_>>());
    let shown = rows.into_iter().skip(app.scroll).take(app.page);
    let shown = shown.map(|row| Row::new(row.into_iter().map(|cell| cell.shown)));
    let widths = columns.iter().map(|(_, width)| Constraint::Length(*width));
    frame.render_widget(Table::new(shown, widths).header(header).column_spacing(1), area);
}
