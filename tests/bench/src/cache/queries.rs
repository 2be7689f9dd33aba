//! Queries as the SDK makes them: each reader has the state open for itself, as a process of its own would.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use mixcord_pipeline::workload::guild::{MEMBERS, ROLE, ROLES, USER};
use mixcord_state::{Resource, State};

use super::ours::Ours;
use crate::clock::{Sample, measure_thread};
use crate::report::{Goal, Report};
use crate::round::{Contender, Effort, interleave};

/// Nanoseconds of CPU that one key, and a member with its user, may take.
const POINT_NS: f64 = 200.0;
const MEMBER_NS: f64 = 500.0;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
enum Question {
    /// A role: one key.
    Point,
    /// A member with its user.
    Member,
}

pub(super) fn run(ours: &Ours, guilds: u64, effort: Effort, report: &mut Report) -> Result<()> {
    let dir = ours.state_dir();
    let questions = if effort == Effort::Quick { 20_000 } else { 200_000 };
    let cases = [(Question::Point, "one key", POINT_NS), (Question::Member, "a member", MEMBER_NS)];
    for (question, name, goal) in cases {
        for readers in [1, 4, 16] {
            let states = (0..readers).map(|_| opened(&dir, question, guilds));
            let states = states.collect::<Result<Vec<_>>>()?;
            let ask = || asked(&states, question, questions / readers, guilds);
            let contender = Contender::rounds("mixcord", || ask().expect("a state that is there"));
            let samples = interleave(effort, vec![contender]);
            let case = format!("{name}, {readers} readers at once");
            let figures: Vec<_> = samples
                .iter()
                .map(|samples| (samples.name, samples.spread(|it| 1e9 / it.per_cpu_second())))
                .collect();
            report.row("queries", &case, "time", "CPU-ns", &figures, &[Goal::AtMost(goal)]);
        }
    }
    Ok(())
}

/// The state as a process has it that runs for long: every page that is asked for was met once.
fn opened(dir: &Path, question: Question, guilds: u64) -> Result<State> {
    let state = State::open(dir)?;
    let numbers = (0..guilds).flat_map(|guild| (0..MEMBERS).map(move |number| (guild, number)));
    for (guild, number) in numbers {
        ask(&state, question, guild, number)?;
    }
    Ok(state)
}

/// So many questions of each of several readers, all together.
fn asked(states: &[State], question: Question, questions: u64, guilds: u64) -> Result<Sample> {
    let samples = std::thread::scope(|scope| -> Result<Vec<Sample>> {
        let readers = states.iter().zip(1_u64..).map(|(state, seed)| {
            scope.spawn(move || {
                let mut failed = Ok(());
                let sample = measure_thread(|| {
                    let mut dice = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
                    for _ in 0..questions {
                        dice = dice.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E);
                        let asked = ask(state, question, (dice >> 33) % guilds, dice >> 40);
                        failed = std::mem::replace(&mut failed, Ok(())).and(asked);
                    }
                    questions
                });
                failed.map(|()| sample)
            })
        });
        let readers: Vec<_> = readers.collect();
        let samples = readers.into_iter().map(|reader| reader.join().expect("no panic"));
        samples.collect()
    })?;
    let mut all = Sample { units: 0, cpu: Duration::ZERO, wall: Duration::ZERO };
    samples.into_iter().for_each(|sample| all += sample);
    Ok(all)
}

fn ask(state: &State, question: Question, guild: u64, number: u64) -> Result<()> {
    // What `guild::id` writes out.
    let id = |number| 100_000_000_000_000_000 + guild * 1_000_000_000 + number;
    let found = match question {
        Question::Point => state.entity(Resource::Roles, id(0), id(ROLE + number % ROLES))?,
        Question::Member => state.entity(Resource::Members, id(0), id(USER + number % MEMBERS))?,
    };
    std::hint::black_box(found.context("an entity")?);
    Ok(())
}
