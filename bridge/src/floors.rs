//! What of a stream nobody needs any more: receivers tell how far they are, the sender trims below the lowest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::names::{Lane, Shards};

/// What one receiver process tells, on a timer and before it reads anything.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Where it runs, for people: its instance and the host's name.
    #[serde(default)]
    pub place: String,
    /// Which lanes it reads, in whatever stream they are: one that it has not found yet is to be kept for it as a
    /// whole. `None` from a release that did not say so.
    #[serde(default)]
    pub shards: Option<Shards>,
    /// By stream.
    #[serde(default)]
    pub streams: BTreeMap<String, StreamReport>,
}

/// How far a receiver is in one stream.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct StreamReport {
    /// When the stream was made, in seconds since 1970: sequence numbers of another one mean nothing.
    pub created: i64,
    /// By lane: the last message that is read to its end. It is kept, to be known again.
    pub lanes: BTreeMap<String, u64>,
}

/// How a lane stands in its stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct End {
    /// The lane.
    pub lane: Lane,
    /// Sequence number of its last message; 0 where there is none.
    pub last: u64,
    /// Whether more is sent in it.
    pub sends: bool,
}

/// All receivers, as a sender knows them.
#[derive(Debug)]
pub struct Floors {
    absence_ms_max: u64,
    known: BTreeMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    report: Report,
    /// When it told something last.
    heard_ms: u64,
    /// By stream: since when it has work and does not move.
    stands_since_ms: BTreeMap<String, u64>,
}

/// What may be trimmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trim {
    /// Every message with a lower sequence number.
    Below(u64),
    /// Nobody reads the stream: what is over the bytes that are kept for those who come.
    Unclaimed,
}

impl Floors {
    /// Nobody is known. Who is silent, or does not move with work waiting, for so long is let go.
    #[must_use]
    pub const fn new(absence_ms_max: u64) -> Self {
        Self { absence_ms_max, known: BTreeMap::new() }
    }

    /// A receiver told its floors. Times are milliseconds of any one clock that does not go back.
    pub fn heard(&mut self, now_ms: u64, receiver: &str, report: Report) {
        match self.known.get_mut(receiver) {
            Some(known) => {
                let before = std::mem::replace(&mut known.report, report);
                let moved =
                    |name: &String| known.report.streams.get(name) != before.streams.get(name);
                known.stands_since_ms.retain(|name, _| !moved(name));
                known.heard_ms = now_ms;
            }
            None => {
                let known = Known { report, heard_ms: now_ms, stands_since_ms: BTreeMap::new() };
                self.known.insert(receiver.to_owned(), known);
            }
        }
    }

    /// Whether that receiver told something, and was not let go.
    #[must_use]
    pub fn knows(&self, receiver: &str) -> bool {
        self.known.contains_key(receiver)
    }

    /// A receiver is gone for good.
    pub fn gone(&mut self, receiver: &str) {
        self.known.remove(receiver);
    }

    /// Forgets who was silent for too long, and gives their names.
    pub fn silent(&mut self, now_ms: u64) -> Vec<String> {
        let limit = self.absence_ms_max;
        let silent = |known: &Known| now_ms.saturating_sub(known.heard_ms) >= limit;
        let names: Vec<String> = self
            .known
            .iter()
            .filter(|(_, known)| silent(known))
            .map(|(name, _)| name.clone())
            .collect();
        for name in &names {
            self.known.remove(name);
        }
        names
    }

    /// What of `stream`, made at `created`, may be trimmed, where its lanes end like that.
    pub fn trim(&mut self, now_ms: u64, stream: &str, created: i64, ends: &[End]) -> Trim {
        let mut below = place(ends);
        let mut claimed = false;
        for known in self.known.values_mut() {
            let Some(floor) = known.report.floor(stream, created, ends) else { continue };
            let since = match floor {
                Floor::ReadAll => {
                    known.stands_since_ms.remove(stream);
                    now_ms
                }
                Floor::Needs(_) => {
                    *known.stands_since_ms.entry(stream.to_owned()).or_insert(now_ms)
                }
            };
            if now_ms.saturating_sub(since) >= self.absence_ms_max {
                continue;
            }
            claimed = true;
            if let Floor::Needs(sequence) = floor {
                below = below.min(sequence);
            }
        }
        if claimed { Trim::Below(below) } else { Trim::Unclaimed }
    }
}

