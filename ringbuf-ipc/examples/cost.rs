//! What a publish costs the producer, with one group and with sixty-four whose cursors all move;
//! `cost 64 blob`: while one group, the last of the table, has yet to be done with an out-of-line record,
//! `cost 0 blob`: while there is no group and such a record.
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
    let outcome = run(&namespace, groups, std::env::args().nth(2).is_some());
    namespace.remove_all()?;
    outcome
}

fn run(namespace: &Namespace, groups: u16, blob: bool) -> Result<(), Box<dyn Error>> {
    let bell = namespace.bell()?;
    let geometry = Geometry::new(32_768, 32 << 20, 64, 1, 1)?;
    let specs: Vec<_> = (0..groups)
        .map(|group| GroupSpec::durable(&format!("g{group}")).from(Start::Earliest))
        .collect();
    let mut producer = Producer::create(namespace, "r", geometry, &specs, &bell)?;
    let ring = producer.ring();
    let mut members: Vec<Member> =
        specs.iter().map(|spec| ring.join(spec, &bell)).collect::<Result<_, _>>()?;
    if blob {
        producer.stage(&Meta::default(), &[&vec![7; 9 << 20]])?;
        producer.publish();
        // It stays where it is.
        members.pop();
    }
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
        producer.stage(&Meta { key: 7, tag: 1, source: 2, ..Meta::default() }, &[&[7; 512]])?;
        producer.publish();
    }
    Ok(())
}
