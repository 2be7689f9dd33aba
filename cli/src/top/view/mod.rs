//! The picture: a line above, a line below, and a view between.

pub(super) mod groups;
mod help;
pub(super) mod kinds;
mod overview;
pub(super) mod shards;
mod table;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::app::{App, View};
use crate::ls::others;

pub(super) fn draw(app: &mut App, frame: &mut Frame<'_>) {
    let title = u16::from(app.title.is_some());
    let areas = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(title),
        Constraint::Min(1),
        Constraint::Length(1),
    ]);
    let [head, under, body, foot] = areas.areas(frame.area());
    frame.render_widget(header(app), head);
    if let Some(title) = &app.title {
        frame.render_widget(Paragraph::new(plain(title)), under);
    }
    let Some(look) = app.look.take() else { return };
    if app.helps {
        help::draw(frame, body);
    } else if look.overview.is_empty() {
        let text = format!("no rings yet{}", others(&look.overview.instance));
        frame.render_widget(Paragraph::new(text), body);
    } else {
        match app.view {
            View::Overview => overview::draw(app, &look, frame, body),
            View::Shards => shards::draw(app, &look, frame, body),
            View::Groups => groups::draw(app, &look, frame, body),
            View::Kinds => kinds::draw(app, &look, frame, body),
        }
    }
    app.look = Some(look);
    frame.render_widget(footer(app), foot);
}

fn header(app: &App) -> Line<'static> {
    let Some(look) = &app.look else { return Line::from("mixcord".bold()) };
    let mut spans = vec![
        format!("mixcord · {}", look.overview.instance).bold(),
        format!("  {} s", look.running.as_secs()).dim(),
        Span::raw("  "),
    ];
    for view in View::ALL {
        let text = format!(" {} {} ", view as usize + 1, view.name());
        spans.push(if view == app.view { text.reversed() } else { text.dim() });
    }
    let found = look.findings.len();
    spans.push(Span::raw("  "));
    spans.push(match look.findings.first() {
        None => "all is well".green(),
        Some(worst) => {
            let text =
                if found == 1 { "1 finding".to_owned() } else { format!("{found} findings") };
            Span::styled(text, severity(worst))
        }
    });
    Line::from(spans)
}

fn footer(app: &App) -> Line<'static> {
    let last = (app.scroll + app.page).min(app.rows);
    let place = if app.rows > app.page {
        format!("  {}-{last} of {}", app.scroll + 1, app.rows)
    } else {
        String::new()
    };
    Line::from(vec!["q end  ←→ view  ↑↓ scroll  <> sort  r turn  ? keys".dim(), place.into()])
}

fn severity(finding: &mixcord_monitor::findings::Finding) -> Style {
    use mixcord_monitor::findings::Severity;
    match finding.severity {
        Severity::Broken => Style::new().red(),
        Severity::Warning => Style::new().yellow(),
    }
}

/// The colour of a fullness.
fn heat(fullness: f64) -> Color {
    match fullness {
        f if f >= 0.9 => Color::Red,
        f if f >= 0.5 => Color::Yellow,
        _ => Color::Green,
    }
}

/// A bar of so many cells, and the percentage.
fn bar(fullness: f64, width: usize) -> Line<'static> {
    let fullness = if fullness.is_finite() { fullness.clamp(0.0, 1.0) } else { 0.0 };
    let filled = (fullness * width as f64).ceil() as usize;
    Line::from(vec![
        Span::styled("█".repeat(filled), heat(fullness)),
        "░".repeat(width - filled).dim(),
        format!(" {:>3.0}%", fullness * 100.0).into(),
    ])
}

/// The colour of a shard's state.
fn state_colour(state: &str, alive: bool) -> Color {
    match state {
        _ if !alive => Color::DarkGray,
        "connected" => Color::Green,
        "identifying" | "connecting" | "resuming" | "paused" => Color::Yellow,
        _ => Color::Red,
    }
}

/// A text without what would move the cursor or colour the rest: a title may have been coloured for a terminal.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        match letter {
            '\x1b' => drop(rest.by_ref().find(char::is_ascii_alphabetic)),
            letter if letter.is_control() => plain.push(' '),
            letter => plain.push(letter),
        }
    }
    plain
}

/// So many lines of an area from above.
fn split(area: Rect, lines: u16) -> (Rect, Rect) {
    let [above, below] =
        Layout::vertical([Constraint::Length(lines), Constraint::Min(0)]).areas(area);
    (above, below)
}

#[cfg(test)]
mod tests;
