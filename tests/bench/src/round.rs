//! Rounds: every contender in turn, again and again, so that drift hits all alike.

use std::time::Duration;

use crate::clock::{Sample, measure};

/// How long to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// A few short rounds: does it run, and what is the rough picture?
    Quick,
    /// What a claim is made from.
    Full,
}

impl Effort {
    /// Counted rounds of each contender, after one that is not counted.
    pub(crate) fn rounds(self) -> usize {
        match self {
            Self::Quick => 3,
            Self::Full => 11,
        }
    }

    /// How much CPU time one round of one contender should use.
    pub(crate) fn round_time(self) -> Duration {
        match self {
            Self::Quick => Duration::from_millis(30),
            Self::Full => Duration::from_millis(150),
        }
    }
}

/// One side of a comparison.
pub(crate) struct Contender<'a> {
    pub(crate) name: &'static str,
    round: Box<dyn FnMut() -> Sample + 'a>,
}

impl<'a> Contender<'a> {
    /// A contender that measures its own rounds (several processes, pinned cores, …).
    #[allow(dead_code, reason = "for parts of several processes")]
    pub(crate) fn rounds(name: &'static str, round: impl FnMut() -> Sample + 'a) -> Self {
        Self { name, round: Box::new(round) }
    }

    /// A contender whose `unit` does one unit of work in this thread. The number of units in a
    /// round is found beforehand, so that a round takes `effort.round_time()`.
    pub(crate) fn unit(name: &'static str, effort: Effort, mut unit: impl FnMut() + 'a) -> Self {
        let mut units = 1_u64;
        loop {
            let sample = measure(|| repeat(units, &mut unit));
            if sample.cpu >= effort.round_time() / 4 {
                let target = effort.round_time().as_secs_f64() * sample.per_cpu_second();
                units = target.ceil() as u64;
                break;
            }
            units *= 2;
        }
        Self { name, round: Box::new(move || measure(|| repeat(units, &mut unit))) }
    }
}

impl Contender<'_> {
    /// One round.
    pub(crate) fn once(&mut self) -> Sample {
        (self.round)()
    }
}

fn repeat(units: u64, unit: &mut impl FnMut()) -> u64 {
    for _ in 0..units {
        unit();
    }
    units
}

/// The samples of one contender over all rounds.
#[derive(Debug)]
pub(crate) struct Samples {
    pub(crate) name: &'static str,
    pub(crate) samples: Vec<Sample>,
}

impl Samples {
    /// Median, minimum and maximum of a figure over the rounds.
    pub(crate) fn spread(&self, figure: impl Fn(&Sample) -> f64) -> Spread {
        Spread::of(self.samples.iter().map(figure))
    }
}

/// A figure over the rounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of at least one value.
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        Self { median: values[values.len() / 2], min: values[0], max: values[values.len() - 1] }
    }
}

/// Runs all contenders `effort.rounds()` times, interleaved: A B C A B C …
pub(crate) fn interleave(effort: Effort, mut contenders: Vec<Contender<'_>>) -> Vec<Samples> {
    for contender in &mut contenders {
        (contender.round)();
    }
    let mut all: Vec<Samples> =
        contenders.iter().map(|c| Samples { name: c.name, samples: Vec::new() }).collect();
    for _ in 0..effort.rounds() {
        for (contender, samples) in contenders.iter_mut().zip(&mut all) {
            samples.samples.push((contender.round)());
        }
    }
    all
}
