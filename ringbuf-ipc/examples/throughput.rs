//! Messages per second and round trips between two processes, by payload size.
//!
//! `cargo run --release -p mixcord-ring --example throughput [SECONDS A CASE]`

use std::error::Error;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use mixcord_ring::{Geometry, GroupSpec, Limits, Meta, Namespace, Producer, Ring, Start};

const SIZES: [usize; 4] = [64, 512, 4096, 256 << 10];

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    if let [role, prefix] = &args[..] {
        return sum(&Namespace::new(prefix)?, role == "echo");
    }
    let seconds = args.first().map_or(Ok(0.5), |text| text.parse::<f64>())?;
    let limit = Duration::from_secs_f64(seconds);
    let namespace = Namespace::new(&format!("ring-bench-{}", std::process::id()))?;
    let outcome = SIZES.into_iter().try_for_each(|size| one_way(&namespace, size, limit));
    let outcome = outcome.and_then(|()| round_trip(&namespace, limit));
    namespace.remove_all()?;
    outcome
}

fn spawn(namespace: &Namespace, role: &str) -> std::io::Result<Child> {
    Command::new(std::env::current_exe()?).args([role, namespace.prefix()]).spawn()
}

fn geometry() -> Result<Geometry, Box<dyn Error>> {
    Ok(Geometry::new(4096, 4 << 20, 1, 1, 1)?)
}

fn one_way(namespace: &Namespace, size: usize, limit: Duration) -> Result<(), Box<dyn Error>> {
    let bell = namespace.bell()?;
    let group = GroupSpec::durable("sum").from(Start::Earliest);
    let mut producer = Producer::create(namespace, "there", geometry()?, &[group], &bell)?;
    let mut child = spawn(namespace, "sum")?;
    let payload = vec![1; size];
    let meta = Meta::default();
    let begin = Instant::now();
    let batch = (64 << 10) / size.max(1024);
    while begin.elapsed() < limit {
        for _ in 0..batch.max(1) {
            while !producer.has_space(size) {
                producer.publish();
                producer.wait_space(size, Duration::from_millis(10));
            }
            producer.stage(&meta, &[&payload])?;
        }
        producer.publish();
    }
    let count = producer.tail();
    producer.stage(&meta, &[])?;
    producer.publish();
    child.wait()?;
    let rate = count as f64 / begin.elapsed().as_secs_f64();
    println!("{size:>7} B  {rate:>12.0} messages/s  {:>8.0} MB/s", rate * size as f64 / 1e6);
    drop(producer);
    namespace.remove_ring("there")?;
    Ok(())
}

fn round_trip(namespace: &Namespace, limit: Duration) -> Result<(), Box<dyn Error>> {
    let bell = namespace.bell()?;
    let group = GroupSpec::durable("sum").from(Start::Earliest);
    let mut there =
        Producer::create(namespace, "there", geometry()?, std::slice::from_ref(&group), &bell)?;
    let mut child = spawn(namespace, "echo")?;
    let back = loop {
        match Ring::attach(namespace, "back") {
            Ok(ring) => break ring,
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    let mut member = back.join(&group, &bell)?;
    let meta = Meta::default();
    let mut times = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < limit {
        let sent = Instant::now();
        there.stage(&meta, &[&[7; 64]])?;
        there.publish();
        loop {
            if let Some(batch) = member.take(Limits::default())? {
                batch.ack();
                break;
            }
            std::hint::spin_loop();
        }
        times.push(sent.elapsed());
    }
    there.stage(&meta, &[])?;
    there.publish();
    child.wait()?;
    times.sort_unstable();
    println!("round trip, spinning: median {:?}, of {}", times[times.len() / 2], times.len());
    Ok(())
}

/// Adds up a byte of each cache line until an empty record comes; sends each back if asked to.
fn sum(namespace: &Namespace, echo: bool) -> Result<(), Box<dyn Error>> {
    let bell = namespace.bell()?;
    let group = GroupSpec::durable("sum").from(Start::Earliest);
    let mut back = if echo {
        Some(Producer::create(namespace, "back", geometry()?, std::slice::from_ref(&group), &bell)?)
    } else {
        None
    };
    let mut member = Ring::attach(namespace, "there")?.join(&group, &bell)?;
    let mut total = 0;
    loop {
        if !echo {
            member.wait(Duration::from_millis(100));
        }
        while let Some(batch) = member.take(Limits::default())? {
            for entry in batch.records() {
                if entry.payload.is_empty() {
                    std::hint::black_box(total);
                    return Ok(());
                }
                total += entry.payload.iter().step_by(64).map(|&b| u64::from(b)).sum::<u64>();
                if let Some(back) = &mut back {
                    back.stage(&Meta::default(), &[entry.payload])?;
                    back.publish();
                }
            }
            batch.ack();
        }
        std::hint::spin_loop();
    }
}
