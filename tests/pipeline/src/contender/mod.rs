//! Who is measured: Mixcord's three processes, and what a user would run instead.

mod genstage;
pub(crate) mod mixcord;
pub mod nats;
pub(crate) mod twilight;
mod versions;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

pub use self::mixcord::{Mixcord, Pace, Store, Take};
pub use self::nats::Nats;
pub use self::twilight::Twilight;
pub use self::versions::versions;
use crate::process::Process;
use crate::source::Load;

/// One way to get a bot's events to its handler, with a cache of what they tell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Contender {
    /// gateway, cache, consumers.
    Mixcord(Mixcord),
    /// twilight-gateway and twilight-cache-inmemory, in one process.
    Twilight(Twilight),
    /// The same split in two by a NATS server.
    Nats(Nats),
    /// Producer and consumer in Elixir, which is what Mixcord once was: decoded terms, no cache.
    GenStage,
}

/// Where programs are and where they may write.
#[derive(Clone, Debug)]
pub struct Place {
    /// Programs of this workspace.
    pub programs: PathBuf,
    /// Logs and such.
    pub folder: PathBuf,
    /// What one of Mixcord's processes runs under.
    pub tool: Option<Tool>,
}

/// A program that runs another, to look at it.
#[derive(Clone, Debug)]
pub struct Tool {
    /// The process that is looked at.
    pub process: &'static str,
    /// What stands before its command line.
    pub prefix: Vec<String>,
}

/// A contender that runs.
#[derive(Debug)]
pub struct Running {
    /// What is counted, in the order of events. Those at the end handle them.
    pub processes: Vec<Process>,
    /// The last so many of the processes answer for what was handled: groups of members.
    pub groups: Vec<std::ops::Range<usize>>,
    /// What belongs to it in shared memory, and is removed with it.
    instance: Option<String>,
}

impl Contender {
    /// How it is called in tables.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Mixcord(mixcord) => mixcord.name(),
            Self::Twilight(twilight) => twilight.name().to_owned(),
            Self::Nats(nats) => nats.name().to_owned(),
            Self::GenStage => "GenStage, no cache".to_owned(),
        }
    }

    /// Whether it is Mixcord.
    #[must_use]
    pub const fn is_ours(&self) -> bool {
        matches!(self, Self::Mixcord(_))
    }

    /// Why it cannot run here, if it cannot.
    #[must_use]
    pub fn missing(&self, place: &Place, load: &Load) -> Option<String> {
        match self {
            Self::Mixcord(_) => None,
            Self::Twilight(_) => twilight::missing(place, load.compression),
            Self::Nats(_) => twilight::missing(place, load.compression).or_else(nats::missing),
            Self::GenStage => genstage::missing(place),
        }
    }

    /// Starts its processes against a source's port.
    ///
    /// # Errors
    /// One cannot be started.
    pub fn start(&self, place: &Place, port: u16, load: &Load) -> Result<Running> {
        match self {
            Self::Mixcord(mixcord) => mixcord.start(place, port, load),
            Self::Twilight(twilight) => twilight.start(place, port, load),
            Self::Nats(nats) => nats.start(place, port, load),
            Self::GenStage => genstage::start(place, port, load),
        }
    }
}

impl Place {
    /// Programs that lie where this one does.
    ///
    /// # Errors
    /// The system does not say where that is.
    pub fn beside_this_program(folder: &Path) -> std::io::Result<Self> {
        let program = std::env::current_exe()?;
        let programs = program.parent().unwrap_or_else(|| Path::new("."));
        Ok(Self::new(programs, folder))
    }

    /// Programs of a folder.
    #[must_use]
    pub fn new(programs: &Path, folder: &Path) -> Self {
        Self { programs: programs.to_owned(), folder: folder.to_owned(), tool: None }
    }

    /// The path of a program of this workspace.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// A process of Mixcord, under the tool that is to look at it.
    fn command(&self, process: &str, program: &str) -> Command {
        let path = self.program(program);
        let tool = self.tool.as_ref().filter(|tool| tool.process == process);
        let Some([first, rest @ ..]) = tool.map(|tool| &*tool.prefix) else {
            return Command::new(path);
        };
        let mut command = Command::new(first);
        command.args(rest).arg(path);
        command
    }
}

impl Running {
    /// Pages of its shared memory, in bytes.
    #[must_use]
    pub fn shared_bytes(&self) -> u64 {
        self.instance.as_deref().map_or(0, mixcord::shared_bytes)
    }

    /// Its name, where it has one.
    pub(crate) fn instance(&self) -> Option<&str> {
        self.instance.as_deref()
    }

    /// Ends all.
    pub fn stop(mut self) {
        // What handles goes last: nobody before it waits for a full ring.
        self.processes.drain(..).for_each(Process::stop);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.processes.clear();
        if let Some(instance) = &self.instance {
            mixcord::remove(instance);
        }
    }
}

/// Whether a program can be found.
fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian's servers are where only root looks.
    let more = [PathBuf::from("/usr/sbin")];
    std::env::split_paths(&path).chain(more).any(|folder| folder.join(program).is_file())
}

fn is_file(path: &Path) -> bool {
    path.is_file()
}
