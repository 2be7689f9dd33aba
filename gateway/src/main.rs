//! The process `mixcord-gateway`.

use std::io::IsTerminal;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mixcord_gateway::config::{ConfigError, Options, Token};
use mixcord_gateway::{Failure, app};
use nix::sys::signal::{SigSet, Signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;

/// Who has not ended by then is left behind: the rings hold all that matters.
const STOP_TIMEOUT: Duration = Duration::from_secs(4);

fn main() -> ExitCode {
    let signals = match Signals::watch() {
        Ok(signals) => signals,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "mixcord-gateway: no signal handling: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = match Options::read(std::env::args_os()) {
        Err(ConfigError::Shown(text)) => {
            let _ = std::io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(error) => Err(Failure::Configuration(error.to_string())),
        Ok(options) => start(options, signals),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "mixcord-gateway: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn start(options: Options, signals: Signals) -> Result<(), Failure> {
    let token = Token::read(options.token_file.as_deref(), std::env::var("DISCORD_TOKEN").ok())
        .map_err(|error| Failure::Configuration(error.to_string()))?;
    log_to_stderr();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("gateway")
        .build()
        .map_err(|error| Failure::Trouble(format!("no runtime: {error}")))?;
    let result = runtime.block_on(async {
        let mut stop = signals.begin();
        let run = app::run(options, token, stop.clone());
        tokio::pin!(run);
        tokio::select! {
            result = &mut run => return result,
            _ = stop.wait_for(|stop| *stop) => {}
        };
        tracing::info!("stopping");
        tokio::time::timeout(STOP_TIMEOUT, run).await.unwrap_or(Ok(()))
    });
    // A blocked request for /gateway/bot must not hold the exit.
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

/// Logs of our own crates and those that use `tracing`. Records of the `log` crate are not taken
/// over on purpose: the websocket library logs what it sends, and that holds the token (P9).
fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let subscriber = tracing_subscriber::registry().with(filter).with(lines);
    // Only fails when a subscriber is set already, and nobody else sets one.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// SIGTERM and SIGINT, from the first moment of `main` on.
struct Signals {
    stop: watch::Receiver<bool>,
    begun: Arc<AtomicBool>,
}

impl Signals {
    /// Has a thread wait for them. Until [`Self::begin`] there is nothing to put in order, and they end
    /// the process at once, with the code of any other stop.
    fn watch() -> std::io::Result<Self> {
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGTERM);
        signals.add(Signal::SIGINT);
        // Threads made later inherit this: only the one that waits gets them.
        signals.thread_block()?;
        let (told, stop) = watch::channel(false);
        let begun = Arc::new(AtomicBool::new(false));
        let waited = Arc::clone(&begun);
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            while signals.wait().is_err() {}
            told.send_replace(true);
            if !waited.load(Ordering::SeqCst) {
                std::process::exit(0);
            }
        })?;
        Ok(Self { stop, begun })
    }

    /// From now on whoever listens ends the process.
    fn begin(self) -> watch::Receiver<bool> {
        self.begun.store(true, Ordering::SeqCst);
        self.stop
    }
}
