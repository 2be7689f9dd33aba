use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Stylize;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

const KEYS: [(&str, &str); 9] = [
    ("q, Esc, Ctrl-C", "end"),
    ("1 o", "overview: the pipeline, every shard a cell, what is wrong, some updates"),
    ("2 s", "shards: state, rate, ring, latency, session, connections lost, gaps"),
    ("3 g", "groups: members, how far behind, dead letters"),
    ("4 k", "kinds of events"),
    ("← → Tab", "the view before, the next"),
    ("↑ ↓ PgUp PgDn Home End", "scroll"),
    ("< >", "sort by the column before, the next"),
    ("r", "turn the order"),
];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect) {
    let lines =
        KEYS.map(|(key, what)| Line::from(vec![format!("  {key:<24}").bold(), what.into()]));
    let head = [Line::from("Keys".bold()), Line::from("")];
    let cells = Line::from(
        "  A cell of a shard: green connected, yellow on its way, red away or not read, dim gone."
            .dim(),
    );
    let all: Vec<_> = head.into_iter().chain(lines).chain([Line::from(""), cells]).collect();
    frame.render_widget(Paragraph::new(all), area);
}
