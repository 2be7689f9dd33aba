use std::fs;
use std::path::Path;

use mixcord_event::proxy::{BOARD_BYTES_MAX, ProxyFigures};
use mixcord_event::topology;
use serde::Serialize;

use super::board;

/// The proxies of an instance, which give its events to clients that speak Discord's gateway protocol.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct ProxiesStatus {
    /// Those that run, or were killed.
    pub running: Vec<ProxyStatus>,
    /// Sessions of clients that are connected, or may come back.
    pub sessions: u64,
}

/// A proxy as it was a second ago.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ProxyStatus {
    /// The address it listens on.
    pub listen: String,
    /// Does it live? What it said goes on standing there when it was killed.
    pub alive: bool,
    /// Its process, in its own pid namespace.
    pub pid: u32,
    /// The program, with its version.
    pub writer: Option<String>,
    /// How long ago it started.
    pub started_seconds: f64,
    /// Clients that have a session and are connected.
    pub clients: u64,
    /// Events sent to clients since it started, each counted for each.
    pub events: u64,
    /// Clients cut since then because they took nothing for too long.
    pub stalled: u64,
}

impl ProxiesStatus {
    /// What is in the folder of an instance's proxies.
    pub(super) fn of(instance: &str) -> Self {
        let mut all = Self::default();
        for file in fs::read_dir(topology::proxy_dir(instance)).into_iter().flatten().flatten() {
            let name = file.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(topology::PROXY_BOARD) {
                all.running.extend(ProxyStatus::read(&file.path()));
            } else if name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                all.sessions += 1;
            }
        }
        all.running.sort_by(|one, other| one.listen.cmp(&other.listen));
        all
    }

    /// Is there nothing of a proxy?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.running.is_empty() && self.sessions == 0
    }
}

impl ProxyStatus {
    /// `None` of what is not this user's, or no proxy wrote.
    fn read(path: &Path) -> Option<Self> {
        let read = board::read(path, BOARD_BYTES_MAX, |bytes| {
            let (figures, writer) = ProxyFigures::decode(bytes)?;
            Some((figures, writer.map(str::to_owned)))
        })?;
        let board::Read { figures, writer, alive } = read;
        Some(Self {
            alive,
            pid: figures.pid,
            writer,
            started_seconds: board::seconds_since(figures.started_us),
            clients: figures.clients,
            events: figures.events,
            stalled: figures.stalled,
            listen: figures.listen,
        })
    }
}
