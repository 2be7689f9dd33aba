//! Colours, bars and numbers for people.

use std::io::IsTerminal;

/// How text is coloured: not at all, unless it goes to a terminal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    colour: bool,
}

impl Style {
    /// The style for standard output. `NO_COLOR` in the environment switches colours off.
    pub(crate) fn detect() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { colour: wanted && std::io::stdout().is_terminal() }
    }

    /// Without colours, wherever it goes.
    pub(crate) const fn plain() -> Self {
        Self { colour: false }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(crate) fn cyan(self, text: &str) -> String {
        self.paint("36", text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A bar of `width` cells and the percentage: green, yellow from half full, red from 90 %.
    pub(crate) fn bar(self, fullness: f64, width: usize) -> String {
        let fullness = fullness.clamp(0.0, 1.0);
        let filled = (fullness * width as f64).ceil() as usize;
        let bar = format!("{}{}", "█".repeat(filled), "░".repeat(width - filled));
        let bar = match fullness {
            f if f >= 0.9 => self.red(&bar),
            f if f >= 0.5 => self.yellow(&bar),
            _ => self.green(&bar),
        };
        format!("{bar} {:>3.0}%", fullness * 100.0)
    }
}

/// 1234567 as 1,234,567.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the unit that gives a short number.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let decimals = usize::from(unit > 0 && value < 100.0 && value.fract() > 0.0);
    format!("{value:.decimals$} {}", UNITS[unit])
}

/// At most `width` characters of a text, on one line.
pub(crate) fn clip(text: &str, width: usize) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut clipped: String = clean.clone().take(width).collect();
    if clean.count() > width {
        clipped.pop();
        clipped.push('…');
    }
    clipped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(thousands),
            ["0", "999", "1,000", "1,234,567"].map(str::to_owned)
        );
        assert_eq!(
            [0, 1023, 1024, 1536, 64 << 20].map(bytes),
            ["0 B", "1023 B", "1 KiB", "1.5 KiB", "64 MiB"].map(str::to_owned)
        );
    }

    #[test]
    fn bars_fit_their_width_whatever_the_fullness() {
        let plain = Style { colour: false };
        assert_eq!(plain.bar(0.0, 4), "░░░░   0%");
        assert_eq!(plain.bar(0.01, 4), "█░░░   1%");
        assert_eq!(plain.bar(7.0, 4), "████ 100%");
        assert_eq!(plain.bar(f64::NAN, 4), "░░░░ NaN%");
    }

    #[test]
    fn text_is_cut_at_characters_and_stays_on_a_line() {
        assert_eq!(clip("añb\nc", 5), "añb c");
        assert_eq!(clip("añbcdef", 4), "añb…");
    }
}
