//! mixcord-proxy: Discord's gateway protocol for local clients.
//!
//! A consumer like any other. [`http`] is the one port, [`client`] a connection, [`session`] what is sent on it and
//! under which number, [`feed`] the output ring, read once for all.

mod board;
mod client;
mod content;
mod door;
mod encode;
mod feed;
mod http;
mod intents;
mod members;
mod moved;
mod options;
mod requests;
mod seats;
mod session;
mod site;
mod world;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use mixcord::{EXIT_CONFIG, Stop, operator};
use mixcord_process::command_line::{self, Refused};
use mixcord_process::service::Service;
use mixcord_process::{files, log, secrecy};
use tokio::net::TcpListener;

use self::board::Board;
use self::door::Door;
use self::options::Options;
use self::session::Folder;
use self::site::Site;

const NAME: &str = "mixcord-proxy";
/// How often sessions are looked for that nobody can resume any more.
const SWEEP: Duration = Duration::from_secs(30);
/// How often it is looked whether to stop.
const LOOK: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    let stop = Stop::new();
    let signals = stop.on_signals();
    let options: Options = match command_line::read(NAME, std::env::args_os()) {
        Ok(options) => options,
        Err(Refused::Shown(text)) => {
            let _ = std::io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(Refused::Wrong(line)) => return refuse(&line),
    };
    let _log = options.log.start();
    if let Err(error) = signals {
        log::say(NAME, &error.to_string());
        return ExitCode::FAILURE;
    }
    match run(&options, &stop) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::Configuration(line)) => refuse(&line),
        Err(Failed::System(line)) => {
            log::say(NAME, &line);
            ExitCode::FAILURE
        }
    }
}

fn refuse(line: &str) -> ExitCode {
    log::say(NAME, line);
    ExitCode::from(EXIT_CONFIG)
}

/// Why it does not serve.
enum Failed {
    /// Starting it again the same way is no use.
    Configuration(String),
    System(String),
}

fn wrong(error: impl std::fmt::Display) -> Failed {
    Failed::Configuration(error.to_string())
}

fn run(options: &Options, stop: &Stop) -> Result<(), Failed> {
    secrecy::keep()
        .map_err(|error| Failed::System(format!("core dumps cannot be prevented: {error}")))?;
    // A client takes two: its socket, and its session's log.
    files::raise();
    let settings = options.settings().map_err(wrong)?;
    let instance = operator::Instance::open(&settings.instance).map_err(wrong)?;
    let token = std::env::var("DISCORD_TOKEN").ok();
    let (secrets, token_file) = (options.secret_file.as_deref(), options.token_file.as_deref());
    let rest = settings.rest_url.is_some();
    let door =
        Door::new(instance.clone(), secrets, token_file, token.as_deref(), rest).map_err(wrong)?;
    let folder = Folder::open(&settings.instance).map_err(|error| {
        let name = &settings.instance;
        Failed::System(format!("/dev/shm/mixcord.{name}.proxy cannot be used: {error}"))
    })?;
    let site = Arc::new(Site::new(settings, door, folder, instance).map_err(wrong)?);
    let system = |error: std::io::Error| Failed::System(format!("no runtime: {error}"));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(system)?;
    let listen = options.listen;
    let listener = runtime.block_on(TcpListener::bind(listen)).map_err(|error| {
        let line = format!("cannot listen at {listen}: {error} (--listen says where)");
        match error.kind() {
            std::io::ErrorKind::AddrInUse => Failed::System(line),
            _ => Failed::Configuration(line),
        }
    })?;
    let address = listener.local_addr().map_err(system)?;
    let reader = {
        let (site, stop) = (Arc::clone(&site), stop.clone());
        let read = move || site.feed.run(&site.settings.instance, &stop);
        std::thread::Builder::new().name("ring".to_owned()).spawn(read).map_err(system)?
    };
    let mut board = Board::put_up(&site, address);
    let service = Service::start();
    service.ready();
    // Nobody has to read it.
    let _ = std::io::stdout().write_all(format!("listening on http://{address}\n").as_bytes());
    tracing::info!(instance = site.settings.instance, %address, "ready");
    runtime.block_on(async {
        let sweeper = tokio::spawn(sweep(Arc::clone(&site)));
        let serving = tokio::spawn(http::serve(listener, Arc::clone(&site)));
        while !stop.is_stopped() && !reader.is_finished() {
            service.alive();
            if let Some(board) = &mut board {
                board.write(&site);
            }
            tokio::time::sleep(LOOK).await;
        }
        sweeper.abort();
        site.stopping.send_replace(());
        // It ends within its own limit.
        let _ = serving.await;
    });
    match reader.join() {
        Ok(()) => {
            tracing::info!("stopped");
            Ok(())
        }
        // Whoever starts it again finds all sessions where they are.
        Err(_) => Err(Failed::System("the reader of the output ring panicked".to_owned())),
    }
}

/// Removes sessions that cannot be resumed any more.
async fn sweep(site: Arc<Site>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some((ring, earliest, _)) = site.feed.ring() else { continue };
        let folder = site.folder.clone();
        let swept = tokio::task::spawn_blocking(move || folder.sweep(ring, earliest)).await;
        if let Ok(Err(error)) = swept {
            tracing::warn!(%error, "old sessions cannot be removed");
        }
    }
}
