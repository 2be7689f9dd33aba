//! Figures for people: sections of checkpoints without which everything goes on just as well.
//!
//! The gateway leaves [`ShardFigures`] in each shard's ring, the cache [`CacheFigures`] in the output ring.
//! Whoever looks on reads them there, without asking the process, and also when that is gone.

use serde::{Deserialize, Serialize};

use crate::{Kind, Reason, pauses::Pauses, sections};

/// The section of [`ShardFigures`] in a shard ring's checkpoint. Its other sections are in [`crate::status`].
pub const SHARD_FIGURES: u8 = 5;
/// The section of the output ring's checkpoint.
const CACHE: u8 = 3;
/// Raised only when what is there begins to mean something else.
const VERSION: u8 = 1;
/// No gateway has more reasons for gaps than a reader believes.
const REASONS_MAX: usize = 32;

/// What a shard's gateway process counted. A new field goes to the end; 0 (or nothing) says that nothing is known.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct ShardFigures {
    /// The gateway process, in its own pid namespace.
    pub pid: u32,
    /// When it started, in microseconds since the Unix epoch.
    pub started_us: u64,
    /// When the session began, in microseconds since the Unix epoch. Goes on over restarts.
    pub session_since_us: u64,
    /// IDENTIFYs sent since the process started.
    pub identifies: u64,
    /// RESUMEs sent since the process started.
    pub resumes: u64,
    /// The last close code that Discord gave; `None` when no connection was closed with one.
    pub last_close: Option<u16>,
    /// Gaps by reason, since the process started.
    pub gaps: Vec<(String, u64)>,
    /// The identify budget of the token, as this process knew it last.
    pub budget: Option<Budget>,
    /// The position of the session's READY in the ring. Goes on over restarts.
    pub began_at: u64,
    /// When a session was last begun because the state had been lost, in microseconds since the Unix epoch; 0 if none
    /// was. Goes on over restarts.
    pub refilled_us: u64,
    /// Sessions begun so since the process started.
    pub refills: u64,
    /// When reading and publishing messages of this shard took long.
    pub pauses: Pauses,
    /// How many shards Discord recommends for the bot, as this process knew it last; 0 where it does not.
    pub recommended: u64,
}

/// How many sessions of a token may still be begun.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Budget {
    /// When this was so, in microseconds since the Unix epoch.
    pub at_us: u64,
    /// Identifies that are left.
    pub left: u64,
    /// Identifies of a whole budget.
    pub total: u64,
    /// When it is whole again, in microseconds since the Unix epoch.
    pub whole_us: u64,
}

impl ShardFigures {
    /// Counts a gap.
    pub fn gap(&mut self, reason: &'static str) {
        match self.gaps.iter_mut().find(|(of, _)| of == reason) {
            Some((_, count)) => *count += 1,
            None => self.gaps.push((reason.to_owned(), 1)),
        }
    }

    /// The section, to be appended to a checkpoint.
    pub fn encode(&self) -> Vec<u8> {
        // Its parts are bounded by who fills them in; without it nothing wrong is said.
        let content = bincode::serde::encode_to_vec(self, bincode::config::standard());
        let mut section = Vec::new();
        sections::put(&mut section, SHARD_FIGURES, VERSION, &content.unwrap_or_default());
        section
    }

    /// Reads it from a shard ring's checkpoint, if that has it.
    pub fn decode(checkpoint: &[u8]) -> Option<Self> {
        let (&crate::status::CHECKPOINT, all) = checkpoint.split_first()? else { return None };
        let mut read: Self = sections::read(sections::find(all, SHARD_FIGURES, VERSION)?)?;
        read.gaps.truncate(REASONS_MAX);
        read.gaps.retain(|(reason, _)| {
            reason.len() <= 32 && reason.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        });
        Some(read)
    }
}

