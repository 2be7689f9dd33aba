//! Running everything.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;

use crate::case::{Case, Extent};
use crate::contender::Place;
use crate::measure::{self, Run, Source};
use crate::page::Results;
use crate::recovery::{self, Trial};

/// What is run, and what is told meanwhile.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How much.
    pub extent: Extent,
    /// Only cases whose name holds this, and only contenders whose name holds the other.
    pub only: Option<(String, String)>,
    /// Rounds of each case, if others than usual.
    pub rounds: Option<usize>,
}

impl Plan {
    /// Measures; `tell` is given every run as it ends.
    ///
    /// # Errors
    /// A contender fails, ours or a peer that is there.
    pub fn run(&self, place: &Place, mut tell: impl FnMut(&Run)) -> Result<Results> {
        let mut results = Results::default();
        let mut left_out = BTreeSet::new();
        let rounds = self.rounds.unwrap_or_else(|| self.extent.rounds());
        for mut case in self.extent.cases() {
            case.contenders.retain(|contender| {
                let Some(missing) = contender.missing(place) else { return true };
                left_out.insert(format!("{}: {missing}", contender.name()));
                false
            });
            self.choose(&mut case);
            if case.contenders.is_empty() {
                continue;
            }
            let mut source = Source::start(place, &case.load)?;
            for round in 0..rounds {
                for contender in &case.contenders {
                    let run = measure::run(place, &mut source, &case, contender, round)?;
                    tell(&run);
                    results.runs.push(run);
                }
            }
        }
        if self.only.as_ref().is_none_or(|(case, _)| "recovery".contains(&**case)) {
            let trial = self.trial();
            results.recoveries = recovery::ours(place, trial)?;
            if self.extent != Extent::Quick && left_out.is_empty() {
                results.recoveries.extend(recovery::twilight(place, trial)?);
            }
        }
        results.left_out = left_out.into_iter().collect();
        Ok(results)
    }

    fn choose(&self, case: &mut Case) {
        let Some((wanted, who)) = &self.only else { return };
        let is_wanted = case.name().contains(wanted);
        case.contenders.retain(|contender| is_wanted && contender.name().contains(&**who));
    }

    const fn trial(&self) -> Trial {
        let (guilds, rounds, calm) = match self.extent {
            Extent::Quick => (20, 1, Duration::from_millis(200)),
            Extent::Usual => (1_000, 3, Duration::from_secs(2)),
            Extent::Full => (1_000, 5, Duration::from_secs(3)),
        };
        Trial { guilds, rounds, rate: 2_000, calm }
    }
}
