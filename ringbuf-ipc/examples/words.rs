//! What delivery words cost: nanoseconds a record, beside a group that acknowledges batches in order.
//!
//! `cargo run --release -p mixcord-ring --example words -- [guilds]`

use std::time::{Duration, Instant};

use mixcord_ring::{
    Geometry, GroupSpec, Limits, Meta, Namespace, Order, Producer, Settle, Start, WorkerOptions,
};

const ROUND: u64 = 32_768;
const ROUNDS: u32 = 30;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let guilds: u64 = std::env::args().nth(1).map_or(Ok(2000), |arg| arg.parse())?;
    let namespace = Namespace::new(&format!("ringwords-{}", std::process::id()))?;
    let bell = namespace.bell()?;
    let geometry = Geometry::new(65_536, 32 << 20, 4, 64, 16)?;
    let plain = GroupSpec::durable("in-order").from(Start::Earliest);
    let words = GroupSpec::durable("words").from(Start::Earliest).any_order(Order::Key);
    let groups = [plain.clone(), words.clone()];
    let mut producer = Producer::create(&namespace, "r", geometry, &groups, &bell)?;
    let mut member = producer.ring().join(&plain, &bell)?;
    let mut worker = producer.ring().work(&words, &bell, WorkerOptions::new())?;
    let (mut in_order, mut any_order, mut out_at_once) = (Vec::new(), Vec::new(), 0);
    let mut out = Vec::new();
    for _ in 0..ROUNDS {
        for number in 0..ROUND {
            let key = number * 7 % guilds;
            producer.stage(&Meta { key, ..Meta::default() }, &[&[7; 64]])?;
            if number % 64 == 63 {
                producer.publish();
            }
        }
        let begun = Instant::now();
        while let Some(batch) = member.take(Limits::default())? {
            batch.ack();
        }
        in_order.push(begun.elapsed());
        let begun = Instant::now();
        loop {
            while out.len() < 1000
                && let Some(delivery) = worker.take()?
            {
                out.push(delivery);
            }
            if out.is_empty() {
                break;
            }
            out_at_once = out_at_once.max(out.len());
            for delivery in out.drain(..) {
                delivery.settle(Settle::Ack)?;
            }
        }
        worker.tend();
        any_order.push(begun.elapsed());
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_nanos() as f64 / ROUND as f64
    };
    let (plain, words) = (median(&mut in_order), median(&mut any_order));
    println!(
        "{guilds} guilds, {out_at_once} out at once: in order {plain:.0} ns a record, any order {words:.0} ns"
    );
    drop((member, worker, producer, bell));
    namespace.remove_all()?;
    Ok(())
}
