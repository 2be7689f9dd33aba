//! Instructions of a publish, counted by callgrind: they do not depend on who else uses the machine.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use mixcord_ring::{Geometry, GroupSpec, Limits, Meta, Namespace, Producer, Start};

use super::link::Place;
use crate::report::{Goal, Report};

/// The first argument of the child that callgrind watches.
pub(crate) const CHILD: &str = "__ring-publish";

const RECORDS: u64 = 20_000;

/// Publishes with one group, and with 64, all of whose cursors one process moves.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!(
            "bench: ring: no instruction counts: valgrind is missing (apt-get install valgrind)"
        );
        return Ok(());
    }
    let (one, all) = (count(1)?, count(64)?);
    let figures = [("mixcord, 64 groups", all), ("mixcord, 1 group", one)];
    let goals = [Goal::AtMostTimes(1.2, "mixcord, 1 group")];
    report.exact("ring", "stage and publish 64 B", "instructions", "per publish", &figures, &goals);
    Ok(())
}

fn count(groups: u16) -> Result<f64> {
    let place = Place { name: format!("ringbench-{}-publish-{groups}", std::process::id()) };
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--toggle-collect=*publish_one*",
        ])
        .arg(std::env::current_exe()?)
        .args([CHILD, &place.name, &groups.to_string()])
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
fn publish_one(producer: &mut Producer, payload: &[u8]) -> bool {
    let staged = producer.stage(&Meta::default(), &[payload]).is_ok();
    producer.publish();
    staged
}

/// What callgrind watches.
pub(crate) fn child(arguments: &[String]) -> Result<()> {
    let [name, groups] = arguments else { anyhow::bail!("two arguments") };
    let namespace = Namespace::new(name)?;
    let bell = namespace.bell()?;
    let specs: Vec<_> = (0..groups.parse::<u16>()?)
        .map(|group| GroupSpec::durable(&format!("g{group}")).from(Start::Earliest))
        .collect();
    let geometry = Geometry::new(4096, 1 << 20, 64, 1, 1)?;
    let mut producer = Producer::create(&namespace, "ring", geometry, &specs, &bell)?;
    let ring = producer.ring();
    let mut members = Vec::new();
    for spec in &specs {
        members.push(ring.join(spec, &bell)?);
    }
    let limits = Limits { records: 1 << 20, bytes: 1 << 30 };
    for record in 0..RECORDS {
        ensure!(publish_one(&mut producer, &[7; 64]), "there is room");
        if record % 512 == 511 {
            for member in &mut members {
                while let Some(batch) = member.take(limits)? {
                    batch.ack();
                }
            }
        }
    }
    ensure!(ring.pressure().wakes == 0, "nobody sleeps, so nobody is woken");
    Ok(())
}
