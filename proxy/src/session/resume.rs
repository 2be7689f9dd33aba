//! RESUME: counting to the record behind the last one that the client has.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;

use super::entry::Entry;
use super::log::Log;
use super::start::Guilds;
use super::{Asked, Folder, Gap, Route, Session};
use crate::feed::Taken;

/// Where records are read again.
pub(crate) trait Records {
    /// The ring that is read.
    fn id(&self) -> Option<u64>;
    /// Some records of `ring` from a position on.
    fn read(&self, ring: u64, position: u64) -> Taken;
}

/// Why a session does not go on.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// There is none of this name, or what comes next in it is gone: op 9.
    Gone,
    /// The client has more than it was sent: 4007.
    Seq,
    /// The log cannot be used.
    Log(io::Error),
}

/// A session that goes on behind the number that the client named.
pub(crate) struct Resumed(pub(crate) Session);

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Log(error)
    }
}

impl Session {
    /// Goes on with the session `id` behind the number `seq`.
    pub(crate) fn resume(
        folder: &Folder,
        records: &impl Records,
        id: &str,
        seq: u64,
    ) -> Result<Resumed, Refusal> {
        let (log, head, entries) = Log::open(folder, id)?.ok_or(Refusal::Gone)?;
        if seq == 0 || records.id() != Some(head.ring) {
            return Err(Refusal::Gone);
        }
        // What was sent and cannot be sent again is lost to this client.
        if entries.iter().any(|entry| matches!(entry, Entry::Answer { seq: of, .. } if *of > seq)) {
            log.remove();
            return Err(Refusal::Gone);
        }
        let (base_seq, base) = base(&entries, seq).unwrap_or((1, head.start));
        let mut session = Self {
            filter: head.filter(),
            seq: base_seq,
            next: base,
            marked: (base_seq, base),
            guilds: all_guilds(&entries),
            routed: BTreeMap::new(),
            asked: Asked::default(),
            gap: Gap::default(),
            head,
            log,
        };
        session.count_to(seq, records, special(&entries, base_seq))?;
        session.guilds = guilds_at(&entries, seq);
        session.asked = asked(&entries);
        session.routed = routed(&entries, seq);
        session.log.write(&Entry::Cut { seq })?;
        session.mark()?;
        Ok(Resumed(session))
    }

    /// Looks at records until the one with the number `seq` is behind it. `special`: what has a number without being
    /// a record of the filter, in order.
    fn count_to(
        &mut self,
        seq: u64,
        records: &impl Records,
        mut special: VecDeque<(u64, Option<u64>)>,
    ) -> Result<(), Refusal> {
        loop {
            // The record that has the next number, where that is none of the filter's.
            let mut routed = None;
            while self.seq < seq
                && let Some(&(_, position)) =
                    special.front().filter(|(number, _)| *number == self.seq + 1)
            {
                routed = position.filter(|position| *position >= self.next);
                if routed.is_some() {
                    break;
                }
                special.pop_front();
                self.seq += 1;
            }
            if self.seq >= seq {
                return Ok(());
            }
            match records.read(self.head.ring, self.next) {
                Taken::Gone | Taken::Replaced => return Err(Refusal::Gone),
                Taken::Nothing => return Err(Refusal::Seq),
                Taken::Batch(batch) => {
                    let mut stands = false;
                    for item in batch.from(self.next) {
                        let plain = self.judge(item) == Some(None);
                        self.next = item.position + 1;
                        // What was lost behind the last mark is still owed to the client.
                        if self.gap.ends(item, &self.filter) {
                            return Err(Refusal::Gone);
                        }
                        if routed.is_some_and(|position| item.position < position) {
                            continue;
                        }
                        if routed.is_some() {
                            special.pop_front();
                            self.seq += 1;
                            stands = true;
                            break;
                        }
                        self.seq += u64::from(plain);
                        let is_next =
                            special.front().is_some_and(|(number, _)| *number == self.seq + 1);
                        if self.seq >= seq || is_next {
                            stands = true;
                            break;
                        }
                    }
                    if !stands {
                        self.next = self.next.max(batch.end);
                    }
                }
            }
        }
    }

    /// A number for RESUMED.
    pub(crate) fn resumed(&mut self) -> io::Result<u64> {
        self.seq += 1;
        self.log.write(&Entry::Resumed { seq: self.seq })?;
        Ok(self.seq)
    }
}

/// The last mark that is not behind `seq`.
fn base(entries: &[Entry], seq: u64) -> Option<(u64, u64)> {
    let marks = entries.iter().filter_map(|entry| match entry {
        Entry::Mark { seq: of, position } if *of <= seq => Some((*of, *position)),
        _ => None,
    });
    marks.max()
}

/// What has a number above `base` without being a record of the filter; with its position, where it is a record.
fn special(entries: &[Entry], base: u64) -> VecDeque<(u64, Option<u64>)> {
    let found = entries.iter().filter_map(|entry| match entry {
        Entry::Guild { seq, .. } | Entry::Answer { seq, .. } | Entry::Resumed { seq } => {
            Some((*seq, None))
        }
        Entry::Routed { seq, position, .. } => Some((*seq, Some(*position))),
        _ => None,
    });
    let mut found: Vec<_> = found.filter(|(seq, _)| *seq > base).collect();
    found.sort_unstable();
    found.into()
}

/// The guilds as they stood while the numbers were given: with all that was given until the end.
fn all_guilds(entries: &[Entry]) -> Guilds {
    guilds_at(entries, u64::MAX)
}

/// The guilds as the client has them who has `seq`: those given later are to be given again.
fn guilds_at(entries: &[Entry], seq: u64) -> Guilds {
    let (mut listed, mut given) = (Vec::new(), HashMap::new());
    for entry in entries {
        match entry {
            Entry::Listed(guilds) => listed.extend_from_slice(guilds),
            Entry::Guild { seq: of, position, guild } if *of <= seq => {
                given.insert(*guild, *position);
            }
            Entry::GivenUp { position, guild } => {
                given.insert(*guild, *position);
            }
            _ => {}
        }
    }
    let mut guilds = Guilds::new(listed.into_iter().filter(|guild| !given.contains_key(guild)));
    given.into_iter().for_each(|(guild, position)| guilds.give(guild, position));
    guilds
}

fn asked(entries: &[Entry]) -> Asked {
    let mut asked = Asked::default();
    for entry in entries {
        match entry {
            Entry::Asked { number, nonce } => {
                asked.members(*number, nonce);
            }
            Entry::Other { kind, guild, answer: None } => asked.other(*kind, *guild),
            Entry::Other { kind, guild, answer: Some(_) } => asked.is_told(*kind, *guild),
            Entry::Voice { guild, speaks } => {
                asked.speaks(*guild, *speaks);
            }
            _ => {}
        }
    }
    asked
}

/// Records for those alone who asked, which the client does not have yet.
fn routed(entries: &[Entry], seq: u64) -> BTreeMap<u64, Route> {
    let routes = entries.iter().filter_map(|entry| match entry {
        Entry::Routed { seq: of, position, nonce } if *of > seq => {
            Some((*position, Route { nonce: nonce.clone() }))
        }
        _ => None,
    });
    routes.collect()
}
