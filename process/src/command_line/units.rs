//! Sizes and times, as people type them after an option of any program.

use std::time::Duration;

/// A number of bytes: `1048576`, `64MiB`, `2 GiB`; the units may be short (`64m`) and in any case.
///
/// # Errors
/// What is expected, in one line.
pub fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || "expected a number of bytes, alone or with KiB, MiB, GiB or TiB".to_owned();
    let (number, unit) = split(text);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(|| "so many bytes there are nowhere".to_owned())
}

/// A time: `90` (seconds), `0.5`, `250ms`, `90s`, `15m`, `12h`, `1d`.
///
/// # Errors
/// What is expected, in one line.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong =
        || "expected a number of seconds, or one with ms, s, m, h or d: 90, 0.5, 15m".to_owned();
    let (number, unit) = split(text);
    let second_ms: u64 = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(second_ms).map(Duration::from_millis).ok_or_else(wrong);
    }
    let number: f64 = number.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * second_ms as f64 / 1e3).map_err(|_| wrong())
}

/// The number, and the unit behind it.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|char: char| !char.is_ascii_digit() && char != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, wanted) in [
            ("4096", 4096),
            ("0", 0),
            ("512b", 512),
            ("4 MiB", 4 << 20),
            ("64mib", 64 << 20),
            ("2g", 2 << 30),
            ("64TiB", 64 << 40),
        ] {
            assert_eq!(bytes(text), Ok(wanted), "{text}");
        }
        for wrong in ["", "MiB", "4MB!", "1TB", "-1", "+1", "1.5GiB", "99999999999TiB", "1e3", "ä"]
        {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_have_units() {
        for (text, wanted_ms) in [
            ("90", 90_000),
            ("0.5", 500),
            ("250ms", 250),
            ("90s", 90_000),
            ("15m", 900_000),
            ("1.5 h", 5_400_000),
            ("12h", 43_200_000),
            ("1d", 86_400_000),
            ("0", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(wanted_ms)), "{text}");
        }
        for wrong in [
            "",
            ".",
            "m",
            "1w",
            "-1",
            "+1",
            "1e3",
            "nan",
            "inf",
            "1.2.3",
            "99999999999999999999d",
            "1 m s",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
