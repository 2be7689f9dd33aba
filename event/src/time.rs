//! Discord's timestamps.

/// Microseconds since 1970 (UTC) of an ISO 8601 time as Discord writes it; `None` for anything else.
///
/// ```
/// # use mixcord_event::time::micros;
/// assert_eq!(micros("1970-01-01T01:00:00.25+00:00"), Some(3_600_250_000));
/// assert_eq!(micros("yesterday"), None);
/// ```
#[must_use]
pub fn micros(text: &str) -> Option<i64> {
    let (date, time) = text.split_at_checked(10)?;
    let mut date = date.splitn(3, '-').map(number);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let time = time.strip_prefix(['T', ' '])?;
    let (clock, offset) = match time.find(['Z', '+', '-']) {
        Some(at) => time.split_at(at),
        None => (time, "Z"),
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut clock = clock.splitn(3, ':').map(number);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let fraction: i64 = match fraction.get(..6.min(fraction.len()))? {
        "" => 0,
        digits => format!("{digits:0<6}").parse().ok()?,
    };
    let minutes = days(year, month, day) * 1440 + hour * 60 + minute - offset_minutes(offset)?;
    Some((minutes * 60 + second) * 1_000_000 + fraction)
}

fn offset_minutes(offset: &str) -> Option<i64> {
    let (sign, rest) = match offset.as_bytes().first()? {
        b'Z' => return Some(0),
        b'+' => (1, &offset[1..]),
        _ => (-1, offset.get(1..)?),
    };
    let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "0"));
    Some(sign * (number(hours)? * 60 + number(minutes)?))
}

/// A number of a time: of so few digits that no sum of them overflows.
fn number(text: &str) -> Option<i64> {
    text.parse::<i32>().ok().map(i64::from)
}

/// Days since 1970 of a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::micros;

    #[test]
    fn times_compare_across_offsets_and_fractions() {
        assert_eq!(micros("1970-01-02T00:00:00Z"), Some(86_400_000_000));
        assert_eq!(micros("2024-02-29T12:30:15.5+00:00"), Some(1_709_209_815_500_000));
        assert_eq!(micros("2024-02-29T13:30:15.500000+01:00"), micros("2024-02-29T12:30:15.5Z"));
        assert!(micros("2024-03-01T00:00:00Z") > micros("2024-02-29T23:59:59.999999Z"));
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "",
            "yesterday",
            "2024-02-29",
            "2024-02-29T1",
            "2024-02-29Tx:y:z",
            "٢٠٢٤-٠٢-٢٩T",
            "2024-02-29T9223372036854775807:0:0Z",
        ] {
            assert_eq!(micros(text), None, "{text}");
        }
    }
}
