//! The guilds that a session begins with, each given as a snapshot of one moment.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;

use super::entry::{Entry, Head};
use super::log::Log;
use super::{Asked, Folder, Gap, Session};

/// Guilds that are to be given, and those given, as long as that matters.
#[derive(Debug, Default)]
pub(super) struct Guilds {
    queue: VecDeque<u64>,
    pending: HashSet<u64>,
    /// Guild and the position of its snapshot: what is below it is in the snapshot.
    given: HashMap<u64, u64>,
    /// The highest of these positions.
    last: u64,
}

impl Guilds {
    pub(super) fn new(pending: impl IntoIterator<Item = u64>) -> Self {
        let queue: VecDeque<_> = pending.into_iter().collect();
        Self { pending: queue.iter().copied().collect(), queue, ..Self::default() }
    }

    /// A snapshot was given.
    pub(super) fn give(&mut self, guild: u64, position: u64) {
        self.pending.remove(&guild);
        self.given.insert(guild, position);
        self.last = self.last.max(position);
    }

    pub(super) fn is_pending(&self, guild: u64) -> bool {
        self.pending.contains(&guild)
    }

    /// All are given, and nothing of them is left out any more.
    pub(super) fn is_done(&self) -> bool {
        self.pending.is_empty() && self.given.is_empty()
    }

    /// Whether a record of a guild is in its snapshot, or will be.
    pub(super) fn hold_back(&mut self, guild: u64, position: u64) -> bool {
        if self.pending.is_empty() && position >= self.last && !self.given.is_empty() {
            self.given = HashMap::new();
        }
        self.pending.contains(&guild)
            || self.given.get(&guild).is_some_and(|snapshot| position < *snapshot)
    }
}

impl Session {
    /// Begins a session at a position, with the guilds that were there then or later. Its READY has the number 1.
    pub(crate) fn begin(folder: &Folder, head: Head, guilds: &[u64]) -> io::Result<Self> {
        let mut log = Log::create(folder, &head)?;
        log.write_list(guilds)?;
        let filter = head.filter();
        Ok(Self {
            filter,
            seq: 1,
            next: head.start,
            marked: (1, head.start),
            guilds: Guilds::new(guilds.iter().copied()),
            routed: std::collections::BTreeMap::new(),
            asked: Asked::default(),
            gap: Gap::default(),
            head,
            log,
        })
    }

    /// The next guild that is to be given.
    pub(crate) fn next_guild(&self) -> Option<u64> {
        self.guilds.queue.front().copied()
    }

    /// The number of a guild's snapshot, which is of this position. Every record of the guild below it is left out,
    /// and none from there on.
    pub(crate) fn give(&mut self, guild: u64, position: u64) -> io::Result<u64> {
        self.seq += 1;
        self.log.write(&Entry::Guild { seq: self.seq, position, guild })?;
        self.guilds.queue.pop_front();
        self.guilds.give(guild, position);
        Ok(self.seq)
    }

    /// There is nothing to be given of a guild: nothing of it is left out.
    pub(crate) fn give_up(&mut self, guild: u64) -> io::Result<()> {
        self.log.write(&Entry::GivenUp { position: self.next, guild })?;
        self.guilds.queue.pop_front();
        self.guilds.give(guild, self.next);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Guilds;

    #[test]
    fn what_is_in_a_snapshot_is_left_out_and_nothing_else() {
        let mut guilds = Guilds::new([1, 2]);
        assert!(guilds.hold_back(1, 10) && guilds.hold_back(2, 10) && !guilds.hold_back(3, 10));
        guilds.give(1, 20);
        assert!(guilds.hold_back(1, 19) && !guilds.hold_back(1, 20));
        guilds.give(2, 30);
        assert!(guilds.hold_back(2, 29) && !guilds.is_done());
        assert!(!guilds.hold_back(2, 30) && guilds.is_done());
    }
}
