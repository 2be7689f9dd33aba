//! What a bot would be without Mixcord, as processes of the benchmark `pipeline`.
//!
//! * [`gateway`]: twilight's gateway, whose events are handled at once, or published to NATS.
//! * [`bot`]: the other half of that split.
//! * [`handler`]: what either does with an event.

pub mod bot;
pub mod gateway;
pub mod handler;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

/// A peer of Mixcord, for the benchmark of the pipeline
#[derive(Debug, Parser)]
enum Peer {
    /// Reads gateway events
    Gateway(gateway::Options),
    /// Takes what a gateway published
    Bot(bot::Options),
}

/// Runs what the arguments say, in one thread: twilight's best case, since nothing is handed over or locked in vain.
#[must_use]
pub fn main() -> ExitCode {
    match run(Peer::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(peer: Peer) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        match peer {
            Peer::Gateway(options) => gateway::run(options).await,
            Peer::Bot(options) => bot::run(options).await,
        }
    })
}
