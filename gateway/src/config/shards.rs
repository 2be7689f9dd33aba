//! Which shards this process runs.

use std::ops::RangeInclusive;
use std::str::FromStr;

/// The most shards a bot can have: shard numbers are 16 bits in every record.
const COUNT_MAX: u16 = u16::MAX;

/// The value of `--shards`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shards {
    /// As many as Discord recommends.
    Auto,
    /// All of this many.
    All(u16),
    /// These, of this many.
    Range(RangeInclusive<u16>, u16),
}

/// The shards of this process and the count of the whole bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardSet {
    /// The first one.
    pub first: u16,
    /// The last one, included.
    pub last: u16,
    /// Of how many.
    pub count: u16,
}

impl ShardSet {
    /// The shard numbers in order.
    pub fn ids(&self) -> RangeInclusive<u16> {
        self.first..=self.last
    }

    /// All shards of a bot that has so many.
    pub fn whole(count: u16) -> Self {
        Self { first: 0, last: count - 1, count }
    }

    /// How many this process runs.
    pub fn len(&self) -> u16 {
        self.last - self.first + 1
    }

    /// Never: a set has at least one shard.
    pub fn is_empty(&self) -> bool {
        false
    }
}

impl Shards {
    /// The shards, unless Discord is to say how many.
    pub fn fixed(&self) -> Option<ShardSet> {
        match self {
            Self::Auto => None,
            Self::All(count) => Some(ShardSet::whole(*count)),
            Self::Range(range, count) => {
                Some(ShardSet { first: *range.start(), last: *range.end(), count: *count })
            }
        }
    }
}

impl FromStr for Shards {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str| {
            part.trim().parse::<u16>().map_err(|_| {
                format!("expected auto, N or A..B/N with numbers up to {COUNT_MAX}, not {text:?}")
            })
        };
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let Some((range, count)) = text.split_once('/') else {
            return match number(text)? {
                0 => Err("at least one shard".into()),
                count => Ok(Self::All(count)),
            };
        };
        let count = number(count)?;
        let (first, last) = match range.split_once("..") {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(range)?, number(range)?),
        };
        if first > last {
            return Err(format!("the range {first}..{last} is empty"));
        }
        if last >= count {
            return Err(format!(
                "shard {last} does not exist among {count}: the last is count - 1"
            ));
        }
        Ok(Self::Range(first..=last, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms() {
        assert_eq!("auto".parse(), Ok(Shards::Auto));
        assert_eq!(Shards::Auto.fixed(), None);
        assert_eq!("16".parse(), Ok(Shards::All(16)));
        assert_eq!("0..7/16".parse(), Ok(Shards::Range(0..=7, 16)));
        assert_eq!("5/16".parse(), Ok(Shards::Range(5..=5, 16)));
        assert_eq!(Shards::All(3).fixed(), Some(ShardSet { first: 0, last: 2, count: 3 }));
        let range = ShardSet { first: 5, last: 7, count: 16 };
        assert_eq!(Shards::Range(5..=7, 16).fixed(), Some(range));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in
            ["", "0", "7..3/4", "0..4/4", "1..2", "a..b/c", "-1", "70000", "0..1/0", "auto/2"]
        {
            assert!(text.parse::<Shards>().is_err(), "{text}");
        }
    }
}
