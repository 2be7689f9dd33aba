//! The accounts of one token's identifies: who may identify when (G-13 to G-16). No I/O.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Identifies that may follow failures without being paced, as parts of 100 of the day's budget
/// (G-16).
const FAILURES_PERCENT: u64 = 30;
/// The budget's period, in hours.
const DAY: u64 = 24;
const HOUR_MS: u64 = 3_600_000;
/// The bucket that paces identifies after failures, beside those of Discord. It is kept among them so
/// that gateways of the release before, which know of no pace, read the same book.
const PACE: u32 = u32::MAX;
/// Buckets that a file may hold; more are never in use within one spacing.
const BUCKETS_MAX: usize = 4096;

/// What every gateway process of one token knows. Times are milliseconds since the Unix epoch, so
/// that they mean the same in every process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Book {
    /// Rate-limit key and when it is free again, for those that are not.
    buckets: Vec<(u32, u64)>,
    /// Hours since the epoch in which somebody identified, oldest first.
    hours: Vec<Hour>,
    /// What Discord said is left for all machines that use the token.
    told: Option<Told>,
}

/// Discord's own account, less what was granted since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    left: u64,
    /// When the budget is whole again.
    until_ms: u64,
}

/// The identifies of one hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Hour {
    /// Since the epoch.
    at: u64,
    all: u32,
    /// Those that followed a failure.
    after_failure: u32,
}

/// What Discord allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// `max_concurrency`: how many buckets there are.
    pub max_concurrency: u32,
    /// Time between two identifies of a bucket.
    pub spacing: Duration,
    /// `total`: identifies per day.
    pub total: u64,
}

/// Who wants to identify.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wish {
    /// Which shard.
    pub shard: u16,
    /// After so many identifies that came to nothing.
    pub failures: u32,
    /// It can wait: only where so many are left behind it.
    pub keep: u64,
}

/// The answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Identify now.
    Granted,
    /// The bucket is in use: ask again after this time.
    Wait(Duration),
    /// So many identifies followed failures that the next one has to wait this long, or whoever has not
    /// failed would find nothing left. Others of the bucket may pass meanwhile.
    Paced(Duration),
    /// Discord would allow no identify at all: ask again after this time.
    Spent(Duration),
}

/// What may be identified from now on.
struct Account {
    left: u64,
    /// When the budget is whole again.
    until_ms: u64,
}

impl Book {
    /// Asks for a permit.
    pub fn claim(&mut self, now_ms: u64, wish: Wish, rules: &Rules) -> Claim {
        let paced = match self.look(now_ms, wish, rules) {
            Ok(paced) => paced,
            Err(refused) => return refused,
        };
        let key = u32::from(wish.shard) % rules.max_concurrency.max(1);
        let account = self.account(now_ms, rules);
        self.buckets.push((key, now_ms + millis(rules.spacing)));
        if paced {
            // The other half stays for those that have not failed.
            let until = account.until_ms.saturating_sub(now_ms).max(1);
            let interval = until / (account.left / 2).max(1);
            self.buckets.push((PACE, now_ms + interval));
        }
        let at = now_ms / HOUR_MS;
        if self.hours.last().is_none_or(|newest| newest.at != at) {
            self.hours.push(Hour { at, ..Hour::default() });
        }
        if let Some(hour) = self.hours.last_mut() {
            hour.all = hour.all.saturating_add(1);
            hour.after_failure = hour.after_failure.saturating_add(u32::from(wish.failures > 0));
        }
        if let Some(told) = &mut self.told {
            told.left = told.left.saturating_sub(1);
        }
        Claim::Granted
    }

    /// What [`Self::claim`] would say, without taking anything; with leave, whether it is paced.
    ///
    /// # Errors
    /// The refusal.
    pub fn look(&mut self, now_ms: u64, wish: Wish, rules: &Rules) -> Result<bool, Claim> {
        let Wish { shard, failures, keep } = wish;
        self.tidy(now_ms, rules);
        let key = u32::from(shard) % rules.max_concurrency.max(1);
        if let Some((_, free)) = self.buckets.iter().find(|(bucket, _)| *bucket == key) {
            return Err(Claim::Wait(Duration::from_millis(free - now_ms)));
        }
        // G-13: one more than the budget would cost the token.
        let account = self.account(now_ms, rules);
        let until = Duration::from_millis(account.until_ms.saturating_sub(now_ms).max(1));
        if account.left <= keep {
            return Err(Claim::Spent(until));
        }
        let allowed = (rules.total.saturating_mul(FAILURES_PERCENT) / 100).max(1);
        let paced = failures > 0 && self.spent(|hour| hour.after_failure) >= allowed;
        if let Some((_, free)) = self.buckets.iter().find(|(bucket, _)| *bucket == PACE)
            && paced
        {
            return Err(Claim::Paced(Duration::from_millis(free - now_ms).min(until)));
        }
        if self.buckets.len() >= BUCKETS_MAX {
            return Err(Claim::Wait(rules.spacing.max(Duration::from_millis(1))));
        }
        Ok(paced)
    }

