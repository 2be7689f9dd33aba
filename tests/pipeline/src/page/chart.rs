//! Horizontal bars as SVG: of parts that add up, or of three times on one logarithmic line.

use std::fmt::Write as _;

use super::Median;

/// One line of a chart.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    label: String,
    /// What its parts are, and how long.
    parts: Vec<(String, f64)>,
}

const LABEL_WIDTH: f64 = 470.0;
const WIDTH: f64 = 520.0;
const LINE: f64 = 26.0;
const MARGIN: f64 = 90.0;
/// Told apart by lightness, too.
const COLOURS: [&str; 4] = ["#1f4e79", "#5b9bd5", "#9dc3e6", "#c9c9c9"];

impl Bar {
    /// CPU by process.
    pub(super) fn of_parts(median: &Median) -> Self {
        let parts = median.processes.iter().map(|part| (part.name.clone(), part.cpu_s_per_million));
        Self { label: label(median), parts: parts.collect() }
    }

    /// Three times, where there are any.
    pub(super) fn of_latency(median: &Median) -> Option<Self> {
        let names = ["p50", "p99", "p99.9"].map(str::to_owned);
        let parts = names.into_iter().zip(median.latency_us?).collect();
        Some(Self { label: label(median), parts })
    }
}

fn label(median: &Median) -> String {
    format!("{} · {}", median.case, median.contender)
}

/// Parts one behind the other.
pub(super) fn bars(title: &str, bars: &[Bar]) -> String {
    let sum = |bar: &Bar| bar.parts.iter().map(|(_, value)| value).sum::<f64>();
    let most = bars.iter().map(sum).fold(f64::MIN_POSITIVE, f64::max);
    drawn(title, bars, |svg, bar, y| {
        let mut x = LABEL_WIDTH;
        for ((name, value), colour) in bar.parts.iter().zip(COLOURS.iter().cycle()) {
            let width = value / most * WIDTH;
            let _ = write!(
                svg,
                r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="18" fill="{colour}"><title>{} {value:.2}</title></rect>"#,
                escaped(name)
            );
            x += width;
        }
        text(svg, x + 5.0, y + 14.0, "start", &format!("{:.1}", sum(bar)));
    })
}

/// A mark for each part on a line of powers of ten.
pub(super) fn logarithmic(title: &str, bars: &[Bar]) -> String {
    let all = || bars.iter().flat_map(|bar| bar.parts.iter().map(|(_, value)| value.max(1.0)));
    let (least, most) = (all().fold(f64::INFINITY, f64::min), all().fold(10.0, f64::max));
    let place = |value: f64| {
        let share = (value.max(1.0) / least).ln() / (most / least).ln().max(f64::MIN_POSITIVE);
        LABEL_WIDTH + share * WIDTH
    };
    drawn(title, bars, |svg, bar, y| {
        let middle = y + 9.0;
        for ((name, value), colour) in bar.parts.iter().zip(COLOURS) {
            let x = place(*value);
            let _ = write!(
                svg,
                r#"<circle cx="{x:.1}" cy="{middle:.1}" r="6" fill="{colour}"><title>{} {value:.0}</title></circle>"#,
                escaped(name)
            );
        }
        let told: Vec<_> = bar.parts.iter().map(|(_, value)| format!("{value:.0}")).collect();
        let end = bar.parts.iter().map(|(_, value)| place(*value)).fold(0.0, f64::max);
        text(svg, end + 10.0, y + 14.0, "start", &told.join(", "));
    })
}

fn drawn(title: &str, bars: &[Bar], draw: impl Fn(&mut String, &Bar, f64)) -> String {
    let (width, height) = (LABEL_WIDTH + WIDTH + MARGIN, LINE * (bars.len() as f64 + 1.5));
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#ffffff"/>"##
    );
    text(&mut svg, LABEL_WIDTH, 16.0, "start", title);
    for (line, bar) in bars.iter().enumerate() {
        let y = LINE * (line as f64 + 1.0);
        text(&mut svg, LABEL_WIDTH - 8.0, y + 14.0, "end", &bar.label);
        draw(&mut svg, bar, y);
    }
    svg + "</svg>\n"
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = escaped(text);
    let _ = write!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#);
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_parts() {
        let bar = |label: &str, parts: &[f64]| Bar {
            label: label.to_owned(),
            parts: parts.iter().map(|&value| ("a & b".to_owned(), value)).collect(),
        };
        let svg = bars("title", &[bar("one", &[1.0, 3.0]), bar("two", &[2.0])]);
        assert!(svg.contains(r#"width="130.0""#) && svg.contains(r#"width="390.0""#), "{svg}");
        assert!(svg.contains(r#"width="260.0""#) && svg.contains("a &amp; b"), "{svg}");
        let svg = logarithmic("title", &[bar("one", &[10.0, 100.0, 1_000.0])]);
        assert!(svg.contains(r#"cx="470.0""#) && svg.contains(r#"cx="730.0""#), "{svg}");
        assert!(svg.contains(r#"cx="990.0""#), "{svg}");
    }
}
