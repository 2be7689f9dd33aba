//! P2 and P3 between machines: both ends against a log that loses, delays, forgets and doubles.
//!
//! Steps are as small as a request, an answer, or a commit, and faults come at every one of them: alone and in
//! pairs exhaustively, in longer rows at random. One thing the model does not do: a message that was under way when
//! the log lost its tail does not land afterwards.

mod fault;
mod noise;
mod world;

use fault::Fault;
use world::{WINDOW, World};

/// Steps in which faults come.
const STEPS: usize = 40;
/// Records of each ring.
const RECORDS: usize = 10;

/// Says which faults it were, should the test fail.
struct Said<'a>(&'a [(usize, Fault)]);

impl Drop for Said<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("with these faults: {:?}", self.0);
        }
    }
}

/// One run: the faults come before the step of that number.
fn run(faults: &[(usize, Fault)]) -> World {
    let _said = Said(faults);
    let mut world = World::new(faults.len() < 2);
    for step in 0..STEPS {
        for (_, fault) in faults.iter().filter(|(at, _)| *at == step) {
            world.fault(*fault);
        }
        if step % (STEPS / RECORDS) == 0 {
            world.produce();
        }
        world.send();
        world.receive();
    }
    // A log that was trimmed, lost or left alone says where it stands with the next record.
    world.produce();
    world.settle();
    world.check();
    world
}

fn all() -> impl Iterator<Item = Fault> + Clone {
    Fault::HARMLESS.into_iter().chain(Fault::HARMFUL)
}

#[test]
fn nothing_is_lost_without_a_fault() {
    assert_eq!(run(&[]).told(), 0);
}

#[test]
fn each_fault_at_each_step() {
    for step in 0..STEPS {
        for fault in all() {
            run(&[(step, fault)]);
        }
    }
}

#[test]
fn each_pair_of_faults_near_each_other() {
    for step in (0..STEPS / 2).step_by(3) {
        for behind in [0, 1, 2, 5] {
            for (first, second) in all().flat_map(|first| all().map(move |second| (first, second)))
            {
                run(&[(step, first), (step + behind, second)]);
            }
        }
    }
}

#[test]
fn what_is_not_found_yet_is_not_trimmed() {
    for step in 0..STEPS {
        for again in step..STEPS {
            run(&[(0, Fault::Late), (step, Fault::Trim), (again, Fault::Trim)]);
        }
    }
}

#[test]
fn a_lane_that_ended_does_not_hold_the_log() {
    for step in 1..STEPS / 2 {
        for fault in Fault::HARMLESS {
            // The last message of the lane that ended is that one, or somebody else's.
            let mut world = run(&[(step, Fault::End), (step + 5, fault), (STEPS - 1, fault)]);
            let before = world.len();
            world.trim();
            // What the other lane sent after that stands behind the last message of the lane that ended.
            assert!(world.len() < WINDOW, "{} of {before} stay", world.len());
        }
    }
}

#[test]
fn losses_are_told_where_there_are_some() {
    // The log loses what receivers have not read, and the ring let go of.
    let told =
        (0..STEPS).any(|step| run(&[(step, Fault::Remake), (step, Fault::Evict)]).told() > 0);
    assert!(told, "the model never loses anything: it proves nothing");
}

#[test]
fn rows_of_faults_at_random() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let every: Vec<Fault> = all().collect();
    for _ in 0..2_000 {
        // Half of the rows cost nothing: there not one record may be missing.
        let from = if random(2) == 0 { &Fault::HARMLESS[..] } else { &every };
        let count = 3 + random(10);
        let faults: Vec<_> =
            (0..count).map(|_| (random(STEPS), from[random(from.len())])).collect();
        run(&faults);
    }
}
