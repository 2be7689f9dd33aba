//! twilight in one process: the program `peer`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::{Place, Running, is_file};
use crate::process::Process;
use crate::source::{Compression, Load};

/// How far it goes with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Twilight {
    /// The text, unparsed.
    Raw,
    /// twilight-model's types.
    Typed,
    /// Those, and twilight-cache-inmemory with everything on.
    Cached,
    /// The same without messages.
    CachedWithoutMessages,
}

impl Twilight {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Raw => "twilight, raw",
            Self::Typed => "twilight, typed",
            Self::Cached => "twilight, typed + cache",
            Self::CachedWithoutMessages => "twilight, typed + cache, no messages",
        }
    }

    pub(crate) const fn mode(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Typed => "typed",
            Self::Cached => "cache",
            Self::CachedWithoutMessages => "cache-without-messages",
        }
    }

    pub(super) fn start(self, place: &Place, port: u16, load: &Load) -> Result<Running> {
        let mut command = gateway(place, port, load, self.mode());
        let process = Process::start_talking("twilight", &place.folder, &mut command)?;
        let all = 0..1;
        Ok(Running { processes: vec![process], groups: vec![all], instance: None })
    }
}

/// twilight decides on a compression when it is built, so there is one program for each.
pub(super) fn program(place: &Place, compression: Compression) -> PathBuf {
    place.program(&match compression {
        Compression::None => "peer".to_owned(),
        other => format!("peer-{}", other.name()),
    })
}

pub(crate) fn gateway(place: &Place, port: u16, load: &Load, mode: &str) -> Command {
    let mut command = Command::new(program(place, load.compression));
    command.args(["gateway", "--url", &format!("ws://127.0.0.1:{port}"), "--mode", mode]);
    command.args(["--shards", &load.shards.to_string()]);
    command
}

pub(crate) fn missing(place: &Place, compression: Compression) -> Option<String> {
    let path = program(place, compression);
    let name = path.file_name().unwrap_or_default().display();
    (!is_file(&path)).then(|| format!("`{name}` of mixcord-peers is not beside this program"))
}