/// What the cache counted since it started.
///
/// Its section is a row of words, for it is written with every batch: those of the fields in their order,
/// then events by kind. What is new goes to the end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CacheFigures {
    /// The cache's process, in its own pid namespace.
    pub pid: u64,
    /// When it started, in microseconds since the Unix epoch.
    pub started_us: u64,
    /// Batches committed.
    pub batches: u64,
    /// Records of shard rings they were made of.
    pub records: u64,
    /// Nanoseconds that the commits of all but the last batch took.
    pub commit_ns: u64,
    /// How many of them took no longer than each of [`COMMIT_US`], and last how many took longer.
    pub commits: [u64; COMMIT_US.len() + 1],
    /// Gaps that the cache itself told, by the number of their [`Reason`].
    pub gaps: [u64; REASONS],
    /// Events published, by [`slot`] of their kind.
    kinds: [u64; KINDS],
}

/// Upper bounds of commit times, in microseconds.
pub const COMMIT_US: [u64; 12] =
    [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 500_000, 2_500_000];

/// Room for reasons that come later.
const REASONS: usize = 32;
/// Unknown ones, those with a number, and Mixcord's own.
const KINDS: usize = crate::kind::KINDS + 3;
/// Words before those of the arrays.
const SCALARS: usize = 5;
const WORDS: usize = SCALARS + COMMIT_US.len() + 1 + REASONS + KINDS;

impl Default for CacheFigures {
    fn default() -> Self {
        Self {
            pid: 0,
            started_us: 0,
            batches: 0,
            records: 0,
            commit_ns: 0,
            commits: [0; COMMIT_US.len() + 1],
            gaps: [0; REASONS],
            kinds: [0; KINDS],
        }
    }
}

/// Where a kind is counted: Mixcord's own two come first, for the list of Discord's grows.
fn slot(kind: Kind) -> usize {
    match kind {
        Kind::GAP => 0,
        Kind::SHARD_STATE => 1,
        other => 2 + usize::from(other.number()),
    }
}

impl CacheFigures {
    /// Those of a process that begins.
    pub fn begin(pid: u32, started_us: u64) -> Self {
        Self { pid: pid.into(), started_us, ..Self::default() }
    }

    /// Counts an event that is published.
    pub fn event(&mut self, kind: Kind) {
        if let Some(count) = self.kinds.get_mut(slot(kind)) {
            *count += 1;
        }
    }

    /// Counts a gap that the cache itself tells.
    pub fn gap(&mut self, reason: Reason) {
        if let Some(count) = self.gaps.get_mut(reason as usize) {
            *count += 1;
        }
    }

    /// Counts how long a commit took.
    pub fn commit(&mut self, took: std::time::Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.commit_ns = self.commit_ns.saturating_add(nanoseconds);
        let place = COMMIT_US.partition_point(|bound| bound * 1_000 < nanoseconds);
        self.commits[place] += 1;
    }

