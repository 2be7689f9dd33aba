//! What happened in the world: each event once, however many sessions were told it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::value::write_digits;

/// One event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Happened {
    pub(crate) lane: usize,
    /// None: it has none, as a direct message.
    pub(crate) guild: Option<u64>,
    pub(crate) name: &'static str,
    /// Of the payload as a session with every intent is sent it; None where each is sent one of its own.
    pub(crate) hash: Option<u64>,
    /// It says that a guild is away for a while.
    pub(crate) is_outage: bool,
}

/// Events in the order in which they happened, the newest of them.
#[derive(Debug)]
pub(crate) struct WorldJournal {
    kept: Mutex<Kept>,
    max: usize,
}

#[derive(Debug, Default)]
struct Kept {
    /// Each with the place in `told` of those who were told.
    events: VecDeque<(Happened, usize)>,
    /// Events that fell out.
    forgotten: u64,
    /// Numbers of shards whose sessions were told the same events.
    told: Vec<Vec<u64>>,
}

impl WorldJournal {
    /// Keeps at most `max` events.
    pub(crate) fn new(max: usize) -> Self {
        Self { kept: Mutex::default(), max }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anything is kept.
    pub(crate) const fn is_kept(&self) -> bool {
        self.max > 0
    }

    /// Sessions of these numbers of shards, which ascend, were told an event.
    pub(crate) fn add(&self, event: Happened, told: &[u64]) {
        let mut kept = self.kept();
        let known = kept.told.iter().position(|known| known == told);
        let place = known.unwrap_or_else(|| {
            kept.told.push(told.to_vec());
            kept.told.len() - 1
        });
        if kept.events.len() >= self.max {
            kept.forgotten += 1;
            if kept.events.pop_front().is_none() {
                return;
            }
        }
        kept.events.push_back((event, place));
    }

    /// How many events there have been.
    pub(crate) fn len(&self) -> u64 {
        let kept = self.kept();
        kept.forgotten + kept.events.len() as u64
    }

    /// Appends those from this number on, 1 for the first there was, as lines of JSON.
    pub(crate) fn write(&self, from: u64, out: &mut Vec<u8>) {
        let kept = self.kept();
        let skipped =
            usize::try_from(from.saturating_sub(kept.forgotten + 1)).unwrap_or(usize::MAX);
        let numbered = (kept.forgotten + 1..).zip(&kept.events);
        for (number, (event, place)) in numbered.skip(skipped) {
            out.extend_from_slice(b"{\"n\":");
            write_digits(number, out);
            out.extend_from_slice(b",\"lane\":");
            write_digits(event.lane as u64, out);
            out.extend_from_slice(b",\"guild\":");
            match event.guild {
                Some(id) => {
                    out.push(b'"');
                    write_digits(id, out);
                    out.push(b'"');
                }
                None => out.extend_from_slice(b"null"),
            }
            let hash =
                event.hash.map_or_else(|| "null".to_owned(), |hash| format!("\"{hash:016x}\""));
            let name = event.name;
            let told = &kept.told[*place];
            let outage = if event.is_outage { ",\"outage\":true" } else { "" };
            let tail =
                format!(",\"kind\":\"{name}\"{outage},\"hash\":{hash},\"sets\":{told:?}}}\n");
            out.extend_from_slice(tail.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &'static str, guild: Option<u64>) -> Happened {
        Happened { lane: 1, guild, name, hash: guild, is_outage: name == "C" }
    }

    #[test]
    fn the_newest_are_kept_under_their_numbers() {
        let journal = WorldJournal::new(2);
        for (name, guild, told) in
            [("A", Some(5), &[2, 3][..]), ("B", None, &[2]), ("C", Some(6), &[2, 3])]
        {
            journal.add(event(name, guild), told);
        }
        let mut out = Vec::new();
        journal.write(0, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "{\"n\":2,\"lane\":1,\"guild\":null,\"kind\":\"B\",\"hash\":null,\"sets\":[2]}\n\
             {\"n\":3,\"lane\":1,\"guild\":\"6\",\"kind\":\"C\",\"outage\":true,\"hash\":\"0000000000000006\",\"sets\":[2, 3]}\n"
        );
        let mut last = Vec::new();
        journal.write(3, &mut last);
        assert_eq!(text.lines().last().unwrap(), String::from_utf8(last).unwrap().trim_end());
        assert_eq!(journal.len(), 3);
    }
}