/// The lowest message that says where the sender of a lane goes on: its last one. A lane in which nothing is sent any
/// more needs none: its last message never moves, and the stream would fill behind it.
#[must_use]
pub fn place(ends: &[End]) -> u64 {
    let written = || ends.iter().filter(|end| end.last > 0);
    let sending = written().filter(|end| end.sends).map(|end| end.last).min();
    // The last message of all stays, so that a stream is never without one.
    sending.or_else(|| written().map(|end| end.last).max()).unwrap_or(0)
}

/// What a receiver needs of a stream that it reads.
enum Floor {
    /// Nothing: it has read everything.
    ReadAll,
    /// Every message from this one on.
    Needs(u64),
}

impl Report {
    /// Says of no lane that it is further than `held` says.
    pub fn hold(&mut self, held: &Self) {
        for (name, stream) in &mut self.streams {
            let Some(held) = held.streams.get(name) else { continue };
            if held.created != stream.created {
                continue;
            }
            for (lane, at) in &mut stream.lanes {
                *at = held.lanes.get(lane).map_or(*at, |held| (*at).min(*held));
            }
        }
    }

    /// `None` where it does not read the stream.
    fn floor(&self, stream: &str, created: i64, ends: &[End]) -> Option<Floor> {
        let told = self.streams.get(stream);
        if told.is_some_and(|told| told.created != created) {
            return Some(Floor::Needs(0));
        }
        let mut reads = told.is_some();
        let mut lowest = None;
        for End { lane, last, .. } in ends.iter().filter(|end| end.last > 0) {
            let at = match told.and_then(|told| told.lanes.get(&lane.to_string())) {
                Some(at) => *at,
                None if self.shards.is_some_and(|shards| shards.has(*lane)) => 0,
                None => continue,
            };
            reads = true;
            if at < *last {
                lowest = Some(lowest.map_or(at, |lowest: u64| lowest.min(at)));
            }
        }
        reads.then(|| lowest.map_or(Floor::ReadAll, Floor::Needs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(created: i64, lanes: &[(&str, u64)]) -> Report {
        let lanes = lanes.iter().map(|(lane, at)| ((*lane).to_owned(), *at)).collect();
        let streams = [("s".to_owned(), StreamReport { created, lanes })].into();
        Report { streams, ..Report::default() }
    }

    fn lanes(of: &[(&str, u64)]) -> Vec<End> {
        let end =
            |&(lane, last): &(&str, u64)| End { lane: lane.parse().unwrap(), last, sends: true };
        of.iter().map(end).collect()
    }

    #[test]
    fn a_lane_that_sends_no_more_is_kept_until_it_is_read_and_no_longer() {
        let mut floors = Floors::new(1000);
        let mut ends = lanes(&[("0-2", 90), ("1-2", 10), ("3-4", 100)]);
        ends[1].sends = false;
        floors.heard(0, "a", report(7, &[("0-2", 90), ("1-2", 5), ("3-4", 100)]));
        assert_eq!(floors.trim(0, "s", 7, &ends), Trim::Below(5), "1-2 is not read to its end");
        floors.heard(0, "a", report(7, &[("0-2", 90), ("1-2", 10), ("3-4", 100)]));
        assert_eq!(floors.trim(0, "s", 7, &ends), Trim::Below(90));
        ends.iter_mut().for_each(|end| end.sends = false);
        assert_eq!(floors.trim(0, "s", 7, &ends), Trim::Below(100), "one message stays");
        assert_eq!(floors.trim(0, "s", 7, &[]), Trim::Below(0));
    }

    #[test]
    fn p3_a_lane_that_a_receiver_reads_and_has_not_found_yet_is_kept_for_it() {
        let mut floors = Floors::new(1000);
        let last = lanes(&[("0-2", 90), ("1-2", 100)]);
        let all = |lanes: &[(&str, u64)]| Report { shards: Some(Shards::All), ..report(7, lanes) };
        floors.heard(0, "a", all(&[("0-2", 90)]));
        assert_eq!(floors.trim(0, "s", 7, &last), Trim::Below(0), "1-2 is not found yet");
        floors.heard(0, "a", all(&[("0-2", 90), ("1-2", 100)]));
        assert_eq!(floors.trim(0, "s", 7, &last), Trim::Below(90));
        // Another one has found nothing at all so far.
        let range = Some(Shards::Range { first: 1, last: 1, count: 2 });
        floors.heard(0, "b", Report { shards: range, ..Report::default() });
        assert_eq!(floors.trim(0, "s", 7, &last), Trim::Below(0));
        assert_eq!(floors.trim(999, "s", 7, &last), Trim::Below(0));
        assert_eq!(floors.trim(1000, "s", 7, &last), Trim::Below(90), "it stands for too long");
        // What it does not read is no work for it.
        let range = Some(Shards::Range { first: 2, last: 3, count: 4 });
        floors.heard(1000, "c", Report { shards: range, ..Report::default() });
        assert_eq!(floors.trim(1000, "s", 7, &last), Trim::Below(90));
        assert_eq!(Floors::new(1).trim(0, "s", 7, &last), Trim::Unclaimed);
    }

    #[test]
    fn the_lowest_reader_of_a_lane_with_work_decides_and_no_last_message_goes() {
        let mut floors = Floors::new(1000);
        let last = lanes(&[("0-2", 90), ("1-2", 100)]);
        assert_eq!(floors.trim(0, "s", 7, &last), Trim::Unclaimed);
        floors.heard(0, "a", report(7, &[("0-2", 90), ("1-2", 60)]));
        floors.heard(0, "b", report(7, &[("0-2", 10), ("8-9", 1)]));
        assert_eq!(floors.trim(0, "s", 7, &last), Trim::Below(10));
        floors.heard(1, "b", report(7, &[("0-2", 90)]));
        assert_eq!(floors.trim(1, "s", 7, &last), Trim::Below(60));
        floors.heard(2, "a", report(7, &[("0-2", 90), ("1-2", 100)]));
        assert_eq!(floors.trim(2, "s", 7, &last), Trim::Below(90), "the last message of 0-2 stays");
        assert_eq!(floors.trim(2, "s", 8, &last), Trim::Below(0), "made anew: nobody has read it");
    }

    #[test]
    fn floors_that_are_held_let_nothing_go() {
        let mut told = report(7, &[("0-2", 90), ("1-2", 40), ("3-4", 5)]);
        told.hold(&report(7, &[("0-2", 60), ("1-2", 50)]));
        assert_eq!(told, report(7, &[("0-2", 60), ("1-2", 40), ("3-4", 5)]));
        // Of a stream that was made anew there is nothing to hold.
        let mut told = report(8, &[("0-2", 9)]);
        told.hold(&report(7, &[("0-2", 6)]));
        assert_eq!(told, report(8, &[("0-2", 9)]));
    }

    #[test]
    fn who_is_silent_or_stands_still_with_work_is_let_go() {
        let mut floors = Floors::new(1000);
        let mut last = lanes(&[("0-2", 90)]);
        floors.heard(0, "a", report(7, &[("0-2", 90)]));
        // Idle for long, and told all the while: that is no standstill.
        floors.heard(5000, "a", report(7, &[("0-2", 90)]));
        assert_eq!(floors.trim(5000, "s", 7, &last), Trim::Below(90));
        last[0].last = 95;
        assert_eq!(floors.trim(5100, "s", 7, &last), Trim::Below(90));
        floors.heard(6000, "a", report(7, &[("0-2", 90)]));
        assert_eq!(floors.trim(6099, "s", 7, &last), Trim::Below(90));
        assert_eq!(floors.trim(6100, "s", 7, &last), Trim::Unclaimed, "alive, and does not move");
        floors.heard(6200, "a", report(7, &[("0-2", 91)]));
        assert_eq!(floors.trim(6200, "s", 7, &last), Trim::Below(91), "it moved");
        assert!(floors.silent(7199).is_empty());
        assert_eq!(floors.silent(7200), ["a"]);
        assert_eq!(floors.trim(7200, "s", 7, &last), Trim::Unclaimed);
    }
}
