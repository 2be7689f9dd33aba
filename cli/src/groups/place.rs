//! Where a group is to go on, as people type it.

use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mixcord::operator::Place;
use mixcord_process::command_line;

const DAY: u64 = 86_400;

/// earliest, latest, the number of a record, or a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Where {
    Place(Place),
    /// So long ago.
    Ago(Duration),
    /// The last time it was so late, in seconds of the day (UTC).
    TimeOfDay(u64),
}

impl Where {
    pub(super) fn place(self) -> Place {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.at(now)
    }

    fn at(self, now: Duration) -> Place {
        match self {
            Self::Place(place) => place,
            Self::Ago(time) => Place::Since(now.saturating_sub(time)),
            Self::TimeOfDay(second) => {
                let today = now.as_secs() / DAY * DAY + second;
                let last = if today > now.as_secs() { today.saturating_sub(DAY) } else { today };
                Place::Since(Duration::from_secs(last))
            }
        }
    }
}

impl FromStr for Where {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "neither earliest, latest, the number of a record, nor a time like 15m (ago), 14:02:11 (UTC) \
             or 2026-11-29T14:02:11Z"
                .to_owned()
        };
        match text {
            "earliest" => return Ok(Self::Place(Place::Earliest)),
            "latest" => return Ok(Self::Place(Place::Latest)),
            _ => {}
        }
        if let Ok(position) = text.parse() {
            return Ok(Self::Place(Place::Position(position)));
        }
        // A number alone is a record's, not a time of so many seconds, and of a record there is no half.
        if text.ends_with(|last: char| last.is_ascii_alphabetic())
            && let Ok(time) = command_line::duration(text)
        {
            return Ok(Self::Ago(time));
        }
        if let Some(second) = time_of_day(text) {
            return Ok(Self::TimeOfDay(second));
        }
        date_and_time(text).map(|time| Self::Place(Place::Since(time))).ok_or_else(wrong)
    }
}

/// `14:02:11` or `14:02`.
fn time_of_day(text: &str) -> Option<u64> {
    let mut parts = text.split(':').map(|part| {
        let plain = (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| part.parse::<u64>().ok()).flatten()
    });
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    let fits = hour < 24 && minute < 60 && second < 60 && parts.next().is_none();
    fits.then_some(hour * 3600 + minute * 60 + second)
}

/// `2026-11-29T14:02:11Z`, since the Unix epoch.
fn date_and_time(text: &str) -> Option<Duration> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut parts = date.split('-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1970..=9999).contains(&year) || parts.next().is_some() {
        return None;
    }
    let is_leap =
        |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let february = if is_leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let index = usize::try_from(month).ok()?.checked_sub(1)?;
    if day == 0 || day > *months.get(index)? {
        return None;
    }
    let years: u64 = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum();
    let days = years + months[..index].iter().sum::<u64>() + day - 1;
    Some(Duration::from_secs(days * DAY + time_of_day(time)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Where {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn places_are_words_numbers_and_times() {
        let since = |seconds| Place::Since(Duration::from_secs(seconds));
        assert_eq!(parse("earliest"), Where::Place(Place::Earliest));
        assert_eq!(parse("latest"), Where::Place(Place::Latest));
        assert_eq!(parse("1234"), Where::Place(Place::Position(1234)));
        assert_eq!(parse("1970-01-02T00:00:01Z"), Where::Place(since(DAY + 1)));
        assert_eq!(parse("2026-11-29T14:02:11Z"), Where::Place(since(1_795_960_931)));
        assert_eq!(parse("2024-03-01T00:00:00Z"), Where::Place(since(1_709_251_200)));
        let now = Duration::from_secs(100 * DAY + 10 * 3600);
        assert_eq!(parse("15m").at(now), since(100 * DAY + 10 * 3600 - 900));
        assert_eq!(parse("09:30:05").at(now), since(100 * DAY + 9 * 3600 + 30 * 60 + 5));
        assert_eq!(parse("23:00").at(now), since(99 * DAY + 23 * 3600), "yesterday's");
    }

    #[test]
    fn what_is_none_of_these_is_refused() {
        for text in [
            "",
            "tomorrow",
            "-1",
            "15",
            "15w",
            "0.5",
            "m",
            "24:00",
            "1:2:3:4",
            "12:60",
            "+1:00",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-29T14:02:11",
            "2026-11-29",
            "1969-12-31T23:59:59Z",
            "99999999999999999999d",
        ] {
            let parsed = text.parse::<Where>();
            assert_eq!(parsed.is_ok(), text == "15", "{text:?}: {parsed:?}");
        }
    }
}
