//! A producer and a consumer in two processes, the consumer killed half-way.
//!
//! `cargo run -p mixcord-ring --example two_processes`

use std::error::Error;
use std::process::{Child, Command};
use std::time::Duration;

use mixcord_ring::{Geometry, GroupSpec, Limits, Meta, Namespace, Producer, Ring, Start};

const RECORDS: u64 = 10_000;

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(prefix) = std::env::args().nth(1) {
        return consume(&Namespace::new(&prefix)?);
    }
    let namespace = Namespace::new(&format!("ring-example-{}", std::process::id()))?;
    let outcome = produce(&namespace);
    namespace.remove_all()?;
    outcome
}

fn produce(namespace: &Namespace) -> Result<(), Box<dyn Error>> {
    let bell = namespace.bell()?;
    let geometry = Geometry::new(256, 64 << 10, 1, 4, 4)?;
    let group = GroupSpec::durable("readers").from(Start::Earliest);
    let mut producer = Producer::create(namespace, "numbers", geometry, &[group], &bell)?;
    let mut consumer = spawn(namespace)?;
    for number in 0..RECORDS {
        let bytes = number.to_le_bytes();
        while !producer.has_space(bytes.len()) {
            producer.publish();
            producer.wait_space(bytes.len(), Duration::from_millis(100));
        }
        producer.stage(&Meta { key: number % 10, ..Meta::default() }, &[&bytes])?;
        producer.publish();
        if number == RECORDS / 2 {
            consumer.kill()?;
            consumer.wait()?;
            println!("consumer killed at lag {}", producer.ring().groups()[0].lag);
            consumer = spawn(namespace)?;
        }
    }
    let code = consumer.wait()?;
    println!("done: {:?}", producer.ring().pressure());
    if code.success() { Ok(()) } else { Err("the consumer failed".into()) }
}

fn spawn(namespace: &Namespace) -> std::io::Result<Child> {
    Command::new(std::env::current_exe()?).arg(namespace.prefix()).spawn()
}

fn consume(namespace: &Namespace) -> Result<(), Box<dyn Error>> {
    let bell = namespace.bell()?;
    let group = GroupSpec::durable("readers");
    let mut member = Ring::attach(namespace, "numbers")?.join(&group, &bell)?;
    println!("consumer begins at {}", member.floor());
    let mut seen = 0;
    while member.floor() < RECORDS {
        member.wait(Duration::from_millis(100));
        while let Some(batch) = member.take(Limits::default())? {
            seen += batch.len();
            batch.ack();
        }
    }
    println!("consumer saw {seen} records");
    Ok(())
}
