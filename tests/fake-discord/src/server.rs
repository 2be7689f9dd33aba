//! Starting and stopping a server.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

use crate::config::Config;
use crate::faults;
use crate::gateway::hub::{Hub, drive};
use crate::gateway::sets::Sets;
use crate::http;
use crate::journal::JournalFile;
use crate::world::lane::Plan;
use crate::world::mix::Mix;

/// Send buffer of a connection: what a client that does not read leaves in the kernel stays small.
const SEND_BUFFER: u32 = 256 * 1024;
/// More shards would give ids twice.
const SHARDS_MAX: usize = 1024;

/// Why a server did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The port is taken, or may not be listened on.
    #[error("cannot listen on 127.0.0.1:{port}: {source}")]
    Listen {
        /// The port asked for.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// The journal's file cannot be opened.
    #[error("cannot open the journal: {0}")]
    Journal(io::Error),
    /// An option has a value that makes no sense.
    #[error("{0}")]
    Option(String),
}

/// Sessions that are told things later are looked at so often.
const LOOK: Duration = Duration::from_millis(2);

/// A running server. It ends with this value.
#[derive(Debug)]
pub struct Server {
    hub: Arc<Hub>,
    tasks: JoinSet<()>,
}

impl Server {
    /// Starts a server on the current tokio runtime.
    ///
    /// # Errors
    /// When an option makes no sense or the port cannot be listened on.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        if !(1..=SHARDS_MAX).contains(&config.shards) {
            return Err(StartError::Option(format!("--shards must be from 1 to {SHARDS_MAX}")));
        }
        if !config.rate.is_finite() || config.rate < 0.0 {
            return Err(StartError::Option("--rate must not be negative".to_owned()));
        }
        let faults = faults::Plan::parse(&config.faults).map_err(StartError::Option)?;
        let fault_every = Duration::try_from_secs_f64(config.fault_seconds)
            .map_err(|error| StartError::Option(format!("--fault-seconds: {error}")))?;
        let mix = Mix::parse(&config.mix).map_err(StartError::Option)?;
        let sets = Sets::parse(&config.sets, config.seed);
        let sets = sets.map_err(|why| StartError::Option(format!("--set: {why}")))?;
        let plan = Plan {
            seed: config.seed,
            lanes: config.shards,
            guilds: config.guilds,
            members: config.members,
            mix,
        };
        let port = config.port;
        let listen = |source| StartError::Listen { port, source };
        let socket = TcpSocket::new_v4().map_err(listen)?;
        socket.set_reuseaddr(true).map_err(listen)?;
        socket.set_send_buffer_size(SEND_BUFFER).map_err(listen)?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).map_err(listen)?;
        let listener = socket.listen(1024).map_err(listen)?;
        let port = listener.local_addr().map_err(listen)?.port();
        let file = config.journal.as_deref().map(JournalFile::open).transpose();
        let file = file.map_err(StartError::Journal)?.map(Arc::new);
        let hub = Arc::new(Hub::new(config, &plan, sets, port, file));
        let mut tasks = JoinSet::new();
        for index in 0..hub.feeds.len() {
            tasks.spawn(drive(Arc::clone(&hub), index));
        }
        let keeper = Arc::clone(&hub);
        tasks.spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(250)).await;
                keeper.expire_sessions();
                keeper.flush();
            }
        });
        tasks.spawn(catch_up(Arc::clone(&hub)));
        if let Some(faults) = faults {
            tasks.spawn(faults::run(Arc::clone(&hub), faults, fault_every));
        }
        let acceptor = Arc::clone(&hub);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    Some(_) = connections.join_next() => continue,
                };
                match accepted {
                    Ok((stream, _)) => {
                        // Small frames must not wait for each other; failing costs only latency.
                        let _ = stream.set_nodelay(true);
                        let hub = Arc::clone(&acceptor);
                        connections.spawn(async move {
                            if let Err(error) = http::serve(hub, stream).await {
                                tracing::debug!(%error, "a connection ended");
                            }
                        });
                    }
                    // Out of descriptors, most likely: waiting is all that helps.
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        });
        Ok(Self { hub, tasks })
    }

    /// The port the server listens on.
    pub fn port(&self) -> u16 {
        self.hub.port
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.hub.port)
    }

    /// Ends the server: every connection is cut.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
        self.hub.flush();
    }
}

/// Tells sessions what is due, for as long as the server lives.
async fn catch_up(hub: Arc<Hub>) {
    loop {
        if hub.catch_up() {
            tokio::time::sleep(LOOK).await;
        } else {
            hub.lagged.notified().await;
        }
    }
}
