//! The rates that bots have: one message at a time, when it is due, whether the one before has arrived or not. The
//! reader sleeps as its link lets it. What both ends pay, and how late a message is, from when it was due.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use mixcord_ring::{Geometry, GroupSpec, Limits, Meta, Namespace, Pace, Producer, Ring, Start};

use super::cells;
use super::link::Place;
use super::process::pin;
use crate::clock::thread_cpu;
use crate::report::Report;
use crate::round::{Effort, Spread};

const BYTES: usize = 512;
const RATES: [u32; 2] = [1_000, 10_000];

/// What one round of one link cost.
struct Paid {
    /// Microseconds of both ends, a message.
    cpu_us: f64,
    /// How late, in microseconds: half of them, and 99 of 100, were no later.
    p50_us: f64,
    p99_us: f64,
}

/// Hands on a message, and takes each that is there; sleeps while there is none.
type Send<'a> = Box<dyn FnMut(&[u8; BYTES]) + std::marker::Send + 'a>;
type Take<'a> = Box<dyn FnMut(&mut dyn FnMut(u64)) + std::marker::Send + 'a>;

pub(crate) fn run(effort: Effort, report: &mut Report) -> Result<()> {
    let seconds = if effort == Effort::Quick { 0.1 } else { 1.0 };
    let links = [
        "mixcord, balanced",
        "mixcord, low_latency",
        "mixcord, low_cpu",
        "shaq, its futex",
        "Unix stream",
    ];
    for rate in RATES {
        let count = (f64::from(rate) * seconds) as u32;
        let mut all: Vec<Vec<Paid>> = links.iter().map(|_| Vec::new()).collect();
        for _ in 0..effort.rounds().min(5) {
            for (link, paid) in links.iter().zip(&mut all) {
                paid.push(round(link, rate, count).with_context(|| (*link).to_owned())?);
            }
        }
        let case = format!("{rate} messages/s of {BYTES} B, each when it is due");
        let mut row = |metric: &str, unit: &str, figure: fn(&Paid) -> f64| {
            let figures: Vec<_> = links
                .iter()
                .zip(&all)
                .map(|(link, paid)| (*link, Spread::of(paid.iter().map(figure))))
                .collect();
            report.row("ring", &case, metric, unit, &figures, &[]);
        };
        row("CPU of both ends", "µs a message", |paid| paid.cpu_us);
        row("late, half of them", "µs", |paid| paid.p50_us);
        row("late, 99 of 100", "µs", |paid| paid.p99_us);
    }
    Ok(())
}

fn round(link: &str, rate: u32, count: u32) -> Result<Paid> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let place = Place { name: format!("ringbench-{}-paced-{number}", std::process::id()) };
    let paid = match link.strip_prefix("mixcord, ") {
        Some(pace) => over_ring(&place, pace, rate, count),
        None if link == "Unix stream" => over_stream(rate, count),
        None => over_cells(&place, rate, count),
    };
    place.remove();
    paid
}

fn over_ring(place: &Place, pace: &str, rate: u32, count: u32) -> Result<Paid> {
    let namespace = Namespace::new(&place.name)?;
    let (bell, other) = (namespace.bell()?, namespace.bell()?);
    let group = GroupSpec::durable("reader").from(Start::Earliest);
    let geometry = Geometry::new(4096, 4 << 20, 1, 1, 1)?;
    let groups = std::slice::from_ref(&group);
    let mut producer = Producer::create(&namespace, "ring", geometry, groups, &other)?;
    let mut member = Ring::attach(&namespace, "ring")?.join(&group, &bell)?;
    member.set_pace(match pace {
        "balanced" => Pace::Balanced,
        "low_cpu" => Pace::LowCpu,
        _ => Pace::LowLatency,
    });
    let send: Send<'_> = Box::new(move |message| {
        while producer.stage(&Meta::default(), &[message]).is_err() {
            producer.wait_space(BYTES, Duration::from_secs(1));
        }
        producer.publish();
    });
    let take: Take<'_> = Box::new(move |arrived| {
        member.wait(Duration::from_secs(1));
        while let Ok(Some(batch)) = member.take(Limits::default()) {
            batch.records().for_each(|entry| arrived(due_of(entry.payload)));
            batch.ack();
        }
    });
    Ok(measure(send, take, rate, count))
}

fn over_stream(rate: u32, count: u32) -> Result<Paid> {
    let (mut there, mut here) = UnixStream::pair()?;
    let mut buffer = vec![0; 64 << 10];
    let mut have = 0;
    let send: Send<'_> = Box::new(move |message| there.write_all(message).expect("it is read"));
    let take: Take<'_> = Box::new(move |arrived| {
        have += here.read(&mut buffer[have..]).expect("it is written");
        let whole = have / BYTES * BYTES;
        buffer[..whole].chunks(BYTES).for_each(|message| arrived(due_of(message)));
        buffer.copy_within(whole..have, 0);
        have -= whole;
    });
    Ok(measure(send, take, rate, count))
}

fn over_cells(place: &Place, rate: u32, count: u32) -> Result<Paid> {
    let (mut sender, mut receiver) = cells::pair::<BYTES>(place)?;
    let send: Send<'_> = Box::new(move |message| sender.put(message));
    let take: Take<'_> = Box::new(move |arrived| {
        receiver.await_and_take(Duration::from_secs(1), &mut |cell| arrived(due_of(cell)));
    });
    Ok(measure(send, take, rate, count))
}

fn due_of(message: &[u8]) -> u64 {
    message.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Both ends, each on its core.
fn measure(mut send: Send<'_>, mut take: Take<'_>, rate: u32, count: u32) -> Paid {
    let begun = Instant::now();
    let now = || begun.elapsed().as_nanos() as u64;
    let gap = 1_000_000_000 / u64::from(rate);
    let (sent, (mut late, took)) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            pin(1);
            let before = thread_cpu();
            let mut late = Vec::with_capacity(count as usize);
            while late.len() < count as usize {
                take(&mut |due| late.push(now().saturating_sub(due)));
            }
            (late, thread_cpu() - before)
        });
        let writer = scope.spawn(|| {
            pin(0);
            let before = thread_cpu();
            let first = now() + 1_000_000;
            for number in 0..u64::from(count) {
                let due = first + number * gap;
                std::thread::sleep(Duration::from_nanos(due.saturating_sub(now())));
                let mut message = [0; BYTES];
                message[..8].copy_from_slice(&due.to_le_bytes());
                send(&message);
            }
            thread_cpu() - before
        });
        (writer.join().expect("it ends"), reader.join().expect("it ends"))
    });
    late.sort_unstable();
    let at = |share: f64| late[((late.len() - 1) as f64 * share) as usize] as f64 / 1e3;
    let cpu_us = (sent + took).as_nanos() as f64 / 1e3 / f64::from(count);
    Paid { cpu_us, p50_us: at(0.5), p99_us: at(0.99) }
}
