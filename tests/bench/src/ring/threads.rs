//! Between two threads of one process: rtrb in place, crossbeam-channel by value, and the ring both ways.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use mixcord_ring::{Geometry, GroupSpec, Meta, Namespace, Producer, Ring, Start};

use super::link::{BATCH, Place, Receiver, RingReceiver, touch};
use super::process::pin;
use crate::clock::{Sample, measure};
use crate::report::{Goal, Report};
use crate::round::{Contender, Effort, interleave};

pub(crate) fn run(effort: Effort, report: &mut Report) -> Result<()> {
    size::<64>(effort, report, 4_000_000)?;
    size::<512>(effort, report, 1_500_000)?;
    size::<4096>(effort, report, 250_000)
}

fn size<const N: usize>(effort: Effort, report: &mut Report, per_second: u64) -> Result<()> {
    let count = per_second / if effort == Effort::Quick { 10 } else { 3 };
    // Proves once that it works; inside a round there is nobody to tell.
    ring::<N>(100, false)?;
    let contenders = vec![
        Contender::rounds("mixcord", move || ring::<N>(count, false).expect("it worked before")),
        Contender::rounds("mixcord, copied out", move || {
            ring::<N>(count, true).expect("it worked before")
        }),
        Contender::rounds("rtrb", move || cells::<N>(count)),
        Contender::rounds("crossbeam-channel", move || channel::<N>(count)),
    ];
    let case = format!("two threads, {N} B");
    report.rates(
        "ring",
        &case,
        "messages",
        &interleave(effort, contenders),
        &[Goal::Times(0.5, "rtrb")],
    );
    Ok(())
}

/// Both ends of a link at once, each on its core.
fn both(count: u64, send: impl FnOnce() + Send, receive: impl FnOnce() -> u64 + Send) -> Sample {
    measure(|| {
        std::thread::scope(|scope| {
            let reader = scope.spawn(move || {
                pin(1);
                receive()
            });
            scope.spawn(move || {
                pin(0);
                send();
            });
            std::hint::black_box(reader.join().expect("the reader ends"));
        });
        count
    })
}

fn ring<const N: usize>(count: u64, copies: bool) -> Result<Sample> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let place = Place { name: format!("ringbench-{}-threads-{number}", std::process::id()) };
    let namespace = Namespace::new(&place.name)?;
    let bell = namespace.bell()?;
    let group = GroupSpec::durable("reader").from(Start::Earliest);
    let geometry = Geometry::new(4096, 2 << 20, 1, 1, 1)?;
    let mut producer =
        Producer::create(&namespace, "ring", geometry, std::slice::from_ref(&group), &bell)?;
    let member = Ring::attach(&namespace, "ring")?.join(&group, &bell)?;
    let payload = [7; N];
    let sample = both(
        count,
        move || {
            for sent in 0..count {
                while producer.stage(&Meta::default(), &[&payload]).is_err() {
                    producer.publish();
                    std::hint::spin_loop();
                }
                if sent % BATCH as u64 == 0 {
                    producer.publish();
                }
            }
            producer.publish();
        },
        move || {
            let mut receiver = RingReceiver::over(member, copies);
            let (mut sum, mut received) = (0, 0);
            while received < count {
                received += receiver.receive(&mut sum);
            }
            sum
        },
    );
    drop(bell);
    place.remove();
    Ok(sample)
}

fn cells<const N: usize>(count: u64) -> Sample {
    let (mut producer, mut consumer) = rtrb::RingBuffer::<[u8; N]>::new((2 << 20) / N);
    let payload = [7; N];
    // Its pages are touched once before, as the ring's are.
    while producer.push(payload).is_ok() {}
    while consumer.pop().is_ok() {}
    both(
        count,
        move || {
            for _ in 0..count {
                while producer.push(std::hint::black_box(payload)).is_err() {
                    std::hint::spin_loop();
                }
            }
        },
        move || {
            let (mut sum, mut received) = (0, 0);
            while received < count {
                let Ok(chunk) = consumer.read_chunk(consumer.slots()) else { continue };
                let (first, second) = chunk.as_slices();
                first.iter().chain(second).for_each(|cell| touch(cell, &mut sum));
                received += chunk.len() as u64;
                chunk.commit_all();
            }
            sum
        },
    )
}

fn channel<const N: usize>(count: u64) -> Sample {
    let (sender, receiver) = crossbeam_channel::bounded::<[u8; N]>((2 << 20) / N);
    let payload = [7; N];
    while sender.try_send(payload).is_ok() {}
    while receiver.try_recv().is_ok() {}
    both(
        count,
        move || {
            for _ in 0..count {
                if sender.send(std::hint::black_box(payload)).is_err() {
                    return;
                }
            }
        },
        move || {
            let mut sum = 0;
            receiver.iter().for_each(|cell| touch(&cell, &mut sum));
            sum
        },
    )
}