    /// Takes over Discord's account (G-16): other machines may have used the token.
    pub fn tell(&mut self, now_ms: u64, remaining: u64, reset_after: Duration, rules: &Rules) {
        self.tidy(now_ms, rules);
        // What was granted just now may not have reached Discord when it counted.
        let just_now = self.buckets.iter().filter(|(bucket, _)| *bucket != PACE).count();
        let left = remaining.saturating_sub(just_now as u64);
        let until_ms = now_ms.saturating_add(millis(reset_after).min(DAY * HOUR_MS));
        self.told = (until_ms > now_ms).then_some(Told { left, until_ms });
    }

    /// The permit of `shard` was used just now: Discord counts the time from here.
    pub fn used(&mut self, now_ms: u64, shard: u16, rules: &Rules) {
        self.tidy(now_ms, rules);
        let key = u32::from(shard) % rules.max_concurrency.max(1);
        self.buckets.retain(|(bucket, _)| *bucket != key);
        self.buckets.push((key, now_ms + millis(rules.spacing)));
    }

    /// What Discord said, or else our own account of a day.
    fn account(&self, now_ms: u64, rules: &Rules) -> Account {
        if let Some(Told { left, until_ms }) = self.told {
            return Account { left, until_ms };
        }
        // Whole again once the oldest hour that counts is a day old.
        let oldest = self.hours.first().map_or(now_ms / HOUR_MS, |hour| hour.at);
        Account {
            left: rules.total.max(1).saturating_sub(self.spent(|hour| hour.all)),
            until_ms: (oldest + DAY + 1) * HOUR_MS,
        }
    }

    fn spent(&self, of: impl Fn(&Hour) -> u32) -> u64 {
        self.hours.iter().map(|hour| u64::from(of(hour))).sum()
    }

    /// The book of which nothing can be read: every bucket is taken to have been used just now.
    pub fn unreadable(now_ms: u64, rules: &Rules) -> Self {
        let free = now_ms + millis(rules.spacing);
        let keys = rules.max_concurrency.clamp(1, BUCKETS_MAX as u32);
        Self { buckets: (0..keys).map(|key| (key, free)).collect(), ..Self::default() }
    }

