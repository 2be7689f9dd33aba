//! The process `mixcord-bridge`: shard rings to NATS JetStream, and back.

mod asking;
mod broker;
mod clock;
mod copying;
mod crew;
mod failure;
mod notice;
mod options;
mod receive;
mod send;
mod status;
mod trouble;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use failure::Failure;
use mixcord_process::command_line::{self, Refused};
use mixcord_process::service::{self, Service};
use mixcord_process::{log, secrecy, signals};
use options::{Options, What};
use tokio::sync::watch;

const NAME: &str = "mixcord-bridge";
/// Who has not ended by then is left behind: rings and log hold all that matters.
const STOP_TIMEOUT: Duration = Duration::from_secs(4);

fn main() -> ExitCode {
    let watched = signals::watch_from_main();
    let options: Options = match command_line::read(NAME, std::env::args_os()) {
        Ok(options) => options,
        Err(Refused::Shown(text)) => {
            let _ = std::io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(Refused::Wrong(line)) => {
            log::say(NAME, &line);
            return Failure::Configuration(line).exit_code();
        }
    };
    let _log = options.log.start_without("async_nats");
    let result = match watched {
        Ok(()) => start(options),
        Err(error) => Err(Failure::Trouble(format!("no signal handling: {error}"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log::say(NAME, &failure.to_string());
            failure.exit_code()
        }
    }
}

fn start(options: Options) -> Result<(), Failure> {
    secrecy::keep()
        .map_err(|error| Failure::Trouble(format!("core dumps cannot be prevented: {error}")))?;
    // One thread: all of it waits for the network, and what is packed is packed in a few microseconds.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Trouble(format!("no runtime: {error}")))?;
    let (told, mut stop) = watch::channel(false);
    let _told = signals::on_stop(move || {
        told.send_replace(true);
    });
    let service = Service::start();
    let result = runtime.block_on(async {
        if service.is_heard() {
            tokio::spawn(beat(service.clone()));
        }
        let run = run(options, service, stop.clone());
        tokio::pin!(run);
        tokio::select! {
            // First: what stops at once may have stopped by now, and the log says why all the same.
            biased;
            _ = stop.wait_for(|stop| *stop) => {}
            result = &mut run => return result,
        };
        tracing::info!("stopping");
        tokio::time::timeout(STOP_TIMEOUT, run).await.unwrap_or(Ok(()))
    });
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

async fn run(
    options: Options,
    service: Service,
    stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let Options { instance, bot, broker, what, .. } = options;
    let names = Names { bot: bot.unwrap_or_else(|| instance.clone()), instance };
    match what {
        What::Send(options) => send::run(names, &broker, options, service, stop).await,
        What::Receive(options) => receive::run(names, &broker, options, service, stop).await,
        What::Status(options) => status::run(&names.bot, &broker, options, stop).await,
    }
}

/// Who we are here, and at the broker.
#[derive(Debug)]
struct Names {
    instance: String,
    bot: String,
}

/// Where this process runs, for people.
fn place(instance: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{instance} on {}", host.trim())
}

/// A number that no other process has.
fn random() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    // Seeded by the system's randomness.
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish() | 1
}

/// The runtime turns.
async fn beat(service: Service) {
    loop {
        service.alive();
        tokio::time::sleep(service::BEAT).await;
    }
}
