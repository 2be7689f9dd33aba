//! mixcord-cache: process 2 of Mixcord.

use std::io::Write as _;
use std::mem::{Discriminant, discriminant};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mixcord_cache::engine::{Engine, EngineError, Plan, Progress};
use mixcord_cache::options::Options;
use mixcord_process::command_line::{self, Refused};
use mixcord_process::service::Service;
use mixcord_process::{files, log, signals};

const NAME: &str = "mixcord-cache";
/// For what starting again without changing anything is of no use.
const CONFIGURATION: u8 = 78;
/// The longest sleep: how long a new ring may go unnoticed.
const SLEEP: Duration = Duration::from_millis(200);
/// What the service manager shows while events pass.
const RUNS: &str = "runs";
/// How often a standstill is logged.
const REMIND: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let watched = signals::watch_from_main();
    let options: Options = match command_line::read(NAME, std::env::args_os()) {
        Ok(options) => options,
        Err(Refused::Shown(text)) => {
            let _ = std::io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(Refused::Wrong(line)) => return refuse(&line),
    };
    let _log = options.log.start();
    if let Err(error) = watched {
        log::say(NAME, &format!("no signal handling: {error}"));
        return ExitCode::FAILURE;
    }
    let plan = match options.plan() {
        Ok(plan) => plan,
        Err(error) => return refuse(&error),
    };
    match run(&plan, &options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_configuration() => refuse(&chain(&error)),
        Err(error) => {
            log::say(NAME, &chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Serves until SIGTERM or SIGINT.
fn run(plan: &Plan, options: &Options) -> Result<(), EngineError> {
    // A ring of each shard.
    files::raise();
    let mut engine = Engine::start(plan)?;
    engine.set_pace(options.pace);
    engine.set_reshard_times(options.reshard_times());
    let stop = Arc::new(AtomicBool::new(false));
    let (told, bell) = (Arc::clone(&stop), engine.bell().clone());
    let _told = signals::on_stop(move || {
        told.store(true, Ordering::Release);
        bell.ring();
    });
    let service = Service::start();
    tracing::info!(instance = plan.instance, "ready");
    service.status(RUNS);
    service.ready();
    let mut reminded: Option<(Discriminant<Progress>, Instant)> = None;
    let mut waited: Option<Instant> = None;
    while !stop.load(Ordering::Acquire) {
        let progress = engine.round()?;
        if progress == Progress::Worked {
            service.status(RUNS);
        }
        // A full ring stops the work, never this loop.
        service.alive();
        if progress == Progress::Idle && waited.is_none_or(|at| at.elapsed() >= REMIND) {
            waited = Some(Instant::now());
            if let Some(missing) = engine.missing() {
                let waiting =
                    format!("waiting for mixcord-gateway --instance {}: {missing}", plan.instance);
                tracing::info!("{waiting}");
                service.status(waiting);
            }
        }
        if progress != Progress::Worked && progress != Progress::Idle {
            // Behind a slow group it works and stands still by turns, many times a second.
            let why = discriminant(&progress);
            if reminded.is_none_or(|(said, at)| said != why || at.elapsed() >= REMIND) {
                reminded = Some((why, Instant::now()));
                say(progress, &engine);
                service.status("stands still: see its log");
            }
        }
        engine.wait(progress, SLEEP);
    }
    tracing::info!("stopped");
    Ok(())
}

/// Why the cache stands still.
fn say(progress: Progress, engine: &Engine) {
    match progress {
        Progress::OutputFull(_) => match engine.holdup() {
            Some(holdup) => tracing::warn!("the output ring is full: {holdup}"),
            // Whoever held it has gone on since.
            None => tracing::warn!("the output ring was full"),
        },
        Progress::Refused => {
            tracing::error!("standing still until there is room: {}", engine.refusal());
        }
        Progress::StoreFull => {
            tracing::error!("the store is full: raise --state-max, or cache less with --no-cache");
        }
        Progress::Worked | Progress::Idle => {}
    }
}

fn refuse(reason: &str) -> ExitCode {
    log::say(NAME, reason);
    ExitCode::from(CONFIGURATION)
}

/// An error with its causes, on one line, none said twice.
fn chain(error: &EngineError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