    /// Events by kind, those of which there were some.
    pub fn events(&self) -> impl Iterator<Item = (Kind, u64)> + '_ {
        let own = [Kind::GAP, Kind::SHARD_STATE].into_iter();
        let numbered =
            (0..=u16::try_from(crate::kind::KINDS).unwrap_or(0)).filter_map(Kind::from_number);
        own.chain(numbered)
            .map(|kind| (kind, self.kinds[slot(kind)]))
            .filter(|(_, count)| *count > 0)
    }

    /// Gaps that the cache told, by their reasons' names.
    pub fn gaps(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let all = self.gaps.iter().zip(0_u8..);
        all.filter(|(count, _)| **count > 0)
            .filter_map(|(count, number)| Some((Reason::from_number(number).as_str()?, *count)))
    }

    /// Appends the section to a checkpoint, unless that would be longer than `limit` then: where a batch
    /// begins and ends matters more.
    pub fn put(&self, checkpoint: &mut Vec<u8>, limit: usize) {
        let mut content = [0; WORDS * 8];
        let scalars = [self.pid, self.started_us, self.batches, self.records, self.commit_ns];
        let words = scalars.iter().chain(&self.commits).chain(&self.gaps).chain(&self.kinds);
        for (place, word) in content.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        if checkpoint.len() + sections::HEAD + content.len() <= limit {
            sections::put(checkpoint, CACHE, VERSION, &content);
        }
    }

    /// Reads it from the sections of an output ring's checkpoint, if they have it.
    pub fn decode(all: &[u8]) -> Option<Self> {
        let content = sections::find(all, CACHE, VERSION)?;
        let mut words = content.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
        let mut read = Self::default();
        let Self { pid, started_us, batches, records, commit_ns, commits, gaps, kinds } = &mut read;
        let scalars = [pid, started_us, batches, records, commit_ns];
        for (place, word) in
            scalars.into_iter().chain(commits).chain(gaps).chain(kinds).zip(&mut words)
        {
            *place = word;
        }
        Some(read)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn p8_a_shards_figures_come_back_and_other_bytes_are_none() {
        let mut figures =
            ShardFigures { pid: 7, last_close: Some(4009), ..ShardFigures::default() };
        figures.gap("hole");
        figures.gap("hole");
        figures.budget = Some(Budget { left: 3, total: 1_000, ..Budget::default() });
        let mut bytes = vec![crate::status::CHECKPOINT];
        bytes.extend(figures.encode());
        assert_eq!(ShardFigures::decode(&bytes), Some(figures.clone()));
        for end in 0..bytes.len() {
            assert_eq!(ShardFigures::decode(&bytes[..end]), None, "{end}");
        }
        figures.gaps = vec![("no label\n".into(), 1), ("x".repeat(99), 1), ("fine".into(), 2)];
        let bytes = [&[crate::status::CHECKPOINT], &figures.encode()[..]].concat();
        let read = ShardFigures::decode(&bytes).expect("figures");
        assert_eq!(read.gaps, [("fine".to_owned(), 2)], "what would be a label is one");
    }

    #[test]
    fn p11_the_caches_figures_come_back_from_shorter_and_longer_rows() {
        let mut figures = CacheFigures { pid: 9, batches: 4, ..CacheFigures::default() };
        let last = Kind::from_number(u16::try_from(crate::kind::KINDS).unwrap()).unwrap();
        for kind in [Kind::GAP, Kind::UNKNOWN, Kind::MESSAGE_CREATE, last, last] {
            figures.event(kind);
        }
        figures.gap(Reason::StateLost);
        for us in [10, 50, 51, 9_999_999] {
            figures.commit(Duration::from_micros(us));
        }
        assert_eq!((figures.commits[0], figures.commits[1], figures.commits[12]), (2, 1, 1));
        let mut bytes = Vec::new();
        figures.put(&mut bytes, usize::MAX);
        assert_eq!(CacheFigures::decode(&bytes), Some(figures.clone()));
        let counts: Vec<_> = figures.events().collect();
        let wanted = [(Kind::GAP, 1), (Kind::UNKNOWN, 1), (Kind::MESSAGE_CREATE, 1), (last, 2)];
        assert_eq!(counts, wanted);
        assert_eq!(figures.gaps().collect::<Vec<_>>(), [("state_lost", 1)]);

        let content = sections::find(&bytes, CACHE, VERSION).expect("the section");
        let row = |content: &[u8]| {
            let mut bytes = Vec::new();
            sections::put(&mut bytes, CACHE, VERSION, content);
            CacheFigures::decode(&bytes).expect("figures")
        };
        assert_eq!(row(&[content, &[0xff; 80]].concat()), figures);
        assert_eq!(
            row(&content[..24]),
            CacheFigures { pid: 9, batches: 4, ..CacheFigures::default() }
        );
    }

    #[test]
    fn positions_come_before_figures_where_there_is_room_for_one() {
        let mut bytes = vec![1; 100];
        CacheFigures::default().put(&mut bytes, 1_000);
        assert_eq!(bytes.len(), 100);
        CacheFigures::default().put(&mut bytes, 4_032);
        assert!(bytes.len() > 100);
    }
}
