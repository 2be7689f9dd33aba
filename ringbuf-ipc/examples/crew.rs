//! What a group costs that sleeps between records, by the number of its members: processor time of all of them for each
//! record, each member a process of its own.
//!
//! `cargo run --release -p mixcord-ring --example crew -- [records] [pause in µs]`

use std::error::Error;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use mixcord_ring::{
    Geometry, GroupSpec, Limits, Meta, Namespace, Order, Producer, Ring, Settle, Start,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [what, prefix, kind] = arguments.as_slice()
        && what == "member"
    {
        return member(prefix, kind);
    }
    let mut numbers = arguments.iter().map(|text| text.parse::<u64>());
    let records = numbers.next().unwrap_or(Ok(2_000))?;
    let pause = Duration::from_micros(numbers.next().unwrap_or(Ok(1_000))?);
    for kind in ["in order", "any order"] {
        for members in [1, 4, 16] {
            let namespace = Namespace::new(&format!("ring-crew-{}", std::process::id()))?;
            let outcome = run(&namespace, kind, members, records, pause);
            namespace.remove_all()?;
            let (theirs, ours, wakes) = outcome?;
            println!(
                "{kind}, {members} members: {theirs:?} of theirs a record, {ours:?} of the producer's, {wakes:.2} wakes"
            );
        }
    }
    Ok(())
}

fn group(kind: &str) -> GroupSpec {
    let group = GroupSpec::durable("g").from(Start::Earliest);
    if kind == "any order" { group.any_order(Order::Key) } else { group }
}

fn run(
    namespace: &Namespace,
    kind: &str,
    members: usize,
    records: u64,
    pause: Duration,
) -> Result<(Duration, Duration, f64), Box<dyn Error>> {
    let bell = namespace.bell()?;
    let geometry = Geometry::new(4096, 1 << 20, 1, 64, 32)?;
    let mut producer = Producer::create(namespace, "r", geometry, &[group(kind)], &bell)?;
    let mut children: Vec<Child> = (0..members)
        .map(|_| {
            Command::new(std::env::current_exe()?)
                .args(["member", namespace.prefix(), kind])
                .stdout(Stdio::piped())
                .spawn()
        })
        .collect::<Result<_, _>>()?;
    while usize::from(producer.ring().groups()[0].members) < members {
        std::thread::sleep(Duration::from_millis(1));
    }
    let (before, rung) = (spent(ClockId::CLOCK_PROCESS_CPUTIME_ID)?, producer.ring().pressure());
    for key in 0..records {
        producer.stage(&Meta { key, ..Meta::default() }, &[&[7; 256]])?;
        producer.publish();
        std::thread::sleep(pause);
    }
    let ours = spent(ClockId::CLOCK_PROCESS_CPUTIME_ID)? - before;
    let wakes = producer.ring().pressure().wakes - rung.wakes;
    drop(producer);
    // A closed pipe would be no end: they are told by their group, which is gone.
    Ring::attach(namespace, "r")?.remove_group_by_force("g")?;
    let mut theirs = Duration::ZERO;
    for child in &mut children {
        let mut said = String::new();
        if let Some(mut out) = child.stdout.take() {
            out.read_to_string(&mut said)?;
        }
        child.wait()?;
        theirs += Duration::from_nanos(said.trim().parse()?);
    }
    let each = |time: Duration| time / records as u32;
    Ok((each(theirs), each(ours), wakes as f64 / records as f64))
}

/// Takes what comes until its group is gone; says what time it took since it first slept.
fn member(prefix: &str, kind: &str) -> Result<(), Box<dyn Error>> {
    let namespace = Namespace::new(prefix)?;
    let bell = namespace.bell()?;
    let ring = Ring::attach(&namespace, "r")?;
    let tick = Duration::from_secs(1);
    let begun;
    if kind == "any order" {
        let mut worker = ring.work(&group(kind), &bell, Default::default())?;
        begun = spent(ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
        loop {
            worker.wait(tick);
            match worker.take() {
                Ok(Some(delivery)) => drop(delivery.settle(Settle::Ack)),
                Ok(None) => {}
                Err(_) => break,
            }
        }
    } else {
        let mut member = ring.join(&group(kind), &bell)?;
        begun = spent(ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
        loop {
            member.wait(tick);
            match member.take(Limits::default()) {
                Ok(Some(batch)) => batch.ack(),
                Ok(None) => {}
                Err(_) => break,
            }
        }
    }
    println!("{}", (spent(ClockId::CLOCK_PROCESS_CPUTIME_ID)? - begun).as_nanos());
    Ok(())
}

fn spent(clock: ClockId) -> Result<Duration, nix::Error> {
    clock_gettime(clock).map(Duration::from)
}
