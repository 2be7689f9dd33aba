//! How far the shards of a set are.

use super::Times;

/// A shard of a set.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Shard {
    /// Whether it has a session whose READY was read.
    pub(super) has_session: bool,
    /// When that READY was received.
    pub(super) began_us: u64,
    /// All that was received before is read.
    pub(super) clock_us: u64,
    /// When the last record that was read was received.
    pub(super) last_us: u64,
    /// When the first record after its last silence was received.
    pub(super) woke_us: u64,
    /// How long it has brought records: silence counts for a little only, since a session that was away brings all
    /// that it missed at once.
    pub(super) active_us: u64,
    /// READY of its session, as long as nothing of this shard is delivered.
    pub(super) ready: Option<Vec<u8>>,
}

impl Shard {
    /// A record that was received then is read; whether it ends a silence.
    pub(super) fn read(&mut self, at_us: u64, silence_max_us: u64) -> bool {
        let passed = at_us.saturating_sub(self.last_us);
        self.active_us += passed.min(silence_max_us);
        if passed > silence_max_us {
            self.woke_us = at_us;
        }
        self.last_us = self.last_us.max(at_us);
        self.clock_us = self.clock_us.max(at_us);
        passed > silence_max_us
    }
}

impl Shard {
    /// How long it will have brought records when it is read so far, at most: its ring may be read far behind.
    pub(super) const fn active_at(&self, us: u64) -> u64 {
        self.active_us + us.saturating_sub(self.last_us)
    }

    /// Whether it is known to have brought all that was to be had at some time: it brings records from after it, and
    /// not since a moment ago only, as one that was away. One that is silent for as long as none can be away has
    /// nothing to bring.
    pub(super) fn is_past(&self, us: u64, times: Times) -> bool {
        let goes_on = self.last_us >= self.woke_us + times.slack_us;
        let has_paused = self.clock_us >= self.last_us + times.slack_us;
        (self.last_us >= us && (goes_on || has_paused))
            || self.clock_us >= us.saturating_add(times.away_us())
    }
}

/// The shards of a set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Shards(Vec<Shard>);

impl Shards {
    pub(super) fn new(count: u16, now_us: u64) -> Self {
        let shard = Shard { clock_us: now_us, last_us: now_us, ..Shard::default() };
        Self(vec![shard; usize::from(count)])
    }

    pub(super) fn get(&self, shard: u16) -> Option<&Shard> {
        self.0.get(usize::from(shard))
    }

    pub(super) fn get_mut(&mut self, shard: u16) -> Option<&mut Shard> {
        self.0.get_mut(usize::from(shard))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Shard> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Shard> {
        self.0.iter_mut()
    }
}
