//! Instructions of a publish, counted by callgrind: they do not depend on who else uses the machine.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use mixcord_ring::{Geometry, GroupSpec, Limits, Member, Meta, Namespace, Producer, Start};

use super::link::{Place, touch};
use crate::report::{Goal, Report};

/// The first argument of the child that callgrind watches.
pub(crate) const CHILD: &str = "__ring-publish";

const RECORDS: u64 = 20_480;
/// Records that are taken at a time.
const BATCH: u64 = 512;

/// Publishes with one group, and with 64, all of whose cursors one process moves; and what else happens
/// to every record.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!(
            "bench: ring: no instruction counts: valgrind is missing (apt-get install valgrind)"
        );
        return Ok(());
    }
    let (one, all) = (count("publish_each", 1, 1)?, count("publish_each", 64, 1)?);
    let figures = [("mixcord, 64 groups", all), ("mixcord, 1 group", one)];
    let goals = [Goal::AtMostTimes(1.2, "mixcord, 1 group")];
    report.exact("ring", "stage and publish 64 B", "instructions", "per publish", &figures, &goals);
    for (what, partitions, case) in [
        ("publish_batch", 1, "stage 64 B, publish 64 at a time"),
        ("take_batch", 1, "take 64 B, copied out, 64 at a time"),
        ("lease_batch", 1, "look at 64 B in place, 64 at a time"),
        ("take_batch", 64, "take 64 B, copied out, 8 at a time of 64 partitions"),
    ] {
        let figures = [("mixcord", count(what, 1, partitions)?)];
        report.exact("ring", case, "instructions", "per record", &figures, &[]);
    }
    Ok(())
}

/// Instructions a record, of the function of that name below.
fn count(what: &str, groups: u16, partitions: u16) -> Result<f64> {
    let place =
        Place { name: format!("ringbench-{}-{what}-{groups}-{partitions}", std::process::id()) };
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect=*instructions*{what}*"))
        .arg(std::env::current_exe()?)
        .args([CHILD, &place.name, &groups.to_string(), &partitions.to_string(), what])
        .output();
    place.remove();
    let output = output?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "callgrind: {text}");
    let collected = text
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, count)| count.trim().parse::<f64>().ok())
        .with_context(|| format!("no count in {text}"))?;
    Ok(collected / RECORDS as f64)
}

#[inline(never)]
fn publish_each(producer: &mut Producer, payload: &[u8]) -> bool {
    (0..BATCH).all(|key| {
        let staged = producer.stage(&Meta { key, ..Meta::default() }, &[payload]).is_ok();
        producer.publish();
        staged
    })
}

#[inline(never)]
fn publish_batch(producer: &mut Producer, payload: &[u8]) -> bool {
    (0..BATCH).all(|record| {
        let staged = producer.stage(&Meta::default(), &[payload]).is_ok();
        if record % 64 == 63 {
            producer.publish();
        }
        staged
    })
}

#[inline(never)]
fn take_batch(member: &mut Member, sum: &mut u64) -> Result<()> {
    while let Some(batch) = member.take(Limits::default())? {
        batch.records().for_each(|entry| touch(entry.payload, sum));
        batch.ack();
    }
    Ok(())
}

#[inline(never)]
fn lease_batch(member: &mut Member, sum: &mut u64) -> Result<()> {
    while let Some(lease) = member.lease(Limits::default())? {
        for payload in lease.records().filter_map(|view| view.in_place()) {
            *sum = sum.wrapping_add(payload.byte(0).map_or(0, u64::from));
        }
        lease.ack();
    }
    Ok(())
}

/// What callgrind watches.
pub(crate) fn child(arguments: &[String]) -> Result<()> {
    let [name, groups, partitions, what] = arguments else { anyhow::bail!("four arguments") };
    let namespace = Namespace::new(name)?;
    let bell = namespace.bell()?;
    let specs: Vec<_> = (0..groups.parse::<u16>()?)
        .map(|group| GroupSpec::durable(&format!("g{group}")).from(Start::Earliest))
        .collect();
    let geometry = Geometry::new(4096, 1 << 20, 64, partitions.parse()?, 1)?;
    let mut producer = Producer::create(&namespace, "ring", geometry, &specs, &bell)?;
    let ring = producer.ring();
    let mut members = Vec::new();
    for spec in &specs {
        members.push(ring.join(spec, &bell)?);
    }
    let mut sum = 0;
    for _ in 0..RECORDS / BATCH {
        let staged = if what == "publish_batch" {
            publish_batch(&mut producer, &[7; 64])
        } else {
            publish_each(&mut producer, &[7; 64])
        };
        ensure!(staged, "there is room");
        for member in &mut members {
            if what == "lease_batch" {
                lease_batch(member, &mut sum)?;
            } else {
                take_batch(member, &mut sum)?;
            }
        }
    }
    std::hint::black_box(sum);
    ensure!(ring.pressure().wakes == 0, "nobody sleeps, so nobody is woken");
    Ok(())
}
