//! The process `mixcord-gateway`.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use mixcord_gateway::config::{ConfigError, Options, Token};
use mixcord_gateway::rhythm::Rhythm;
use mixcord_gateway::{Failure, app};
use mixcord_process::service::Service;
use mixcord_process::{log, secrecy, signals};
use tokio::sync::watch;

/// Who has not ended by then is left behind: the rings hold all that matters.
const STOP_TIMEOUT: Duration = Duration::from_secs(4);

fn main() -> ExitCode {
    let watched = signals::watch_from_main();
    let result = match Options::read(std::env::args_os()) {
        Err(ConfigError::Shown(text)) => {
            let _ = std::io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(error) => Err(Failure::Configuration(error.to_string())),
        Ok(options) => {
            let _log = options.log.start();
            match watched {
                Ok(()) => start(options),
                Err(error) => Err(Failure::Trouble(format!("no signal handling: {error}"))),
            }
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log::say("mixcord-gateway", &failure.to_string());
            ExitCode::from(failure.exit_code())
        }
    }
}

fn start(options: Options) -> Result<(), Failure> {
    secrecy::keep()
        .map_err(|error| Failure::Trouble(format!("core dumps cannot be prevented: {error}")))?;
    let token = Token::read(options.token_file.as_deref(), std::env::var("DISCORD_TOKEN").ok())
        .map_err(|error| Failure::Configuration(error.to_string()))?;
    let coalesce = options.coalesce_ms.map(|ms| Duration::from_millis(ms.into()));
    let threads = options.threads.into();
    let rhythm = Arc::new(Rhythm::new(options.pace, coalesce, threads));
    let (resting, working) = (Arc::clone(&rhythm), Arc::clone(&rhythm));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .thread_name("gateway")
        .on_thread_park(move || resting.rest())
        .on_thread_unpark(move || working.work())
        .build()
        .map_err(|error| Failure::Trouble(format!("no runtime: {error}")))?;
    let (told, mut stop) = watch::channel(false);
    let _told = signals::on_stop(move || {
        told.send_replace(true);
    });
    let service = Service::start();
    let result = runtime.block_on(async {
        let run = app::run(options, token, service, rhythm, stop.clone());
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
    // A blocked request for /gateway/bot must not hold the exit.
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}
