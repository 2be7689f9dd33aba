//! Running everything.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::case::{Axis, Case};
use crate::cases::Extent;
use crate::contender::Place;
use crate::measure::{self, Run, Source};
use crate::page::Results;
use crate::recovery::{self, Trial};

/// What is run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How much.
    pub extent: Extent,
    /// These axes, in this order.
    pub axes: Vec<Axis>,
    /// Only cases whose name holds this.
    pub only: String,
    /// Only contenders whose name holds this.
    pub who: String,
    /// Rounds of each case.
    pub rounds: usize,
    /// How long it may take: no round is begun that would not end before, were it as long as the longest of its axis.
    pub limit: Duration,
}

/// The time that is left.
struct Clock {
    begun: Instant,
    limit: Duration,
}

impl Plan {
    /// Everything of an extent, however long it takes.
    #[must_use]
    pub fn whole(extent: Extent) -> Self {
        Self {
            extent,
            axes: Axis::ALL.to_vec(),
            only: String::new(),
            who: String::new(),
            rounds: extent.rounds(),
            limit: Duration::MAX,
        }
    }

    /// Measures; `tell` is given every run as it ends.
    ///
    /// # Errors
    /// A contender fails, ours or a peer that is there.
    pub fn run(&self, place: &Place, mut tell: impl FnMut(&Run)) -> Result<Results> {
        let clock = Clock { begun: Instant::now(), limit: self.limit };
        let mut results = Results::default();
        for &axis in &self.axes {
            if !clock.has(Duration::ZERO) {
                results.left_out.push(format!("axis {}: no time was left", axis.name()));
            } else if axis == Axis::Recovery {
                self.recovery(place, &mut results)?;
            } else {
                self.axis(axis, place, &clock, &mut results, &mut tell)?;
            }
        }
        Ok(results)
    }

    /// Its cases in turn, round by round, each with a source of its own that waits meanwhile.
    fn axis(
        &self,
        axis: Axis,
        place: &Place,
        clock: &Clock,
        results: &mut Results,
        tell: &mut impl FnMut(&Run),
    ) -> Result<()> {
        let cases = self.cases(axis, place, &mut results.left_out);
        let started: Result<Vec<Source>> =
            cases.iter().map(|case| Source::start(place, &case.load)).collect();
        let mut sources = started?;
        let mut longest = Duration::ZERO;
        for round in 0..self.rounds {
            if !clock.has(longest) {
                let left_out = format!("axis {}: time for {round} rounds only", axis.name());
                results.left_out.push(left_out);
                break;
            }
            let begun = Instant::now();
            for (case, source) in cases.iter().zip(&mut sources) {
                for contender in &case.contenders {
                    let run = measure::run(place, source, case, contender, round)?;
                    tell(&run);
                    results.runs.push(run);
                }
            }
            longest = longest.max(begun.elapsed());
        }
        Ok(())
    }

    /// Cases with those contenders that are wanted, and here.
    fn cases(&self, axis: Axis, place: &Place, left_out: &mut Vec<String>) -> Vec<Case> {
        let mut missing = BTreeSet::new();
        let mut cases = self.extent.cases(axis);
        cases.retain(|case| case.name().contains(&self.only));
        for case in &mut cases {
            case.contenders.retain(|contender| {
                if !contender.name().contains(&self.who) {
                    return false;
                }
                let Some(why) = contender.missing(place, &case.load) else { return true };
                missing.insert(format!("{}: {why}", contender.name()));
                false
            });
        }
        cases.retain(|case| !case.contenders.is_empty());
        for line in missing {
            if !left_out.contains(&line) {
                left_out.push(line);
            }
        }
        cases
    }

    fn recovery(&self, place: &Place, results: &mut Results) -> Result<()> {
        let trial = self.trial();
        results.recoveries = recovery::ours(place, trial)?;
        if self.extent == Extent::Usual && recovery::has_twilight(place) {
            results.recoveries.extend(recovery::twilight(place, trial)?);
        }
        Ok(())
    }

    const fn trial(&self) -> Trial {
        let (guilds, calm) = match self.extent {
            Extent::Quick => (20, Duration::from_millis(200)),
            Extent::Usual => (1_000, Duration::from_secs(1)),
        };
        Trial { guilds, rounds: self.rounds, rate: 2_000, calm }
    }
}

impl Clock {
    /// Whether so much is left, and more than nothing.
    fn has(&self, time: Duration) -> bool {
        self.begun.elapsed().saturating_add(time) < self.limit
    }
}
