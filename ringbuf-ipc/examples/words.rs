//! What delivery words cost: nanoseconds of this thread a record, beside a group that acknowledges batches in order.
//!
//! `cargo run --release -p mixcord-ring --example words -- [guilds] [rounds] [partitions]`
//!
//! For callgrind, which counts the same whatever else the machine does:
//! `valgrind --tool=callgrind --toggle-collect='*words::any_order*' …/examples/words 2000 3` (or `in_order`, `together`).

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use mixcord_ring::{
    Geometry, GroupSpec, Limits, Member, Meta, Namespace, Order, Producer, Settle, Start,
    TakeError, Worker, WorkerOptions,
};

const ROUND: u64 = 32_768;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let guilds = arguments.next().unwrap_or(Ok(2000))?;
    let rounds = arguments.next().unwrap_or(Ok(30))?;
    let partitions = arguments.next().unwrap_or(Ok(64))?;
    let namespace = Namespace::new(&format!("ringwords-{}", std::process::id()))?;
    let bell = namespace.bell()?;
    let geometry = Geometry::new(65_536, 32 << 20, 4, partitions as u16, 16)?;
    let plain = GroupSpec::durable("in-order").from(Start::Earliest);
    let each = GroupSpec::durable("each").from(Start::Earliest).any_order(Order::Key);
    let many = GroupSpec::durable("many").from(Start::Earliest).any_order(Order::Key);
    let groups = [plain.clone(), each.clone(), many.clone()];
    let mut producer = Producer::create(&namespace, "r", geometry, &groups, &bell)?;
    let mut member = producer.ring().join(&plain, &bell)?;
    let mut worker = producer.ring().work(&each, &bell, WorkerOptions::new())?;
    let mut taker = producer.ring().work(&many, &bell, WorkerOptions::new())?;
    let mut times = [const { Vec::new() }; 3];
    for round in 0..rounds {
        for number in 0..ROUND {
            let key = number * 7 % guilds;
            producer.stage(&Meta { key, ..Meta::default() }, &[&[7; 64]])?;
            if number % 64 == 63 {
                producer.publish();
            }
        }
        // Each has its turn as the first, which finds the records where the producer left them.
        for turn in 0..3 {
            let begun = spent()?;
            match (round + turn) % 3 {
                0 => in_order(&mut member)?,
                1 => any_order(&mut worker)?,
                _ => together(&mut taker)?,
            }
            times[((round + turn) % 3) as usize].push(spent()? - begun);
        }
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_nanos() as f64 / ROUND as f64
    };
    let figures = times.each_mut().map(median);
    let [plain, each, many] = figures;
    println!(
        "{guilds} guilds, {partitions} partitions, ns a record: in order {plain:.0}, any order each {each:.0}, together {many:.0}"
    );
    drop((member, worker, taker, producer, bell));
    namespace.remove_all()?;
    Ok(())
}

/// Processor time of this thread: what others do on the machine is not in it.
fn spent() -> Result<Duration, nix::Error> {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from)
}

#[inline(never)]
fn in_order(member: &mut Member) -> Result<(), TakeError> {
    while let Some(batch) = member.take(Limits::default())? {
        batch.ack();
    }
    Ok(())
}

/// Each by itself, up to a thousand out at once.
#[inline(never)]
fn any_order(worker: &mut Worker) -> Result<(), Box<dyn std::error::Error>> {
    let mut out = Vec::with_capacity(1000);
    loop {
        while out.len() < 1000
            && let Some(delivery) = worker.take()?
        {
            out.push(delivery);
        }
        if out.is_empty() {
            worker.tend();
            return Ok(());
        }
        for delivery in out.drain(..) {
            delivery.settle(Settle::Ack)?;
        }
    }
}

/// As many together as a member in order takes.
#[inline(never)]
fn together(worker: &mut Worker) -> Result<(), Box<dyn std::error::Error>> {
    while let Some(deliveries) = worker.take_many(64)? {
        deliveries.ack()?;
    }
    worker.tend();
    Ok(())
}
