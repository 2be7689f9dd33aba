//! What a publish costs the producer, with one group and with sixty-four whose cursors all move.
//!
//! For callgrind: `valgrind --tool=callgrind --toggle-collect='*cost::publish*' …/examples/cost 64`
//! counts the producer's instructions only. Without it, prints nanoseconds.

use std::error::Error;
use std::time::{Duration, Instant};

use mixcord_ring::{Geometry, GroupSpec, Limits, Member, Meta, Namespace, Producer, Start};

const ROUNDS: u32 = 200;
const BATCH: u32 = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let groups = std::env::args().nth(1).map_or(Ok(1), |text| text.parse::<u16>())?;
    let namespace = Namespace::new(&format!("ring-cost-{}", std::process::id()))?;
    let outcome = run(&namespace, groups);
    namespace.remove_all()?;
    outcome
}

fn run(namespace: &Namespace, groups: u16) -> Result<(), Box<dyn Error>> {
    let bell = namespace.bell()?;
    let geometry = Geometry::new(8192, 4 << 20, 64, 1, 1)?;
    let specs: Vec<_> = (0..groups)
        .map(|group| GroupSpec::durable(&format!("g{group}")).from(Start::Earliest))
        .collect();
    let mut producer = Producer::create(namespace, "r", geometry, &specs, &bell)?;
    let ring = producer.ring();
    let mut members: Vec<Member> =
        specs.iter().map(|spec| ring.join(spec, &bell)).collect::<Result<_, _>>()?;
    let limits = Limits { records: BATCH as usize, bytes: 1 << 20 };
    let mut spent = Duration::ZERO;
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        publish(&mut producer)?;
        spent += begin.elapsed();
        for member in &mut members {
            while let Some(batch) = member.take(limits)? {
                batch.ack();
            }
        }
    }
    let each = spent / (ROUNDS * BATCH);
    println!("{groups} groups: {each:?} a stage and publish, {} wakes", ring.pressure().wakes);
    Ok(())
}

#[inline(never)]
fn publish(producer: &mut Producer) -> Result<(), Box<dyn Error>> {
    for _ in 0..BATCH {
        producer.stage(&Meta { key: 7, tag: 1, source: 2 }, &[&[7; 512]])?;
        producer.publish();
    }
    Ok(())
}