    /// Drops what is past, and what a clock that jumped back makes senseless.
    fn tidy(&mut self, now_ms: u64, rules: &Rules) {
        let longest = |bucket| if bucket == PACE { DAY * HOUR_MS } else { millis(rules.spacing) };
        self.buckets.retain(|&(bucket, free)| free > now_ms && free - now_ms <= longest(bucket));
        if self.told.is_some_and(|told| told.until_ms <= now_ms) {
            // Discord's day is over: whatever was spent in it counts no more.
            *self = Self { buckets: std::mem::take(&mut self.buckets), ..Self::default() };
            self.buckets.retain(|(bucket, _)| *bucket != PACE);
        }
        let latest = now_ms + DAY * HOUR_MS;
        self.told = self.told.filter(|told| told.until_ms <= latest);
        let hour = now_ms / HOUR_MS;
        // An hour counts until its last minute is a day old.
        self.hours.retain(|past| past.at <= hour && past.at + DAY >= hour);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_900_000_000_000;

    const fn wish(shard: u16, failures: u32) -> Wish {
        Wish { shard, failures, keep: 0 }
    }

    fn rules(max_concurrency: u32) -> Rules {
        Rules { max_concurrency, spacing: Duration::from_secs(5), total: 1_000 }
    }

    /// §15 line 12: one identify per key per 5 s.
    #[test]
    fn g14_one_identify_per_bucket_and_spacing() {
        let (mut book, rules) = (Book::default(), rules(2));
        assert_eq!(book.claim(START, wish(0, 0), &rules), Claim::Granted);
        assert_eq!(book.claim(START, wish(1, 0), &rules), Claim::Granted);
        assert_eq!(
            book.claim(START + 1_000, wish(2, 0), &rules),
            Claim::Wait(Duration::from_secs(4))
        );
        assert_eq!(book.claim(START + 5_000, wish(2, 0), &rules), Claim::Granted);
        assert_eq!(
            book.claim(START + 5_000, wish(4, 0), &rules),
            Claim::Wait(Duration::from_secs(5))
        );
        assert_eq!(book.claim(START + 5_000, wish(3, 0), &rules), Claim::Granted);
    }

    /// What Discord said counts, and where it said nothing, our own account.
    #[test]
    fn g16_an_identify_that_can_wait_leaves_what_is_to_be_kept() {
        for told in [true, false] {
            let (mut book, rules) = (Book::default(), Rules { total: 7, ..rules(16) });
            if told {
                book.tell(START, 7, Duration::from_secs(3_600), &rules);
            }
            for shard in 0..4 {
                let claim = book.claim(START, Wish { keep: 3, ..wish(shard, 0) }, &rules);
                assert_eq!(claim, Claim::Granted, "{shard}");
            }
            assert!(matches!(
                book.claim(START, Wish { keep: 3, ..wish(4, 0) }, &rules),
                Claim::Spent(_)
            ));
            for shard in 4..7 {
                assert_eq!(book.claim(START, wish(shard, 0), &rules), Claim::Granted, "{shard}");
            }
            assert!(matches!(book.claim(START, wish(7, 0), &rules), Claim::Spent(_)));
        }
    }

    /// Grants every permit that a shard can have until `end`, after so many failures.
    fn all_grants(book: &mut Book, end: u64, failures: u32, rules: &Rules) -> Vec<u64> {
        let (mut now, mut granted) = (START, Vec::new());
        while now < end {
            match book.claim(now, wish(0, failures), rules) {
                Claim::Granted => granted.push(now),
                Claim::Wait(wait) | Claim::Paced(wait) | Claim::Spent(wait) => {
                    assert!(!wait.is_zero());
                    now += millis(wait);
                }
            }
        }
        granted
    }

    /// Beyond thirty percent failures are paced: half of what is left stays for those that have not
    /// failed, and nobody is stopped while Discord would still allow an identify.
    #[test]
    fn g16_failures_are_paced_beyond_thirty_percent_and_never_stopped() {
        for (told, day) in [(true, DAY * HOUR_MS), (false, (DAY + 1) * HOUR_MS)] {
            let (mut book, rules) = (Book::default(), rules(2));
            if told {
                book.tell(START, 1_000, Duration::from_millis(day), &rules);
            }
            let granted = all_grants(&mut book, START + DAY * HOUR_MS - 1, 1, &rules);
            let quick = granted.windows(2).take_while(|two| two[1] - two[0] <= 5_000).count();
            assert!((299..=301).contains(&quick), "{quick}");
            // At noon most of the other seven hundred are still there for those that have not failed.
            let noon = granted.iter().filter(|at| **at < START + day / 2).count();
            assert!((400..=520).contains(&noon), "{noon}");
            let longest = granted.windows(2).map(|two| two[1] - two[0]).max().expect("many");
            assert!(longest <= day / 350 * 2, "{longest}");
            assert!(granted.len() < 1_000, "{}", granted.len());
            let claim = book.claim(START + DAY * HOUR_MS - 1, wish(1, 0), &rules);
            assert_eq!(claim, Claim::Granted, "a first identify is not held up");
            assert!(book.hours.len() <= 25);
        }
    }

    /// Four failures of a budget of ten, a minute before it is whole again: nobody waits beyond that.
    #[test]
    fn g16_no_wait_is_longer_than_until_the_budget_is_whole() {
        let (mut book, rules) = (Book::default(), Rules { total: 10, ..rules(1) });
        for remaining in 1..=10 {
            let mut now = START;
            book.tell(now, remaining, Duration::from_secs(60), &rules);
            let mut left = remaining;
            while now < START + 59_999 {
                match book.claim(now, wish(0, 1), &rules) {
                    Claim::Granted => left -= 1,
                    Claim::Wait(wait) => now += millis(wait),
                    Claim::Paced(wait) => {
                        assert!(left > 0 && now + millis(wait) <= START + 60_000);
                        now += millis(wait);
                    }
                    Claim::Spent(wait) => {
                        assert_eq!((left, now + millis(wait)), (0, START + 60_000));
                        now += millis(wait);
                    }
                }
            }
            assert_eq!(book.claim(START + 60_000 + 5_000, wish(0, 1), &rules), Claim::Granted);
            book = Book {
                hours: vec![Hour { at: START / HOUR_MS, all: 9, after_failure: 9 }],
                ..Book::default()
            };
        }
    }

    /// What was spent before Discord's day ended holds nobody up in the next.
    #[test]
    fn g16_a_new_day_begins_when_discord_says_so() {
        let (mut book, rules) = (Book::default(), Rules { total: 10, ..rules(1) });
        book.tell(START, 10, Duration::from_secs(600), &rules);
        assert_eq!(all_grants(&mut book, START + 599_999, 0, &rules).len(), 10);
        assert!(matches!(book.claim(START + 599_999, wish(0, 0), &rules), Claim::Spent(_)));
        assert_eq!(book.claim(START + 605_000, wish(0, 0), &rules), Claim::Granted);
    }

    /// The time of a bucket runs from when IDENTIFY was written.
    #[test]
    fn g14_a_permit_used_late_holds_its_bucket_from_then_on() {
        let (mut book, rules) = (Book::default(), rules(2));
        assert_eq!(book.claim(START, wish(0, 0), &rules), Claim::Granted);
        book.used(START + 4_000, 0, &rules);
        assert_eq!(
            book.claim(START + 5_000, wish(2, 0), &rules),
            Claim::Wait(Duration::from_secs(4))
        );
        assert_eq!(book.claim(START + 5_000, wish(1, 0), &rules), Claim::Granted);
        assert_eq!(book.claim(START + 9_000, wish(2, 0), &rules), Claim::Granted);
    }

    /// Sessions that last are no failures, and still nobody identifies more often than Discord allows.
    #[test]
    fn g13_never_more_identifies_in_a_day_than_the_budget() {
        let (mut book, rules) = (Book::default(), Rules { total: 50, ..rules(1) });
        let mut granted = Vec::new();
        let mut now = START;
        while now < START + 3 * DAY * HOUR_MS {
            match book.claim(now, wish(0, 0), &rules) {
                Claim::Granted => granted.push(now),
                Claim::Wait(wait) | Claim::Paced(wait) | Claim::Spent(wait) => now += millis(wait),
            }
        }
        for (first, at) in granted.iter().enumerate() {
            let day = granted[first..].iter().take_while(|other| **other < at + DAY * HOUR_MS);
            assert!(day.count() <= 50);
        }
        assert!(granted.len() > 100, "the budget of each day is used: {}", granted.len());
    }

    /// What another machine used up counts, until Discord's day is over.
    #[test]
    fn g13_g16_what_discord_says_is_left_is_all_there_is() {
        let (mut book, rules) = (Book::default(), rules(16));
        assert_eq!(book.claim(START, wish(0, 0), &rules), Claim::Granted);
        // Discord has not counted that one yet.
        book.tell(START, 3, Duration::from_secs(600), &rules);
        assert_eq!(book.claim(START, wish(1, 0), &rules), Claim::Granted);
        assert_eq!(book.claim(START, wish(2, 0), &rules), Claim::Granted);
        assert_eq!(book.claim(START, wish(3, 0), &rules), Claim::Spent(Duration::from_secs(600)));
        assert_eq!(
            book.claim(START + 599_000, wish(3, 0), &rules),
            Claim::Spent(Duration::from_secs(1))
        );
        assert_eq!(book.claim(START + 600_000, wish(3, 0), &rules), Claim::Granted);
        // A whole budget has no end, and a senseless one has one.
        book.tell(START + 700_000, 1_000, Duration::ZERO, &rules);
        assert_eq!(book.told, None);
        book.tell(START + 700_000, 0, Duration::MAX, &rules);
        assert_eq!(book.claim(START + 700_000 + DAY * HOUR_MS, wish(3, 0), &rules), Claim::Granted);
    }

    #[test]
    fn a_clock_that_jumps_back_blocks_nobody_for_long() {
        let (mut book, rules) = (Book::default(), rules(1));
        assert_eq!(book.claim(START, wish(0, 1), &rules), Claim::Granted);
        book.tell(START, 0, Duration::from_secs(86_400), &rules);
        assert_eq!(book.claim(START - 50_000_000, wish(0, 0), &rules), Claim::Granted);
    }

    #[test]
    fn an_unreadable_book_waits_one_spacing() {
        let rules = rules(16);
        let mut book = Book::unreadable(START, &rules);
        assert_eq!(book.claim(START, wish(7, 0), &rules), Claim::Wait(Duration::from_secs(5)));
        assert_eq!(book.claim(START + 5_000, wish(7, 0), &rules), Claim::Granted);
    }
}
