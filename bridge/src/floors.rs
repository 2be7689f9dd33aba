//! What of a stream nobody needs any more: receivers tell how far they are, the sender trims below the lowest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What one receiver process tells, on a timer and before it reads anything.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Where it runs, for people: its instance and the host's name.
    #[serde(default)]
    pub place: String,
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

    /// What of `stream`, made at `created`, may be trimmed, where each lane's last message is `lanes`.
    pub fn trim(
        &mut self,
        now_ms: u64,
        stream: &str,
        created: i64,
        lanes: &[(String, u64)],
    ) -> Trim {
        // The last message of a lane says where its sender goes on.
        let lasts = lanes.iter().map(|(_, last)| *last).filter(|last| *last > 0);
        let mut below = lasts.min().unwrap_or(0);
        let mut claimed = false;
        for known in self.known.values_mut() {
            let Some(told) = known.report.streams.get(stream) else { continue };
            let floor = floor(told, created, lanes);
            let since = match floor {
                None => {
                    known.stands_since_ms.remove(stream);
                    now_ms
                }
                Some(_) => *known.stands_since_ms.entry(stream.to_owned()).or_insert(now_ms),
            };
            if now_ms.saturating_sub(since) >= self.absence_ms_max {
                continue;
            }
            claimed = true;
            below = below.min(floor.unwrap_or(u64::MAX));
        }
        if claimed { Trim::Below(below) } else { Trim::Unclaimed }
    }
}

/// The lowest message that a receiver still needs; `None` where it has read everything.
fn floor(told: &StreamReport, created: i64, lanes: &[(String, u64)]) -> Option<u64> {
    if told.created != created {
        return Some(0);
    }
    let behind = lanes.iter().filter_map(|(lane, last)| {
        let at = told.lanes.get(lane)?;
        (at < last).then_some(*at)
    });
    behind.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(created: i64, lanes: &[(&str, u64)]) -> Report {
        let lanes = lanes.iter().map(|(lane, at)| ((*lane).to_owned(), *at)).collect();
        let streams = [("s".to_owned(), StreamReport { created, lanes })].into();
        Report { place: String::new(), streams }
    }

    fn lanes(of: &[(&str, u64)]) -> Vec<(String, u64)> {
        of.iter().map(|(lane, last)| ((*lane).to_owned(), *last)).collect()
    }

    #[test]
    fn the_lowest_reader_of_a_lane_with_work_decides_and_no_last_message_goes() {
        let mut floors = Floors::new(1000);
        let last = lanes(&[("0-2", 90), ("1-2", 100)]);
        assert_eq!(floors.trim(0, "s", 7, &last), Trim::Unclaimed);
        floors.heard(0, "a", report(7, &[("0-2", 90), ("1-2", 60)]));
        floors.heard(0, "b", report(7, &[("0-2", 10), ("9-9", 1)]));
        assert_eq!(floors.trim(0, "s", 7, &last), Trim::Below(10));
        floors.heard(1, "b", report(7, &[("0-2", 90)]));
        assert_eq!(floors.trim(1, "s", 7, &last), Trim::Below(60));
        floors.heard(2, "a", report(7, &[("0-2", 90), ("1-2", 100)]));
        assert_eq!(floors.trim(2, "s", 7, &last), Trim::Below(90), "the last message of 0-2 stays");
        assert_eq!(floors.trim(2, "s", 8, &last), Trim::Below(0), "made anew: nobody has read it");
    }

    #[test]
    fn who_is_silent_or_stands_still_with_work_is_let_go() {
        let mut floors = Floors::new(1000);
        let mut last = lanes(&[("0-2", 90)]);
        floors.heard(0, "a", report(7, &[("0-2", 90)]));
        // Idle for long, and told all the while: that is no standstill.
        floors.heard(5000, "a", report(7, &[("0-2", 90)]));
        assert_eq!(floors.trim(5000, "s", 7, &last), Trim::Below(90));
        last[0].1 = 95;
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
