//! Where the state has a guild: what moves it on, and what it knows already.
//!
//! That a guild comes and goes is a state, not an event that could be counted. A bot's membership has a number that
//! grows, whichever session says it ([`joined`]), so that of two records of it the later one is known.

use mixcord_event::{Record, Value, atoms};

/// What a record says of a guild as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Step {
    /// It is there, and all of it is told.
    Here = 1,
    /// It is not there for a while.
    Away = 2,
    /// The bot is its member no more.
    Gone = 3,
}

impl Step {
    pub(super) const fn from_number(number: u8) -> Option<Option<Self>> {
        Some(match number {
            0 => None,
            1 => Some(Self::Here),
            2 => Some(Self::Away),
            3 => Some(Self::Gone),
            _ => return None,
        })
    }
}

/// Where the state has a guild.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Stand {
    /// The number of the membership that it has, or had last; 0 where it is not known.
    pub(super) number: u64,
    pub(super) is_held: bool,
    /// It is held, and unavailable.
    pub(super) is_away: bool,
}

impl Stand {
    /// Whether a step of a membership with this number, 0 if it is not known, is news.
    pub(super) const fn moves(self, step: Step, number: u64) -> bool {
        let is_later = number > self.number;
        match step {
            _ if self.is_before(number) => false,
            Step::Here => is_later || !self.is_held || self.is_away,
            Step::Away => self.is_held && (is_later || !self.is_away),
            Step::Gone => self.is_held,
        }
    }

    /// Takes a step that is news.
    pub(super) fn go(&mut self, step: Step, number: u64) {
        *self = match step {
            Step::Here => {
                let number = if number == 0 { self.number } else { number };
                Self { number, is_held: true, is_away: false }
            }
            Step::Away => Self { number: self.number.max(number), is_away: true, ..*self },
            // Which one ended is not known: this one may have begun since.
            Step::Gone if number == 0 => {
                Self { number: self.number.saturating_sub(1), ..Self::default() }
            }
            Step::Gone => Self { number: self.number.max(number), ..Self::default() },
        };
    }

    /// Whether a membership is known to have ended.
    pub(super) const fn is_before(self, number: u64) -> bool {
        number != 0 && (number < self.number || number == self.number && !self.is_held)
    }

    /// Whether a membership may be the one that the state has.
    pub(super) const fn is_of(self, number: u64) -> bool {
        self.is_held && (number == self.number || number == 0 || self.number == 0)
    }
}

/// The number of the bot's membership that GUILD_CREATE is of: the time at which it joined, such that a later one is
/// greater. 0 if it is not said.
pub(super) fn joined(record: &Record<'_>) -> u64 {
    let at = record.data().get(atoms::JOINED_AT).and_then(Value::as_str);
    at.map_or(0, number_of)
}

/// The number of the membership that began then; 0 where that is no time.
#[must_use]
pub fn number_of(joined_at: &str) -> u64 {
    number_of_time(joined_at).unwrap_or(0)
}

/// The digits of `2015-04-26T06:26:56.936000+00:00` as one number.
fn number_of_time(time: &str) -> Option<u64> {
    let (seconds, rest) = time.split_at_checked(19)?;
    let rest = rest.strip_suffix("+00:00").or_else(|| rest.strip_suffix('Z'))?;
    let fraction = rest.strip_prefix('.').unwrap_or(rest);
    let mut number = 0;
    let mut parts = seconds.split(['-', 'T', ':']);
    for (length, most) in [(4, 9999), (2, 12), (2, 31), (2, 23), (2, 59), (2, 60)] {
        let part = parts.next().filter(|part| part.len() == length)?;
        let part: u64 = part.parse().ok().filter(|part| *part <= most)?;
        number = number * (most + 1) + part;
    }
    if parts.next().is_some() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(6);
    Some(digits.fold(number, |number, digit| number * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_joined_later_has_the_greater_number() {
        let times = [
            "2015-04-26T06:26:56.936000+00:00",
            "2015-04-26T06:26:56.936001+00:00",
            "2015-04-26T06:26:57+00:00",
            "2015-04-26T06:26:57.1Z",
            "2015-04-26T23:59:60.000000+00:00",
            "2015-04-27T00:00:00.000000+00:00",
            "2015-12-31T00:00:00.000000+00:00",
            "2016-01-01T00:00:00.000000+00:00",
            "9999-12-31T23:59:60.999999+00:00",
        ];
        let numbers = times.map(|time| number_of_time(time).expect(time));
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
        for none in
            ["", "2015-04-26", "2015-04-26T06:26:56.936000+01:00", "2015-04-26T06:26:5x+00:00"]
        {
            assert_eq!(number_of_time(none), None, "{none}");
        }
    }

    #[test]
    fn what_is_known_moves_nothing() {
        let mut stand = Stand::default();
        let steps =
            [(Step::Here, 5), (Step::Away, 5), (Step::Here, 5), (Step::Gone, 5), (Step::Here, 7)];
        for (step, number) in steps {
            assert!(stand.moves(step, number), "{step:?} {number}");
            stand.go(step, number);
            assert!(!stand.moves(step, number), "{step:?} {number} twice");
        }
        for (step, number) in [(Step::Gone, 5), (Step::Away, 5), (Step::Here, 5), (Step::Here, 6)] {
            assert!(!stand.moves(step, number), "{step:?} {number} is old");
        }
        // One whose number is not known says nothing of the one that begins now.
        stand.go(Step::Gone, 0);
        assert!(stand.moves(Step::Here, 7));
    }
}
