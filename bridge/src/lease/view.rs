//! Who has which stream, for people.

use std::collections::BTreeMap;

use super::{Changes, Claim, Entry, TERM_MS};

/// How a claim stands, as one process sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It was renewed within its term.
    Held,
    /// Its process stopped in order.
    Ended,
    /// It was not renewed for its term.
    Lapsed,
}

impl Standing {
    /// In a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Ended => "ended",
            Self::Lapsed => "lapsed",
        }
    }
}

/// A stream's claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct View<'a> {
    /// The stream.
    pub stream: &'a str,
    /// What was claimed of it last.
    pub claim: &'a Claim,
    /// How that stands.
    pub standing: Standing,
    /// For how long it was not seen to change, in milliseconds.
    pub still_ms: u64,
}

impl View<'_> {
    /// The highest generation in which a lane is sent; `None` where none is.
    #[must_use]
    pub fn generation(&self) -> Option<u64> {
        self.claim.lanes.values().map(|lane| lane.since).max()
    }
}

impl Changes {
    /// Every claim.
    pub fn views<'a>(
        &'a self,
        now_ms: u64,
        entries: &'a BTreeMap<String, Entry>,
    ) -> impl Iterator<Item = View<'a>> {
        entries.iter().map(move |(stream, entry)| View {
            stream,
            claim: &entry.claim,
            standing: self.standing(now_ms, stream, entry),
            still_ms: self.still_ms(now_ms, stream),
        })
    }

    pub(super) fn standing(&self, now_ms: u64, stream: &str, entry: &Entry) -> Standing {
        match entry.claim.ended {
            true => Standing::Ended,
            false if self.still_ms(now_ms, stream) < TERM_MS => Standing::Held,
            false => Standing::Lapsed,
        }
    }

    fn still_ms(&self, now_ms: u64, stream: &str) -> u64 {
        self.seen.get(stream).map_or(0, |(_, since_ms)| now_ms.saturating_sub(*since_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::ClaimedLane;
    use crate::names::Lane;

    #[test]
    fn a_claim_is_held_until_it_ends_or_its_term_is_over() {
        let lane =
            |shard, since| (Lane { shard, count: 2 }, ClaimedLane { log: 1, since, written: true });
        let mut entries = BTreeMap::new();
        let claim = Claim { lanes: [lane(0, 7), lane(1, 5)].into(), ..Claim::default() };
        entries.insert("s".to_owned(), Entry { revision: 1, claim });
        let mut changes = Changes::default();
        let seen = |changes: &Changes, now_ms, entries: &_| {
            let views: Vec<_> = changes.views(now_ms, entries).collect();
            (views[0].standing, views[0].still_ms, views[0].generation())
        };
        changes.take_in(0, &entries);
        assert_eq!(seen(&changes, TERM_MS - 1, &entries), (Standing::Held, TERM_MS - 1, Some(7)));
        assert_eq!(seen(&changes, TERM_MS, &entries), (Standing::Lapsed, TERM_MS, Some(7)));
        let entry = entries.get_mut("s").expect("there");
        (entry.revision, entry.claim.ended) = (2, true);
        entry.claim.lanes.clear();
        changes.take_in(TERM_MS, &entries);
        assert_eq!(seen(&changes, TERM_MS, &entries), (Standing::Ended, 0, None));
    }
}
