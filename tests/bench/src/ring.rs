//! The ring against other ways between two processes, and between two threads.
//!
//! Payloads are copied in, and the reader looks at every cache line of them: in place, as the peers' do,
//! or in its copy, as those do who parse what they get. Links are warm before the clock starts.

mod cells;
mod distance;
pub(crate) mod instructions;
mod link;
mod paced;
mod process;
mod ringfire;
mod threads;

use anyhow::Result;

use self::distance::{NEAR_NS, round_trip_ns};
use self::process::{Direction, round};
use crate::clock::Sample;
use crate::report::{Goal, Report};
use crate::round::{Contender, Effort, Samples};

pub(crate) use self::process::{CHILD, child, pin};

const SIZES: [usize; 4] = [64, 512, 4096, 262_144];

pub(crate) fn run(effort: Effort, report: &mut Report) -> Result<()> {
    for size in SIZES {
        stream(effort, report, size)?;
    }
    round_trip(effort, report)?;
    threads::run(effort, report)?;
    paced::run(effort, report)?;
    instructions::run(report)
}

/// Messages in a round, so that it takes a fraction of a second.
fn count(kind: &str, size: usize, effort: Effort) -> u64 {
    let bytes_per_second: u64 = match kind {
        "Unix stream" => 60 << 20,
        "iceoryx2" => 200 << 20,
        _ => 1 << 30,
    };
    let per_second = (bytes_per_second / size as u64).min(match kind {
        "Unix stream" => 150_000,
        "iceoryx2" => 500_000,
        _ => 4_000_000,
    });
    let share = if effort == Effort::Quick { 10 } else { 3 };
    (per_second / share).max(200)
}

fn contender<'a>(
    kind: &'static str,
    size: usize,
    effort: Effort,
    failed: &'a std::cell::RefCell<Option<anyhow::Error>>,
) -> Contender<'a> {
    let count = count(kind, size, effort);
    Contender::rounds(kind, move || {
        round(kind, size, count, Direction::Stream).unwrap_or_else(|error| {
            failed.borrow_mut().get_or_insert(error.context(kind));
            nothing()
        })
    })
}

/// Of a contender that failed: its error is reported, the figures are not.
fn nothing() -> Sample {
    let moment = std::time::Duration::from_nanos(1);
    Sample { units: 0, cpu: moment, wall: moment }
}

/// All contenders in turn, round by round; rounds with the cores near each other and rounds with the cores far
/// apart by themselves, each with the words that say how far that was. A round amid which they moved is neither.
fn apart(effort: Effort, mut contenders: Vec<Contender<'_>>) -> Vec<(String, Vec<Samples>)> {
    for contender in &mut contenders {
        contender.once();
    }
    let none =
        || contenders.iter().map(|c| Samples { name: c.name, samples: Vec::new() }).collect();
    let mut sides: [(Vec<f64>, Vec<Samples>); 2] = [(Vec::new(), none()), (Vec::new(), none())];
    let mut before = round_trip_ns();
    for _ in 0..effort.rounds() {
        let round: Vec<_> = contenders.iter_mut().map(Contender::once).collect();
        let after = round_trip_ns();
        if (before < NEAR_NS) == (after < NEAR_NS) {
            let (distances, samples) = &mut sides[usize::from(after >= NEAR_NS)];
            distances.extend([before, after]);
            samples.iter_mut().zip(round).for_each(|(all, sample)| all.samples.push(sample));
        }
        before = after;
    }
    let words = ["near", "far"].into_iter().zip(sides);
    words
        .filter(|(_, (distances, _))| !distances.is_empty())
        .map(|(word, (distances, samples))| {
            let least = distances.iter().copied().fold(f64::MAX, f64::min);
            let most = distances.iter().copied().fold(0.0, f64::max);
            (format!("cores {word}, a line {least:.0}…{most:.0} ns there and back"), samples)
        })
        .collect()
}

fn stream(effort: Effort, report: &mut Report, size: usize) -> Result<()> {
    let failed = std::cell::RefCell::new(None);
    let mut kinds = vec!["mixcord", "mixcord, copied out", "iceoryx2", "shaq", "Unix stream"];
    if size <= 4096 {
        kinds.push("ringfire, copied out");
    }
    let kinds = kinds.into_iter().map(|kind| contender(kind, size, effort, &failed));
    let sides = apart(effort, kinds.collect());
    if let Some(error) = failed.take() {
        return Err(error);
    }
    let shaq = Goal::Times(if size > 4096 { 0.95 } else { 1.0 }, "shaq");
    let goals = if size > 4096 { vec![shaq] } else { vec![shaq, Goal::Times(5.0, "iceoryx2")] };
    for (how_far, samples) in sides {
        let case = format!("two processes, {size} B, one publish a message; {how_far}");
        report.rates("ring", &case, "messages", &samples, &goals);
    }

    let kinds =
        ["mixcord, batched", "mixcord, batched in place", "Unix stream, batched", "pipe, batched"]
            .map(|kind| contender(kind, size, effort, &failed));
    let sides = apart(effort, kinds.into());
    if let Some(error) = failed.take() {
        return Err(error);
    }
    let goals: &[Goal] =
        if size <= 512 { &[Goal::Times(1.0, "Unix stream, batched")] } else { &[] };
    for (how_far, samples) in sides {
        let case = format!("two processes, {size} B, batches of 64; {how_far}");
        report.rates("ring", &case, "messages", &samples, goals);
    }
    Ok(())
}

fn round_trip(effort: Effort, report: &mut Report) -> Result<()> {
    let failed = std::cell::RefCell::new(None);
    let count = if effort == Effort::Quick { 5_000 } else { 30_000 };
    let kinds = ["mixcord", "mixcord, copied out", "iceoryx2", "shaq", "Unix stream"].map(|kind| {
        let failed = &failed;
        Contender::rounds(kind, move || {
            round(kind, 64, count, Direction::Echo).unwrap_or_else(|error| {
                failed.borrow_mut().get_or_insert(error.context(kind));
                nothing()
            })
        })
    });
    let sides = apart(effort, kinds.into());
    if let Some(error) = failed.take() {
        return Err(error);
    }
    for (how_far, samples) in sides {
        let times: Vec<_> = samples
            .iter()
            .map(|s| (s.name, s.spread(|sample| 1e9 / sample.per_second())))
            .collect();
        let case = format!("two processes, 64 B there and back, spinning; {how_far}");
        report.row("ring", &case, "round trip", "ns", &times, &[Goal::AtMostTimes(1.3, "shaq")]);
    }
    Ok(())
}
