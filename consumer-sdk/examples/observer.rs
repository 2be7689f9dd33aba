//! Looks on: counts events by kind and prints the counts every few seconds. It holds nobody up, and says how much
//! it missed when it was too slow.
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mixcord::{Consumer, Event, Next};

const EVERY: Duration = Duration::from_secs(2);

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::process::ExitCode {
    let _log = mixcord::log::init();
    mixcord::exit(run().await)
}

async fn run() -> Result<(), mixcord::Error> {
    let mut observer = Consumer::builder().observer().stop_on_signals().connect().await?;
    let mut counts = Counts::default();
    let mut next = Instant::now() + EVERY;
    loop {
        match observer.next_within(next.saturating_duration_since(Instant::now())).await? {
            Next::Event(event) => counts.add(&event),
            Next::Stopped => return Ok(()),
            Next::Timeout => {
                println!("{}", counts.line());
                next = Instant::now() + EVERY;
            }
        }
    }
}

/// Events by the name of their kind.
#[derive(Default)]
pub(crate) struct Counts {
    kinds: BTreeMap<String, u64>,
    missed: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, event: &Event) {
        match event.lost() {
            Some(lost) => self.missed += lost,
            None => *self.kinds.entry(event.name().to_owned()).or_default() += 1,
        }
    }

    pub(crate) fn line(&self) -> String {
        let kinds: Vec<_> = self.kinds.iter().map(|(kind, n)| format!("{kind} {n}")).collect();
        format!("{}; missed {}", kinds.join(", "), self.missed)
    }
}
