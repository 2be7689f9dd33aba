//! One nats-server, or three that keep what each of them has, with stores that go with them.

use std::path::Path;

use anyhow::Result;
use tempfile::TempDir;

use crate::contender::Place;
use crate::contender::nats::{free_port, serve};
use crate::process::{Process, Usage};

/// How the log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// Servers, each of which has all of it: 1 or 3.
    pub servers: u8,
    /// Every message is on the disk before it is acknowledged.
    pub sync_always: bool,
}

/// Servers that run.
#[derive(Debug)]
pub(super) struct Servers {
    all: Vec<Process>,
    urls: Vec<String>,
    _store: TempDir,
}

impl Servers {
    /// Starts them, and waits until each greets.
    pub(super) fn start(place: &Place, server: &Path, keeping: Keeping) -> Result<Self> {
        let store = tempfile::tempdir_in(&place.folder)?;
        let ports = (0..keeping.servers)
            .map(|_| Ok((free_port()?, free_port()?)))
            .collect::<Result<Vec<_>>>()?;
        let routes: Vec<_> =
            ports.iter().map(|(_, route)| format!("nats://127.0.0.1:{route}")).collect();
        let sync = if keeping.sync_always { ", sync_interval: always" } else { "" };
        let mut all = Vec::new();
        for (number, &(port, route)) in ports.iter().enumerate() {
            let folder = store.path().join(number.to_string());
            std::fs::create_dir(&folder)?;
            let mut config = format!(
                "server_name: bench-{number}\njetstream {{ store_dir: {folder:?}{sync} }}\n"
            );
            if ports.len() > 1 {
                config += &format!(
                    "cluster {{ name: bench, listen: \"127.0.0.1:{route}\", routes: {routes:?} }}\n"
                );
            }
            all.push(serve(place, server, &folder, port, &config)?);
        }
        let urls = ports.iter().map(|(port, _)| format!("nats://127.0.0.1:{port}")).collect();
        Ok(Self { all, urls, _store: store })
    }

    /// As `--nats` takes them.
    pub(super) fn urls(&self) -> String {
        self.urls.join(",")
    }

    pub(super) fn check(&mut self) -> Result<()> {
        self.all.iter_mut().try_for_each(Process::check)
    }

    /// What all of them have used.
    pub(super) fn usage(&self) -> Result<Usage> {
        let mut sum = Usage::default();
        for server in &self.all {
            sum += server.usage()?;
        }
        Ok(sum)
    }
}
