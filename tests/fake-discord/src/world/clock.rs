//! The world's own time, and the ids that are made of it.
//!
//! Time moves on with the events, not with the machine's clock: a seed's events are the same to the
//! last timestamp whenever they are asked for.

/// Milliseconds from 1970 to Discord's own epoch.
pub(crate) const EPOCH_MS: u64 = 1_420_070_400_000;

/// Where the world's time starts: 2026-01-05T12:00:00Z.
pub(crate) const START_MS: u64 = 1_767_614_400_000;

/// The clock of one lane. Ids of different lanes differ as long as there are at most 1,024.
#[derive(Debug)]
pub(crate) struct Clock {
    now_ms: u64,
    lane: u64,
    count: u64,
}

impl Clock {
    pub(crate) fn new(lane: usize) -> Self {
        Self { now_ms: START_MS, lane: lane as u64 & 1023, count: 0 }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    pub(crate) fn advance_ms(&mut self, by: u64) {
        self.now_ms += by;
    }

    /// A new snowflake of this moment.
    pub(crate) fn id(&mut self) -> u64 {
        self.id_at(self.now_ms)
    }

    /// A new snowflake that says it was made at `ms`.
    pub(crate) fn id_at(&mut self, ms: u64) -> u64 {
        self.count = (self.count + 1) & 0xfff;
        if self.count == 0 {
            // 4,096 ids: the next ones must be of another millisecond.
            self.now_ms += 1;
        }
        snowflake(ms, self.lane << 12 | self.count)
    }
}

/// The snowflake of a moment with the given lower 22 bits.
pub(crate) fn snowflake(ms: u64, low: u64) -> u64 {
    (ms - EPOCH_MS) << 22 | (low & 0x3f_ffff)
}

/// `2026-01-05T12:00:00.123000+00:00`, as Discord writes it.
pub(crate) fn timestamp(ms: u64) -> String {
    let (seconds, millis) = (ms / 1000, ms % 1000);
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    // By hand: most events carry one, and the formatter costs more than all the rest of them.
    let mut text = String::with_capacity(32);
    for (value, width, after) in [
        (year, 4, "-"),
        (month, 2, "-"),
        (day, 2, "T"),
        (hour, 2, ":"),
        (minute, 2, ":"),
        (second, 2, "."),
        (millis, 3, "000+00:00"),
    ] {
        push_digits(value, width, &mut text);
        text.push_str(after);
    }
    text
}

/// The last `width` decimal digits.
fn push_digits(value: u64, width: u32, text: &mut String) {
    for place in (0..width).rev() {
        let digit = value / 10_u64.pow(place) % 10;
        text.push(char::from(b'0' + digit as u8));
    }
}

/// The date of a day counted from 1970-01-01 (Howard Hinnant's algorithm).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_discords() {
        assert_eq!(timestamp(START_MS), "2026-01-05T12:00:00.000000+00:00");
        assert_eq!(timestamp(951_782_400_123), "2000-02-29T00:00:00.123000+00:00");
    }
}
