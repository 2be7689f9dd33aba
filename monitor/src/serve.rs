//! The process behind `mixcord monitor`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mixcord::{Stop, operator};
use tokio::net::TcpListener;

use crate::events::Events;
use crate::http::{Server, Site};
use crate::metrics::Metrics;
use crate::sample::Source;
use crate::watch::Ticker;

/// What is served, and where.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The instance.
    pub instance: String,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Shows what some events changed: they hold people's words.
    pub show_events: bool,
    /// What a client may take.
    pub limits: Limits,
}

/// What clients may take, whatever they send or do not send.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time; more wait in the kernel's queue.
    pub connections: usize,
    /// How long a request may take to arrive, and a connection to be idle between two.
    pub request: Duration,
    /// How long a client may take none of what waits for it.
    pub write: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 64, request: Duration::from_secs(10), write: Duration::from_secs(30) }
    }
}

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The instance name cannot be one.
    #[error(transparent)]
    Instance(#[from] operator::Error),
    /// The address cannot be listened at.
    #[error("cannot listen at {address}: {source} (--listen says where)")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused threads or the like.
    #[error("no runtime: {0}")]
    Runtime(io::Error),
}

impl Error {
    /// Is it about what was asked for, so that trying again the same way is no use?
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        matches!(self, Self::Instance(error) if error.is_configuration())
            || matches!(self, Self::Listen { source, .. } if source.kind() != io::ErrorKind::AddrInUse)
    }
}

/// Serves until `stop`; tells `ready` where.
///
/// # Errors
/// When it cannot begin.
pub fn serve(
    settings: &Settings,
    stop: &Stop,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), Error> {
    let source = Arc::new(Source::new(&settings.instance)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    let address = settings.listen;
    let listener = runtime
        .block_on(TcpListener::bind(address))
        .and_then(|listener| Ok((listener.local_addr()?, listener)))
        .map_err(|source| Error::Listen { address, source });
    let (address, listener) = listener?;
    let site = Arc::new(Site {
        metrics: Metrics::new(Arc::clone(&source)),
        source,
        ticker: Ticker::new(),
        events: Events::new(),
        shows_events: settings.show_events,
        is_local: address.ip().is_loopback(),
    });
    std::thread::scope(|threads| {
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(name.to_owned()).spawn_scoped(threads, work)
        };
        let (ticking, looking) = (Arc::clone(&site), Arc::clone(&site));
        let started = spawn("ticker", Box::new(move || ticking.ticker.run(&ticking.source, stop)));
        let started = started.and_then(|_| {
            let watch =
                move || looking.events.watch(&settings.instance, settings.show_events, stop);
            spawn("events", Box::new(watch))
        });
        started.map_err(Error::Runtime).inspect_err(|_| stop.stop())?;
        ready(address);
        runtime.block_on(Server::new(listener, site, settings.limits).run(stop));
        Ok(())
    })
}
