//! What this proxy says of itself to `mixcord ls` and the like: a file in the folder of sessions, locked while it lives.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mixcord::event::proxy::ProxyFigures;
use mixcord::event::topology::PROXY_BOARD;
use mixcord_process::board;
use ring::rand::{SecureRandom, SystemRandom};

use crate::session::{Folder, remove_unheld};
use crate::site::Site;

/// How often it is written.
const EVERY: Duration = Duration::from_secs(1);
const WRITER: &str = concat!("mixcord-proxy ", env!("CARGO_PKG_VERSION"));

/// What connections count.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    events: AtomicU64,
    stalled: AtomicU64,
}

impl Counts {
    /// An event went to a client.
    pub(crate) fn sent(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
    }

    /// A client took nothing for too long.
    pub(crate) fn stalled(&self) {
        self.stalled.fetch_add(1, Ordering::Relaxed);
    }
}

/// The file, and what it says.
#[derive(Debug)]
pub(crate) struct Board {
    file: board::Board,
    figures: ProxyFigures,
    written: Option<Instant>,
}

impl Board {
    /// Puts it up, in the place of one that was left at the same address. Nobody needs it who is served: without it the
    /// proxy is only not seen.
    pub(crate) fn put_up(site: &Site, listen: SocketAddr) -> Option<Self> {
        match Self::make(&site.folder, listen) {
            Ok(mut board) => {
                board.write(site);
                Some(board)
            }
            Err(error) => {
                tracing::warn!(%error, "mixcord ls and monitor do not see this proxy");
                None
            }
        }
    }

    fn make(folder: &Folder, listen: SocketAddr) -> io::Result<Self> {
        let listen = listen.to_string();
        for path in folder.files()? {
            let is_board = |name: &str| name.starts_with(PROXY_BOARD);
            if path.file_name().and_then(|name| name.to_str()).is_some_and(is_board)
                // Another may go just now.
                && let Ok(said) = fs::read(&path)
                && let Some((left, _)) = ProxyFigures::decode(&said)
                && left.listen == listen
            {
                remove_unheld(&path);
            }
        }
        let mut random = [0; 8];
        SystemRandom::new().fill(&mut random).map_err(|_| io::Error::other("no randomness"))?;
        let name = format!("{PROXY_BOARD}{:016x}", u64::from_le_bytes(random));
        let file = board::Board::put_up(folder.place(), &name)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let figures = ProxyFigures {
            pid: std::process::id(),
            started_us: u64::try_from(now.as_micros()).unwrap_or(u64::MAX),
            listen,
            ..ProxyFigures::default()
        };
        Ok(Self { file, figures, written: None })
    }

    /// Writes how it is, if that is due.
    pub(crate) fn write(&mut self, site: &Site) {
        if self.written.is_some_and(|at| at.elapsed() < EVERY) {
            return;
        }
        self.written = Some(Instant::now());
        self.figures.clients = site.seats.count() as u64;
        self.figures.events = site.counts.events.load(Ordering::Relaxed);
        self.figures.stalled = site.counts.stalled.load(Ordering::Relaxed);
        if let Err(error) = self.file.write(&self.figures.encode(WRITER)) {
            tracing::debug!(%error, "how this proxy is cannot be written");
        }
    }
}
