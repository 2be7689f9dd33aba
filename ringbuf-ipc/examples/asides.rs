//! What a record costs that is set aside behind a handler that hangs: to go into the group's file, and to be given
//! from there and settled.
//!
//!     cargo run --release -p mixcord-ring --example asides -- 2000 4

use std::time::Instant;

use mixcord_ring::{
    Geometry, GroupSpec, Meta, Namespace, Order, Producer, Settle, Start, WorkerOptions,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let records = arguments.next().unwrap_or(Ok(2_000))?;
    let members = arguments.next().unwrap_or(Ok(4))?;
    let namespace = Namespace::new(&format!("ring-asides-{}", std::process::id()))?;
    let outcome = measure(&namespace, records, members);
    namespace.remove_all()?;
    outcome
}

fn measure(
    namespace: &Namespace,
    records: u64,
    members: u64,
) -> Result<(), Box<dyn std::error::Error>> {
    let bell = namespace.bell()?;
    let geometry = Geometry::new(1024, 8 << 20, 4, 8, 16)?;
    let group = GroupSpec::durable("bot").from(Start::Earliest).any_order(Order::Key);
    let groups = std::slice::from_ref(&group);
    let mut producer = Producer::create(namespace, "r", geometry, groups, &bell)?;
    // As many processes would: each with an attachment of its own.
    let workers = (0..members).map(|_| {
        let ring = mixcord_ring::Ring::attach(namespace, "r")?;
        Ok::<_, Box<dyn std::error::Error>>(ring.work(&group, &bell, WorkerOptions::new())?)
    });
    let mut workers = workers.collect::<Result<Vec<_>, _>>()?;
    let payload = [7; 500];
    let mut put = |key| -> Result<bool, Box<dyn std::error::Error>> {
        let staged = producer.stage(&Meta { key, ..Meta::default() }, &[&payload]).is_ok();
        producer.publish();
        Ok(staged)
    };
    put(0)?;
    let hangs = workers[0].take()?.ok_or("nothing to take")?;
    let began = Instant::now();
    let mut given = 0;
    while given < records {
        while given < records && put(0)? {
            given += 1;
        }
        for worker in &mut workers {
            worker.tend();
        }
    }
    let aside = began.elapsed();
    let in_file = producer.ring().groups()[0].figures.aside;
    hangs.settle(Settle::Ack)?;
    let began = Instant::now();
    let mut settled = 0;
    while settled < records {
        for worker in &mut workers {
            if let Some(delivery) = worker.take()? {
                delivery.settle(Settle::Ack)?;
                settled += 1;
            }
        }
    }
    let back = began.elapsed();
    println!(
        "{members} members, {records} records of one key: {in_file} set aside, {:.0} ms until they were; then {:.0} µs a \
         record that is given and settled",
        aside.as_secs_f64() * 1e3,
        back.as_secs_f64() * 1e6 / records as f64
    );
    Ok(())
}
