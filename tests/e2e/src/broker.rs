//! A nats-server of a test's own.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use nix::sys::signal::Signal;

use crate::process::{Exit, Program, until};

/// The oldest that the bridge takes.
const SERVER_MIN: (u32, u32) = (2, 11);
const DEADLINE: Duration = Duration::from_secs(60);

/// A server on loopback, with its own store.
#[derive(Debug)]
pub struct Broker {
    program: Option<Program>,
    server: PathBuf,
    folder: PathBuf,
    port: u16,
    more: Vec<String>,
}

impl Broker {
    /// Starts one; `None`, with a line, where there is no nats-server that is new enough.
    ///
    /// # Errors
    /// It does not listen.
    pub fn start(folder: &Path, more: &[&str]) -> Result<Option<Self>> {
        let Some(server) = server() else {
            eprintln!(
                "skipped: no nats-server 2.11 or newer; `scripts/test.sh cluster` brings one"
            );
            return Ok(None);
        };
        let port = free_port()?;
        let more = more.iter().map(|&option| option.to_owned()).collect();
        let mut this = Self { program: None, server, folder: folder.to_owned(), port, more };
        this.restart()?;
        Ok(Some(this))
    }

    /// Starts it again, over the same store.
    ///
    /// # Errors
    /// It does not listen.
    pub fn restart(&mut self) -> Result<()> {
        let mut command = Command::new(&self.server);
        command.args(["-a", "127.0.0.1", "-p", &self.port.to_string(), "-js", "-sd"]);
        command.arg(self.folder.join("jetstream")).args(&self.more);
        self.program = Some(Program::start("nats-server", &self.folder, &mut command)?);
        let address = ("127.0.0.1", self.port);
        // The system takes connections before the server does: only its greeting says that it is there.
        until("nats-server to greet", DEADLINE, || {
            let Ok(mut stream) = TcpStream::connect(address) else { return false };
            let mut greeting = [0; 5];
            stream.set_read_timeout(Some(DEADLINE)).is_ok()
                && stream.read_exact(&mut greeting).is_ok()
                && greeting == *b"INFO "
        })
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn kill(&mut self) -> Result<Option<Exit>> {
        self.program.take().map(Program::kill).transpose()
    }

    /// SIGSTOP or SIGCONT.
    ///
    /// # Errors
    /// It is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.program.as_ref().map_or(Ok(()), |program| program.signal(signal))
    }

    /// What the bridge gets as `--nats`.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Processor time so far.
    pub fn cpu(&self) -> Duration {
        self.program.as_ref().map(Program::cpu).unwrap_or_default()
    }

    /// What it wrote to its log.
    pub fn said(&self) -> String {
        self.program.as_ref().map(Program::stderr).unwrap_or_default()
    }
}

/// The server that `scripts/lib/nats.sh` fetched, else one of the path, if it is new enough.
fn server() -> Option<PathBuf> {
    // Where a stage of its own runs these tests.
    if std::env::var_os("MIXCORD_TEST_WITHOUT_NATS").is_some() {
        return None;
    }
    let fetched = Program::path("").parent()?.join("nats/nats-server");
    [fetched, PathBuf::from("nats-server")].into_iter().find(|path| is_new_enough(path))
}

/// `nats-server: v2.15.1`
fn is_new_enough(server: &Path) -> bool {
    let Ok(output) = Command::new(server).arg("--version").output() else { return false };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let Some((_, version)) = text.trim().rsplit_once('v') else { return false };
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= SERVER_MIN
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
