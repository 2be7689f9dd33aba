//! Two processes on two cores: this one sends, a child of it receives, and sends back where asked.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use super::link::{Place, receiver, sender};
use crate::clock::Sample;

/// The first argument of the child.
pub(crate) const CHILD: &str = "__ring-child";

/// What the child is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Receive.
    Stream,
    /// Receive one, send one back.
    Echo,
}

/// Keeps this thread on one core.
pub(crate) fn pin(core: usize) {
    let mut set = CpuSet::new();
    // Best effort: where it is refused, the figures of all contenders are the worse for it. A child
    // inherits the core of its parent, so what is available now says nothing.
    let _ = set.set(core).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
}

fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

struct Ended(Child, Place);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        self.1.remove();
    }
}

/// Messages before those that count: twice round any link, so that all its pages were touched.
fn warm_up(size: usize, direction: Direction) -> u64 {
    match direction {
        Direction::Stream => ((4 << 20) / size as u64).max(64),
        Direction::Echo => 1000,
    }
}

/// One round: `count` messages of `size` bytes over a link of this kind.
pub(crate) fn round(kind: &str, size: usize, count: u64, direction: Direction) -> Result<Sample> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let place = Place { name: format!("ringbench-{}-{number}", std::process::id()) };
    let echo = direction == Direction::Echo;
    let mut back = if echo { Some(receiver(kind, &place, "back", size)?) } else { None };
    let child = Command::new(std::env::current_exe()?)
        .args([CHILD, kind, &size.to_string(), &count.to_string(), &place.name])
        .arg(if echo { "echo" } else { "stream" })
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut child = Ended(child, place.clone());
    let mut lines = BufReader::new(child.0.stdout.take().context("its output")?).lines();
    let mut line = move || -> Result<String> { Ok(lines.next().context("the child ended")??) };
    ensure!(line()? == "ready", "the child is ready");
    pin(0);
    let mut there = sender(kind, &place, "there", size)?;
    if echo {
        // A stream is accepted by its first look.
        ensure!(line()? == "connected");
    }
    let payload: Vec<u8> = (0..size).map(|i| i as u8).collect();
    let mut sum = 0;
    let mut send = |count| {
        for _ in 0..count {
            there.send(&payload);
            if let Some(back) = &mut back {
                there.flush();
                while back.poll(&mut sum) == 0 {}
            }
        }
        there.flush();
    };
    send(warm_up(size, direction));
    ensure!(line()? == "warm");
    let (cpu_before, started) = (cpu(), Instant::now());
    send(count);
    let answer = line()?;
    let (wall, own) = (started.elapsed(), cpu() - cpu_before);
    let (received, nanoseconds) = answer.split_once(' ').context("its answer")?;
    ensure!(received.parse() == Ok(count), "{kind}: {received} of {count} arrived");
    let cpu = own + Duration::from_nanos(nanoseconds.parse()?);
    Ok(Sample { units: count, cpu, wall })
}

/// The child's life.
pub(crate) fn child(arguments: &[String]) -> Result<()> {
    let [kind, size, count, name, direction] = arguments else { anyhow::bail!("five arguments") };
    let (size, count): (usize, u64) = (size.parse()?, count.parse()?);
    let place = Place { name: name.clone() };
    // Whoever stops the bench stops both ends of the link.
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
    // A link that loses a message ends its round with an error, not with a wait for ever.
    nix::unistd::alarm::set(60);
    pin(1);
    let mut there = receiver(kind, &place, "there", size)?;
    let mut out = std::io::stdout();
    let mut say = |words: &str| writeln!(out, "{words}").and_then(|()| out.flush());
    say("ready")?;
    let echo = direction == "echo";
    let mut back = if echo { Some(sender(kind, &place, "back", size)?) } else { None };
    if echo {
        say("connected")?;
    }
    let payload: Vec<u8> = (0..size).map(|i| i as u8).collect();
    let mut sum = 0;
    let mut receive = |count| {
        let mut received = 0;
        while received < count {
            let arrived = if echo { there.poll(&mut sum) } else { there.receive(&mut sum) };
            received += arrived;
            if let (Some(back), true) = (&mut back, arrived != 0) {
                back.send(&payload);
                back.flush();
            }
        }
        received
    };
    receive(warm_up(size, if echo { Direction::Echo } else { Direction::Stream }));
    say("warm")?;
    let before = cpu();
    let received = receive(count);
    std::hint::black_box(sum);
    say(&format!("{received} {}", (cpu() - before).as_nanos()))?;
    Ok(())
}
